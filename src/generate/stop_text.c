/* stop_text.c - one automaton for each text (Knuth, Morris, Pratt 1977): each byte is looked at once. Whole characters
 * come in and stop texts are whole characters, so what is held back begins with one too. */
#include "generate/stop_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

static size_t next_match(const ex_stop_pattern *pattern, size_t matched, char byte) {
    while (matched > 0 && pattern->text[matched] != byte) matched = pattern->borders[matched - 1];
    return matched + (pattern->text[matched] == byte);
}

static ex_code open_pattern(ex_stop_pattern *pattern, const char *text, size_t index, ex_error *error) {
    size_t length = text ? strlen(text) : 0;
    if (length == 0)
        return ex_fail(error, EX_ERROR_ARGUMENT, index, "stop text %zu is empty; it would end every answer", index + 1);
    size_t valid = ex_utf8_valid_prefix(text, length);
    if (valid < length)
        return ex_fail(error, EX_ERROR_FORMAT, valid, "stop text %zu is not valid UTF-8 at byte %zu (0x%02X)",
                       index + 1, valid, (unsigned char)text[valid]);
    pattern->text = ex_allocate(length, 1);
    pattern->borders = ex_allocate(length, sizeof *pattern->borders);
    if (!pattern->text || !pattern->borders) return ex_fail_memory(error, "the stop texts");
    memcpy(pattern->text, text, length);
    pattern->length = length;
    for (size_t i = 1; i < length; i++) pattern->borders[i] = next_match(pattern, pattern->borders[i - 1], text[i]);
    return EX_OK;
}

static ex_code open_patterns(ex_stop_text *stop, const char *const *texts, size_t n_texts, size_t longest_piece,
                             ex_error *error) {
    size_t longest = 0;
    stop->patterns = ex_allocate(n_texts, sizeof *stop->patterns);
    if (!stop->patterns) return ex_fail_memory(error, "the stop texts");
    for (stop->n_patterns = 0; stop->n_patterns < n_texts;) {
        size_t index = stop->n_patterns++;
        ex_code code = open_pattern(&stop->patterns[index], texts[index], index, error);
        if (code != EX_OK) return code;
        if (stop->patterns[index].length > longest) longest = stop->patterns[index].length;
    }
    stop->buffer = ex_allocate(longest + longest_piece, 1);
    return stop->buffer ? EX_OK : ex_fail_memory(error, "the stop texts");
}

ex_code ex_stop_text_open(ex_stop_text *stop, const char *const *texts, size_t n_texts, size_t longest_piece,
                          ex_error *error) {
    *stop = (ex_stop_text){0};
    ex_code code = open_patterns(stop, texts, n_texts, longest_piece, error);
    if (code != EX_OK) ex_stop_text_close(stop);
    return code;
}

void ex_stop_text_close(ex_stop_text *stop) {
    for (size_t i = 0; i < stop->n_patterns; i++) {
        free(stop->patterns[i].text);
        free(stop->patterns[i].borders);
    }
    free(stop->patterns);
    free(stop->buffer);
    *stop = (ex_stop_text){0};
}

void ex_stop_text_reset(ex_stop_text *stop) {
    for (size_t i = 0; i < stop->n_patterns; i++) stop->patterns[i].matched = 0;
    stop->n_given = stop->n_held = 0;
    stop->found = false;
}

/* Steps every pattern on. Returns the length of the longest one that `byte` completes, or 0. */
static size_t step(ex_stop_text *stop, char byte) {
    size_t complete = 0;
    for (size_t i = 0; i < stop->n_patterns; i++) {
        ex_stop_pattern *pattern = &stop->patterns[i];
        pattern->matched = next_match(pattern, pattern->matched, byte);
        if (pattern->matched == pattern->length && pattern->length > complete) complete = pattern->length;
    }
    return complete;
}

static size_t longest_match(const ex_stop_text *stop) {
    size_t longest = 0;
    for (size_t i = 0; i < stop->n_patterns; i++)
        if (stop->patterns[i].matched > longest) longest = stop->patterns[i].matched;
    return longest;
}

ex_string ex_stop_text_add(ex_stop_text *stop, ex_string piece, bool last) {
    if (stop->found) return (ex_string){"", 0};
    memmove(stop->buffer, stop->buffer + stop->n_given, stop->n_held);
    size_t length = stop->n_held + piece.length, complete = 0;
    if (piece.length) memcpy(stop->buffer + stop->n_held, piece.data, piece.length);
    for (size_t at = stop->n_held; at < length && !complete; at++) {
        complete = step(stop, stop->buffer[at]);
        if (complete) length = at + 1;
    }
    stop->found = complete > 0;
    stop->n_held = stop->found || last ? 0 : longest_match(stop);
    stop->n_given = length - (stop->found ? complete : stop->n_held);
    return (ex_string){stop->buffer, stop->n_given};
}
