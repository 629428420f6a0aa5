/* terminal.c - escape sequences, quoting and the ways in which standard output can fail. */
#include "terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char style_dim[] = "\033[2m";
const char style_bold[] = "\033[1m";
const char style_inserted[] = "\033[1;4;38;5;166m";

/* Okabe and Ito's colours, the nearest of the 256. */
#define GREEN "\033[38;5;36m"
#define VERMILION "\033[4;38;5;166m"
#define ORANGE "\033[4;38;5;179m"
#define SKY_BLUE "\033[38;5;74m"
#define PURPLE "\033[1;38;5;175m"
#define YELLOW "\033[38;5;178m" /* darkened for white backgrounds */

static const struct strategy_style_row {
    const char *name, *style;
} strategy_styles[] = {
    {"greedy", GREEN},       {"clarify", VERMILION},       {"clarify_resample", ORANGE}, {"explore", SKY_BLUE},
    {"high_uncertainty", PURPLE}, {"adaptive", YELLOW},    {"plain", "\033[39m"},
};

static const char *const action_styles[EX_ACTION_COUNT] = {
    [EX_ACTION_SAMPLE] = YELLOW,    [EX_ACTION_GREEDY] = GREEN,    [EX_ACTION_INSERT] = VERMILION,
    [EX_ACTION_BRANCH] = SKY_BLUE,  [EX_ACTION_RESAMPLE] = PURPLE, [EX_ACTION_REWIND] = PURPLE,
    [EX_ACTION_TRAP] = VERMILION,   [EX_ACTION_STOP] = VERMILION,
};

void message(const char *format, ...) {
    fflush(stdout);
    fputs("entropix: ", stderr);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int report(const ex_error *error) {
    message("%s", error->message);
    return error->code == EX_ERROR_MEMORY ? STATUS_INTERNAL : STATUS_INPUT;
}

int report_memory(void) {
    message("out of memory");
    return STATUS_INTERNAL;
}

/* stdio forgets why an earlier write failed; writing once more makes the system say it again. */
static int write_failure(void) {
    int reason = errno;
    if (write(STDOUT_FILENO, "\n", 1) < 0) reason = errno;
    return reason;
}

output_state output_flush(void) {
    static output_state failed = OUTPUT_OK; /* said once */
    if (failed != OUTPUT_OK) return failed;
    bool broken = ferror(stdout) != 0;
    if (fflush(stdout) == 0 && !broken) return OUTPUT_OK;
    int reason = write_failure();
    failed = reason == EPIPE ? OUTPUT_CLOSED : OUTPUT_FAILED;
    if (failed == OUTPUT_FAILED) message("cannot write standard output: %s", strerror(reason));
    return failed;
}

int output_status(output_state state, int status) {
    if (state == OUTPUT_FAILED) return STATUS_INPUT;
    return state == OUTPUT_CLOSED ? STATUS_OK : status;
}

bool color_wanted(const char *when, FILE *stream) {
    if (strcmp(when, "always") == 0) return true;
    if (strcmp(when, "never") == 0 || !isatty(fileno(stream))) return false;
    const char *refusal = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return !(refusal && *refusal) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

const char *strategy_style(const char *strategy, ex_action action) {
    for (size_t i = 0; i < sizeof strategy_styles / sizeof *strategy_styles; i++)
        if (strcmp(strategy_styles[i].name, strategy) == 0) return strategy_styles[i].style;
    return (unsigned)action < EX_ACTION_COUNT ? action_styles[action] : NULL;
}

cli_painter painter_for(FILE *out, const char *when) {
    return (cli_painter){.out = out, .color = color_wanted(when, out), .guarded = isatty(fileno(out)) == 1};
}

static void switch_style(cli_painter *painter, const char *style) {
    if (!painter->color || painter->current == style) return;
    if (painter->current) fputs("\033[0m", painter->out);
    if (style) fputs(style, painter->out);
    painter->current = style;
}

size_t utf8_length(const char *text, size_t length) {
    static const struct {
        unsigned char mask, lead;
        unsigned minimum;
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    unsigned char first = length ? (unsigned char)text[0] : 0xFF;
    for (size_t n = 0; n < 4 && n < length; n++) {
        if ((first & forms[n].mask) != forms[n].lead) continue;
        unsigned codepoint = first & (unsigned char)~forms[n].mask;
        for (size_t i = 1; i <= n; i++) {
            if (((unsigned char)text[i] & 0xC0) != 0x80) return 0;
            codepoint = codepoint << 6 | ((unsigned char)text[i] & 0x3Fu);
        }
        bool valid = codepoint >= forms[n].minimum && codepoint <= 0x10FFFF && (codepoint & ~0x7FFu) != 0xD800;
        return valid ? n + 1 : 0;
    }
    return 0;
}

/* C0 without tab and line feed, DEL, and C1 (which UTF-8 writes as C2 80 to C2 9F). */
static bool is_control(const char *text, size_t n) {
    unsigned char first = (unsigned char)text[0];
    if (n == 1) return (first < 0x20 && first != '\t' && first != '\n') || first == 0x7F;
    return n == 2 && first == 0xC2 && (unsigned char)text[1] < 0xA0;
}

void paint(cli_painter *painter, const char *style, const char *text, size_t length) {
    if (length == 0) return;
    switch_style(painter, style);
    if (!painter->guarded) {
        fwrite(text, 1, length, painter->out);
        return;
    }
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i);
        if (n && !is_control(text + i, n))
            fwrite(text + i, 1, n, painter->out);
        else
            fputs("\xEF\xBF\xBD", painter->out);
        i += n ? n : 1;
    }
}

void paint_format(cli_painter *painter, const char *style, const char *format, ...) {
    switch_style(painter, style);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(painter->out, format, arguments);
    va_end(arguments);
}

void paint_end(cli_painter *painter) { switch_style(painter, NULL); }

static void quote_character(FILE *out, const char *text, size_t n) {
    if (n == 0)
        fprintf(out, "\\x%02X", (unsigned)(unsigned char)text[0]);
    else if (text[0] == '\n')
        fputs("\\n", out);
    else if (text[0] == '\t')
        fputs("\\t", out);
    else if (is_control(text, n))
        fprintf(out, "\\x%02X", (unsigned)(unsigned char)text[n - 1]);
    else if (text[0] == '"' || text[0] == '\\')
        fprintf(out, "\\%c", text[0]);
    else
        fwrite(text, 1, n, out);
}

void paint_quoted(cli_painter *painter, const char *style, ex_string text) {
    switch_style(painter, style);
    fputc('"', painter->out);
    for (size_t i = 0; i < text.length;) {
        size_t n = utf8_length(text.data + i, text.length - i);
        quote_character(painter->out, text.data + i, n);
        i += n ? n : 1;
    }
    fputc('"', painter->out);
    if (style) switch_style(painter, NULL);
}

enum { PROGRESS_CELLS = 30 };

cli_progress progress_begin(void) { return (cli_progress){.shown = isatty(STDERR_FILENO) == 1}; }

void progress_show(cli_progress *progress, double now, uint64_t done, uint64_t total, const char *what) {
    if (!progress->shown || (now < progress->next && done < total)) return;
    progress->next = now + 0.1;
    progress->drawn = true;
    double share = total ? (double)done / (double)total : 1;
    int cells = (int)(share * PROGRESS_CELLS);
    fprintf(stderr, "\r\033[K[%.*s%.*s] %3.0f %%  %.60s", cells, "##############################",
            PROGRESS_CELLS - cells, "..............................", 100 * share, what ? what : "");
}

void progress_end(cli_progress *progress) {
    if (progress->drawn) fputs("\r\033[K", stderr);
    progress->drawn = false;
}

double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

const char *format_bytes(char buffer[32], uint64_t bytes) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    snprintf(buffer, 32, "%.*f %s", unit == 0 ? 0 : value < 100 ? 1 : 0, value, units[unit]);
    return buffer;
}

const char *format_count(char buffer[32], uint64_t count) {
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    int at = 0;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0) buffer[at++] = ',';
        buffer[at++] = digits[i];
    }
    buffer[at] = '\0';
    return buffer;
}
