/* bpe.h - byte-pair encoding by rank: words from a pre-tokeniser, merged from bytes (tokenizer.ggml.model "gpt2") or
 * from characters (vocabularies that write a space as U+2581, "gemma4"). */
#ifndef EX_TEXT_BPE_H
#define EX_TEXT_BPE_H

#include "text/merge.h"
#include "text/pattern.h"
#include "text/vocabulary.h"

typedef struct ex_merge {
    int32_t left, right, result;
} ex_merge;

typedef struct ex_bpe {
    const ex_vocabulary *vocabulary;
    const ex_pretokeniser *pretokeniser; /* NULL: pattern has the file's own expressions */
    ex_pattern *pattern;
    uint32_t flags; /* EX_PRE_… */
    int32_t bytes[256]; /* the token of each single byte, or EX_TOKEN_NONE */
    ex_merge *merges;   /* the index is the rank */
    uint32_t *slots;    /* hash table by (left, right): rank + 1, or 0 when free */
    size_t n_merges, n_slots;
} ex_bpe;

/* `bpe` is zeroed by the caller and may be closed whatever the outcome. The pre-tokeniser is `pre` when that is not
 * NULL, else what the file names; of one without a known name, what the file says in entropix.tokenizer.pre_pattern
 * (one expression or a list of them, applied one after the other) or in tokenizer.huggingface.json. Merges of tokens
 * that the vocabulary does not have, or that would make a control token, can never apply and are left out; of equal
 * ones the first counts. */
ex_code ex_bpe_open(ex_bpe *bpe, const ex_vocabulary *vocabulary, const ex_file *file, const char *pre,
                    ex_error *error);
void ex_bpe_close(ex_bpe *bpe);

/* Tokens of ordinary text, valid UTF-8. `offset` is where it begins in the caller's text, for errors. */
ex_code ex_bpe_run(const ex_bpe *bpe, const char *text, size_t length, uint64_t offset, ex_merger *merger,
                   ex_token_list *out, ex_error *error);

#endif
