/* template_value.h - the values that a template computes with. All of them live in an arena and are freed with it.
 *
 * A text knows for each byte whether it comes from the template (or from a caller who vouches for it) or from a user.
 * Texts, lists and maps never change once another value can see them, so slices share the bytes they are cut from. */
#ifndef EX_TEXT_TEMPLATE_VALUE_H
#define EX_TEXT_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/template.h"
#include "text/template_arena.h"

typedef enum ex_jinja_kind {
    EX_JINJA_UNDEFINED,
    EX_JINJA_NONE,
    EX_JINJA_BOOLEAN,
    EX_JINJA_INTEGER,
    EX_JINJA_NUMBER,
    EX_JINJA_TEXT,
    EX_JINJA_LIST,
    EX_JINJA_MAP,
    EX_JINJA_NAMESPACE, /* as.map, the only value that a template can change */
    EX_JINJA_MACRO,
    EX_JINJA_LOOP,
    EX_JINJA_METHOD,   /* a method with its subject */
    EX_JINJA_FUNCTION, /* a global one */
    EX_JINJA_KIND_COUNT
} ex_jinja_kind;

typedef struct ex_jinja_text ex_jinja_text;
typedef struct ex_jinja_list ex_jinja_list;
typedef struct ex_jinja_map ex_jinja_map;
typedef struct ex_jinja_absence ex_jinja_absence;
typedef struct ex_jinja_macro ex_jinja_macro;
typedef struct ex_jinja_loop ex_jinja_loop;
typedef struct ex_jinja_method ex_jinja_method;
typedef struct ex_jinja_function ex_jinja_function;

struct ex_value {
    ex_jinja_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        const ex_jinja_text *text;
        ex_jinja_list *list;
        ex_jinja_map *map;
        const ex_jinja_absence *absence; /* why it is undefined; NULL when there is nothing to say */
        const ex_jinja_macro *macro;
        ex_jinja_loop *loop;
        const ex_jinja_method *method;
        const ex_jinja_function *function;
    } as;
};

/* Room behind a long text, so that appending to it again and again does not copy it each time. */
typedef struct ex_jinja_slack {
    char *bytes;
    uint8_t *marks;
    size_t used, capacity;
} ex_jinja_slack;

struct ex_jinja_text {
    const char *bytes;
    const uint8_t *marks; /* one a byte, 1: trusted; NULL when `trusted` speaks for all bytes */
    size_t length;        /* bytes */
    ex_jinja_slack *slack;
    bool trusted;
    bool markup; /* passed through `safe` or `escape`: what is added to it gets escaped */
};

/* What a list is in Python, which shows in how it prints and in what may be done with it. */
typedef enum ex_jinja_form {
    EX_JINJA_FORM_LIST,
    EX_JINJA_FORM_TUPLE,
    EX_JINJA_FORM_RANGE,
    EX_JINJA_FORM_ITEMS,
    EX_JINJA_FORM_KEYS,
    EX_JINJA_FORM_VALUES,
    EX_JINJA_FORM_GENERATOR, /* can be walked once, always counts as true, has no length */
    EX_JINJA_FORM_COUNT
} ex_jinja_form;

typedef struct ex_jinja_form_row {
    const char *name; /* of the Python type */
    const char *open, *close;
    bool has_length, has_item;
} ex_jinja_form_row;

extern const ex_jinja_form_row ex_jinja_forms[EX_JINJA_FORM_COUNT];

struct ex_jinja_list {
    ex_template_arena *arena;
    ex_value *items;
    size_t count, capacity;
    ex_jinja_form form;
    bool consumed;
};

typedef struct ex_jinja_entry {
    ex_value key, value;
    uint64_t hash;
} ex_jinja_entry;

struct ex_jinja_map {
    ex_template_arena *arena;
    ex_jinja_entry *entries; /* in order of insertion */
    size_t count, capacity;
    uint32_t *index; /* entry number + 1 by hash, 0: free; NULL while the map is small */
    size_t index_size;
};

/* Why something is undefined: `hint` alone, or the name that was missing and the type that it was missing in. */
struct ex_jinja_absence {
    const char *hint;
    const char *name;
    size_t name_length;
    const char *owner; /* type name, or NULL for a variable */
    bool is_unsafe;    /* an attribute that exists in Python but that templates may not touch */
};

/* Short constructors for values that need no memory. */
static inline ex_value ex_jinja_undefined(void) { return (ex_value){.kind = EX_JINJA_UNDEFINED}; }
static inline ex_value ex_jinja_none(void) { return (ex_value){.kind = EX_JINJA_NONE}; }
static inline ex_value ex_jinja_boolean(bool boolean) {
    return (ex_value){.kind = EX_JINJA_BOOLEAN, .as.boolean = boolean};
}
static inline ex_value ex_jinja_integer(int64_t integer) {
    return (ex_value){.kind = EX_JINJA_INTEGER, .as.integer = integer};
}
static inline ex_value ex_jinja_number(double number) {
    return (ex_value){.kind = EX_JINJA_NUMBER, .as.number = number};
}

/* The rest return NULL or false when the arena has no more. Texts do not copy the bytes. */
ex_jinja_text *ex_jinja_text_new(ex_template_arena *arena, const char *bytes, size_t length, bool trusted);
ex_jinja_list *ex_jinja_list_new(ex_template_arena *arena, ex_jinja_form form, size_t capacity);
bool ex_jinja_list_append(ex_jinja_list *list, ex_value item);
ex_jinja_map *ex_jinja_map_new(ex_template_arena *arena);
bool ex_jinja_map_set(ex_jinja_map *map, ex_value key, ex_value value);

uint64_t ex_jinja_hash_bytes(const char *bytes, size_t length);
/* NULL when there is no such key. */
const ex_value *ex_jinja_map_get(const ex_jinja_map *map, ex_value key);
const ex_value *ex_jinja_map_find(const ex_jinja_map *map, const char *bytes, size_t length, uint64_t hash);

/* None, booleans, numbers and texts can be keys. */
bool ex_jinja_is_key(ex_value value);
/* Booleans count as 0 and 1. */
bool ex_jinja_is_number(ex_value value);
bool ex_jinja_is_integer(ex_value value);
int64_t ex_jinja_as_integer(ex_value value);
double ex_jinja_as_number(ex_value value);
bool ex_jinja_is_true(ex_value value);
/* Whether it is this text. */
bool ex_jinja_is_word(ex_value value, const char *word);
bool ex_jinja_text_equal(const ex_jinja_text *a, const ex_jinja_text *b);
/* Equality of two values that can both be keys. */
bool ex_jinja_key_equal(ex_value a, ex_value b);
/* As Python names the type: "str", "dict", … */
const char *ex_jinja_type_name(ex_value value);

#endif
