/* huggingface.h - what a tokenizer.json says about words, for files whose pre-tokeniser has no name that is known. */
#ifndef EX_TEXT_HUGGINGFACE_H
#define EX_TEXT_HUGGINGFACE_H

#include "text/pattern.h"

typedef struct ex_huggingface {
    ex_pattern *pattern; /* the caller's to close */
    uint32_t flags;      /* EX_PRE_… */
} ex_huggingface;

/* Reads the key tokenizer.huggingface.json. Of pre-tokenisers it knows Split, Digits, Punctuation and ByteLevel, and of
 * normalisers NFC; what else it meets is an error that names it. On error `out` has nothing to close. */
ex_code ex_huggingface_read(ex_huggingface *out, const ex_file *file, const ex_key *key, ex_error *error);

#endif
