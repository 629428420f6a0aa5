/* bad_file.h - a small good model in memory, edited in one place and written out: how bad files are made. */
#ifndef EX_TESTS_HOSTILE_BAD_FILE_H
#define EX_TESTS_HOSTILE_BAD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BAD_KEYS = 48, BAD_TENSORS = 32, BAD_DIMS = 8, BAD_TOKENS = 259 };

enum { /* types of values, numbered as in GGUF */
    BAD_U8 = 0, BAD_U32 = 4, BAD_I32 = 5, BAD_F32 = 6, BAD_BOOL = 7, BAD_STRING = 8, BAD_ARRAY = 9, BAD_U64 = 10
};

typedef struct bad_bytes {
    unsigned char *data;
    size_t length, capacity;
} bad_bytes;

typedef struct bad_key {
    bad_bytes name, value; /* the value as it lies in the file, after its type */
    uint64_t name_length;  /* as announced */
    uint32_t type;
} bad_key;

typedef struct bad_tensor {
    bad_bytes name;
    uint64_t name_length; /* as announced */
    uint32_t n_dims, type;
    uint64_t ne[BAD_DIMS];
    uint64_t offset;  /* as announced; UINT64_MAX: where the data lies */
    uint64_t n_bytes; /* of data that is written */
    float mean, deviation;
} bad_tensor;

typedef struct bad_file {
    uint32_t version;
    uint64_t n_keys_more, n_tensors_more; /* announced beyond those that are there */
    uint64_t alignment;
    bad_key keys[BAD_KEYS];
    size_t n_keys;
    bad_tensor tensors[BAD_TENSORS];
    size_t n_tensors;
} bad_file;

enum { /* who refuses a file */
    BY_INFO = 1, BY_EVALUATION = 2, BY_TOKENIZE = 4, BY_LIBRARY = 8, BY_RUN = BY_EVALUATION | BY_LIBRARY, BY_ALL = 15,
    BY_TOKENIZER = BY_RUN | BY_TOKENIZE
};

typedef struct bad_row bad_row;
struct bad_row {
    const char *name;
    const char *word; /* of the message; NULL: the file is good all the same, as documented */
    unsigned refused; /* by these commands; the others may describe or use the file */
    void (*edit)(bad_file *file, const bad_row *row);      /* before it is written, or NULL */
    void (*spoil)(bad_bytes *bytes, const bad_row *row);   /* what was written, or NULL */
    const char *target; /* of the edit: a key or a tensor */
    uint64_t number, count;
    double real;
    const char *text;
};

typedef struct bad_table {
    const char *name;
    const bad_row *rows;
    size_t n_rows;
} bad_table;

extern const bad_table bad_container, bad_tensors, bad_shapes, bad_vocabularies;

void bad_put(bad_bytes *bytes, const void *data, size_t length);
void bad_put_u32(bad_bytes *bytes, uint32_t value);
void bad_put_u64(bad_bytes *bytes, uint64_t value);
void bad_put_string(bad_bytes *bytes, const char *text, size_t length);

bad_key *bad_find_key(bad_file *file, const char *name); /* adds it when it is not there */
bad_key *bad_renew_key(bad_file *file, const char *name, uint32_t type);   /* without a value */
void bad_drop_key(bad_file *file, const char *name);
bad_bytes *bad_begin_array(bad_file *file, const char *name, uint32_t element, uint64_t count);
bad_tensor *bad_find_tensor(bad_file *file, const char *name);
bad_tensor *bad_add_tensor(bad_file *file, const char *name, uint64_t n_columns, uint64_t n_rows);

/* Edits that every table uses: the key `target` becomes … */
void bad_edit_u32(bad_file *file, const bad_row *row);    /* … `number` */
void bad_edit_u64(bad_file *file, const bad_row *row);
void bad_edit_f32(bad_file *file, const bad_row *row);    /* … `real` */
void bad_edit_string(bad_file *file, const bad_row *row); /* … `text`, `count` times if that is above 0 */
void bad_edit_array(bad_file *file, const bad_row *row);  /* … `count` times the u32 `number` */
void bad_edit_floats(bad_file *file, const bad_row *row); /* … `count` times the f32 `real` */
void bad_edit_strings(bad_file *file, const bad_row *row); /* … `count` times `text` */
void bad_edit_drop(bad_file *file, const bad_row *row);   /* … absent */

/* The file of a row, as bytes that the caller frees. */
bad_bytes bad_make(const bad_row *row);

#endif
