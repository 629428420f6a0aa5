/* template_run.h - one rendering: its limits, its output, its scopes, and the functions that templates can call. */
#ifndef EX_TEXT_TEMPLATE_RUN_H
#define EX_TEXT_TEMPLATE_RUN_H

#include "text/template_tree.h"

enum {
    EX_JINJA_MEMORY_MAX = 256 << 20, /* bytes of values that one rendering may make */
    EX_JINJA_OUTPUT_MAX = 32 << 20,  /* bytes of output and of texts under construction */
    EX_JINJA_STEPS_MAX = 50000000,   /* tree nodes visited, rounds of loops, and 64-byte pieces of work on values */
    EX_JINJA_CHARACTER_COST = 8,     /* work on each byte of a text that is read character by character */
    EX_JINJA_ITEM_COST = 32,         /* … on each item of a list that is made or walked through */
    EX_JINJA_BINDING_COST = 4,       /* … on each name that is passed by on the way to another */
    EX_JINJA_NUMBER_COST = 4096,     /* … on a number that is rounded, printed or read with all its digits */
    EX_JINJA_DEPTH_MAX = 1200,       /* tree nodes, macros and values inside each other */
    EX_JINJA_RANGE_MAX = 100000,     /* items of range() */
    EX_JINJA_WIDTH_MAX = 1 << 16,    /* columns that a filter pads to, digits that it prints */
    EX_JINJA_SLOTS = 5               /* parameters of a built-in function */
};

typedef struct ex_jinja_run ex_jinja_run;

/* ---- calls ---- */

typedef struct ex_jinja_named {
    const ex_jinja_text *name;
    ex_value value;
} ex_jinja_named;

typedef struct ex_jinja_arguments {
    const ex_value *positional;
    size_t n_positional;
    const ex_jinja_named *named;
    size_t n_named;
} ex_jinja_arguments;

typedef struct ex_jinja_call {
    const ex_jinja_function *function;
    ex_value subject;                    /* what a filter, test or method works on */
    ex_value slots[EX_JINJA_SLOTS];      /* by parameter; undefined when not given */
    uint32_t given;                      /* a bit for each slot */
    const ex_jinja_arguments *arguments; /* as written, for functions that take any */
} ex_jinja_call;

typedef bool (*ex_jinja_body)(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out);

struct ex_jinja_function { /* a filter, test, method or global: tests yield booleans */
    const char *name;
    ex_jinja_body body;      /* NULL: Python has it, but a template may not use it */
    const char *parameters;  /* names with a space between; NULL: any arguments */
    uint8_t required;        /* how many of them must be given */
};

struct ex_jinja_method {
    ex_value subject;
    const ex_jinja_function *function;
};

const ex_jinja_function *ex_jinja_find_filter(const char *name, size_t length);
/* Filters of Jinja that are not here: an error when they are run, not before, as a template may never come to them. */
bool ex_jinja_leaves_out(const char *name, size_t length);
const ex_jinja_function *ex_jinja_find_test(const char *name, size_t length);
const ex_jinja_function *ex_jinja_find_global(const char *name, size_t length);
/* Methods of "str", "list" or "dict". */
const ex_jinja_function *ex_jinja_find_method(ex_jinja_kind subject, const char *name, size_t length);
const ex_jinja_function *ex_jinja_find_row(const ex_jinja_function *rows, size_t n_rows, const char *name,
                                           size_t length);

bool ex_jinja_call_function(ex_jinja_run *run, const ex_jinja_function *function, ex_value subject,
                            const ex_jinja_arguments *arguments, ex_value *out);
bool ex_jinja_call_value(ex_jinja_run *run, ex_value callee, const ex_jinja_arguments *arguments, ex_value *out);
/* Filters and tests by name, as map() and select() name them. */
bool ex_jinja_call_named(ex_jinja_run *run, bool is_test, ex_value name, ex_value subject,
                         const ex_jinja_arguments *arguments, ex_value *out);

/* Arguments of a call. `given`: not left out and not None. The others return false after an error. */
bool ex_jinja_given(const ex_jinja_call *call, int slot);
bool ex_jinja_flag(const ex_jinja_call *call, int slot);
bool ex_jinja_integer_slot(ex_jinja_run *run, const ex_jinja_call *call, int slot, int64_t otherwise, int64_t *out);
bool ex_jinja_text_slot(ex_jinja_run *run, const ex_jinja_call *call, int slot, const ex_jinja_text **out);

/* ---- scopes ---- */

typedef struct ex_jinja_binding {
    const ex_jinja_name *name;
    ex_value value;
} ex_jinja_binding;

typedef struct ex_jinja_frame {
    struct ex_jinja_frame *parent;
    ex_jinja_binding *bindings;
    size_t count, capacity;
} ex_jinja_frame;

struct ex_jinja_macro {
    const ex_jinja_node *node;
    ex_jinja_frame *frame; /* where it was defined */
};

struct ex_jinja_loop {
    const ex_jinja_list *items;
    size_t index; /* from 0 */
    ex_value changed; /* what loop.changed() saw last, a tuple */
};

typedef enum ex_jinja_jump { EX_JINJA_GO_ON, EX_JINJA_BREAK, EX_JINJA_CONTINUE } ex_jinja_jump;

/* ---- the run ---- */

struct ex_jinja_run {
    const ex_template *template;
    ex_template_arena arena;
    const ex_jinja_map *variables;
    int64_t now;
    ex_jinja_frame *frame;
    const ex_jinja_node *node; /* where we are, for messages */
    ex_value captured;
    ex_jinja_jump jump;
    int depth;
    int64_t steps;
    /* The output so far; a text under construction lies at its end. */
    char *bytes;
    uint8_t *marks;
    size_t length, capacity;
    ex_code code;
    ex_error *error;
};

/* All of these return false, so that a function can end with them. */
bool ex_jinja_fail(ex_jinja_run *run, const char *format, ...) EX_PRINTF(2, 3);
bool ex_jinja_fail_memory(ex_jinja_run *run);
bool ex_jinja_fail_undefined(ex_jinja_run *run, ex_value value);
bool ex_jinja_fail_type(ex_jinja_run *run, const char *what, ex_value value);

/* Memory of the run; a NULL has been reported. */
void *ex_jinja_take(ex_jinja_run *run, size_t count, size_t size);
/* Counts a step, and one more for each 64 bytes of work. Whatever takes no memory and no output must be charged in
 * proportion to what it does: nothing else bounds it. */
bool ex_jinja_charge(ex_jinja_run *run, size_t bytes);
bool ex_jinja_charge_characters(ex_jinja_run *run, const ex_jinja_text *text);
/* Printing: the shortest digits of a subnormal number are found by trying. */
bool ex_jinja_charge_number(ex_jinja_run *run, double number);
/* The search for a key of a map: a long text is hashed. */
bool ex_jinja_charge_key(ex_jinja_run *run, ex_value key);
bool ex_jinja_enter(ex_jinja_run *run);

bool ex_jinja_bind(ex_jinja_run *run, ex_jinja_frame *frame, const ex_jinja_name *name, ex_value value);
ex_jinja_frame *ex_jinja_frame_new(ex_jinja_run *run, ex_jinja_frame *parent);
/* Binds the names of a target, or sets a namespace's attribute. */
bool ex_jinja_assign(ex_jinja_run *run, ex_jinja_frame *frame, const ex_jinja_node *target, ex_value value);
bool ex_jinja_evaluate(ex_jinja_run *run, const ex_jinja_node *node, ex_value *out);
bool ex_jinja_render_body(ex_jinja_run *run, const ex_jinja_node *body);
bool ex_jinja_call_macro(ex_jinja_run *run, const ex_jinja_macro *macro, const ex_jinja_arguments *arguments,
                         ex_value *out);
bool ex_jinja_evaluate_call(ex_jinja_run *run, const ex_jinja_node *node, const ex_value *caller, ex_value *out);
bool ex_jinja_binary(ex_jinja_run *run, int operator, ex_value a, ex_value b, ex_value *out);
bool ex_jinja_unary(ex_jinja_run *run, int operator, ex_value a, ex_value *out);
/* "%s" % value, and the method "{}".format(value). */
bool ex_jinja_format(ex_jinja_run *run, const ex_jinja_text *format, ex_value value, ex_value *out);
bool ex_jinja_format_method(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out);

/* subject.name and subject[key]; what is missing is undefined. */
bool ex_jinja_attribute(ex_jinja_run *run, ex_value subject, const ex_jinja_name *name, ex_value *out);
bool ex_jinja_item(ex_jinja_run *run, ex_value subject, ex_value key, ex_value *out);
bool ex_jinja_slice(ex_jinja_run *run, ex_value subject, const ex_value bounds[3], ex_value *out);
bool ex_jinja_loop_attribute(ex_jinja_run *run, ex_jinja_loop *loop, const ex_jinja_text *name, ex_value *out);

bool ex_jinja_equal(ex_jinja_run *run, ex_value a, ex_value b, bool *out);
/* -1, 0 or 1; fails when the two have no order. */
bool ex_jinja_order(ex_jinja_run *run, ex_value a, ex_value b, int *out);
bool ex_jinja_contains(ex_jinja_run *run, ex_value container, ex_value item, bool *out);
/* The items of anything that a loop can walk; what this returns must not be changed. */
bool ex_jinja_iterate(ex_jinja_run *run, ex_value value, const ex_jinja_list **out);
/* len(); fails for what has no length. */
bool ex_jinja_length(ex_jinja_run *run, ex_value value, size_t *out);

/* ---- making values ---- */

bool ex_jinja_make_undefined(ex_jinja_run *run, const char *hint, ex_value *out);
bool ex_jinja_make_absent(ex_jinja_run *run, ex_value owner, const char *name, size_t length, bool is_unsafe,
                          ex_value *out);
ex_jinja_list *ex_jinja_make_list(ex_jinja_run *run, ex_jinja_form form, size_t capacity);
bool ex_jinja_append(ex_jinja_run *run, ex_jinja_list *list, ex_value item);
bool ex_jinja_pair(ex_jinja_run *run, ex_value first, ex_value second, ex_value *out);
/* Keys, values or pairs of a map. */
bool ex_jinja_map_view(ex_jinja_run *run, const ex_jinja_map *map, ex_jinja_form form, ex_value *out);
static inline ex_value ex_jinja_list_value(ex_jinja_list *list) {
    return (ex_value){.kind = EX_JINJA_LIST, .as.list = list};
}
static inline ex_value ex_jinja_text_value(const ex_jinja_text *text) {
    return (ex_value){.kind = EX_JINJA_TEXT, .as.text = text};
}

/* ---- texts ---- */

/* Text under construction: note run->length, emit, then cut from there. */
bool ex_jinja_emit(ex_jinja_run *run, const char *bytes, size_t length, bool trusted);
bool ex_jinja_emit_part(ex_jinja_run *run, const ex_jinja_text *text, size_t first, size_t length);
bool ex_jinja_emit_text(ex_jinja_run *run, const ex_jinja_text *text);
bool ex_jinja_emit_character(ex_jinja_run *run, uint32_t codepoint, bool trusted);
bool ex_jinja_emit_escaped(ex_jinja_run *run, const ex_jinja_text *text); /* for HTML */
bool ex_jinja_cut(ex_jinja_run *run, size_t first, const ex_jinja_text **out);
bool ex_jinja_cut_value(ex_jinja_run *run, size_t first, ex_value *out);

bool ex_jinja_text_part(ex_jinja_run *run, const ex_jinja_text *text, size_t first, size_t length,
                        const ex_jinja_text **out);
bool ex_jinja_part_value(ex_jinja_run *run, const ex_jinja_text *text, size_t first, size_t length, ex_value *out);
bool ex_jinja_text_concat(ex_jinja_run *run, const ex_jinja_text *a, const ex_jinja_text *b,
                          const ex_jinja_text **out);
/* The same text as `safe` makes it. */
bool ex_jinja_mark_up(ex_jinja_run *run, const ex_jinja_text *text, ex_value *out);
bool ex_jinja_literal(ex_jinja_run *run, const char *bytes, ex_value *out);
bool ex_jinja_is_trusted(const ex_jinja_text *text, size_t at);

/* One character at `at`; bytes that are no UTF-8 count as characters of their own. */
size_t ex_jinja_character(const ex_jinja_text *text, size_t at, uint32_t *codepoint);
size_t ex_jinja_count_characters(const ex_jinja_text *text);
/* Where the character number `index` begins; the length when there are fewer. */
size_t ex_jinja_character_offset(const ex_jinja_text *text, size_t index);
/* First place of `needle` at or after `from`, or SIZE_MAX. */
size_t ex_jinja_find(const ex_jinja_text *text, const ex_jinja_text *needle, size_t from);

typedef enum ex_jinja_side { EX_JINJA_LEFT = 1, EX_JINJA_RIGHT = 2 } ex_jinja_side;
/* Without the characters of `set` (NULL: white space) at the sides given. */
bool ex_jinja_strip(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *set, int sides, ex_value *out);
bool ex_jinja_replace(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *old,
                      const ex_jinja_text *new, int64_t count, ex_value *out);
bool ex_jinja_join(ex_jinja_run *run, const ex_jinja_text *separator, const ex_jinja_list *items, ex_value *out);
bool ex_jinja_split_lines(ex_jinja_run *run, const ex_jinja_text *text, bool keep_ends, ex_jinja_list **out);

typedef enum ex_jinja_case {
    EX_JINJA_UPPER,
    EX_JINJA_LOWER,
    EX_JINJA_CAPITALIZE, /* the first character */
    EX_JINJA_TITLE,      /* the first of each run of letters */
    EX_JINJA_HEADLINE,   /* the title filter: the first behind space, hyphen or bracket */
    EX_JINJA_SWAP
} ex_jinja_case;
bool ex_jinja_change_case(ex_jinja_run *run, const ex_jinja_text *text, ex_jinja_case how, ex_value *out);

/* ---- printing ---- */

/* str() and repr() at the end of the output. */
bool ex_jinja_print(ex_jinja_run *run, ex_value value);
bool ex_jinja_print_quoted(ex_jinja_run *run, ex_value value);
bool ex_jinja_to_text(ex_jinja_run *run, ex_value value, const ex_jinja_text **out);
/* As Python's repr(float), at most 32 bytes. */
size_t ex_jinja_format_number(double number, char out[32]);
/* The whole text as a number; false when it is none. Independent of the locale. */
bool ex_jinja_read_number(const char *bytes, size_t length, double *out);
bool ex_jinja_read_integer(const char *bytes, size_t length, int base, int64_t *out);

/* ---- JSON ---- */

bool ex_jinja_to_json(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out);
bool ex_jinja_from_json(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out);
/* A whole text; `at` is how far it was read. */
bool ex_jinja_read_json(ex_jinja_run *run, const ex_jinja_text *text, size_t *at, ex_value *out);

#endif
