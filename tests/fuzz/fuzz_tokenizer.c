/* Tokenizers: any bytes are an error with its place, or tokens whose texts join to the input. The first byte chooses a
 * vocabulary that the project has: byte-level BPE or SentencePiece (without special tokens, behind each of which it
 * would put a space). */
#include <stdlib.h>
#include <string.h>

#include "entropix.h"
#include "fuzz.h"

enum { KINDS = 2 };

static const ex_tokenizer *tokenizer_of(unsigned kind) {
    static const char *const paths[KINDS] = {EX_SOURCE_DIR "/models/entropix-40m-q6_k.gguf",
                                             EX_SOURCE_DIR "/tests/data/models/llama2-f16.gguf"};
    static ex_tokenizer *tokenizers[KINDS];
    static ex_file *files[KINDS];
    if (!tokenizers[kind]) {
        fuzz_require(ex_file_open(&files[kind], paths[kind], NULL) == EX_OK);
        fuzz_require(ex_tokenizer_open(&tokenizers[kind], files[kind], NULL) == EX_OK);
    }
    return tokenizers[kind];
}

static void check_join(const ex_tokenizer *tokenizer, const int32_t *tokens, size_t count, const uint8_t *text,
                       size_t length, bool has_prefix, bool special) {
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        fuzz_require(tokens[i] >= 0 && tokens[i] < ex_tokenizer_size(tokenizer));
        fuzz_require(special || !ex_token_is_control(tokenizer, tokens[i]));
        ex_string part = ex_token_text(tokenizer, tokens[i], true);
        if (!i && has_prefix && part.length && part.data[0] == ' ') part.data++, part.length--;
        fuzz_require(part.length <= length - at && (!part.length || memcmp(part.data, text + at, part.length) == 0));
        at += part.length;
    }
    fuzz_require(at == length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size) return 0;
    unsigned kind = data[0] % KINDS;
    bool special = kind == 0 && data[0] & 2;
    const ex_tokenizer *tokenizer = tokenizer_of(kind);
    const uint8_t *text = data + 1;
    /* SentencePiece writes spaces as U+2581, so that one from the text comes back as a space. */
    if (kind == 1 && memmem(text, size - 1, "\xE2\x96\x81", 3)) return 0;
    size_t length = size - 1, count = 0, again = 0;
    uint32_t flags = special ? EX_TOKENIZE_SPECIAL : 0;
    ex_error error = {0};
    ex_code code = ex_tokenize(tokenizer, (const char *)text, length, flags, NULL, 0, &count, &error);
    if (code != EX_OK) {
        fuzz_require(code == EX_ERROR_FORMAT && error.position < length);
        return 0;
    }
    int32_t *tokens = malloc((count + 1) * sizeof *tokens);
    fuzz_require(tokens);
    fuzz_require(ex_tokenize(tokenizer, (const char *)text, length, flags, tokens, count, &again, &error) == EX_OK);
    fuzz_require(again == count);
    check_join(tokenizer, tokens, count, text, length, kind == 1, special);
    free(tokens);
    return 0;
}
