/* pretokenise.h - cuts text into the words that byte-level BPE merges within.
 *
 * A model's pre-tokeniser is published as a list of regular expressions: each splits every piece that the ones before
 * it left, and what lies between matches becomes a piece too. Here each expression is a rule for a scanner that visits
 * each character a bounded number of times. Two scanners are enough: runs of one set of characters, and the
 * alternation of contractions, words, numbers, symbols and white space that GPT-2 began and others vary. */
#ifndef EX_TEXT_PRETOKENISE_H
#define EX_TEXT_PRETOKENISE_H

#include "entropix.h"

typedef struct ex_range { uint32_t first, last; } ex_range;

/* Characters of certain classes (unicode_classes.h), or within ranges (ascending); or all others. */
typedef struct ex_character_set {
    uint32_t classes;
    const ex_range *ranges;
    size_t n_ranges;
    bool except;
} ex_character_set;

typedef enum ex_contraction { /* 's 't 're 've 'm 'll 'd */
    EX_CONTRACTION_NONE,
    EX_CONTRACTION_LOWER,   /* as pieces of their own, lower case only */
    EX_CONTRACTION_ANY_CASE, /* as pieces of their own */
    EX_CONTRACTION_SUFFIX   /* part of the word before them, any case */
} ex_contraction;

/* Alternatives in the order in which they are tried. */
typedef struct ex_word_rule {
    ex_contraction contraction;
    bool punctuated_word;     /* one ASCII punctuation character and ASCII letters */
    ex_character_set before;  /* one of these may precede a word */
    ex_character_set letters; /* a word is a run of these */
    bool cased;               /* … or upper case characters and then lower case ones, marks and Lo, Lm being both */
    size_t number_length;     /* longest run of N; 0: numbers are no alternative */
    bool number_space;        /* a space may precede a number */
    ex_character_set symbols; /* a run of these, a space may precede it */
    const char *symbol_tail;  /* ASCII characters that may follow the symbols */
    bool newlines;            /* white space up to and with the last line end of its run is a piece */
} ex_word_rule;

typedef enum ex_lead { EX_LEAD_NONE, EX_LEAD_SPACE, EX_LEAD_WHITE_SPACE } ex_lead;

typedef struct ex_split_rule {
    const ex_word_rule *words; /* NULL: a run, as follows */
    ex_character_set set;
    size_t at_least, at_most; /* characters, without the lead; 0 for at_most: no limit */
    ex_lead lead;             /* one such character may precede the run */
    bool at_end;              /* only when the run ends its piece */
} ex_split_rule;

enum { EX_MAX_SPLIT_RULES = 6 };

typedef struct ex_pretokeniser {
    const ex_split_rule *rules[EX_MAX_SPLIT_RULES]; /* ends at the first NULL */
} ex_pretokeniser;

enum { /* flags that go with a name */
    EX_PRE_WHOLE_WORDS = 1,  /* a word that is a token is taken as it is, whatever the merges would make of it */
    EX_PRE_ADD_BEGINNING = 2 /* the beginning-of-sequence token is wanted unless the file says otherwise */
};

typedef struct ex_pretokeniser_name {
    const char *name; /* value of tokenizer.ggml.pre */
    const ex_pretokeniser *pretokeniser;
    uint32_t flags;
} ex_pretokeniser_name;

/* NULL when the name is unknown. */
const ex_pretokeniser_name *ex_pretokeniser_find(ex_string name);

/* Receives the words in order; anything but EX_OK stops the scan and is returned. */
typedef ex_code (*ex_word_sink)(void *context, const char *word, size_t length, ex_error *error);

/* `text` is valid UTF-8. */
ex_code ex_pretokenise(const ex_pretokeniser *pretokeniser, const char *text, size_t length, ex_word_sink sink,
                       void *context, ex_error *error);

#endif
