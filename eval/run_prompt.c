/* run_prompt.c - prompts on one session, and choices scored over them. */
#include "run_prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

enum { PIECE = 16 }; /* positions whose logits are kept at a time */

static ex_code remember(eval_holder *holder, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    if (n_tokens > holder->capacity) {
        int32_t *grown = realloc(holder->tokens, n_tokens * sizeof *grown);
        if (!grown) return eval_fail_memory(error, "a prompt");
        holder->tokens = grown;
        holder->capacity = n_tokens;
    }
    if (n_tokens > 0) memcpy(holder->tokens, tokens, n_tokens * sizeof *tokens);
    holder->n_tokens = n_tokens;
    return EX_OK;
}

ex_code eval_holder_hold(eval_holder *holder, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    size_t common = 0;
    while (common < holder->n_tokens && common < n_tokens && holder->tokens[common] == tokens[common]) common++;
    holder->n_tokens = 0; /* until all has gone well */
    ex_code code = EX_OK;
    if (common < ex_session_position(holder->session)) code = ex_session_rewind(holder->session, common, error);
    if (code == EX_OK && common < n_tokens)
        code = ex_session_evaluate(holder->session, tokens + common, n_tokens - common, NULL, NULL, error);
    return code == EX_OK ? remember(holder, tokens, n_tokens, error) : code;
}

void eval_holder_clear(eval_holder *holder) {
    free(holder->tokens);
    *holder = (eval_holder){0};
}

/* ---- choices --------------------------------------------------------------------------------------------------- */

static double log_probability(const float *logits, size_t n_vocab, int32_t token) {
    double maximum = -INFINITY, sum = 0;
    for (size_t i = 0; i < n_vocab; i++) maximum = fmax(maximum, (double)logits[i]);
    for (size_t i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - maximum);
    return (double)logits[token] - maximum - log(sum);
}

/* tokens[0] is the prompt's last; the others are scored. */
static ex_code score_tokens(ex_session *session, const int32_t *tokens, size_t n_tokens, float *logits, size_t n_vocab,
                            double *score, ex_error *error) {
    *score = 0;
    for (size_t at = 0; at + 1 < n_tokens; at += PIECE) {
        const size_t n = n_tokens - 1 - at < PIECE ? n_tokens - 1 - at : PIECE;
        ex_code code = ex_session_evaluate(session, tokens + at, n, logits, NULL, error);
        if (code != EX_OK) return code;
        for (size_t i = 0; i < n; i++) *score += log_probability(logits + i * n_vocab, n_vocab, tokens[at + i + 1]);
    }
    return EX_OK;
}

static ex_code score_choice(const eval_plan *plan, eval_holder *holder, ex_session *scratch, float *logits,
                            size_t choice, eval_result *result, ex_error *error) {
    const eval_task *task = plan->tasks[result->task];
    const eval_question *question = &task->questions[result->question];
    int32_t *tokens;
    size_t n_tokens, n_shared;
    ex_code code = eval_choice_tokens(plan->engine, task, question, choice, &tokens, &n_tokens, &n_shared, error);
    if (code == EX_OK) code = eval_holder_hold(holder, tokens, n_shared - 1, error);
    if (code == EX_OK) code = ex_session_assign(scratch, holder->session, error);
    if (code == EX_OK)
        code = score_tokens(scratch, tokens + n_shared - 1, n_tokens - n_shared + 1, logits,
                            (size_t)ex_engine_get_info(plan->engine).n_vocab, &result->choice_scores[choice], error);
    const size_t length = strlen(question->choices[choice]);
    result->choice_lengths[choice] = (double)(length > task->n_separator ? length - task->n_separator : length);
    if (code == EX_OK) result->answers[0].n_forwarded += n_tokens - n_shared;
    free(tokens);
    return code;
}

static size_t likeliest(const eval_result *result) {
    size_t best = 0;
    for (size_t i = 1; i < result->n_choices; i++)
        if (result->choice_scores[i] > result->choice_scores[best]) best = i;
    return best;
}

static ex_code take_choice(const eval_task *task, eval_result *result, ex_error *error) {
    const eval_question *question = &task->questions[result->question];
    eval_answer *answer = &result->answers[0];
    const size_t best = likeliest(result);
    const char *text = question->choices[best];
    if (strlen(text) > task->n_separator) text += task->n_separator;
    answer->is_right = question->is_right[best];
    answer->text = strdup(text);
    answer->answer = strdup(text);
    for (size_t i = 0; i < EVAL_POOL_COUNT; i++)
        for (size_t j = 0; j < EVAL_METRIC_COUNT; j++) answer->signals.values[i][j] = NAN;
    return answer->text && answer->answer ? EX_OK : eval_fail_memory(error, "an answer");
}

ex_code eval_choose(const eval_plan *plan, eval_holder *holder, ex_session *scratch, eval_result *result,
                    ex_error *error) {
    const eval_task *task = plan->tasks[result->task];
    const size_t n = task->questions[result->question].n_choices;
    float *logits = malloc(PIECE * (size_t)ex_engine_get_info(plan->engine).n_vocab * sizeof *logits);
    result->answers = calloc(1, sizeof *result->answers);
    result->choice_scores = calloc(n + 1, sizeof *result->choice_scores);
    result->choice_lengths = calloc(n + 1, sizeof *result->choice_lengths);
    ex_code code = logits && result->answers && result->choice_scores && result->choice_lengths
                       ? EX_OK : eval_fail_memory(error, "choices");
    result->n_answers = result->answers ? 1 : 0;
    result->n_choices = n;
    for (size_t i = 0; i < n && code == EX_OK; i++)
        code = score_choice(plan, holder, scratch, logits, i, result, error);
    free(logits);
    return code == EX_OK ? take_choice(task, result, error) : code;
}
