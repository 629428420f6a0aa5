/* plot.c - entropix plot: the pictures of a trace, as a file whose ending says what kind. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "eval/memory_text.h"
#include "plot_output.h"
#include "plot_svg.h"
#include "whole_file.h"

static const struct {
    const char *ending;
    char *(*make)(const plot_request *request, size_t *size);
} formats[] = {{".svg", plot_svg}, {".html", plot_html}, {".png", plot_png}};

static const struct {
    const char *name;
    plot_part part;
    double (*draw)(drawing *d, const plot_trace *trace);
} parts[] = {{"plane", PART_PLANE, plot_plane}, {"timeline", PART_TIMELINE, plot_timeline},
             {"heads", PART_HEADS, plot_heads}};

enum { N_FORMATS = sizeof formats / sizeof *formats, N_PARTS = sizeof parts / sizeof *parts };

static void open_svg(FILE *out, int width, double height, const char *label) {
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" "
            "role=\"img\" aria-label=\"%s\">\n",
            width, height, width, height, label);
}

/* Draws the wanted parts one below the other and returns the height of all, 0 after a message. */
static double draw_parts(const plot_request *request, unsigned wanted, drawing *d) {
    double height = 0;
    for (int i = 0; i < N_PARTS; i++) {
        if (!(wanted & (unsigned)parts[i].part)) continue;
        if (height > 0) height += 14;
        fprintf(d->out, "<g id=\"%s\" transform=\"translate(0 %.1f)\">\n", parts[i].name, height);
        height += parts[i].draw(d, request->trace);
        fputs("</g>\n", d->out);
    }
    return height;
}

static bool write_pictures(const plot_request *request, unsigned wanted, drawing d, bool styled, FILE *out) {
    char *body = NULL;
    size_t size;
    d.width = request->width;
    d.out = eval_memory_open(&body, &size);
    double height = d.out ? draw_parts(request, wanted, &d) : 0;
    bool good = d.out && eval_memory_close(d.out, &body) && !d.failed;
    if (good) {
        open_svg(out, request->width, height, "pictures of a trace");
        if (styled) {
            fputs("<style>\n", out);
            plot_write_style(out, request->theme);
            fputs("</style>\n", out);
            fprintf(out, "<rect class=\"page\" width=\"%d\" height=\"%.0f\" rx=\"8\"/>\n", request->width, height);
        }
        fwrite(body, 1, size, out);
        fputs("</svg>\n", out);
    }
    free(body);
    return good;
}

bool plot_part_svg(const plot_request *request, plot_part part, bool indices, FILE *out) {
    return write_pictures(request, part, (drawing){.titles = true, .indices = indices}, false, out);
}

char *plot_svg(const plot_request *request, size_t *size) {
    char *text = NULL;
    FILE *out = eval_memory_open(&text, size);
    bool titles = request->theme == THEME_AUTO; /* a picture in fixed colours is on its way to pixels */
    bool good = out && write_pictures(request, request->parts, (drawing){.titles = titles}, true, out);
    if (out && !eval_memory_close(out, &text)) good = false;
    if (good) return text;
    free(text);
    report_memory();
    return NULL;
}

static int format_of(const char *path) {
    size_t length = strlen(path);
    for (int i = 0; i < N_FORMATS; i++) {
        size_t n = strlen(formats[i].ending);
        if (length > n && strcmp(path + length - n, formats[i].ending) == 0) return i;
    }
    return -1;
}

static unsigned parts_of(const char *name) {
    for (int i = 0; i < N_PARTS; i++)
        if (name && strcmp(name, parts[i].name) == 0) return (unsigned)parts[i].part;
    return PART_ALL;
}

static plot_theme theme_of(const char *name) {
    return strcmp(name, "light") == 0 ? THEME_LIGHT : strcmp(name, "dark") == 0 ? THEME_DARK : THEME_AUTO;
}

int command_plot(const cli_options *options) {
    const char *path = option_text(options, OPTION_PICTURE);
    int format = path ? format_of(path) : -1;
    if (format < 0) {
        message(path ? "%s: the name must end in .svg, .png or .html" : "plot needs a file for its pictures: -o FILE",
                path);
        return STATUS_INPUT;
    }
    plot_trace trace = {0};
    plot_request request = {.trace = &trace,
                            .parts = parts_of(option_text(options, OPTION_PART)),
                            .width = (int)option_integer(options, OPTION_WIDTH),
                            .theme = theme_of(option_text(options, OPTION_THEME))};
    int status = plot_trace_read(&trace, options->operands[0]);
    if (status == STATUS_OK) {
        size_t size;
        char *bytes = formats[format].make(&request, &size);
        status = bytes ? whole_file_write(path, bytes, size) : STATUS_INPUT;
        free(bytes);
    }
    plot_trace_free(&trace);
    return status;
}
