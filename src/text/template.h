/* template.h - chat templates: an interpreter for the subset of Jinja that models' templates use.
 *
 * What is left out: other templates (include, import, extends, block), recursive loops, * and ** in calls, filters for
 * web pages. Integers have 64 bits, maps have keys that are texts, numbers, booleans or none, and what is lazy in Jinja
 * is computed at once. Whatever a template's data is made of, it cannot be changed by the template.
 *
 * A template is an untrusted program: steps, memory and recursion are bounded, there is no I/O, and attribute access
 * reaches data only. Every byte of output remembers whether it came from the template or from the caller's values, so
 * that text from users can never become a special token. */
#ifndef EX_TEXT_TEMPLATE_H
#define EX_TEXT_TEMPLATE_H

#include "entropix.h"

/* Values that a template sees. A builder makes them; all are freed with the builder. */
typedef struct ex_value ex_value;
typedef struct ex_values ex_values;

ex_code ex_values_open(ex_values **out, ex_error *error);
void ex_values_close(ex_values *values);
/* Each returns NULL when memory is out (the render that gets it fails with EX_ERROR_MEMORY). `trusted` text may become
 * special tokens. */
ex_value *ex_value_none(ex_values *values);
ex_value *ex_value_boolean(ex_values *values, bool boolean);
ex_value *ex_value_integer(ex_values *values, int64_t integer);
ex_value *ex_value_number(ex_values *values, double number);
ex_value *ex_value_text(ex_values *values, const char *text, size_t length, bool trusted);
ex_value *ex_value_list(ex_values *values);
ex_value *ex_value_map(ex_values *values);
/* These return false when memory is out or an argument is NULL. Maps keep insertion order. */
bool ex_value_append(ex_value *list, ex_value *item);
bool ex_value_set(ex_value *map, const char *key, size_t key_length, ex_value *item);

typedef struct ex_span { /* a run of output bytes of one origin */
    size_t first, length;
    bool trusted;
} ex_span;

typedef struct ex_rendering {
    char *text; /* a zero byte follows it; freed by ex_rendering_free */
    size_t length;
    ex_span *spans; /* cover the text in order */
    size_t n_spans;
} ex_rendering;

/* `now` is the time that strftime_now formats, in seconds since 1970 UTC. A template's raise_exception is an error of
 * code EX_ERROR_ARGUMENT with its place and the template's own words. */
ex_code ex_template_render_values(const ex_template *template, const ex_value *variables, int64_t now,
                                  ex_rendering *out, ex_error *error);
void ex_rendering_free(ex_rendering *rendering);

#endif
