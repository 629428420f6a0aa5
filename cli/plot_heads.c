/* plot_heads.c - attention entropy: of each head of each layer, mean over the tokens, and beside it of each layer along
 * the tokens. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot_heads.h"
#include "plot_svg.h"

enum { LEFT = 58, GAP = 66, SCALE = 200, ROW_MIN = 5, ROW_MAX = 26, COURSE_MIN = 120, COURSE_COLUMNS = 240 };

bool plot_heads_mean(const plot_trace *trace, double *means, double *maximum) {
    size_t n = trace->n_layer * trace->n_head, count = 0;
    memset(means, 0, n * sizeof *means);
    *maximum = 0;
    for (size_t i = 0; i < trace->n_tokens; i++) {
        const float *heads = trace->tokens[i].heads;
        if (!heads) continue;
        count++;
        for (size_t j = 0; j < n; j++) {
            means[j] += (double)heads[j];
            if ((double)heads[j] > *maximum) *maximum = (double)heads[j];
        }
    }
    for (size_t j = 0; j < n && count; j++) means[j] /= (double)count;
    return count > 0;
}

static double largest(const double *values, size_t n) {
    double highest = 0;
    for (size_t i = 0; i < n; i++) highest = fmax(highest, values[i]);
    return highest;
}

static void draw_cell(drawing *d, double x, double y, double width, double height, double value, double maximum) {
    char color[8];
    fprintf(d->out, "<rect fill=\"%s\" x=\"", plot_ramp(color, plot_ramp_step(value, maximum)));
    svg_number(d->out, x);
    fputs("\" y=\"", d->out);
    svg_number(d->out, y);
    fputs("\" width=\"", d->out);
    svg_number(d->out, width);
    fputs("\" height=\"", d->out);
    svg_number(d->out, height);
    fputc('"', d->out);
}

static void draw_heads(drawing *d, const plot_trace *trace, const double *means, double maximum, double y, double cell,
                       double row) {
    double gap = row >= 9 && cell >= 9 ? 1 : 0;
    fputs("<g class=\"heads\">\n", d->out);
    for (size_t i = 0; i < trace->n_layer; i++) {
        for (size_t j = 0; j < trace->n_head; j++) {
            double value = means[i * trace->n_head + j];
            char title[96];
            snprintf(title, sizeof title, "layer %zu, head %zu: %.3f bits", i, j, value);
            draw_cell(d, LEFT + (double)j * cell, y + (double)i * row, cell - gap, row - gap, value, maximum);
            fputs(d->titles ? ">" : "/>\n", d->out);
            if (!d->titles) continue;
            svg_title(d, title);
            fputs("</rect>\n", d->out);
        }
    }
    fputs("</g>\n", d->out);
}

static void draw_numbers(drawing *d, size_t n, double step, double distance, double x, double y, bool across) {
    size_t every = 1;
    while ((double)every * step < distance) every *= 2;
    for (size_t i = 0; i < n; i += every) {
        double at = ((double)i + 0.5) * step;
        svg_text(d, across ? x + at : x, across ? y : y + at + 3.5, "small soft", across ? ANCHOR_MIDDLE : ANCHOR_END,
                 "%zu", i);
    }
}

static void draw_scale(drawing *d, double x, double y, double maximum) {
    fputs("<g shape-rendering=\"crispEdges\">\n", d->out);
    for (int i = 0; i < PLOT_RAMP; i++) {
        double width = (double)SCALE / PLOT_RAMP;
        draw_cell(d, x + i * width, y, width + 0.3, 10, i, PLOT_RAMP - 1);
        fputs("/>\n", d->out);
    }
    fputs("</g>\n", d->out);
    svg_text(d, x - 6, y + 9, "small soft", ANCHOR_END, "0");
    svg_text(d, x + SCALE + 6, y + 9, "small soft", ANCHOR_START, "%.3g bits", maximum);
}

static double layer_mean(const plot_trace *trace, const float *heads, size_t layer) {
    double sum = 0;
    for (size_t j = 0; j < trace->n_head; j++) sum += (double)heads[layer * trace->n_head + j];
    return sum / (double)trace->n_head;
}

/* Means over as many tokens as share a column. */
static void course_means(const plot_trace *trace, double *means, size_t n_columns, double *counts, size_t n_tokens) {
    memset(means, 0, trace->n_layer * n_columns * sizeof *means);
    memset(counts, 0, n_columns * sizeof *counts);
    for (size_t i = 0, seen = 0; i < trace->n_tokens; i++) {
        if (!trace->tokens[i].heads) continue;
        size_t column = seen++ * n_columns / n_tokens;
        counts[column]++;
        for (size_t layer = 0; layer < trace->n_layer; layer++)
            means[layer * n_columns + column] += layer_mean(trace, trace->tokens[i].heads, layer);
    }
    for (size_t i = 0; i < trace->n_layer * n_columns; i++) means[i] /= fmax(1, counts[i % n_columns]);
}

static void draw_course(drawing *d, const plot_trace *trace, double x, double y, double width, double row,
                        double maximum) {
    size_t n_tokens = 0;
    for (size_t i = 0; i < trace->n_tokens; i++) n_tokens += trace->tokens[i].heads != NULL;
    size_t n_columns = n_tokens < COURSE_COLUMNS ? n_tokens : COURSE_COLUMNS;
    double *means = svg_memory(d, (trace->n_layer + 1) * n_columns, sizeof *means);
    if (!means) return;
    course_means(trace, means, n_columns, means + trace->n_layer * n_columns, n_tokens);
    double step = fmin(width / (double)n_columns, 30), gap = row >= 9 ? 1 : 0;
    fputs("<g shape-rendering=\"crispEdges\">\n", d->out);
    for (size_t i = 0; i < trace->n_layer; i++) {
        for (size_t j = 0; j < n_columns; j++) {
            draw_cell(d, x + (double)j * step, y + (double)i * row, step + (step > 9 ? -1 : 0.2), row - gap,
                      means[i * n_columns + j], maximum);
            fputs("/>\n", d->out);
        }
    }
    fputs("</g>\n", d->out);
    double under = y + (double)trace->n_layer * row;
    svg_text(d, x, under + 13, "small soft", ANCHOR_START, "1");
    if (n_tokens > 1 && step * (double)n_columns > 50)
        svg_text(d, x + step * (double)n_columns, under + 13, "small soft", ANCHOR_END, "%zu", n_tokens);
    svg_text(d, x, under + 30, "", ANCHOR_START, "token; mean over heads");
    free(means);
}

double plot_heads(drawing *d, const plot_trace *trace) {
    char subject[200];
    plot_subject(subject, sizeof subject, trace);
    double y = plot_heading(d, "Attention entropy of heads and layers", subject), maximum;
    size_t n = trace->n_layer * trace->n_head;
    double *means = svg_memory(d, n + 1, sizeof *means);
    if (!means || n == 0 || !plot_heads_mean(trace, means, &maximum)) {
        free(means);
        svg_text(d, PLOT_MARGIN, y + 22, "soft", ANCHOR_START, "this trace has no attention statistics");
        return y + 44;
    }
    maximum = d->indices ? maximum : largest(means, n);
    double room = d->width - LEFT - PLOT_MARGIN, cell = fmin(ROW_MAX, 0.45 * room / (double)trace->n_head);
    if (cell < 9) cell = fmin(9, room / (double)trace->n_head);
    double row = fmin(fmax(ROW_MIN, 420 / (double)trace->n_layer), cell < ROW_MIN ? ROW_MIN : fmax(cell, 14));
    double heads_width = cell * (double)trace->n_head, course = room - heads_width - GAP;
    draw_scale(d, LEFT, y + 8, maximum);
    y += 40;
    draw_heads(d, trace, means, maximum, y, cell, row);
    double height = row * (double)trace->n_layer, under = y + height;
    draw_numbers(d, trace->n_layer, row, 13, LEFT - 6, y, false);
    draw_numbers(d, trace->n_head, cell, 20, LEFT, under + 13, true);
    svg_text(d, LEFT, under + 30, "", ANCHOR_START, "head%s", heads_width > 150 ? "; mean over tokens" : "");
    fprintf(d->out, "<g transform=\"translate(20 %.0f) rotate(-90)\">", y + height / 2);
    svg_text(d, 0, 0, "", ANCHOR_MIDDLE, "layer");
    fputs("</g>\n", d->out);
    if (course >= COURSE_MIN) {
        draw_numbers(d, trace->n_layer, row, 13, LEFT + heads_width + GAP - 6, y, false);
        draw_course(d, trace, LEFT + heads_width + GAP, y, course, row, maximum);
    }
    free(means);
    return under + 44;
}
