/* task_csv.c - CSV as RFC 4180 has it: fields in quotes may hold commas, line ends and doubled quotes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "task_pieces.h"
#include "task_text.h"

typedef struct csv_cursor {
    const char *text;
    size_t length, at, line;
    char *field; /* [length + 1] */
    size_t n_field;
    const char *reason; /* why the record is none; NULL: it is one */
} csv_cursor;

static bool is_end(const csv_cursor *cursor) {
    const char *at = cursor->text + cursor->at;
    size_t left = cursor->length - cursor->at;
    return !left || *at == '\n' || (*at == '\r' && (left == 1 || at[1] == '\n'));
}

static void read_quoted(csv_cursor *cursor) {
    for (cursor->at++; cursor->at < cursor->length; cursor->at++) {
        char c = cursor->text[cursor->at];
        if (c == '"') {
            if (cursor->at + 1 == cursor->length || cursor->text[cursor->at + 1] != '"') break;
            cursor->at++;
        }
        cursor->line += c == '\n';
        cursor->field[cursor->n_field++] = c;
        if (cursor->n_field > EVAL_ENTRY_BYTES_MAX) break; /* bounds what a forgotten quote costs */
    }
    if (cursor->at == cursor->length || cursor->n_field > EVAL_ENTRY_BYTES_MAX) {
        cursor->reason = "a quoted field has no end, or is longer than 1 MB";
        return;
    }
    cursor->at++;
    if (!is_end(cursor) && cursor->text[cursor->at] != ',') cursor->reason = "something stands behind a quoted field";
}

static void read_plain(csv_cursor *cursor) {
    while (!is_end(cursor) && cursor->text[cursor->at] != ',') {
        char c = cursor->text[cursor->at++];
        if (c == '"') cursor->reason = "a quote stands inside a field that has none at its beginning";
        cursor->field[cursor->n_field++] = c;
    }
}

/* To the beginning of the next line. */
static void skip_line(csv_cursor *cursor) {
    while (cursor->at < cursor->length && cursor->text[cursor->at] != '\n') cursor->at++;
    if (cursor->at < cursor->length) cursor->at++;
    cursor->line++;
}

/* The fields of one record as a list. After one that is broken reading goes on in the line after its first. */
static ex_code read_record(csv_cursor *cursor, json_t *fields, ex_error *error) {
    csv_cursor first = *cursor;
    cursor->reason = NULL;
    bool is_more = true;
    while (is_more && !cursor->reason) {
        cursor->n_field = 0;
        if (!is_end(cursor) && cursor->text[cursor->at] == '"') read_quoted(cursor);
        else read_plain(cursor);
        if (cursor->reason) break;
        json_t *field = json_stringn(cursor->field, cursor->n_field);
        if (!field || memchr(cursor->field, 0, cursor->n_field)) cursor->reason = "is not UTF-8";
        if (field && json_array_append_new(fields, field)) return eval_fail_memory(error, "a record");
        is_more = !is_end(cursor);
        if (is_more) cursor->at++;
    }
    if (!cursor->reason && cursor->at - first.at > EVAL_ENTRY_BYTES_MAX) cursor->reason = "is longer than 1 MB";
    if (cursor->reason) {
        cursor->at = first.at;
        cursor->line = first.line;
    }
    skip_line(cursor);
    return EX_OK;
}

/* "abstract_algebra" of "abstract_algebra_test.csv". */
static char *subject_of(const char *path) {
    static const char *const endings[] = {"_test", "_dev", "_val", "_train"};
    char *subject = strdup(eval_path_base(path));
    if (!subject) return NULL;
    subject[strlen(subject) - strlen(".csv")] = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (eval_path_ends(subject, endings[i])) {
            subject[strlen(subject) - strlen(endings[i])] = 0;
            break;
        }
    return subject;
}

typedef struct csv_table {
    eval_piece_source *source;
    json_t *names; /* list of the columns; NULL: the first record will say */
    const char *subject;
} csv_table;

static ex_code take_row(csv_table *table, size_t line, const json_t *row, ex_error *error) {
    size_t count = json_array_size(table->names);
    if (json_array_size(row) != count) {
        char reason[100];
        snprintf(reason, sizeof reason, "has %zu fields, but there are %zu columns", json_array_size(row), count);
        return eval_piece_take(table->source, line, NULL, reason, error);
    }
    json_t *fields = json_pack("{s:s}", "subject", table->subject);
    if (!fields) return eval_piece_take(table->source, line, NULL, "the file's name is not UTF-8", error);
    for (size_t i = 0; i < count; i++)
        if (json_object_set(fields, json_string_value(json_array_get(table->names, i)), json_array_get(row, i))) {
            json_decref(fields);
            return eval_fail_memory(error, "a record");
        }
    return eval_piece_take(table->source, line, fields, NULL, error);
}

static ex_code read_rows(csv_table *table, csv_cursor *cursor, ex_error *error) {
    ex_code code = EX_OK;
    while (code == EX_OK && cursor->at < cursor->length) {
        if (is_end(cursor)) {
            skip_line(cursor);
            continue;
        }
        size_t line = cursor->line;
        json_t *row = json_array();
        code = row ? read_record(cursor, row, error) : eval_fail_memory(error, "a record");
        if (code != EX_OK || cursor->reason) {
            if (code == EX_OK) code = eval_piece_take(table->source, line, NULL, cursor->reason, error);
        } else if (!table->names) {
            table->names = json_incref(row);
        } else {
            code = take_row(table, line, row, error);
        }
        json_decref(row);
    }
    table->source->n_lines = cursor->line - 1;
    return code;
}

ex_code eval_pieces_csv(eval_piece_source *source, const char *path, const char *text, size_t length,
                        ex_error *error) {
    csv_cursor cursor = {.text = text, .length = length, .line = 1, .field = malloc(length + 1)};
    char *subject = subject_of(path);
    csv_table table = {source, source->columns ? json_array() : NULL, subject};
    for (size_t i = 0; source->columns && source->columns[i]; i++)
        json_array_append_new(table.names, json_string(source->columns[i]));
    ex_code code = cursor.field && subject ? read_rows(&table, &cursor, error) : eval_fail_memory(error, path);
    json_decref(table.names);
    free(subject);
    free(cursor.field);
    return code;
}
