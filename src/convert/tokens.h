/* tokens.h - the vocabulary of a tokenizer.json: every id has one text, every text one id. */
#ifndef EX_CONVERT_TOKENS_H
#define EX_CONVERT_TOKENS_H

#include "convert/source.h"
#include "file/gguf.h"
#include "text/vocabulary.h"

typedef struct ex_token_entry {
    ex_string text;
    int32_t id;
    ex_token_kind kind;
    uint64_t offset; /* in tokenizer.json */
} ex_token_entry;

typedef struct ex_tokens {
    ex_token_entry *entries; /* by text */
    size_t n_entries;
    size_t n_vocab;                /* rows of the embedding */
    const ex_token_entry **by_id;  /* [n_vocab]; NULL for an id that no token has */
    const ex_json *model;          /* of tokenizer.json */
    ex_string *merges;             /* "left right" */
    size_t n_merges;
    char *joined;                  /* texts of merges that the file writes as pairs */
    float *scores;                 /* [n_vocab], or NULL */
} ex_tokens;

/* `tokens` is zeroed by the caller and may be closed whatever the outcome. `escaped_space`: a vocabulary of
 * SentencePiece, which has byte tokens and an unknown one, and scores in place of merges. */
ex_code ex_tokens_read(ex_tokens *tokens, const ex_source *source, size_t n_vocab, bool escaped_space, ex_error *error);
void ex_tokens_close(ex_tokens *tokens);
const ex_token_entry *ex_tokens_find(const ex_tokens *tokens, ex_string text); /* NULL when there is none */
ex_code ex_tokens_write(const ex_tokens *tokens, ex_writer *writer, ex_error *error);

#endif
