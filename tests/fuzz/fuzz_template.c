/* Chat templates: any program ends within its limits. Input: the template, a line "====", its variables as JSON. */
#include <stdlib.h>
#include <string.h>

#include "entropix.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    ex_template *chat_template;
    ex_error error = {0};
    size_t length;
    char *source = fuzz_piece(&input, &length);
    if (ex_template_open(&chat_template, source, length, "fuzz", &error) == EX_OK) {
        static const char usual[] = "{\"bos_token\":\"<s>\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
        bool has_variables = input.left > 0;
        char *text = NULL;
        size_t n_text = 0;
        ex_code code = ex_template_render(chat_template, has_variables ? (const char *)input.data : usual,
                                          has_variables ? input.left : strlen(usual), 1795392000, &text, &n_text,
                                          &error);
        if (code == EX_OK) fuzz_touch(text, n_text + 1);
        fuzz_require(code == EX_OK ? text[n_text] == 0 : error.message[0] != 0);
        if (code == EX_OK) free(text);
        ex_template_close(chat_template);
    } else {
        fuzz_require(error.message[0]);
    }
    free(source);
    return 0;
}
