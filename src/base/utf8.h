/* utf8.h - UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef EX_BASE_UTF8_H
#define EX_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the character at `text` and returns its length in bytes; 0 when the bytes are not a whole valid character. */
size_t ex_utf8_decode(const char *text, size_t length, uint32_t *codepoint);

/* Writes 1 to 4 bytes and returns how many. */
size_t ex_utf8_encode(uint32_t codepoint, char out[4]);

/* Length of the longest valid prefix: `length` when all is valid. */
size_t ex_utf8_valid_prefix(const char *text, size_t length);

/* How many bytes at the end of `text` begin a character that is not complete yet (0 to 3). */
size_t ex_utf8_incomplete_suffix(const char *text, size_t length);

#endif
