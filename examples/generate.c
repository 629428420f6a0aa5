/* generate.c - continues a text: generate MODEL.gguf "The capital of France is" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <entropix.h>

enum { N_PROMPT_MAX = 1024, N_PREDICT = 64 };

static void check(ex_code code, const ex_error *error) {
    if (code == EX_OK) return;
    fprintf(stderr, "generate: %s\n", error->message);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: generate MODEL.gguf TEXT\n"), 2;
    ex_error error;
    ex_engine *engine;
    ex_session *session;
    ex_generator *generator;
    ex_generator_options options = ex_generator_options_default();
    options.n_predict = N_PREDICT;
    check(ex_engine_open(&engine, argv[1], NULL, &error), &error);
    check(ex_session_open(&session, engine, NULL, &error), &error);
    check(ex_generator_open(&generator, session, &options, &error), &error);

    int32_t prompt[N_PROMPT_MAX];
    size_t n_prompt;
    check(ex_tokenize(ex_engine_tokenizer(engine), argv[2], strlen(argv[2]), EX_TOKENIZE_ADD_BEGINNING, prompt,
                      N_PROMPT_MAX, &n_prompt, &error), &error);
    if (n_prompt > N_PROMPT_MAX) return fprintf(stderr, "generate: the prompt has %zu tokens\n", n_prompt), 2;
    check(ex_generator_prompt(generator, prompt, n_prompt, &error), &error);

    fputs(argv[2], stdout);
    for (ex_event event = {0}; event.kind != EX_EVENT_END;) {
        check(ex_generator_next(generator, &event, &error), &error);
        fwrite(event.text.data, 1, event.text.length, stdout);
        fflush(stdout);
    }
    putchar('\n');
    ex_generator_close(generator);
    ex_session_close(session);
    ex_engine_close(engine);
    return 0;
}
