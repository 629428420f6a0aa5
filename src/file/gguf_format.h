/* gguf_format.h - numbers of the GGUF container that reader, writer and key access share. */
#ifndef EX_FILE_GGUF_FORMAT_H
#define EX_FILE_GGUF_FORMAT_H

#include "entropix.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "GGUF is read in place, which needs a little-endian machine");

enum {
    EX_GGUF_HEADER_BYTES = 24, /* magic, version, number of tensors, number of keys */
    EX_GGUF_ALIGNMENT = 32,    /* of tensor data, unless general.alignment says otherwise */
    EX_GGUF_MAX_KEY = 65535,   /* bytes of a key's name */
    EX_GGUF_MAX_NAME = 64,     /* bytes of a tensor's name */
    EX_GGUF_MAX_DIMS = 4,
    EX_VALUE_TYPES = EX_VALUE_F64 + 1
};

#define EX_GGUF_MAGIC "GGUF"

/* Bytes of one value in the file; for a string, of its length field; 0 for an array. */
uint32_t ex_value_bytes(ex_value_type type);
const char *ex_value_type_name(ex_value_type type);

/* How much of a name fits into a message, cut between characters. */
int ex_name_shown(ex_string name);

/* The two arguments of "%.*s" for a name. */
#define EX_SHOWN(name) ex_name_shown(name), (name).data

/* Valid UTF-8 of 1 to `limit` bytes without control characters, so that it can be printed anywhere. NULL when it is,
 * else what is wrong with it. */
const char *ex_name_fault(ex_string name, size_t limit);

#endif
