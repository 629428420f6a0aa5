/* run_prompt.h - the session that prompts are evaluated on: what two prompts in a row have in common is kept. */
#ifndef EVAL_RUN_PROMPT_H
#define EVAL_RUN_PROMPT_H

#include "plan.h"

typedef struct eval_holder {
    ex_session *session; /* borrowed */
    int32_t *tokens;     /* that it holds */
    size_t n_tokens, capacity;
} eval_holder;

/* Lets the session hold these tokens and no others. */
ex_code eval_holder_hold(eval_holder *holder, const int32_t *tokens, size_t n_tokens, ex_error *error);
void eval_holder_clear(eval_holder *holder);

/* Scores every choice: log-likelihood of its tokens after the prompt, nats. `scratch` is a fork of the holder's
 * session; the result gets choice_scores, choice_lengths and one answer. */
ex_code eval_choose(const eval_plan *plan, eval_holder *holder, ex_session *scratch, eval_result *result,
                    ex_error *error);

#endif
