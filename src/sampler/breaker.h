/* breaker.h - sequence breakers: texts that no repetition may reach across, found in tokens. */
#ifndef EX_SAMPLER_BREAKER_H
#define EX_SAMPLER_BREAKER_H

#include "sampler/chain.h"

typedef struct ex_breaker_list ex_breaker_list;

typedef struct ex_breakers {
    size_t n_vocab;
    uint8_t *kinds;    /* [n_vocab] what each token has to do with breakers; NULL: nothing */
    ex_breaker_list *list;
    char *texts;       /* of all tokens, where a breaker may lie across some; NULL otherwise */
    uint64_t *offsets; /* [n_vocab + 1] into them */
} ex_breakers;

/* Whether it is a list of breakers. */
ex_code ex_breakers_check(const char *list, ex_error *error);
/* `list` is the value of dry_sequence_breakers. What was there before is freed. */
ex_code ex_breakers_open(ex_breakers *breakers, const char *list, size_t n_vocab, ex_text_of text_of,
                         const void *context, ex_error *error);
void ex_breakers_close(ex_breakers *breakers);

/* The token's own text has a breaker. */
bool ex_breakers_has(const ex_breakers *breakers, int32_t token);
/* How many tokens, newest first, come after the last breaker; n where there is none. */
size_t ex_breakers_find(const ex_breakers *breakers, const int32_t *recent, size_t n);

#endif
