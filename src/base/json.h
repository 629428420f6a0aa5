/* json.h - JSON read where it lies: the pieces that all readers share, and a tree for whole documents. */
#ifndef EX_BASE_JSON_H
#define EX_BASE_JSON_H

#include "entropix.h"

/* ---- pieces ---- */

typedef struct ex_json_cursor {
    const char *text;
    size_t length, at;
} ex_json_cursor;

/* The next byte; 0 at the end. */
static inline char ex_json_peek(const ex_json_cursor *cursor) {
    return cursor->at < cursor->length ? cursor->text[cursor->at] : 0;
}

void ex_json_skip_space(ex_json_cursor *cursor);
/* These move on and return true only where that comes next. */
bool ex_json_skip(ex_json_cursor *cursor, char c);
bool ex_json_skip_word(ex_json_cursor *cursor, const char *word);

/* A number as JSON writes it; false leaves the cursor where it is wrong. */
bool ex_json_skip_number(ex_json_cursor *cursor, bool *is_integer);

typedef enum ex_json_piece_kind {
    EX_JSON_PLAIN,   /* bytes that stand for themselves */
    EX_JSON_ESCAPED, /* one character; half of a surrogate pair counts as U+FFFD */
    EX_JSON_END,     /* the closing quote */
    EX_JSON_FAULT    /* no text; the cursor is where it is wrong */
} ex_json_piece_kind;

typedef struct ex_json_piece {
    ex_json_piece_kind kind;
    size_t first, length; /* where a plain piece lies; of an escape, where the letter behind the backslash lies */
    uint32_t codepoint;
} ex_json_piece;

/* The next piece of a text whose opening quote has been skipped. */
ex_json_piece ex_json_next_piece(ex_json_cursor *cursor);

/* ---- documents ---- */

enum { EX_JSON_DEPTH_MAX = 64 };

typedef enum ex_json_kind {
    EX_JSON_NULL, EX_JSON_BOOLEAN, EX_JSON_INTEGER, EX_JSON_NUMBER, EX_JSON_TEXT, EX_JSON_LIST, EX_JSON_MAP
} ex_json_kind;

typedef struct ex_json { /* a value; what it contains follows it in memory */
    ex_string name;      /* of a member of a map */
    ex_json_kind kind;
    uint64_t offset;     /* in the file, bytes */
    size_t n_bytes;      /* there */
    size_t count;        /* of items or members */
    size_t n_nodes;      /* of this value and all that it contains */
    union {
        bool boolean;
        int64_t integer;
        double number; /* fractions, and integers beyond 64 bits */
        ex_string text;
    } as;
} ex_json;

typedef struct ex_json_document {
    ex_json *nodes; /* the first is the document's value */
    size_t n_nodes, capacity;
    char *texts; /* decoded; their length is known, none is terminated */
} ex_json_document;

/* Reads a whole document: strict JSON in UTF-8, no name twice in a map. `path` is for messages, `start` is the byte of
 * the file that the text begins at. Nothing is left to free on error. */
ex_code ex_json_read(ex_json_document *document, const char *text, size_t length, const char *path, uint64_t start,
                     ex_error *error);
void ex_json_free(ex_json_document *document);

/* NULL when there is none; also for what is no map, or NULL. A member whose value is null counts as absent. */
const ex_json *ex_json_member(const ex_json *map, const char *name);
/* Walks the items of a list or the members of a map: begins with NULL, and NULL is the end. */
const ex_json *ex_json_next(const ex_json *container, const ex_json *item);
/* Whether it is a text of these bytes. */
bool ex_json_is(const ex_json *value, const char *text);
const char *ex_json_kind_name(ex_json_kind kind); /* "a text" */

#endif
