/* charsmap.h - the table by which SentencePiece normalises text: texts to look for and what takes their place. It comes
 * from a file (tokenizer.ggml.precompiled_charsmap) as a double-array trie, whose every step is checked. */
#ifndef EX_TEXT_CHARSMAP_H
#define EX_TEXT_CHARSMAP_H

#include "entropix.h"

typedef struct ex_charsmap { /* all zero: empty, replaces nothing */
    uint32_t *units;
    size_t n_units;
    char *texts; /* replacements, each ended by a zero byte */
    size_t n_texts;
} ex_charsmap;

/* `charsmap` is zeroed by the caller and may be closed whatever the outcome. */
ex_code ex_charsmap_open(ex_charsmap *charsmap, const ex_file *file, ex_error *error);
void ex_charsmap_close(ex_charsmap *charsmap);

/* How many bytes at the beginning of `text` (valid UTF-8) are to be replaced, whole characters: the longest that the
 * table has, or 0. */
size_t ex_charsmap_find(const ex_charsmap *charsmap, const char *text, size_t length, ex_string *replacement);

#endif
