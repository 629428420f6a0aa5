/* pretokeniser.h - the name that GGUF has for what a tokenizer.json does with a text before it looks for tokens. */
#ifndef EX_CONVERT_PRETOKENISER_H
#define EX_CONVERT_PRETOKENISER_H

#include "convert/source.h"

typedef struct ex_pretokeniser_steps {
    bool byte_level;   /* texts of tokens are written byte by byte */
    bool space_prefix; /* then: a text gets a space in front */
    const char *name;  /* value of tokenizer.ggml.pre, or NULL: none says exactly this */
} ex_pretokeniser_steps;

ex_pretokeniser_steps ex_pretokeniser_recognise(const ex_json *tokenizer);

#endif
