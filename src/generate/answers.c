/* answers.c - several answers to one prompt, a token of each in one pass over the weights, and which of them to give.
 * The prompt is evaluated once; its pages of the KV cache are shared. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/generator.h"

enum { TAIL = 32 }; /* tokens whose entropy counts for EX_SELECT_TAIL_ENTROPY */

typedef struct one_answer {
    ex_session *session;
    ex_generator *generator;
    int32_t *tokens;    /* [n_context] */
    double *entropies;  /* [n_context] of the measured tokens */
    char *text;         /* [text_capacity] */
    size_t n_tokens, n_entropies, text_length, text_capacity;
    ex_end end;
} one_answer;

struct ex_answers {
    ex_session *session;
    one_answer *answers;
    size_t count, next; /* `next`: whose turn it is */
};

static ex_code open_answer(one_answer *answer, ex_session *session, const ex_generator_options *options, size_t index,
                           ex_error *error) {
    ex_generator_options own = *options;
    own.sequence += (uint32_t)index;
    const size_t n_context = ex_session_context(session);
    answer->tokens = ex_allocate(n_context, sizeof *answer->tokens);
    answer->entropies = ex_allocate(n_context, sizeof *answer->entropies);
    if (!answer->tokens || !answer->entropies) return ex_fail_memory(error, "answers");
    ex_code code = ex_session_fork(&answer->session, session, error);
    return code == EX_OK ? ex_generator_open(&answer->generator, answer->session, &own, error) : code;
}

ex_code ex_answers_open(ex_answers **out, ex_session *session, const ex_generator_options *options, size_t n_answers,
                        ex_error *error) {
    *out = NULL;
    const ex_generator_options filled = options ? *options : ex_generator_options_default();
    if (n_answers < 1 || n_answers > EX_ANSWERS_MAX)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%zu answers: there can be 1 to %d", n_answers, EX_ANSWERS_MAX);
    ex_answers *answers = ex_allocate(1, sizeof *answers);
    if (!answers) return ex_fail_memory(error, "answers");
    answers->session = session;
    answers->answers = ex_allocate(n_answers, sizeof *answers->answers);
    ex_code code = answers->answers ? EX_OK : ex_fail_memory(error, "answers");
    for (; answers->count < n_answers && code == EX_OK; answers->count++)
        code = open_answer(&answers->answers[answers->count], session, &filled, answers->count, error);
    if (code != EX_OK) {
        ex_answers_close(answers);
        return code;
    }
    *out = answers;
    return EX_OK;
}

void ex_answers_close(ex_answers *answers) {
    if (!answers) return;
    for (size_t i = 0; i < answers->count; i++) {
        one_answer *answer = &answers->answers[i];
        ex_generator_close(answer->generator);
        ex_session_close(answer->session);
        free(answer->tokens);
        free(answer->entropies);
        free(answer->text);
    }
    free(answers->answers);
    free(answers);
}

static ex_code evaluate_together(const ex_answers *answers, ex_error *error) {
    ex_generator *generators[EX_ANSWERS_MAX];
    for (size_t i = 0; i < answers->count; i++) generators[i] = answers->answers[i].generator;
    return ex_generators_evaluate(generators, answers->count, error);
}

/* The session itself is left as it was before the last token of the prompt, which all answers evaluate together. */
ex_code ex_answers_prompt(ex_answers *answers, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    if (n_tokens == 0) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "an empty prompt");
    ex_code code = EX_OK;
    if (n_tokens > 1) code = ex_session_evaluate(answers->session, tokens, n_tokens - 1, NULL, NULL, error);
    for (size_t i = 0; i < answers->count && code == EX_OK; i++) {
        one_answer *answer = &answers->answers[i];
        answer->n_tokens = answer->n_entropies = answer->text_length = 0;
        answer->end = EX_END_NONE;
        code = ex_session_assign(answer->session, answers->session, error);
        if (code == EX_OK && n_tokens > 1) code = ex_generator_context(answer->generator, tokens, n_tokens - 1, error);
        if (code == EX_OK) code = ex_generator_prompt_later(answer->generator, tokens[n_tokens - 1], error);
    }
    answers->next = 0;
    return code == EX_OK ? evaluate_together(answers, error) : code;
}

/* ---- generating -------------------------------------------------------------------------------------------------- */

static ex_code append_text(one_answer *answer, ex_string text, ex_error *error) {
    const size_t needed = answer->text_length + text.length + 1;
    if (needed > answer->text_capacity) {
        char *grown = realloc(answer->text, 2 * needed);
        if (!grown) return ex_fail_memory(error, "the text of an answer");
        answer->text = grown;
        answer->text_capacity = 2 * needed;
    }
    if (text.length > 0) memcpy(answer->text + answer->text_length, text.data, text.length);
    answer->text_length += text.length;
    return EX_OK;
}

static ex_code take_event(one_answer *answer, const ex_event *event, ex_error *error) {
    answer->end = event->end;
    if (event->kind != EX_EVENT_END) answer->tokens[answer->n_tokens++] = event->token;
    if (event->kind == EX_EVENT_TOKEN)
        answer->entropies[answer->n_entropies++] = event->choice->metrics.logits_entropy;
    return append_text(answer, event->text, error);
}

/* The answer whose turn it is, or EX_ANSWERS_MAX when all have ended. */
static size_t take_turn(ex_answers *answers) {
    for (size_t tried = 0; tried < answers->count; tried++) {
        const size_t index = answers->next;
        answers->next = (answers->next + 1) % answers->count;
        if (answers->answers[index].end == EX_END_NONE) return index;
    }
    return EX_ANSWERS_MAX;
}

ex_code ex_answers_next(ex_answers *answers, size_t *index, ex_event *event, ex_error *error) {
    *index = take_turn(answers);
    if (*index == EX_ANSWERS_MAX) {
        *event = (ex_event){.kind = EX_EVENT_END,
                            .end = answers->answers[0].end,
                            .token = EX_TOKEN_NONE,
                            .log_probability = NAN};
        return EX_OK;
    }
    one_answer *answer = &answers->answers[*index];
    ex_code code = EX_OK;
    while (code == EX_OK && !ex_generator_is_ready(answer->generator)) code = evaluate_together(answers, error);
    if (code == EX_OK) code = ex_generator_next(answer->generator, event, error);
    return code == EX_OK ? take_event(answer, event, error) : code;
}

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static double mean_of(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return count > 0 ? sum / (double)count : 0;
}

/* Dice's coefficient of the tokens, counted as often as they occur: 1 when both have the same ones, in any order. */
static double overlap(const one_answer *a, const one_answer *b) {
    const one_answer *shorter = a->n_tokens < b->n_tokens ? a : b, *longer = shorter == a ? b : a;
    size_t common = 0;
    for (size_t i = 0; i < shorter->n_tokens; i++) {
        const int32_t token = shorter->tokens[i];
        size_t before = 0, there = 0;
        for (size_t j = 0; j < i; j++) before += shorter->tokens[j] == token;
        for (size_t j = 0; j < longer->n_tokens && there <= before; j++) there += longer->tokens[j] == token;
        common += there > before;
    }
    const size_t total = a->n_tokens + b->n_tokens;
    return total > 0 ? 2 * (double)common / (double)total : 1;
}

static bool same_text(const one_answer *a, const one_answer *b) {
    return a->text_length == b->text_length && (a->text_length == 0 || memcmp(a->text, b->text, a->text_length) == 0);
}

/* Mean over the other answers of how much they have in common with this one. */
static double consistency_of(const ex_answers *answers, size_t index) {
    double sum = 0;
    const one_answer *one = &answers->answers[index];
    for (size_t i = 0; i < answers->count; i++)
        if (i != index) sum += same_text(one, &answers->answers[i]) ? 1 : overlap(one, &answers->answers[i]);
    return answers->count > 1 ? sum / (double)(answers->count - 1) : 1;
}

ex_answer ex_answers_get(const ex_answers *answers, size_t index) {
    if (index >= answers->count) return (ex_answer){0};
    const one_answer *answer = &answers->answers[index];
    const size_t n = answer->n_entropies, n_tail = n < TAIL ? n : TAIL;
    return (ex_answer){.tokens = answer->tokens,
                       .n_tokens = answer->n_tokens,
                       .text = {answer->text ? answer->text : "", answer->text_length},
                       .end = answer->end,
                       .mean_entropy = mean_of(answer->entropies, n),
                       .tail_entropy = mean_of(answer->entropies + n - n_tail, n_tail),
                       .consistency = consistency_of(answers, index)};
}

static double merit(const ex_answer *answer, ex_selection by) {
    switch (by) {
    case EX_SELECT_MEAN_ENTROPY:
        return -answer->mean_entropy;
    case EX_SELECT_TAIL_ENTROPY:
        return -answer->tail_entropy;
    default:
        return answer->consistency;
    }
}

size_t ex_answers_best(const ex_answers *answers, ex_selection by) {
    size_t best = 0;
    double highest = -INFINITY;
    for (size_t i = 0; i < answers->count; i++) {
        const ex_answer answer = ex_answers_get(answers, i);
        const double value = merit(&answer, by);
        if (value > highest) highest = value, best = i;
    }
    return best;
}

const ex_generator *ex_answers_generator(const ex_answers *answers, size_t index) {
    return index < answers->count ? answers->answers[index].generator : NULL;
}
