/* decide.c - `entropix decide`: a filter that answers every line. */
#include "decide_lines.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "server/decide.h"

enum { LINE_MAX_BYTES = 64 << 20, EXIT_BAD_INPUT = 2 };

typedef enum line_state { LINE_READ, LINE_TOO_LONG, LINE_NO_MEMORY, LINE_END } line_state;

typedef struct input_line {
    char *text;
    size_t length, capacity, number;
} input_line;

static bool has_room(input_line *line) {
    if (line->length < line->capacity) return true;
    size_t capacity = line->capacity ? line->capacity * 2 : 1 << 16;
    char *text = realloc(line->text, capacity);
    if (!text) return false;
    line->text = text;
    line->capacity = capacity;
    return true;
}

/* Reads one line without its end. A line that is too long is read to its end and forgotten. */
static line_state read_line(FILE *in, input_line *line) {
    int c = getc_unlocked(in);
    if (c == EOF) return LINE_END;
    line_state state = LINE_READ;
    line->number++;
    for (line->length = 0; c != EOF && c != '\n'; c = getc_unlocked(in)) {
        if (state != LINE_READ) continue;
        if (line->length == LINE_MAX_BYTES)
            state = LINE_TOO_LONG;
        else if (!has_room(line))
            return LINE_NO_MEMORY;
        else
            line->text[line->length++] = (char)c;
    }
    return state;
}

static bool is_blank_line(const input_line *line) {
    for (size_t i = 0; i < line->length; i++)
        if (!strchr(" \t\r", line->text[i]) || line->text[i] == 0) return false;
    return true;
}

/* Answers one line; false when the answer is an error. */
static bool answer_line(const input_line *line, line_state state, ex_score_reducer *reducer, FILE *out) {
    char reason[DECIDE_REASON_BYTES], message[DECIDE_REASON_BYTES + 100];
    json_t *answer = NULL;
    if (state == LINE_READ) answer = decide(line->text, line->length, reducer, reason);
    else snprintf(reason, sizeof reason, "the line is longer than %d bytes", LINE_MAX_BYTES);
    if (!answer) answer = json_pack("{s:n, s:s}", "id", "error", reason);
    const bool good = reason[0] == 0;
    snprintf(message, sizeof message, "line %zu: %s", line->number, reason);
    if (!good) json_object_set_new(answer, "error", json_string(message));
    const bool written = json_dumpf(answer, out, JSON_COMPACT | JSON_REAL_PRECISION(17)) == 0;
    fputc('\n', out);
    json_decref(answer);
    return good && written;
}

static int answer_lines(FILE *in, FILE *out, FILE *messages, ex_score_reducer *reducer) {
    int status = 0;
    input_line line = {0};
    line_state state;
    while ((state = read_line(in, &line)) == LINE_READ || state == LINE_TOO_LONG) {
        if (state == LINE_READ && is_blank_line(&line)) continue;
        if (!answer_line(&line, state, reducer, out)) status = EXIT_BAD_INPUT;
        if (fflush(out) == 0 && !ferror(out)) continue;
        if (errno != EPIPE) fprintf(messages, "entropix decide: cannot write: %s\n", strerror(errno));
        status = EXIT_BAD_INPUT;
        break;
    }
    free(line.text);
    if (state == LINE_NO_MEMORY)
        fprintf(messages, "entropix decide: line %zu: out of memory\n", line.number);
    else if (ferror(in))
        fprintf(messages, "entropix decide: cannot read: %s\n", strerror(errno));
    return state == LINE_NO_MEMORY || ferror(in) ? EXIT_BAD_INPUT : status;
}

int decide_lines(FILE *in, FILE *out, FILE *messages) {
    ex_error error;
    ex_score_reducer *reducer;
    if (ex_score_reducer_open(&reducer, &error) != EX_OK) {
        fprintf(messages, "entropix decide: %s\n", error.message);
        return EXIT_BAD_INPUT;
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before; /* a closed pipe is an error of fflush, not a signal */
    sigaction(SIGPIPE, &ignore, &before);
    int status = answer_lines(in, out, messages, reducer);
    sigaction(SIGPIPE, &before, NULL);
    ex_score_reducer_close(reducer);
    return status;
}
