/* description.h - what a GGUF file holds, gathered from its keys and tensors without knowing its architecture. */
#ifndef CLI_DESCRIPTION_H
#define CLI_DESCRIPTION_H

#include "entropix.h"

enum { TYPES_MAX = 64, SPECIALS_MAX = 16, SHAPE_COUNT = 9 };

typedef struct type_share {
    uint32_t type;
    uint64_t n_tensors, n_bytes, n_weights;
} type_share;

typedef struct special_token {
    ex_string role; /* "bos", "eos", … */
    int64_t token;
    ex_string text;
} special_token;

extern const char *const shape_names[SHAPE_COUNT]; /* as in the API: "n_layer", … */

typedef struct cli_description {
    const ex_file *file;
    ex_string architecture, name, licence, tokenizer_model, tokenizer_pre;
    int64_t shape[SHAPE_COUNT]; /* -1: the file does not say */
    uint64_t n_vocab, n_weights, tensor_bytes;
    uint64_t template_bytes;
    type_share types[TYPES_MAX]; /* most bytes first */
    size_t n_types;
    special_token specials[SPECIALS_MAX];
    size_t n_specials;
    /* whether this build can use it */
    ex_engine_info engine; /* valid when runs */
    bool runs, tokenizes, renders; /* renders: there is a chat template, and it can be read */
    ex_error run_error, tokenizer_error, template_error;
} cli_description;

ex_code describe(cli_description *out, const ex_file *file, ex_error *error);

/* "Q6_K", or "type 43" when nobody here knows it. */
const char *type_label(char buffer[24], uint32_t type);

double bits_per_weight(uint64_t n_bytes, uint64_t n_weights);

#endif
