/* pretokenise.h - cuts text into the words that byte-level BPE merges within.
 *
 * A model's pre-tokeniser is published as a list of regular expressions: each splits every piece that the ones before
 * it left, and what lies between matches becomes a piece too. Here each expression is a rule for a scanner that visits
 * each character a bounded number of times. Four scanners are enough: runs of one set of characters, literal texts,
 * digits in groups of three, and the alternation of contractions, words, numbers, symbols and white space that GPT-2
 * began and others vary. Expressions that are not known here are left to pattern.h. */
#ifndef EX_TEXT_PRETOKENISE_H
#define EX_TEXT_PRETOKENISE_H

#include "entropix.h"
#include "text/unicode_classes.h"

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
    ex_character_set apart;   /* a run of these is a piece, and they are never part of a cased word */
    ex_contraction contraction;
    bool punctuated_word;     /* one ASCII punctuation character and ASCII letters */
    ex_character_set before;  /* one of these may precede a word */
    ex_character_set letters; /* a word is a run of these */
    bool cased;               /* … or upper case characters and then lower case ones, marks and Lo, Lm being both */
    bool phrase;              /* … or letters with their marks, and single spaces between letters */
    size_t number_length;     /* longest run of N; 0: numbers are no alternative */
    bool number_space;        /* a space may precede a number */
    ex_character_set symbols; /* a run of these, a space may precede it */
    const char *symbol_tail;  /* ASCII characters that may follow the symbols */
    bool one_in_tail;         /* one of them at most */
    bool newlines;            /* white space up to and with the last line end of its run is a piece */
    bool doubling;            /* other white space comes in pieces of 512, 256 … 1, the longest that fits */
} ex_word_rule;

typedef enum ex_lead { EX_LEAD_NONE, EX_LEAD_SPACE, EX_LEAD_WHITE_SPACE } ex_lead;

typedef enum ex_split_kind { EX_SPLIT_RUN, EX_SPLIT_WORDS, EX_SPLIT_LITERALS, EX_SPLIT_GROUPS } ex_split_kind;

typedef struct ex_split_rule {
    ex_split_kind kind;
    const ex_word_rule *words;
    const char *const *literals;  /* the first that fits is a piece; ends at NULL */
    /* A run: */
    ex_character_set set;
    size_t at_least, at_most;     /* characters, without the lead; 0 for at_most: no limit */
    ex_lead lead;                 /* one such character may precede the run */
    const char *prefix, *suffix;  /* what must stand around it and belongs to the piece, or NULL */
    bool at_end;                  /* only when the run ends its piece */
    /* Groups of three characters of `set`, counted from the end of their run: */
    bool at_boundary;             /* only when no word character follows the run */
    bool cuts;                    /* no pieces of their own: the text is cut before each whole group */
} ex_split_rule;

enum { EX_MAX_SPLIT_RULES = 6 };

typedef struct ex_pretokeniser {
    const ex_split_rule *rules[EX_MAX_SPLIT_RULES]; /* ends at the first NULL */
} ex_pretokeniser;

enum { /* flags that go with a name */
    EX_PRE_WHOLE_WORDS = 1,  /* a word that is a token is taken as it is, whatever the merges would make of it */
    EX_PRE_ADD_BEGINNING = 2, /* the beginning-of-sequence token is wanted unless the file says otherwise */
    EX_PRE_NFC = 4,           /* text is brought into normalisation form C first */
    EX_PRE_WHOLE_NEWLINES = 8 /* a word of line feeds that is a token is taken as it is */
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
