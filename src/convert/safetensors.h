/* safetensors.h - the weights of a Hugging Face folder: model.safetensors, or the files that
 * model.safetensors.index.json names. Everything in their headers is checked when they open. */
#ifndef EX_CONVERT_SAFETENSORS_H
#define EX_CONVERT_SAFETENSORS_H

#include "base/json.h"
#include "file/map.h"

typedef struct ex_dtype {
    const char *name;
    uint32_t n_bytes;
    int32_t type; /* the GGUF type of the same bytes, or -1 for one that cannot be converted */
} ex_dtype;

enum { EX_SAFETENSORS_DIMS = 4 };

typedef struct ex_safetensors_file {
    char *path;
    ex_map map;
    ex_json_document header;
} ex_safetensors_file;

typedef struct ex_weight { /* one tensor */
    ex_string name;
    const ex_dtype *dtype;
    size_t n_dims;
    uint64_t shape[EX_SAFETENSORS_DIMS]; /* the last one is contiguous */
    const unsigned char *data;           /* not aligned */
    uint64_t begin, end;                 /* of the data, behind the header */
    uint64_t offset;                     /* of its entry in the header, for messages */
    const char *path;                    /* of its file */
    bool used;                           /* for the user of the list */
} ex_weight;

typedef struct ex_safetensors {
    ex_safetensors_file *files;
    size_t n_files;
    ex_weight *weights; /* of all files, by name */
    size_t n_weights, capacity;
} ex_safetensors;

/* `out` is zeroed by the caller and may be closed whatever the outcome. */
ex_code ex_safetensors_open(ex_safetensors *out, const char *folder, ex_error *error);
void ex_safetensors_close(ex_safetensors *tensors);
ex_weight *ex_safetensors_find(const ex_safetensors *tensors, const char *name); /* NULL when absent */

#endif
