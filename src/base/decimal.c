/* decimal.c - powers of ten, digits, and where the point goes. */
#include "base/decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

/* 2^exponent2 times the first 128 bits of 10^power, rounded up. */
static void set_power(ex_decimal_powers *powers, int power, wide bits) {
    powers->high[power + EX_DECIMAL_POWER_MAX] = (uint64_t)(bits >> 64);
    powers->low[power + EX_DECIMAL_POWER_MAX] = (uint64_t)bits;
}

static wide normalise(wide value) {
    while (!(value >> 127)) value <<= 1;
    return value;
}

/* The first 128 bits of 1 / divisor, by long division, and one more for the rest. The divisor is no power of two. */
static wide reciprocal(wide divisor) {
    wide remainder = 1, quotient = 0;
    while (!(quotient >> 127)) {
        remainder <<= 1;
        quotient <<= 1;
        if (remainder >= divisor) {
            remainder -= divisor;
            quotient |= 1;
        }
    }
    return quotient + 1;
}

/* Powers of five up to the 54th fit in 128 bits; the twos are in the exponent. */
void ex_decimal_prepare(ex_decimal_powers *powers) {
    wide five = 1;
    set_power(powers, 0, normalise(1));
    for (int power = 1; power <= EX_DECIMAL_POWER_MAX; power++) {
        five *= 5;
        set_power(powers, power, normalise(five));
        set_power(powers, -power, reciprocal(five));
    }
}

/* Floors of x log10(2), x log10(2) + log10(3/4) and x log2(10), exact for the exponents of doubles. */
static int log10_of_power2(int x) { return (x * 1262611) >> 22; }
static int log10_of_three_quarters(int x) { return (x * 1262611 - 524031) >> 22; }
static int log2_of_power10(int x) { return (x * 1741647) >> 19; }

/* The product's upper bits; the lowest bit tells whether anything was cut off. */
static uint64_t round_to_odd(uint64_t high, uint64_t low, uint64_t factor) {
    uint64_t x = (uint64_t)(((wide)low * factor) >> 64);
    wide y = (wide)high * factor + x;
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

typedef struct decimal {
    uint64_t digits;
    int exponent;
} decimal;

/* significand * 2^exponent, of a type whose numbers below are half as far away if `at_power` (of two). */
static bool find_shortest(const ex_decimal_powers *powers, uint64_t significand, int exponent, bool at_power,
                          decimal *out) {
    const bool is_even = significand % 2 == 0;
    const uint64_t middle = 4 * significand, below = middle - 2 + at_power, above = middle + 2;
    const int k = at_power ? log10_of_three_quarters(exponent) : log10_of_power2(exponent);
    if (k < -EX_DECIMAL_POWER_MAX || k > EX_DECIMAL_POWER_MAX) return false;
    const int shift = exponent + log2_of_power10(-k) + 1;
    const uint64_t high = powers->high[EX_DECIMAL_POWER_MAX - k], low = powers->low[EX_DECIMAL_POWER_MAX - k];
    const uint64_t v = round_to_odd(high, low, middle << shift);
    const uint64_t lower = round_to_odd(high, low, below << shift) + !is_even;
    const uint64_t upper = round_to_odd(high, low, above << shift) - !is_even;
    const uint64_t whole = v / 4, tens = whole / 10;
    bool down = lower <= 40 * tens, up = 40 * tens + 40 <= upper;
    *out = (decimal){tens + up, k + 1};
    if (whole >= 10 && down != up) return true;
    down = lower <= 4 * whole;
    up = 4 * whole + 4 <= upper;
    const uint64_t half = 4 * whole + 2;
    const bool nearer_up = v > half || (v == half && whole % 2 == 1);
    *out = (decimal){whole + (down != up ? up : nearer_up), k};
    return true;
}

static size_t write_digits(uint64_t value, char *text) {
    char reversed[20];
    size_t n = 0;
    do reversed[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    for (size_t i = 0; i < n; i++) text[i] = reversed[n - 1 - i];
    return n;
}

/* Plain between 10^-5 and 10^17, with an exponent beyond. */
static size_t write_decimal(decimal number, char *text) {
    while (number.digits % 10 == 0) {
        number.digits /= 10;
        number.exponent++;
    }
    char digits[20] = {0};
    const int n = (int)write_digits(number.digits, digits), point = n + number.exponent;
    char *at = text;
    if (point > 17 || point < -4) {
        *at++ = digits[0];
        if (n > 1) *at++ = '.';
        memcpy(at, digits + 1, (size_t)(n - 1));
        at += n - 1;
        *at++ = 'e';
        at += ex_decimal_write_integer(point - 1, at);
    } else if (point <= 0) {
        *at++ = '0';
        *at++ = '.';
        for (int i = point; i < 0; i++) *at++ = '0';
        memcpy(at, digits, (size_t)n);
        at += n;
    } else {
        for (int i = 0; i < n || i < point; i++) {
            if (i == point) *at++ = '.';
            *at++ = i < n ? digits[i] : '0';
        }
    }
    return (size_t)(at - text);
}

/* Numbers far from one, which hardly occur. */
static size_t write_slowly(double value, char *text) {
    size_t n = (size_t)snprintf(text, EX_DECIMAL_LENGTH, "%.16e", value);
    for (size_t i = 0; i < n; i++)
        if (text[i] == ',') text[i] = '.'; /* of the locale */
    return n;
}

static size_t write_special(double value, char *text) {
    const char *special = value == 0 ? signbit(value) ? "-0.0" : "0" : "null";
    const size_t n = strlen(special);
    memcpy(text, special, n);
    return n;
}

size_t ex_decimal_write(const ex_decimal_powers *powers, double value, char *text) {
    if (value == 0 || !isfinite(value)) return write_special(value, text);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int biased = (int)(bits >> 52 & 0x7FF);
    const uint64_t fraction = bits & 0xFFFFFFFFFFFFF;
    decimal number;
    const uint64_t significand = fraction | (uint64_t)1 << 52;
    bool found = biased > 0 && find_shortest(powers, significand, biased - 1075, fraction == 0, &number);
    if (!found) return write_slowly(value, text);
    *text = '-';
    const size_t sign = value < 0;
    return sign + write_decimal(number, text + sign);
}

size_t ex_decimal_write_float(const ex_decimal_powers *powers, float value, char *text) {
    if (value == 0 || !isfinite(value)) return write_special((double)value, text);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int biased = (int)(bits >> 23 & 0xFF);
    const uint32_t fraction = bits & 0x7FFFFF;
    decimal number;
    bool found = biased > 0 && find_shortest(powers, fraction | 1u << 23, biased - 150, fraction == 0, &number);
    if (!found) return write_slowly((double)value, text);
    *text = '-';
    const size_t sign = value < 0;
    return sign + write_decimal(number, text + sign);
}

size_t ex_decimal_write_integer(int64_t value, char *text) {
    *text = '-';
    const size_t sign = value < 0;
    return sign + write_digits(sign ? 0 - (uint64_t)value : (uint64_t)value, text + sign);
}

size_t ex_decimal_write_fixed(double value, char *text) {
    const uint64_t scaled = (uint64_t)(value * 10000 + 0.5);
    size_t n = write_digits(scaled / 10000, text);
    if (scaled % 10000 == 0) return n;
    text[n++] = '.';
    for (uint64_t rest = scaled % 10000, place = 1000; rest > 0; rest %= place, place /= 10)
        text[n++] = (char)('0' + rest / place);
    return n;
}
