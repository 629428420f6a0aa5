/* policy_keys.h - the table of everything that a policy holds, shared by the preset, text and file readers. */
#ifndef EX_SAMPLER_POLICY_KEYS_H
#define EX_SAMPLER_POLICY_KEYS_H

#include "entropix.h"

enum { EX_POLICY_KEYS_MAX = 64 };

typedef enum ex_policy_kind {
    EX_POLICY_NUMBER,  /* double */
    EX_POLICY_INTEGER, /* int32_t */
    EX_POLICY_CHOICE,  /* an enum: index of a word */
    EX_POLICY_SWITCH,  /* bool */
    EX_POLICY_TEXT     /* char array */
} ex_policy_kind;

typedef struct ex_policy_key_row {
    const char *name;
    size_t offset;
    ex_policy_kind kind;
    double lowest, highest;   /* of numbers and integers; bytes with the terminator, of a text */
    const char *value;        /* in the preset "entropixplained" */
    const char *const *words; /* of a choice, NULL-terminated */
} ex_policy_key_row;

extern const ex_policy_key_row ex_policy_keys[];

const ex_policy_key_row *ex_policy_find_key(const char *name); /* NULL when there is none */

#endif
