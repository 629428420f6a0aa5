/* vocabulary.h - the tokens of a file: the bytes that each stands for, their kinds, and the way back from bytes to id.
 *
 * Files write texts in a form of their own: byte-level BPE maps every byte to a printable character, SentencePiece
 * writes a space as U+2581. The vocabulary undoes that once, so that everything else works on plain bytes. */
#ifndef EX_TEXT_VOCABULARY_H
#define EX_TEXT_VOCABULARY_H

#include "text/merge.h"

typedef enum ex_token_kind { /* numbered as in GGUF */
    EX_KIND_NORMAL = 1,
    EX_KIND_UNKNOWN = 2,
    EX_KIND_CONTROL = 3,
    EX_KIND_USER_DEFINED = 4,
    EX_KIND_UNUSED = 5,
    EX_KIND_BYTE = 6
} ex_token_kind;

typedef struct ex_token {
    const char *text; /* plain bytes */
    uint32_t length;
    uint8_t kind;
    bool ends_generation;
    bool strips_left, strips_right; /* a special token that takes the white space before or after it */
    bool shown; /* a control token that belongs to the answer: never found in users' text, but part of the output */
} ex_token;

typedef enum ex_text_form { EX_FORM_BYTE_LEVEL, EX_FORM_ESCAPED_SPACE } ex_text_form;

/* Ids that a kind of vocabulary has when the file does not say, or EX_TOKEN_NONE. */
typedef struct ex_agreed_ids {
    int32_t beginning, end, unknown;
} ex_agreed_ids;

typedef struct ex_vocabulary {
    ex_text_form form;
    int32_t size;
    ex_token *tokens;
    float *scores;     /* NULL when the file has none */
    uint32_t longest;  /* bytes of the longest token */
    int32_t bytes[256]; /* the token of kind byte for each, or EX_TOKEN_NONE */
    int32_t beginning, end, unknown;
    char *texts;
    int32_t *slots; /* hash table: id + 1, or 0 when free */
    size_t n_slots; /* a power of two */
} ex_vocabulary;

/* `vocabulary` is zeroed by the caller and may be closed whatever the outcome. Of tokens with equal text the first
 * counts; empty ones exist but are never found. */
ex_code ex_vocabulary_open(ex_vocabulary *vocabulary, const ex_file *file, ex_text_form form, ex_agreed_ids agreed,
                           ex_error *error);
void ex_vocabulary_close(ex_vocabulary *vocabulary);

/* The token that ordinary text may become (normal, user-defined or unused), or EX_TOKEN_NONE. */
int32_t ex_vocabulary_find(const ex_vocabulary *vocabulary, const char *text, size_t length);
/* Any token but those of kind byte. */
int32_t ex_vocabulary_find_any(const ex_vocabulary *vocabulary, const char *text, size_t length);

/* What stands for text that cannot be expressed. Not a token that begins or ends a text, which some files name here. */
int32_t ex_vocabulary_unknown(const ex_vocabulary *vocabulary);

/* Puts the plain bytes of `length` bytes in a form at `out`, never more than that many, and returns how many. */
size_t ex_text_plain(ex_text_form form, const char *text, size_t length, char *out);

/* Tokens as they are made: counts all, keeps what there is room for. */
typedef struct ex_token_list {
    int32_t *tokens;
    size_t capacity, count;
} ex_token_list;

static inline void ex_token_push(ex_token_list *list, int32_t token) {
    if (list->count < list->capacity) list->tokens[list->count] = token;
    list->count++;
}

/* A character without a token of its own: pushes its bytes when the vocabulary has them all, else false … */
bool ex_vocabulary_push_bytes(const ex_vocabulary *vocabulary, const char *text, size_t length, ex_token_list *out);
/* … or else what stands for unknown text; false when there is neither. */
bool ex_vocabulary_push_unknown(const ex_vocabulary *vocabulary, const char *text, size_t length, ex_token_list *out);

/* The characters of a word, valid UTF-8, as symbols to merge; returns how many. There is room for `length`. */
size_t ex_vocabulary_split(const ex_vocabulary *vocabulary, const char *word, size_t length, ex_symbol *symbols);

#endif
