/* bias.c - reads logit_bias. */
#include "sampler/bias.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/number.h"

static bool read_value(const char *text, float *bias) {
    double value;
    if (strcmp(text, "=false") == 0) {
        *bias = -INFINITY;
        return true;
    }
    const char *digits = *text == '+' ? text + 1 : text;
    if ((*text != '+' && *text != '-') || (digits > text && *digits == '-')) return false;
    if (!ex_number_parse(digits, &value) || fabs(value) > 1e6) return false;
    *bias = (float)value;
    return true;
}

/* "ID+BIAS", "ID-BIAS" or "ID=false". */
static bool read_entry(const char *entry, uint64_t *token, float *bias) {
    const size_t n_digits = strspn(entry, "0123456789");
    *token = 0;
    if (n_digits == 0 || n_digits > 10) return false;
    for (size_t i = 0; i < n_digits; i++) *token = *token * 10 + (uint64_t)(entry[i] - '0');
    return read_value(entry + n_digits, bias);
}

static ex_code add_entry(ex_bias *biases, size_t *count, const char *entry, size_t n_vocab, ex_error *error) {
    uint64_t token;
    float bias;
    if (!read_entry(entry, &token, &bias))
        return ex_fail(error, EX_ERROR_FORMAT, 0,
                       "logit_bias: \"%.40s\" is not ID+BIAS, ID-BIAS or ID=false, with a bias of at most 1000000",
                       entry);
    if (token >= n_vocab)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "logit_bias: there is no token %llu, the vocabulary has %zu",
                       (unsigned long long)token, n_vocab);
    for (size_t i = 0; i < *count; i++)
        if (biases[i].token == (int32_t)token)
            return ex_fail(error, EX_ERROR_ARGUMENT, 0, "logit_bias: token %d is there twice", biases[i].token);
    biases[(*count)++] = (ex_bias){(int32_t)token, bias};
    return EX_OK;
}

ex_code ex_bias_read(ex_bias **biases, size_t *count, const char *text, size_t n_vocab, ex_error *error) {
    *biases = NULL;
    *count = 0;
    if (!*text) return EX_OK;
    const size_t length = strlen(text);
    ex_bias *all = ex_allocate(length, sizeof *all); /* more than there can be */
    if (!all) return ex_fail_memory(error, "logit_bias");
    ex_code code = EX_OK;
    for (size_t at = 0; at < length && code == EX_OK;) {
        char entry[64] = "";
        const size_t first = at + strspn(text + at, " "), n = strcspn(text + first, ",");
        memcpy(entry, text + first, n < sizeof entry - 1 ? n : sizeof entry - 1);
        for (size_t end = strlen(entry); end > 0 && entry[end - 1] == ' ';) entry[--end] = 0;
        code = add_entry(all, count, entry, n_vocab, error);
        at = first + n + 1;
    }
    if (code != EX_OK) {
        free(all);
        return code;
    }
    *biases = all;
    return EX_OK;
}
