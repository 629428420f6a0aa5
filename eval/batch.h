/* batch.h - answers that decode together. A batch has slots; each draws one answer at a time on a fork of the session
 * that holds its prompt, and all slots share every pass over the weights. What an answer is does not depend on its
 * company. */
#ifndef EVAL_BATCH_H
#define EVAL_BATCH_H

#include "record.h"

typedef struct eval_batch eval_batch;

typedef struct eval_order { /* an answer to draw; what it points to must live until it is delivered */
    const ex_session *prompt;  /* of the batch's family; holds the tokens but for the last */
    const int32_t *tokens;
    size_t n_tokens;
    const ex_policy *policy;
    uint64_t seed;
    uint32_t sequence;
    size_t n_predict;
    const char *const *stop;
    size_t n_stop;
    size_t most_forwarded;     /* given up once it has cost more; 0: never */
    void *unit;                /* the caller's */
} eval_order;

typedef struct eval_delivery {
    eval_order order;
    eval_answer answer; /* without `answer` and `is_right`; its memory is the receiver's. tokens are always there */
    bool is_given_up;
    double seconds;     /* its share of the passes it took part in, and what it took by itself */
} eval_delivery;

typedef ex_code (*eval_deliver)(void *context, eval_delivery *delivery, ex_error *error);

/* A family of sessions of its own. `n_context` positions each. */
ex_code eval_batch_open(eval_batch **out, ex_engine *engine, size_t n_slots, size_t n_context, ex_error *error);
void eval_batch_close(eval_batch *batch);
/* The session that prompts are evaluated on; the slots' sessions are its forks. */
ex_session *eval_batch_root(eval_batch *batch);
bool eval_batch_is_full(const eval_batch *batch);
size_t eval_batch_active(const eval_batch *batch);
ex_code eval_batch_start(eval_batch *batch, const eval_order *order, ex_error *error);
/* One pass for all active slots, and a token of each that has one. Answers that end are delivered, and their slots
 * are free. */
ex_code eval_batch_step(eval_batch *batch, eval_deliver deliver, void *context, ex_error *error);

#endif
