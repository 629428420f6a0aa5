/* plan_tokens.c - prompts and choices as tokens. */
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "plan.h"

typedef struct tokenized {
    int32_t *tokens;
    size_t count;
} tokenized;

static bool reserve(tokenized *to, size_t capacity) {
    free(to->tokens);
    to->tokens = malloc((capacity ? capacity : 1) * sizeof *to->tokens);
    return to->tokens != NULL;
}

static ex_code tokenize_text(const ex_engine *engine, const char *text, size_t length, uint32_t flags, tokenized *to,
                             ex_error *error) {
    size_t capacity = length + 8;
    do {
        if (!reserve(to, capacity)) return eval_fail_memory(error, "a prompt");
        ex_code code = ex_tokenize(ex_engine_tokenizer(engine), text, length, flags, to->tokens, capacity, &to->count,
                                   error);
        if (code != EX_OK) return code;
        if (to->count <= capacity) return EX_OK;
        capacity = to->count;
    } while (true);
}

static ex_code tokenize_chat(const ex_engine *engine, const eval_task *task, const char *text, tokenized *to,
                             ex_error *error) {
    const ex_message messages[] = {{"system", task->system}, {"user", text}};
    const size_t first = task->system ? 0 : 1;
    size_t capacity = strlen(text) + 64;
    do {
        if (!reserve(to, capacity)) return eval_fail_memory(error, "a prompt");
        ex_code code = ex_chat_tokenize(ex_engine_tokenizer(engine), NULL, messages + first, 2 - first, true,
                                        to->tokens, capacity, &to->count, error);
        if (code != EX_OK) return code;
        if (to->count <= capacity) return EX_OK;
        capacity = to->count;
    } while (true);
}

static ex_code tokenize_prompt(const ex_engine *engine, const eval_task *task, const char *prompt, tokenized *to,
                               ex_error *error) {
    ex_code code = task->is_chat ? tokenize_chat(engine, task, prompt, to, error)
                                 : tokenize_text(engine, prompt, strlen(prompt), EX_TOKENIZE_ADD_BEGINNING, to, error);
    if (code == EX_OK && to->count == 0)
        code = eval_fail(error, EX_ERROR_ARGUMENT, 0, "the prompt is empty, and this model has no token to begin with");
    return code;
}

static ex_code hand_over(tokenized *from, ex_code code, int32_t **tokens, size_t *n_tokens) {
    if (code != EX_OK) free(from->tokens);
    *tokens = code == EX_OK ? from->tokens : NULL;
    *n_tokens = code == EX_OK ? from->count : 0;
    return code;
}

ex_code eval_prompt_tokens(const ex_engine *engine, const eval_task *task, const eval_question *question,
                           int32_t **tokens, size_t *n_tokens, ex_error *error) {
    tokenized prompt = {0};
    ex_code code = tokenize_prompt(engine, task, question->prompt, &prompt, error);
    return hand_over(&prompt, code, tokens, n_tokens);
}

/* In a conversation the choice is a text of its own. */
static ex_code append_choice(const ex_engine *engine, const char *choice, tokenized *prompt, ex_error *error) {
    tokenized more = {0};
    ex_code code = tokenize_text(engine, choice, strlen(choice), 0, &more, error);
    int32_t *grown = NULL;
    if (code == EX_OK) {
        grown = realloc(prompt->tokens, (prompt->count + more.count + 1) * sizeof *grown);
        if (!grown) code = eval_fail_memory(error, "a choice");
    }
    if (grown) {
        memcpy(grown + prompt->count, more.tokens, more.count * sizeof *grown);
        prompt->tokens = grown;
        prompt->count += more.count;
    }
    free(more.tokens);
    return code;
}

static char *joined(const char *prompt, const char *choice) {
    const size_t n_prompt = strlen(prompt), n_choice = strlen(choice);
    char *text = malloc(n_prompt + n_choice + 1);
    if (!text) return NULL;
    memcpy(text, prompt, n_prompt);
    memcpy(text + n_prompt, choice, n_choice + 1);
    return text;
}

/* In a plain text, prompt and choice are one, in which the border may fall within a token: all tokens after the number
 * that the prompt alone has count as the choice's. */
ex_code eval_choice_tokens(const ex_engine *engine, const eval_task *task, const eval_question *question,
                           size_t choice, int32_t **tokens, size_t *n_tokens, size_t *n_shared, ex_error *error) {
    tokenized all = {0};
    ex_code code = tokenize_prompt(engine, task, question->prompt, &all, error);
    *n_shared = all.count;
    if (code == EX_OK && task->is_chat) code = append_choice(engine, question->choices[choice], &all, error);
    if (code == EX_OK && !task->is_chat) {
        char *text = joined(question->prompt, question->choices[choice]);
        code = text ? tokenize_prompt(engine, task, text, &all, error) : eval_fail_memory(error, "a choice");
        free(text);
    }
    if (code == EX_OK && all.count < 2)
        code = eval_fail(error, EX_ERROR_FORMAT, 0, "prompt and choice are a single token");
    else if (code == EX_OK && *n_shared >= all.count) *n_shared = all.count - 1; /* the choice is part of a token */
    return hand_over(&all, code, tokens, n_tokens);
}
