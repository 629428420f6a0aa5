/* tokenizer.h - what is behind ex_tokenizer, for the parts of this room. */
#ifndef EX_TEXT_TOKENIZER_H
#define EX_TEXT_TOKENIZER_H

#include <stdatomic.h>

#include "text/bpe.h"
#include "text/sentencepiece.h"
#include "text/special.h"
#include "text/template.h"
#include "text/token_trie.h"
#include "text/unigram.h"

typedef struct ex_tokenizer_kind ex_tokenizer_kind;

typedef struct ex_lazy_trie {
    _Atomic(ex_token_trie *) built; /* NULL: nobody has asked yet */
} ex_lazy_trie;

struct ex_tokenizer {
    const ex_tokenizer_kind *kind;
    ex_vocabulary vocabulary;
    ex_special special;
    union {
        ex_bpe bpe;
        ex_sentencepiece sentencepiece;
        ex_unigram unigram;
    };
    bool add_beginning, add_end;
    char *chat_template; /* NULL: none */
    size_t chat_template_length;
    ex_lazy_trie *trie;
};

/* Tokens of a text whose origin is known: special tokens count as such where they lie within trusted spans; everything
 * between special tokens is ordinary text, cut without regard to where spans meet. The spans cover the text in order.
 * A beginning-of-sequence token that `add_beginning` and the file ask for is not added to a text that begins with it.
 * Counts as ex_tokenize does. */
ex_code ex_tokenize_spans(const ex_tokenizer *tokenizer, const char *text, size_t length, const ex_span *spans,
                          size_t n_spans, bool add_beginning, ex_token_list *out, ex_error *error);

#endif
