/* policy_keys.h - the table of everything that a policy holds, shared by presets, texts, files and rules. */
#ifndef EX_SAMPLER_POLICY_KEYS_H
#define EX_SAMPLER_POLICY_KEYS_H

#include "entropix_sampler.h"

enum { EX_POLICY_KEYS_MAX = 128 };

typedef enum ex_policy_kind {
    EX_POLICY_NUMBER,  /* double */
    EX_POLICY_INTEGER, /* int32_t */
    EX_POLICY_CHOICE,  /* an enum: index of a word */
    EX_POLICY_SWITCH,  /* bool */
    EX_POLICY_TEXT,    /* char array */
    EX_POLICY_RULES    /* the same, with the sections of a policy file */
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

/* The message for a key that there is not, with the nearest that there is. */
const char *ex_policy_key_advice(const char *key, char *text, size_t size);

/* The default of every key, and no rules. */
void ex_policy_defaults(ex_policy *policy);

/* ex_policy_parse of a preset's own text: without a line `preset = NAME`, `policy` has the values that are left out. */
ex_code ex_policy_parse_preset(ex_policy *policy, const char *text, size_t length, const char *name, ex_error *error);
/* ex_policy_parse of what ex_policy_format once wrote: keys that were not there yet have the document's values. */
ex_code ex_policy_parse_stored(ex_policy *policy, const char *text, size_t length, const char *name, ex_error *error);

#endif
