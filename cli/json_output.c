/* json_output.c - numbers that are not finite have no JSON form and become null. */
#include "json_output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metric_fields.h"
#include "terminal.h"

static void write_string(FILE *out, ex_string text) {
    fputc('"', out);
    for (size_t i = 0; i < text.length;) {
        size_t n = utf8_length(text.data + i, text.length - i);
        unsigned char first = (unsigned char)text.data[i];
        if (n == 0)
            fputs("\\ufffd", out);
        else if (first == '"' || first == '\\')
            fprintf(out, "\\%c", first);
        else if (first == '\n')
            fputs("\\n", out);
        else if (first < 0x20 || first == 0x7F)
            fprintf(out, "\\u%04x", first);
        else
            fwrite(text.data + i, 1, n, out);
        i += n ? n : 1;
    }
    fputc('"', out);
}

static void begin_value(emitter *json, const char *key) {
    if (json->comma) fputc(',', json->out);
    json->comma = true;
    if (!key) return;
    write_string(json->out, (ex_string){key, strlen(key)});
    fputc(':', json->out);
}

static void open_bracket(emitter *json, const char *key, char bracket) {
    begin_value(json, key);
    fputc(bracket, json->out);
    json->comma = false;
}

static void close_bracket(emitter *json, char bracket) {
    fputc(bracket, json->out);
    json->comma = true;
}

void emit_object_begin(emitter *json, const char *key) { open_bracket(json, key, '{'); }
void emit_object_end(emitter *json) { close_bracket(json, '}'); }
void emit_array_begin(emitter *json, const char *key) { open_bracket(json, key, '['); }
void emit_array_end(emitter *json) { close_bracket(json, ']'); }

void emit_bytes(emitter *json, const char *key, ex_string text) {
    begin_value(json, key);
    write_string(json->out, text);
}

void emit_text(emitter *json, const char *key, const char *text) {
    emit_bytes(json, key, (ex_string){text, strlen(text)});
}

void emit_whole(emitter *json, const char *key, int64_t value) {
    begin_value(json, key);
    fprintf(json->out, "%lld", (long long)value);
}

void emit_count(emitter *json, const char *key, uint64_t value) {
    begin_value(json, key);
    fprintf(json->out, "%llu", (unsigned long long)value);
}

void emit_truth(emitter *json, const char *key, bool value) {
    begin_value(json, key);
    fputs(value ? "true" : "false", json->out);
}

void emit_null(emitter *json, const char *key) {
    begin_value(json, key);
    fputs("null", json->out);
}

void emit_real(emitter *json, const char *key, double value) {
    if (!isfinite(value)) {
        emit_null(json, key);
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    begin_value(json, key);
    fputs(text, json->out);
}

void emit_float(emitter *json, float value) {
    if (!isfinite(value)) {
        emit_null(json, NULL);
        return;
    }
    begin_value(json, NULL);
    fprintf(json->out, "%.9g", (double)value);
}

void emit_line_end(emitter *json) {
    fputc('\n', json->out);
    json->comma = false;
}

void emit_metrics(emitter *json, const char *key, const ex_metrics *metrics, int n_metrics) {
    emit_object_begin(json, key);
    for (size_t i = 0; i < (size_t)n_metrics; i++) emit_real(json, ex_metric_name(i), ex_metric_value(metrics, i));
    emit_object_end(json);
}
