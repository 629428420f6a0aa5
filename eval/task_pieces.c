/* task_pieces.c - cutting the text of one file of questions into records: lines of JSON, and one JSON list. */
#include "task_pieces.h"

#include <stdio.h>
#include <string.h>

#include "failure.h"
#include "task_text.h"

ex_code eval_piece_take(eval_piece_source *source, size_t line, json_t *fields, const char *reason, ex_error *error) {
    eval_entry record = {source->file, source->lines_before + line, line, fields, reason};
    ex_code code = source->take(source->context, &record, error);
    json_decref(fields);
    return code;
}

static ex_code take_json(eval_piece_source *source, size_t line, const char *text, size_t length, ex_error *error) {
    if (length > EVAL_ENTRY_BYTES_MAX) return eval_piece_take(source, line, NULL, "is longer than 1 MB", error);
    json_error_t problem;
    json_t *fields = json_loadb(text, length, JSON_DECODE_ANY, &problem);
    char reason[200] = "";
    if (!fields && json_error_code(&problem) == json_error_invalid_utf8) {
        snprintf(reason, sizeof reason, "is not UTF-8, at byte %d", problem.position);
    } else if (!fields) {
        snprintf(reason, sizeof reason, "is not JSON: %s, at byte %d", problem.text, problem.position);
    } else if (!json_is_object(fields)) {
        snprintf(reason, sizeof reason, "is no JSON object");
        json_decref(fields);
        fields = NULL;
    }
    return eval_piece_take(source, line, fields, reason, error);
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static ex_code read_lines(eval_piece_source *source, const char *text, size_t length, ex_error *error) {
    ex_code code = EX_OK;
    size_t line = 0, start = 0;
    while (code == EX_OK && start < length) {
        const char *end = memchr(text + start, '\n', length - start);
        size_t n = end ? (size_t)(end - text) - start : length - start, n_blank = 0;
        line++;
        while (n_blank < n && is_blank(text[start + n_blank])) n_blank++;
        if (n_blank < n) code = take_json(source, line, text + start, n, error);
        start += n + 1;
    }
    source->n_lines = line;
    return code;
}

/* The bytes of one element of a list, up to the comma or bracket behind it. */
static size_t element_length(const char *text, size_t length) {
    size_t depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_text) {
            if (c == '\\') i++;
            else if (c == '"') in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (!depth) return i;
            depth--;
        } else if (c == ',' && !depth) {
            return i;
        }
    }
    return length;
}

/* Element by element, so that one that is broken takes no other along. `text` begins behind the bracket. */
static ex_code read_list(eval_piece_source *source, const char *text, size_t length, size_t line, ex_error *error) {
    ex_code code = EX_OK;
    size_t at = 0;
    char last = ',';
    while (code == EX_OK && last == ',') {
        for (; at < length && is_blank(text[at]); at++) line += text[at] == '\n';
        size_t n = element_length(text + at, length - at), first_line = line;
        bool has_end = at + n < length;
        for (size_t i = 0; i < n; i++) line += text[at + i] == '\n';
        if (n && has_end) code = take_json(source, first_line, text + at, n, error);
        else if (!has_end) code = eval_piece_take(source, first_line, NULL, "the list has no end", error);
        last = has_end ? text[at + n] : ']';
        at += n + 1;
    }
    source->n_lines = line;
    return code;
}

ex_code eval_pieces_read(eval_piece_source *source, const char *path, const char *text, size_t length,
                         ex_error *error) {
    if (eval_path_ends(path, ".csv")) return eval_pieces_csv(source, path, text, length, error);
    if (eval_path_ends(path, ".txt")) return eval_pieces_prose(source, text, length, error);
    size_t at = 0, line = 1;
    for (; at < length && is_blank(text[at]); at++) line += text[at] == '\n';
    bool is_list = !eval_path_ends(path, ".jsonl") && at < length && text[at] == '[';
    return is_list ? read_list(source, text + at + 1, length - at - 1, line, error)
                   : read_lines(source, text, length, error);
}
