/* line_answers.c - the loop over lines; a bad one does not end it. */
#include "line_answers.h"

#include <stdlib.h>

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
    free(line);
    return interrupt_seen() ? STATUS_INTERRUPTED : status;
}
