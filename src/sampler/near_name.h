/* near_name.h - which of some names is nearest to one that there is not: messages suggest it. */
#ifndef EX_SAMPLER_NEAR_NAME_H
#define EX_SAMPLER_NEAR_NAME_H

#include <stddef.h>

typedef struct ex_near_name {
    const char *typed;
    size_t length;
    const char *nearest; /* of those tried; NULL when none is near enough */
    size_t distance;     /* of `nearest`: letters to change, add or remove */
} ex_near_name;

void ex_near_name_try(ex_near_name *near, const char *name);

/* "; did you mean \"NAME\"?", or nothing. */
const char *ex_near_name_advice(const ex_near_name *near, char *text, size_t size);

#endif
