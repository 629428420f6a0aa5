/* unigram.h - SentencePiece's unigram model (tokenizer.ggml.model "t5"): of all ways to cut the normalised text into
 * tokens, the one with the highest sum of scores. */
#ifndef EX_TEXT_UNIGRAM_H
#define EX_TEXT_UNIGRAM_H

#include "text/charsmap.h"
#include "text/prefix.h"

typedef struct ex_unigram {
    const ex_vocabulary *vocabulary;
    ex_prefix tokens;
    ex_charsmap charsmap;
    double unknown_score; /* of one character that is no token */
    bool add_space_prefix, remove_extra_whitespaces;
} ex_unigram;

/* `unigram` is zeroed by the caller and may be closed whatever the outcome. */
ex_code ex_unigram_open(ex_unigram *unigram, const ex_vocabulary *vocabulary, const ex_file *file, ex_error *error);
void ex_unigram_close(ex_unigram *unigram);

/* Tokens of ordinary text, valid UTF-8; `begins` as for ex_sentencepiece_run. Takes time in proportion to the text and
 * the longest token. Of equally good ways it takes the one whose last token is the longest, and so on backwards. */
ex_code ex_unigram_run(const ex_unigram *unigram, const char *text, size_t length, uint64_t offset, bool begins,
                       ex_token_list *out, ex_error *error);

#endif
