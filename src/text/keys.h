/* keys.h - reads the keys of a file that describe a vocabulary, and says name and offset of one that is wrong. */
#ifndef EX_TEXT_KEYS_H
#define EX_TEXT_KEYS_H

#include "entropix.h"

/* Where a string that lies in `key` begins in the file. */
uint64_t ex_keys_offset(const ex_key *key, ex_string string);

/* NULL in `out` when the file has no such key. */
ex_code ex_keys_strings(const ex_file *file, const char *name, const ex_key **out, ex_error *error);
/* Arrays of integers or of numbers with exactly `count` elements. */
ex_code ex_keys_integers(const ex_file *file, const char *name, uint64_t count, const ex_key **out, ex_error *error);
ex_code ex_keys_numbers(const ex_file *file, const char *name, uint64_t count, const ex_key **out, ex_error *error);

/* These leave `out` as it is when the file has no such key. */
ex_code ex_keys_text(const ex_file *file, const char *name, ex_string *out, ex_error *error);
ex_code ex_keys_boolean(const ex_file *file, const char *name, bool *out, ex_error *error);
/* An id below `n_vocab`. All bits set, which some programs write for "none", gives EX_TOKEN_NONE. */
ex_code ex_keys_token(const ex_file *file, const char *name, int32_t n_vocab, int32_t *out, ex_error *error);

#endif
