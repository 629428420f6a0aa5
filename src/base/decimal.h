/* decimal.h - numbers as the shortest decimals that read back as the same number, many times faster than printf finds
 * them and the same in every locale. The method is Schubfach (R. Giulietti, "The Schubfach way to render doubles",
 * 2020): of the decimals in the interval that rounds to the number, those of one power of ten are at most two. */
#ifndef EX_BASE_DECIMAL_H
#define EX_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

enum { EX_DECIMAL_POWER_MAX = 54, EX_DECIMAL_LENGTH = 32 /* bytes of the longest text, and more */ };

typedef struct ex_decimal_powers { /* of ten, from -POWER_MAX to POWER_MAX: 128 bits, the first one set */
    uint64_t high[2 * EX_DECIMAL_POWER_MAX + 1], low[2 * EX_DECIMAL_POWER_MAX + 1];
} ex_decimal_powers;

void ex_decimal_prepare(ex_decimal_powers *powers);

/* Writes a JSON number without a terminator and returns its length; "null" for what is not finite. */
size_t ex_decimal_write(const ex_decimal_powers *powers, double value, char *text);
/* Reads back as the same number in single precision. */
size_t ex_decimal_write_float(const ex_decimal_powers *powers, float value, char *text);
size_t ex_decimal_write_integer(int64_t value, char *text);
/* With four decimals; `value` is in [0, 10^9). */
size_t ex_decimal_write_fixed(double value, char *text);

#endif
