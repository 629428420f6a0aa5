/* number.h - numbers as text, the same in every locale: "0.5" is a half whatever the program's language is. */
#ifndef EX_SAMPLER_NUMBER_H
#define EX_SAMPLER_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* Decimal notation with an optional exponent, nothing before or after it. False for anything else, NaN and infinity
 * among it. */
bool ex_number_parse(const char *text, double *out);

/* A decimal of at most 17 digits that parses to the same value; returns its length as snprintf does. */
int ex_number_format(double value, char *text, size_t size);

#endif
