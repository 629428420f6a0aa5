/* replay_texts.c - the texts of tokens in a trace: dry looks for its breakers in them. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/replay.h"

typedef struct text_table {
    char **texts; /* [n_vocab] terminated; NULL: not known */
    int32_t n_vocab;
    bool complete; /* there was memory for all */
} text_table;

static void learn(text_table *table, int32_t token, ex_string text) {
    if (token < 0 || token >= table->n_vocab || table->texts[token]) return;
    table->texts[token] = strndup(text.data, text.length);
    table->complete = table->complete && table->texts[token];
}

static void learn_prompt(text_table *table, const ex_json *header) {
    const ex_json *tokens = ex_json_member(header, "prompt_tokens"), *texts = ex_json_member(header, "prompt_texts");
    const ex_json *token = NULL, *text = NULL;
    if (!tokens || !texts) return;
    while ((token = ex_json_next(tokens, token)) && (text = ex_json_next(texts, text)))
        if (token->kind == EX_JSON_INTEGER && text->kind == EX_JSON_TEXT)
            learn(table, (int32_t)token->as.integer, text->as.text);
}

/* The tokens of the lines to come; a line that cannot be read ends it, and is reported when its turn comes. */
static void learn_lines(text_table *table, const ex_trace_reader *from) {
    ex_trace_reader reader = {.name = from->name, .text = from->text, .length = from->length, .at = from->at,
                              .locale = from->locale};
    ex_trace_row row;
    while (ex_trace_read(&reader, &row, NULL) == EX_OK && row.kind != EX_ROW_NONE)
        if (row.kind == EX_ROW_DECISION) learn(table, row.token, row.text);
    reader.text = NULL;
    reader.locale = (locale_t)0;
    ex_trace_reader_close(&reader);
}

static const char *text_of(const void *context, int32_t token, size_t *length) {
    const text_table *table = context;
    const char *text = table->texts[token] ? table->texts[token] : "";
    *length = strlen(text);
    return text;
}

ex_code ex_replay_teach(ex_replay *replay, ex_replay_answer *answer, const ex_json *header, ex_error *error) {
    if (ex_sampler_policy(answer->sampler)->dry_multiplier <= 0) return EX_OK;
    text_table table = {ex_allocate((size_t)answer->n_vocab, sizeof *table.texts), answer->n_vocab, true};
    if (!table.texts) return ex_fail_memory(error, "replaying a trace");
    learn_prompt(&table, header);
    learn_lines(&table, &replay->reader);
    ex_code code = table.complete ? ex_sampler_set_vocabulary(answer->sampler, text_of, &table, error)
                                  : ex_fail_memory(error, "replaying a trace");
    for (int32_t token = 0; token < table.n_vocab; token++) free(table.texts[token]);
    free(table.texts);
    return code;
}
