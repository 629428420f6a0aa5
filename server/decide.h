/* decide.h - the sampler alone, one JSON object a decision: what `entropix decide` and /v1/sampler/decide share. */
#ifndef SERVER_DECIDE_H
#define SERVER_DECIDE_H

#include <jansson.h>

#include "entropix.h"

enum { DECIDE_REASON_BYTES = 500 };

/* Answers one request. Where it cannot be answered, `reason` says why and the answer is {"id": …, "error": reason};
 * otherwise `reason` is empty. NULL when memory is out. The reducer is scratch: one thread uses it at a time. */
json_t *decide(const char *text, size_t length, ex_score_reducer *reducer, char reason[DECIDE_REASON_BYTES]);
/* The same for a request that is read already. */
json_t *decide_object(json_t *object, ex_score_reducer *reducer, char reason[DECIDE_REASON_BYTES]);

#endif
