/* task_prose.c - prose as records: of each paragraph that is long enough, the first words are the question, with one
 * space between two. */
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "task_pieces.h"
#include "task_text.h"

/* About 64 tokens, and paragraphs of which as much would follow. */
enum { PROMPT_WORDS = 45, PARAGRAPH_WORDS = 80 };

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Bytes of the first `n_words` words, and how many there are at all. */
static size_t words_length(const char *text, size_t length, size_t n_words, size_t *n_all) {
    size_t end = 0;
    *n_all = 0;
    for (size_t i = 0; i < length; i++) {
        bool is_last = !is_blank(text[i]) && (i + 1 == length || is_blank(text[i + 1]));
        if (is_last && ++*n_all <= n_words) end = i + 1;
    }
    return end;
}

static ex_code take_paragraph(eval_piece_source *source, size_t line, const char *text, size_t length,
                              ex_error *error) {
    for (; length && is_blank(*text); text++, length--) line += *text == '\n';
    size_t n_words, n = words_length(text, length, PROMPT_WORDS, &n_words);
    if (n_words < PARAGRAPH_WORDS) return EX_OK;
    if (n > EVAL_ENTRY_BYTES_MAX) return eval_piece_take(source, line, NULL, "is longer than 1 MB", error);
    char *words = eval_text_squeeze(text, n);
    json_t *question = !words || memchr(text, 0, n) ? NULL : json_string(words);
    free(words);
    json_t *fields = question ? json_pack("{s:o}", "question", question) : NULL;
    return eval_piece_take(source, line, fields, "is not UTF-8", error);
}

/* Where one line is a whole paragraph, some line is long; otherwise blank lines stand between paragraphs. */
static bool has_long_lines(const char *text, size_t length) {
    size_t longest = 0, start = 0;
    for (size_t i = 0; i <= length; i++)
        if (i == length || text[i] == '\n') {
            if (i - start > longest) longest = i - start;
            start = i + 1;
        }
    return longest > 200;
}

static bool is_blank_line(const char *text, size_t length) {
    for (size_t i = 0; i < length && text[i] != '\n'; i++)
        if (!is_blank(text[i])) return false;
    return true;
}

ex_code eval_pieces_prose(eval_piece_source *source, const char *text, size_t length, ex_error *error) {
    bool by_line = has_long_lines(text, length);
    ex_code code = EX_OK;
    size_t line = 1, first_line = 1, start = 0;
    for (size_t i = 0; i < length && code == EX_OK; i++) {
        if (text[i] != '\n') continue;
        line++;
        if (!by_line && !is_blank_line(text + i + 1, length - i - 1)) continue;
        code = take_paragraph(source, first_line, text + start, i - start, error);
        start = i + 1;
        first_line = line;
    }
    if (code == EX_OK && start < length) code = take_paragraph(source, first_line, text + start, length - start, error);
    source->n_lines = line;
    return code;
}
