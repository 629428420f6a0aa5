/* grade_number.c - decimal numbers as texts. */
#include "grade_number.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Signs and a dollar sign, in any order, each once. */
static const char *skip_signs(const char *at, bool *is_negative) {
    static const char minus[] = "\xE2\x88\x92"; /* U+2212 */
    bool has_sign = false, has_dollar = false;
    for (;;) {
        bool is_minus = *at == '-' || strncmp(at, minus, 3) == 0;
        if ((is_minus || *at == '+') && !has_sign) {
            *is_negative = is_minus;
            has_sign = true;
            at += *at == minus[0] ? 3 : 1;
        } else if (*at == '$' && !has_dollar) {
            has_dollar = true;
            at++;
        } else {
            return at;
        }
    }
}

char *eval_number_canonical(const char *text) {
    bool is_negative = false;
    const char *at = skip_signs(text, &is_negative);
    char *out = malloc(strlen(text) + 3), *end = out;
    if (!out) return NULL;
    *end++ = '-';
    const char *whole = at;
    for (; is_digit(*at) || (*at == ',' && at > whole); at++)
        if (is_digit(*at) && (*at != '0' || end > out + 1)) *end++ = *at;
    bool has_digits = at > whole;
    if (end == out + 1) *end++ = '0';
    if (*at == '.') {
        char *dot = end;
        *end++ = *at++;
        for (; is_digit(*at); at++, has_digits = true) *end++ = *at;
        while (end > dot && (end[-1] == '0' || end[-1] == '.')) end--;
    }
    *end = 0;
    if (*at == '.' || *at == ',') at++;
    if (*at || !has_digits) {
        free(out);
        return NULL;
    }
    bool is_zero = strcmp(out, "-0") == 0;
    if (!is_negative || is_zero) memmove(out, out + 1, (size_t)(end - out));
    return out;
}
