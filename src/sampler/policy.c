/* policy.c - the table of policy keys, and reading and writing one value by key. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "sampler/chain.h"
#include "sampler/near_name.h"
#include "sampler/number.h"
#include "sampler/policy_keys.h"
#include "sampler/rule_program.h"

static const char *const scopes[] = {[EX_SCOPE_ALL] = "all", [EX_SCOPE_LAST] = "last", NULL};
static const char *const sources[] = {[EX_VARENTROPY_TOKEN] = "token", [EX_VARENTROPY_SEQUENCE] = "sequence", NULL};
static const char *const drawings[] = {[EX_DRAWING_INVERSE] = "inverse",
                                       [EX_DRAWING_EXPONENTIAL_NOISE] = "exponential_noise",
                                       [EX_DRAWING_UNIFORM_NOISE] = "uniform_noise",
                                       NULL};
static const char *const switches[] = {"false", "true", NULL};

_Static_assert(sizeof(ex_scope) == sizeof(int32_t) && sizeof(ex_varentropy_source) == sizeof(int32_t) &&
                   sizeof(ex_drawing) == sizeof(int32_t),
               "choices are stored as int32_t");

#define ROW(key, kind, low, high, value, words) {#key, offsetof(ex_policy, key), kind, low, high, value, words}
#define NUMBER(key, low, high, value) ROW(key, EX_POLICY_NUMBER, low, high, value, NULL)
#define INTEGER(key, low, high, value) ROW(key, EX_POLICY_INTEGER, low, high, value, NULL)
#define CHOICE(key, words, value) ROW(key, EX_POLICY_CHOICE, 0, 0, value, words)
#define SWITCH(key, value) ROW(key, EX_POLICY_SWITCH, 0, 0, value, switches)
#define TEXT(key, value) ROW(key, EX_POLICY_TEXT, 0, sizeof((ex_policy *)0)->key, value, NULL)
#define RULES(key) ROW(key, EX_POLICY_RULES, 0, sizeof((ex_policy *)0)->key, "", NULL)

enum { COUNT_MAX = 1000000 }; /* of tokens, wherever a number of them is wanted */

const ex_policy_key_row ex_policy_keys[] = {
    SWITCH(strategies, "true"),
    NUMBER(temperature, 0, 100, "0.666"),
    NUMBER(top_p, 0, 1, "0.9"),
    INTEGER(top_k, 0, COUNT_MAX, "27"),
    NUMBER(min_p, 0, 1, "0.03"),
    CHOICE(scope, scopes, "all"),
    CHOICE(varentropy, sources, "token"),
    INTEGER(sequence_window, 2, 4096, "64"),
    INTEGER(attention_padding, 0, COUNT_MAX, "0"),
    CHOICE(draw, drawings, "inverse"),
    SWITCH(fixed_key, "false"),
    NUMBER(low_entropy, 0, 1000, "0.1"),
    NUMBER(low_varentropy, 0, 10000, "0.1"),
    NUMBER(clarify_entropy, 0, 1000, "3"),
    NUMBER(explore_entropy, 0, 1000, "5"),
    NUMBER(high_entropy, 0, 1000, "5"),
    NUMBER(high_varentropy, 0, 10000, "5"),
    NUMBER(helv_offset, -100, 100, "1.3"),
    NUMBER(helv_coef, -100, 100, "0.2"),
    NUMBER(helv_max_temp, 0, 100, "1.5"),
    NUMBER(lehv_offset, -100, 100, "1.2"),
    NUMBER(lehv_coef, -100, 100, "0.3"),
    NUMBER(lehv_max_temp, 0, 100, "1.5"),
    NUMBER(lehv_top_k_coef, -100, 100, "0.5"),
    INTEGER(lehv_min_top_k, 1, COUNT_MAX, "5"),
    NUMBER(hehv_offset, -100, 100, "2"),
    NUMBER(hehv_coef, -100, 100, "0.5"),
    NUMBER(hehv_min_temp, 0, 100, "2"),
    NUMBER(hehv_top_p_coef, -100, 100, "0.2"),
    NUMBER(hehv_min_top_p, 0, 1, "0.5"),
    INTEGER(candidates, 1, EX_DRAWS_MAX, "12"),
    SWITCH(candidate_draws, "true"),
    INTEGER(lookahead, 0, 16, "0"),
    INTEGER(branches, 2, 16, "3"),
    INTEGER(branch_tokens, 1, 256, "8"),
    INTEGER(rewind, 1, EX_REWIND_MAX, "8"),
    INTEGER(rewind_limit, 0, COUNT_MAX, "8"),
    NUMBER(uncertain_entropy, 0, 1000, "1"),
    NUMBER(ada_temp_logits, -100, 100, "0.3"),
    NUMBER(ada_temp_attn, -100, 100, "0.2"),
    NUMBER(ada_temp_agree, -100, 100, "0.2"),
    NUMBER(ada_top_p, -100, 100, "0.1"),
    NUMBER(ada_top_k_int, -100, 100, "0.3"),
    NUMBER(ada_top_k_agree, -100, 100, "0.2"),
    NUMBER(ada_min_p, -100, 100, "0.5"),
    NUMBER(ada_min_top_p, 0, 1, "0.1"),
    NUMBER(ada_max_top_p, 0, 1, "1"),
    INTEGER(ada_min_top_k, 1, COUNT_MAX, "1"),
    INTEGER(ada_max_top_k, 1, COUNT_MAX, "100"),
    NUMBER(ada_min_min_p, 0, 1, "0.01"),
    NUMBER(ada_max_min_p, 0, 1, "0.5"),
    NUMBER(score_logits_entropy, -100, 100, "0.1"),
    NUMBER(score_attn_entropy, -100, 100, "0.2"),
    NUMBER(score_logits_varentropy, -100, 100, "0.3"),
    NUMBER(score_attn_varentropy, -100, 100, "0.4"),
    NUMBER(score_agreement, -100, 100, "0.5"),
    NUMBER(score_interaction, -100, 100, "0.6"),
    INTEGER(clarify_token, EX_TOKEN_NONE, INT32_MAX, "-1"),
    TEXT(clarify_text, " [CLARIFY]"),
    INTEGER(clarify_cooldown, 0, COUNT_MAX, "32"),
    INTEGER(clarify_limit, 0, COUNT_MAX, "3"),
    NUMBER(dynatemp_range, 0, 100, "0"),
    NUMBER(dynatemp_exponent, 0, 100, "1"),
    NUMBER(repeat_penalty, 0.01, 100, "1"),
    NUMBER(frequency_penalty, -100, 100, "0"),
    NUMBER(presence_penalty, -100, 100, "0"),
    INTEGER(repeat_last_n, -1, EX_CONTEXT_MAX, "64"),
    NUMBER(dry_multiplier, 0, 100, "0"),
    NUMBER(dry_base, 1, 100, "1.75"),
    INTEGER(dry_allowed_length, 0, COUNT_MAX, "2"),
    INTEGER(dry_penalty_last_n, -1, EX_CONTEXT_MAX, "-1"),
    TEXT(dry_sequence_breakers, "[\"\\n\", \":\", \"\\\"\", \"*\"]"),
    NUMBER(xtc_probability, 0, 1, "0"),
    NUMBER(xtc_threshold, 0, 1, "0.1"),
    NUMBER(typical_p, 0, 1, "1"),
    NUMBER(top_n_sigma, -1, 1000, "-1"),
    NUMBER(top_h, 0, 1, "1"),
    NUMBER(eta_cutoff, 0, 1, "0"),
    NUMBER(epsilon_cutoff, 0, 1, "0"),
    INTEGER(mirostat, 0, 2, "0"),
    NUMBER(mirostat_tau, 0, 100, "5"),
    NUMBER(mirostat_eta, 0, 1, "0.1"),
    NUMBER(adaptive_target, -1, 1, "-1"),
    NUMBER(adaptive_decay, 0, 0.99, "0.9"),
    TEXT(logit_bias, ""),
    TEXT(banned_strings, ""),
    TEXT(samplers, "temperature;min_p;top_k;top_p"),
    RULES(rules),
    {0},
};

_Static_assert(sizeof ex_policy_keys / sizeof *ex_policy_keys <= EX_POLICY_KEYS_MAX,
               "a reader has a place for every key");

const char *ex_policy_key(size_t index) {
    return index < sizeof ex_policy_keys / sizeof *ex_policy_keys ? ex_policy_keys[index].name : NULL;
}

const ex_policy_key_row *ex_policy_find_key(const char *name) {
    for (const ex_policy_key_row *row = ex_policy_keys; row->name; row++)
        if (strcmp(row->name, name) == 0) return row;
    return NULL;
}

void ex_policy_defaults(ex_policy *policy) {
    *policy = (ex_policy){0};
    for (const ex_policy_key_row *row = ex_policy_keys; row->name; row++)
        if (row->kind != EX_POLICY_RULES) ex_policy_set(policy, row->name, row->value, NULL);
}

static ex_code parse_in_range(const ex_policy_key_row *row, const char *value, double *out, ex_error *error) {
    if (!ex_number_parse(value, out))
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: \"%.40s\" is not a finite decimal number", row->name, value);
    if (*out < row->lowest || *out > row->highest)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: %.40s is out of range, it must be from %.10g to %.10g",
                       row->name, value, row->lowest, row->highest);
    return EX_OK;
}

static ex_code set_number(const ex_policy_key_row *row, void *field, const char *value, ex_error *error) {
    double number;
    ex_code code = parse_in_range(row, value, &number, error);
    if (code == EX_OK) *(double *)field = number + 0.0; /* -0 becomes 0 */
    return code;
}

static ex_code set_integer(const ex_policy_key_row *row, void *field, const char *value, ex_error *error) {
    double number;
    ex_code code = parse_in_range(row, value, &number, error);
    if (code != EX_OK) return code;
    if (number != floor(number))
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: %.40s is not a whole number", row->name, value);
    *(int32_t *)field = (int32_t)number;
    return EX_OK;
}

static ex_code find_word(const ex_policy_key_row *row, const char *value, int32_t *index, ex_error *error) {
    char words[80] = "";
    size_t length = 0;
    for (*index = 0; row->words[*index]; (*index)++) {
        if (strcmp(row->words[*index], value) == 0) return EX_OK;
        if (length < sizeof words)
            length += (size_t)snprintf(words + length, sizeof words - length, "%s%s", length ? " or " : "",
                                       row->words[*index]);
    }
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: \"%.40s\" must be %s", row->name, value, words);
}

static ex_code set_choice(const ex_policy_key_row *row, void *field, const char *value, ex_error *error) {
    int32_t index;
    ex_code code = find_word(row, value, &index, error);
    if (code == EX_OK) memcpy(field, &index, sizeof index);
    return code;
}

static ex_code set_switch(const ex_policy_key_row *row, void *field, const char *value, ex_error *error) {
    int32_t index;
    ex_code code = find_word(row, value, &index, error);
    if (code == EX_OK) *(bool *)field = index == 1;
    return code;
}

/* What a policy file can hold. */
static ex_code check_text(const ex_policy_key_row *row, const char *value, ex_error *error) {
    size_t length = strlen(value), valid = ex_utf8_valid_prefix(value, length);
    if (valid < length)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: byte %zu of the text is not valid UTF-8", row->name, valid);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)value[i] < ' ' && value[i] != '\n' && value[i] != '\t' && value[i] != '\r')
            return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: byte %zu of the text is a control character", row->name, i);
    return EX_OK;
}

static ex_code set_text(const ex_policy_key_row *row, void *field, const char *value, ex_error *error) {
    size_t length = strlen(value);
    ex_code code = check_text(row, value, error);
    if (code != EX_OK) return code;
    if ((double)length >= row->highest)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: the text has %zu bytes, at most %.0f fit", row->name, length,
                       row->highest - 1);
    memset(field, 0, (size_t)row->highest);
    memcpy(field, value, length);
    return EX_OK;
}

static ex_code set_rules(const ex_policy_key_row *row, void *field, const char *value, ex_error *error) {
    ex_code code = check_text(row, value, error);
    return code == EX_OK ? ex_rules_clean(field, value, strlen(value), row->name, 1, error) : code;
}

static int get_number(const ex_policy_key_row *row, const void *field, char *value, size_t size) {
    (void)row;
    return ex_number_format(*(const double *)field, value, size);
}

static int get_integer(const ex_policy_key_row *row, const void *field, char *value, size_t size) {
    (void)row;
    return snprintf(value, size, "%d", *(const int32_t *)field);
}

static int get_choice(const ex_policy_key_row *row, const void *field, char *value, size_t size) {
    int32_t index, n_words = 0;
    memcpy(&index, field, sizeof index);
    while (row->words[n_words]) n_words++;
    return snprintf(value, size, "%s", index >= 0 && index < n_words ? row->words[index] : "?");
}

static int get_switch(const ex_policy_key_row *row, const void *field, char *value, size_t size) {
    return snprintf(value, size, "%s", row->words[*(const bool *)field]);
}

static int get_text(const ex_policy_key_row *row, const void *field, char *value, size_t size) {
    return snprintf(value, size, "%.*s", (int)row->highest - 1, (const char *)field);
}

static const struct kind_functions {
    ex_code (*set)(const ex_policy_key_row *row, void *field, const char *value, ex_error *error);
    int (*get)(const ex_policy_key_row *row, const void *field, char *value, size_t size);
} kinds[] = {
    [EX_POLICY_NUMBER] = {set_number, get_number}, [EX_POLICY_INTEGER] = {set_integer, get_integer},
    [EX_POLICY_CHOICE] = {set_choice, get_choice}, [EX_POLICY_SWITCH] = {set_switch, get_switch},
    [EX_POLICY_TEXT] = {set_text, get_text},       [EX_POLICY_RULES] = {set_rules, get_text},
};

const char *ex_policy_key_advice(const char *key, char *text, size_t size) {
    char advice[80];
    ex_near_name near = {.typed = key, .length = strlen(key)};
    for (const ex_policy_key_row *row = ex_policy_keys; row->name; row++) ex_near_name_try(&near, row->name);
    snprintf(text, size, "there is no policy key \"%.60s\"%s", key, ex_near_name_advice(&near, advice, sizeof advice));
    return text;
}

static ex_code fail_key(const char *key, ex_error *error) {
    char advice[200];
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s", ex_policy_key_advice(key, advice, sizeof advice));
}

ex_code ex_policy_set(ex_policy *policy, const char *key, const char *value, ex_error *error) {
    const ex_policy_key_row *row = ex_policy_find_key(key);
    return row ? kinds[row->kind].set(row, (char *)policy + row->offset, value, error) : fail_key(key, error);
}

ex_code ex_policy_get(const ex_policy *policy, const char *key, char *value, size_t size, ex_error *error) {
    const ex_policy_key_row *row = ex_policy_find_key(key);
    if (!row) return fail_key(key, error);
    int length = kinds[row->kind].get(row, (const char *)policy + row->offset, value, size);
    if (length < 0 || (size_t)length >= size)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s: the value needs %d bytes, there is room for %zu", key,
                       length + 1, size);
    return EX_OK;
}

static ex_code check_order(const char *low, double low_value, const char *high, double high_value, ex_error *error) {
    if (low_value <= high_value) return EX_OK;
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%s (%.10g) must not be above %s (%.10g)", low, low_value, high,
                   high_value);
}

static ex_code check_orders(const ex_policy *policy, ex_error *error) {
    const struct {
        const char *low, *high;
        double low_value, high_value;
    } pairs[] = {
        {"low_entropy", "clarify_entropy", policy->low_entropy, policy->clarify_entropy},
        {"low_varentropy", "high_varentropy", policy->low_varentropy, policy->high_varentropy},
        {"ada_min_top_p", "ada_max_top_p", policy->ada_min_top_p, policy->ada_max_top_p},
        {"ada_min_top_k", "ada_max_top_k", policy->ada_min_top_k, policy->ada_max_top_k},
        {"ada_min_min_p", "ada_max_min_p", policy->ada_min_min_p, policy->ada_max_min_p},
    };
    ex_code code = EX_OK;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && code == EX_OK; i++)
        code = check_order(pairs[i].low, pairs[i].low_value, pairs[i].high, pairs[i].high_value, error);
    return code;
}

/* Going through text checks every value by the same code that reads it. */
ex_code ex_policy_check(const ex_policy *policy, ex_error *error) {
    ex_policy copy;
    for (const ex_policy_key_row *row = ex_policy_keys; row->name; row++) {
        char value[sizeof policy->rules];
        ex_code code = ex_policy_get(policy, row->name, value, sizeof value, error);
        if (code == EX_OK) code = ex_policy_set(&copy, row->name, value, error);
        if (code != EX_OK) return code;
    }
    ex_code code = check_orders(policy, error);
    return code == EX_OK ? ex_chain_check(policy, error) : code;
}
