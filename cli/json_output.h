/* json_output.h - a streaming JSON writer: commas and quotes are its business, never the caller's. Its names begin with
 * emit_, because json_ is the prefix of the library that reads JSON. */
#ifndef CLI_JSON_OUTPUT_H
#define CLI_JSON_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "entropix.h"

typedef struct emitter {
    FILE *out;
    bool comma; /* the next value at this depth needs one before it */
} emitter;

/* `key` is NULL inside arrays and for the outermost value. */
void emit_object_begin(emitter *json, const char *key);
void emit_object_end(emitter *json);
void emit_array_begin(emitter *json, const char *key);
void emit_array_end(emitter *json);
void emit_text(emitter *json, const char *key, const char *text);
void emit_bytes(emitter *json, const char *key, ex_string text); /* broken UTF-8 becomes U+FFFD */
void emit_whole(emitter *json, const char *key, int64_t value);
void emit_count(emitter *json, const char *key, uint64_t value);
void emit_truth(emitter *json, const char *key, bool value);
void emit_real(emitter *json, const char *key, double value); /* the shortest form that reads back the same */
void emit_float(emitter *json, float value);                  /* 9 significant digits, in an array */
void emit_null(emitter *json, const char *key);
void emit_line_end(emitter *json); /* after the outermost value */

void emit_metrics(emitter *json, const char *key, const ex_metrics *metrics, int n_metrics);

#endif
