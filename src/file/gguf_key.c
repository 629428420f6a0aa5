/* gguf_key.c - values of metadata keys, read where they lie. */
#include "base/utf8.h"
#include "file/gguf_format.h"

#include <string.h>

enum { SHOWN_BYTES = 80 };

static const struct {
    const char *name;
    uint32_t bytes;
} value_types[EX_VALUE_TYPES] = {
    [EX_VALUE_U8] = {"u8", 1},       [EX_VALUE_I8] = {"i8", 1},     [EX_VALUE_U16] = {"u16", 2},
    [EX_VALUE_I16] = {"i16", 2},     [EX_VALUE_U32] = {"u32", 4},   [EX_VALUE_I32] = {"i32", 4},
    [EX_VALUE_F32] = {"f32", 4},     [EX_VALUE_BOOL] = {"bool", 1}, [EX_VALUE_STRING] = {"string", 8},
    [EX_VALUE_ARRAY] = {"array", 0}, [EX_VALUE_U64] = {"u64", 8},   [EX_VALUE_I64] = {"i64", 8},
    [EX_VALUE_F64] = {"f64", 8},
};

uint32_t ex_value_bytes(ex_value_type type) { return value_types[type].bytes; }

const char *ex_value_type_name(ex_value_type type) { return value_types[type].name; }

int ex_name_shown(ex_string name) {
    if (name.length <= SHOWN_BYTES) return (int)name.length;
    return (int)ex_utf8_valid_prefix(name.data, SHOWN_BYTES);
}

const char *ex_name_fault(ex_string name, size_t limit) {
    if (name.length == 0) return "is empty";
    if (name.length > limit) return "is too long";
    for (size_t at = 0; at < name.length;) {
        uint32_t codepoint;
        size_t n = ex_utf8_decode(name.data + at, name.length - at, &codepoint);
        if (n == 0) return "is not valid UTF-8";
        if (codepoint < 0x20 || (codepoint >= 0x7F && codepoint < 0xA0)) return "contains a control character";
        at += n;
    }
    return NULL;
}

static const void *element_at(const ex_key *key, uint64_t index) {
    if (!key || index >= key->count || key->element == EX_VALUE_STRING) return NULL;
    return (const char *)key->data + index * ex_value_bytes(key->element);
}

#define LOAD(c_type, from, to)                                                                                         \
    do {                                                                                                               \
        c_type loaded_;                                                                                                \
        memcpy(&loaded_, from, sizeof loaded_);                                                                        \
        to = loaded_;                                                                                                  \
    } while (0)

bool ex_key_integer(const ex_key *key, uint64_t index, int64_t *out) {
    const void *from = element_at(key, index);
    if (!from) return false;
    uint64_t large;
    switch (key->element) {
    case EX_VALUE_U8:
    case EX_VALUE_BOOL:
        LOAD(uint8_t, from, *out);
        return true;
    case EX_VALUE_I8:
        LOAD(int8_t, from, *out);
        return true;
    case EX_VALUE_U16:
        LOAD(uint16_t, from, *out);
        return true;
    case EX_VALUE_I16:
        LOAD(int16_t, from, *out);
        return true;
    case EX_VALUE_U32:
        LOAD(uint32_t, from, *out);
        return true;
    case EX_VALUE_I32:
        LOAD(int32_t, from, *out);
        return true;
    case EX_VALUE_I64:
        LOAD(int64_t, from, *out);
        return true;
    case EX_VALUE_U64:
        LOAD(uint64_t, from, large);
        if (large > INT64_MAX) return false;
        *out = (int64_t)large;
        return true;
    default:
        return false;
    }
}

bool ex_key_number(const ex_key *key, uint64_t index, double *out) {
    const int64_t exact = (int64_t)1 << 53; /* integers up to here are doubles without loss */
    int64_t integer;
    if (ex_key_integer(key, index, &integer)) {
        if (integer > exact || integer < -exact) return false;
        *out = (double)integer;
        return true;
    }
    const void *from = element_at(key, index);
    if (!from) return false;
    if (key->element == EX_VALUE_F32)
        LOAD(float, from, *out);
    else if (key->element == EX_VALUE_F64)
        LOAD(double, from, *out);
    else
        return false;
    return true;
}

bool ex_key_next_string(const ex_key *key, const void **cursor, ex_string *out) {
    if (!key || key->element != EX_VALUE_STRING) return false;
    const char *end = (const char *)key->data + key->n_bytes;
    const char *at = *cursor ? *cursor : key->data;
    if (at == end) return false;
    uint64_t length;
    memcpy(&length, at, sizeof length);
    *out = (ex_string){at + sizeof length, (size_t)length};
    *cursor = at + sizeof length + length;
    return true;
}

bool ex_key_string(const ex_key *key, uint64_t index, ex_string *out) {
    if (!key || index >= key->count) return false;
    const void *cursor = NULL;
    for (uint64_t i = 0; i <= index; i++)
        if (!ex_key_next_string(key, &cursor, out)) return false;
    return true;
}
