/* GGUF files: refused with a reason, or every key and tensor lies in the file; the same for the vocabulary and, where
 * the model is small, its forward pass. */
#include <stdlib.h>
#include <string.h>

#include "entropix.h"
#include "fuzz.h"

static void walk(const ex_file *file, size_t size) {
    for (size_t i = 0; i < ex_file_key_count(file); i++) {
        const ex_key *key = ex_file_key(file, i);
        const void *cursor = NULL;
        ex_string text;
        int64_t integer;
        double number;
        fuzz_require(key->offset <= size && key->n_bytes <= size - key->offset);
        fuzz_touch(key->name.data, key->name.length);
        fuzz_touch(key->data, key->n_bytes);
        for (uint64_t n = 0; n < key->count && n < 20; n++) {
            ex_key_integer(key, n, &integer);
            ex_key_number(key, n, &number);
        }
        ex_key_integer(key, key->count, &integer);
        while (ex_key_next_string(key, &cursor, &text)) fuzz_touch(text.data, text.length);
    }
    for (size_t i = 0; i < ex_file_tensor_count(file); i++) {
        const ex_tensor *tensor = ex_file_tensor(file, i);
        fuzz_require(tensor->offset <= size && tensor->n_bytes <= size - tensor->offset);
        fuzz_touch(tensor->name.data, tensor->name.length);
        fuzz_touch(tensor->data, tensor->n_bytes);
        fuzz_require(ex_file_find_tensor(file, "none of this name") == NULL);
    }
}

static void use_tokenizer(const ex_file *file) {
    static const char text[] = "ab \xC3\xA9 <s> 12";
    ex_tokenizer *tokenizer;
    ex_error error = {0};
    int32_t tokens[64];
    size_t count = 0;
    if (ex_tokenizer_open(&tokenizer, file, &error) != EX_OK) {
        fuzz_require(error.message[0]);
        return;
    }
    if (ex_tokenize(tokenizer, text, strlen(text), EX_TOKENIZE_SPECIAL, tokens, 64, &count, &error) == EX_OK)
        for (size_t i = 0; i < count && i < 64; i++) {
            fuzz_require(tokens[i] >= 0 && tokens[i] < ex_tokenizer_size(tokenizer));
            ex_string part = ex_token_text(tokenizer, tokens[i], true);
            fuzz_touch(part.data, part.length);
        }
    const ex_message message = {"user", "Hi"};
    ex_chat_tokenize(tokenizer, NULL, &message, 1, true, tokens, 64, &count, &error);
    ex_tokenizer_close(tokenizer);
}

static void use_engine(const char *path) {
    ex_engine_options options = ex_engine_options_default();
    ex_session_options session_options = ex_session_options_default();
    const int32_t tokens[] = {0, 1, 0};
    ex_engine *engine;
    ex_session *session;
    ex_error error = {0};
    ex_step step;
    options.n_threads = 1;
    options.kernels = "portable";
    session_options.n_context = 8;
    if (ex_engine_open(&engine, path, &options, &error) != EX_OK) {
        fuzz_require(error.message[0]);
        return;
    }
    ex_engine_info info = ex_engine_get_info(engine);
    if (info.n_vocab > 1 && ex_session_open(&session, engine, &session_options, &error) == EX_OK) {
        if (ex_session_evaluate(session, tokens, 3, NULL, &step, &error) == EX_OK)
            fuzz_touch(step.logits, (size_t)step.n_vocab * sizeof *step.logits);
        ex_session_close(session);
    }
    ex_engine_close(engine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    ex_file *file;
    ex_error error = {0};
    if (ex_file_open(&file, path, &error) != EX_OK) {
        fuzz_require(error.message[0]);
        return 0;
    }
    walk(file, size);
    use_tokenizer(file);
    ex_file_close(file);
    use_engine(path);
    return 0;
}
