/* reader.h - a cursor over a mapped file that cannot be read past the end, and the errors that its users report.
 * The file is hostile until checked: every number is 64 bits wide, every read is bounded by what is left, and memory
 * grows only with entries that were really there. */
#ifndef EX_FILE_READER_H
#define EX_FILE_READER_H

#include "file/gguf_format.h"
#include "file/map.h"

typedef struct ex_part { /* one file; most models have one, some are split into several */
    char *path;
    ex_map map;
    uint64_t alignment;
    uint64_t described;  /* bytes of header, keys and descriptions of tensors */
    size_t first_tensor; /* in the list of all parts; the part's own follow each other */
} ex_part;

typedef struct ex_key_list {
    ex_key *items;
    size_t count;
    const ex_string **by_name; /* sorted */
} ex_key_list;

struct ex_file {
    ex_part *parts;
    size_t n_parts;
    uint32_t version;
    ex_key_list keys; /* of the first part */
    ex_tensor *tensors;
    size_t n_tensors, tensor_capacity;
    const ex_string **tensors_by_name; /* sorted */
};

typedef struct ex_reader {
    ex_file *file;
    ex_part *part;              /* that is being read */
    ex_key_list *keys;          /* its keys */
    uint64_t at;                /* next byte, <= size */
    uint64_t n_tensors, n_keys; /* as the header says */
    ex_error *error;
} ex_reader;

/* "PATH: byte POSITION: MESSAGE" */
ex_code ex_reader_fault(const ex_reader *r, ex_code code, uint64_t position, const char *format, ...) EX_PRINTF(4, 5);
uint64_t ex_reader_left(const ex_reader *r);
/* The next `n` bytes, or NULL with the error set. `what` they belong to is for the message. */
const unsigned char *ex_reader_take(ex_reader *r, uint64_t n, const char *what);
ex_code ex_reader_u32(ex_reader *r, uint32_t *out, const char *what);
ex_code ex_reader_u64(ex_reader *r, uint64_t *out, const char *what);
ex_code ex_reader_name(ex_reader *r, size_t limit, ex_string *out, const char *what);
/* Where a name lies in the file. */
uint64_t ex_reader_position(const ex_reader *r, ex_string name);
/* Whether `count` entries of at least `least_bytes` each can follow. */
ex_code ex_reader_check_count(const ex_reader *r, uint64_t position, uint64_t count, uint64_t least_bytes,
                              const char *what);
/* The array with room for one more item behind `count` of them, moved if need be. NULL when memory is out: then `items`
 * is still there. */
void *ex_reader_grow(void *items, size_t count, size_t *capacity, size_t size);

/* gguf_tensor.c: the descriptions of the tensors, then (names checked) the places of one part's. */
enum { EX_LEAST_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8 }; /* name of one byte, one dimension */
ex_code ex_reader_tensors(ex_reader *r);
ex_code ex_reader_place_tensors(ex_reader *r);

/* gguf_read.c: one part as far as its tensors' descriptions, which join the file's list. */
ex_code ex_reader_part(ex_reader *r);
const ex_key *ex_reader_find_key(const ex_key_list *keys, const char *name);
void ex_reader_free_keys(ex_key_list *keys);

/* gguf_split.c: the other parts of a split model. `r` has read one part of it, which may be any; afterwards the file
 * has them all, in order. Nothing happens to a file that is whole. */
ex_code ex_reader_split(ex_reader *r);

#endif
