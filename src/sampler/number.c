/* number.c - strtod and printf obey the locale of the program that uses the library, so they run in the C locale here,
 * for this thread alone. */
#include "sampler/number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *skip_digits(const char *text) {
    while (*text >= '0' && *text <= '9') text++;
    return text;
}

/* strtod takes more than a decimal number: hexadecimal, "nan", leading blanks. */
static bool is_decimal(const char *text) {
    if (*text == '+' || *text == '-') text++;
    const char *whole = text;
    text = skip_digits(text);
    size_t n_digits = (size_t)(text - whole);
    if (*text == '.') {
        const char *fraction = ++text;
        text = skip_digits(text);
        n_digits += (size_t)(text - fraction);
    }
    if (n_digits == 0) return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (*text == '+' || *text == '-') text++;
        const char *exponent = text;
        text = skip_digits(text);
        if (text == exponent) return false;
    }
    return *text == 0;
}

bool ex_number_parse(const char *text, double *out) {
    if (!is_decimal(text)) return false;
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c_locale) return false;
    *out = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    return isfinite(*out);
}

int ex_number_format(double value, char *text, size_t size) {
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = c_locale ? uselocale(c_locale) : (locale_t)0;
    char shortest[40] = "";
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(shortest, sizeof shortest, "%.*g", digits, value);
        if (strtod(shortest, NULL) == value) break;
    }
    if (c_locale) {
        uselocale(before);
        freelocale(c_locale);
    }
    return snprintf(text, size, "%s", shortest);
}
