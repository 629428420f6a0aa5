/* sentencepiece.h - SentencePiece's byte-pair encoding (tokenizer.ggml.model "llama"): characters of the whole text,
 * merged into the tokens of the highest score. */
#ifndef EX_TEXT_SENTENCEPIECE_H
#define EX_TEXT_SENTENCEPIECE_H

#include "text/merge.h"
#include "text/vocabulary.h"

typedef struct ex_sentencepiece {
    const ex_vocabulary *vocabulary;
    bool add_space_prefix;
} ex_sentencepiece;

ex_code ex_sentencepiece_open(ex_sentencepiece *sentencepiece, const ex_vocabulary *vocabulary, const ex_file *file,
                              ex_error *error);

/* Tokens of ordinary text, valid UTF-8. `begins`: it is at the beginning or follows a special token, where the model
 * may expect a space that the text does not have. Whoever turns the tokens back into text takes that space away. */
ex_code ex_sentencepiece_run(const ex_sentencepiece *sentencepiece, const char *text, size_t length, uint64_t offset,
                             bool begins, ex_merger *merger, ex_token_list *out, ex_error *error);

#endif
