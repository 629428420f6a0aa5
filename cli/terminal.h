/* terminal.h - what the program shows to people: messages, colours, progress; and how its output can fail. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

#include "entropix.h"

enum exit_status { /* documented in every --help and man page */
                   STATUS_OK = 0,
                   STATUS_INTERNAL = 1,
                   STATUS_INPUT = 2,
                   STATUS_UNCERTAIN = 3,    /* a rule with the action `trap` held */
                   STATUS_INTERRUPTED = 130 /* as shells say it: 128 + SIGINT */
};

/* "entropix: …" on standard error, on a line of its own. */
void message(const char *format, ...) EX_PRINTF(1, 2);
/* Shows a library error and returns the exit status that fits it. */
int report(const ex_error *error);
int report_memory(void);

typedef enum output_state { OUTPUT_OK, OUTPUT_CLOSED, OUTPUT_FAILED } output_state;
/* Flushes standard output. CLOSED: the reader has gone. FAILED: a disk is full or worse; the message has been shown. */
output_state output_flush(void);
/* The exit status after `state`, or `status` when all was written. */
int output_status(output_state state, int status);

/* Whether `stream` gets colours under --color WHEN, NO_COLOR and TERM. */
bool color_wanted(const char *when, FILE *stream);

typedef struct cli_painter { /* writes text in styles, with as few escape sequences as possible */
    FILE *out;
    bool color;
    bool guarded;        /* replace control characters, which could steer a terminal */
    const char *current; /* the style that is switched on, or NULL */
} cli_painter;

extern const char style_dim[], style_bold[], style_inserted[];
/* A hue that colour-blind readers can tell apart, the two clarifying ones also underlined, high uncertainty bold. */
/* By the name of the rule, and by what it does where the name is a stranger's. */
const char *strategy_style(const char *strategy, ex_action action);

cli_painter painter_for(FILE *out, const char *when);
void paint(cli_painter *painter, const char *style, const char *text, size_t length);
void paint_format(cli_painter *painter, const char *style, const char *format, ...) EX_PRINTF(3, 4);
void paint_end(cli_painter *painter); /* back to the terminal's own style */
/* The text between double quotes, with control characters, quotes and broken UTF-8 escaped, on one line. */
void paint_quoted(cli_painter *painter, const char *style, ex_string text);

/* Length in bytes of the UTF-8 character at `text`, 0 when its bytes are not one. */
size_t utf8_length(const char *text, size_t length);

typedef struct cli_progress {
    bool shown;  /* set by progress_begin: only on a terminal */
    bool drawn;  /* there is a bar to take away */
    double next; /* when to draw again, seconds */
} cli_progress;

cli_progress progress_begin(void);
void progress_show(cli_progress *progress, double now, uint64_t done, uint64_t total, const char *what);
void progress_end(cli_progress *progress);

double seconds_now(void);

/* "33.1 MB" in decimal units; the buffer is the caller's. */
const char *format_bytes(char buffer[32], uint64_t bytes);
/* "1,234,567" */
const char *format_count(char buffer[32], uint64_t count);

#endif
