#include "text/sentencepiece.h"

#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"
#include "text/keys.h"

#include <inttypes.h>
#include <stdlib.h>

ex_code ex_sentencepiece_open(ex_sentencepiece *sentencepiece, const ex_vocabulary *vocabulary, const ex_file *file,
                              ex_error *error) {
    sentencepiece->vocabulary = vocabulary;
    sentencepiece->add_space_prefix = true;
    if (!vocabulary->scores)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: tokenizer.ggml.scores is missing", ex_file_path(file));
    return ex_keys_boolean(file, "tokenizer.ggml.add_space_prefix", &sentencepiece->add_space_prefix, error);
}

/* Orders scores as unsigned integers, the highest first. */
static uint32_t rank_of_score(float score) {
    uint32_t bits = ex_float_bits(score + 0.0f); /* one zero, not two */
    return bits & 0x80000000u ? bits : ~bits & 0x7FFFFFFFu;
}

static int32_t find_pair(const void *context, const char *word, const ex_symbol *left, const ex_symbol *right,
                         uint32_t *rank) {
    const ex_vocabulary *vocabulary = context;
    int32_t token = ex_vocabulary_find(vocabulary, word + left->first, (size_t)left->length + right->length);
    if (token != EX_TOKEN_NONE) *rank = rank_of_score(vocabulary->scores[token]);
    return token;
}

static ex_code run_word(const ex_sentencepiece *sentencepiece, const char *word, size_t length, uint64_t offset,
                        ex_merger *merger, ex_token_list *out, ex_error *error) {
    const ex_vocabulary *vocabulary = sentencepiece->vocabulary;
    ex_code code = ex_merger_reserve(merger, length, error);
    if (code != EX_OK) return code;
    const ex_symbol *symbols = merger->symbols;
    size_t n = ex_vocabulary_split(vocabulary, word, length, merger->symbols);
    ex_merger_run(merger, n, word, find_pair, vocabulary);
    for (uint32_t i = 0; i != EX_NO_SYMBOL; i = symbols[i].next) {
        if (symbols[i].token != EX_TOKEN_NONE) ex_token_push(out, symbols[i].token);
        else if (!ex_vocabulary_push_unknown(vocabulary, word + symbols[i].first, symbols[i].length, out))
            return ex_fail(error, EX_ERROR_UNSUPPORTED, offset,
                           "the vocabulary has no tokens for a character in the text after byte %" PRIu64, offset);
    }
    return EX_OK;
}

ex_code ex_sentencepiece_run(const ex_sentencepiece *sentencepiece, const char *text, size_t length, uint64_t offset,
                             bool begins, ex_merger *merger, ex_token_list *out, ex_error *error) {
    if (length == 0) return EX_OK;
    char *word = ex_allocate(length + 1, 1);
    if (!word) return ex_fail_memory(error, "the tokenizer");
    size_t n = 0;
    if (begins && sentencepiece->add_space_prefix) word[n++] = ' ';
    /* U+2581 in the text counts as a space, as in the vocabulary. */
    n += ex_text_plain(EX_FORM_ESCAPED_SPACE, text, length, word + n);
    ex_code code = run_word(sentencepiece, word, n, offset, merger, out, error);
    free(word);
    return code;
}
