/* Hugging Face folders: what converts can be opened. Input: config.json, tokenizer.json and model.safetensors, with a
 * line "====" between them. */
#include <stdlib.h>
#include <unistd.h>

#include "entropix.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors"};
    fuzz_input input = {data, size};
    ex_error error = {0};
    for (int i = 0; i < 3; i++) {
        size_t length;
        char *piece = fuzz_piece(&input, &length);
        fuzz_write(names[i], piece, length);
        free(piece);
    }
    const char *output = fuzz_path("out.gguf"), *config = fuzz_path("config.json");
    char folder[160];
    size_t n = 0;
    for (; config[n] && n < sizeof folder - 1; n++) folder[n] = config[n];
    folder[n - sizeof "/config.json" + 1] = 0;
    if (ex_convert(folder, output, NULL, NULL, NULL, &error) == EX_OK) {
        ex_file *file = NULL;
        fuzz_require(ex_file_open(&file, output, &error) == EX_OK);
        ex_file_close(file);
        unlink(output);
    } else {
        fuzz_require(error.message[0]);
        fuzz_require(access(output, F_OK) != 0);
    }
    return 0;
}
