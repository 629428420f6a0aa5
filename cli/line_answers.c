/* line_answers.c - the loop over lines; a bad one does not end it. */
#include "line_answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "interrupt.h"
#include "json_output.h"
#include "terminal.h"

static void write_problem(size_t number, const char *problem) {
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_text(&json, "error", problem);
    emit_count(&json, "line", number);
    emit_object_end(&json);
    emit_line_end(&json);
}

int answer_lines(answer_function answer, void *context) {
    char *line = NULL;
    size_t capacity = 0, number = 0;
    ssize_t n;
    int status = STATUS_OK;
    while ((n = getline(&line, &capacity, stdin)) >= 0) {
        ex_error error;
        number++;
        const char *problem = answer(context, line, (size_t)n, &error);
        if (problem) write_problem(number, problem);
        if (problem) status = STATUS_INPUT;
        output_state output = output_flush();
        if (output == OUTPUT_OK) continue;
        status = output_status(output, status);
        break;
    }
    if (n < 0 && !feof(stdin) && !interrupt_seen()) {
        message("cannot read standard input: %s", strerror(errno));
        status = errno == ENOMEM ? STATUS_INTERNAL : STATUS_INPUT;
    }
    free(line);
    return interrupt_seen() ? STATUS_INTERRUPTED : status;
}
