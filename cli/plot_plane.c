/* plot_plane.c - entropy across, varentropy up, a mark for each token: what the conditions of a policy look at, with
 * the thresholds where they look. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot_axis.h"
#include "plot_svg.h"

enum { LEFT = 58, RIGHT = 158, BOTTOM = 50, LABEL_ROW = 15, LABEL_GAP = 13, FEW = 250, MANY = 2500 };

static bool in_plane(const plot_trace *trace, const plot_token *token) {
    return isfinite(token->values[PLOT_ENTROPY]) && isfinite(token->values[plot_varentropy(trace)]);
}

/* An axis over a metric and the thresholds on it, or false when memory is short. */
static bool fit(drawing *d, plot_axis *axis, const plot_trace *trace, plot_value metric,
                const plot_threshold *thresholds, size_t n_thresholds, double from, double to) {
    double *values = svg_memory(d, trace->n_tokens + n_thresholds + 1, sizeof *values);
    size_t n = 0;
    if (!values) return false;
    for (size_t i = 0; i < trace->n_tokens; i++)
        if (in_plane(trace, &trace->tokens[i])) values[n++] = trace->tokens[i].values[metric];
    for (size_t i = 0; i < n_thresholds; i++)
        if (thresholds[i].metric == metric) values[n++] = thresholds[i].value;
    *axis = plot_axis_fit(values, n, from, to);
    free(values);
    return true;
}

static void draw_grid(drawing *d, const plot_axis *x, const plot_axis *y, plot_value metric) {
    double ticks[TICKS_MAX];
    size_t n = plot_axis_ticks(x, x->knee > 0 ? 42 : 60, ticks);
    for (size_t i = 0; i < n; i++) {
        double at = plot_axis_at(x, ticks[i]);
        svg_line(d, at, y->from, at, y->to, ticks[i] > 0 ? "grid" : "axis");
        svg_text(d, at, y->from + 16, "soft", ANCHOR_MIDDLE, "%g", ticks[i]);
    }
    n = plot_axis_ticks(y, 26, ticks);
    for (size_t i = 0; i < n; i++) {
        double at = plot_axis_at(y, ticks[i]);
        svg_line(d, x->from, at, x->to, at, ticks[i] > 0 ? "grid" : "axis");
        svg_text(d, x->from - 7, at + 4, "soft", ANCHOR_END, "%g", ticks[i]);
    }
    svg_text(d, (x->from + x->to) / 2, y->from + 36, "", ANCHOR_MIDDLE, "entropy of the logits, bits%s",
             x->knee > 0 ? " (logarithmic scale)" : "");
    double middle = (y->from + y->to) / 2;
    fprintf(d->out, "<g transform=\"translate(15 %.0f) rotate(-90)\">", middle);
    svg_text(d, 0, 0, "", ANCHOR_MIDDLE, "%s, bits\xC2\xB2",
             metric == PLOT_VARENTROPY ? "varentropy of the logits" : "varentropy of the sequence");
    fputs("</g>\n", d->out);
}

static int by_value(const void *a, const void *b) {
    const plot_threshold *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static void label_of(char *buffer, size_t size, const plot_threshold *threshold) {
    snprintf(buffer, size, "%s%s%.4g", threshold->label, *threshold->label ? " " : "", threshold->value);
}

/* The row above the plane in which each label has room; `ends` has the right end of every row. */
static int free_row(double ends[PLOT_THRESHOLDS_MAX], double start, double end) {
    int row = 0;
    while (row + 1 < PLOT_THRESHOLDS_MAX && ends[row] > start) row++;
    ends[row] = end;
    return row;
}

/* Names above the plane, staggered so that none covers another; draws nothing without `d`, and returns the rows. */
static int draw_entropy_lines(drawing *d, const plot_axis *x, double top, double bottom,
                              const plot_threshold *thresholds, size_t n, double right) {
    double ends[PLOT_THRESHOLDS_MAX] = {0};
    int rows = 0;
    for (size_t i = n; i-- > 0;) { /* from the right: a label's leader then never crosses one further left */
        if (thresholds[i].metric != PLOT_ENTROPY) continue;
        char label[128];
        label_of(label, sizeof label, &thresholds[i]);
        double at = plot_axis_at(x, thresholds[i].value), width = text_width(label, 10);
        double start = fmin(at - 3, right - width);
        int row = free_row(ends, right - start - width, right - start + 10);
        if (row + 1 > rows) rows = row + 1;
        if (!d) continue;
        double baseline = top - 6 - row * LABEL_ROW;
        svg_line(d, at, baseline + 3, at, bottom, "limit");
        svg_text(d, start, baseline, "small", ANCHOR_START, "%s", label);
    }
    return rows;
}

/* Names right of the plane, moved apart, with a leader from the line to the name. */
static void draw_varentropy_lines(drawing *d, const plot_axis *x, const plot_axis *y, const plot_threshold *thresholds,
                                  size_t n) {
    double previous = INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (thresholds[i].metric == PLOT_ENTROPY) continue;
        char label[128];
        label_of(label, sizeof label, &thresholds[i]);
        double at = plot_axis_at(y, thresholds[i].value), place = fmin(at, previous - LABEL_GAP);
        previous = place;
        svg_line(d, x->from, at, x->to, at, "limit");
        svg_line(d, x->to, at, x->to + 10, place, "leader");
        svg_text(d, x->to + 13, place + 3.5, "small", ANCHOR_START, "%s", label);
    }
}

static void draw_marks(drawing *d, const plot_trace *trace, const plot_axis *x, const plot_axis *y) {
    size_t *order = svg_memory(d, trace->n_strategies + 1, sizeof *order);
    if (!order) return;
    plot_order(trace, order);
    double radius = trace->n_tokens <= FEW ? 4.2 : trace->n_tokens <= MANY ? 3 : 2.2;
    for (size_t i = 0; i < trace->n_strategies; i++) {
        for (size_t j = 0; j < trace->n_tokens; j++) {
            const plot_token *token = &trace->tokens[j];
            if ((size_t)token->strategy != order[i] || !in_plane(trace, token)) continue;
            svg_mark(d, trace->strategies[order[i]].style, plot_axis_at(x, token->values[PLOT_ENTROPY]),
                     plot_axis_at(y, token->values[plot_varentropy(trace)]), radius, token->title, (long)j);
        }
    }
    free(order);
}

double plot_plane(drawing *d, const plot_trace *trace) {
    plot_threshold thresholds[PLOT_THRESHOLDS_MAX];
    size_t n = plot_thresholds(trace, thresholds);
    qsort(thresholds, n, sizeof *thresholds, by_value);
    char subject[200];
    plot_subject(subject, sizeof subject, trace);
    double head = plot_legend(d, trace, plot_heading(d, "Entropy and varentropy", subject), false);
    double right = d->width - RIGHT, height = fmin(fmax(0.52 * (right - LEFT), 220), 900);
    plot_axis x, y;
    if (!fit(d, &x, trace, PLOT_ENTROPY, thresholds, n, LEFT, right)) return head;
    int rows = draw_entropy_lines(NULL, &x, 0, 0, thresholds, n, d->width - PLOT_MARGIN);
    double top = head + 12 + rows * LABEL_ROW, bottom = top + height;
    if (!fit(d, &y, trace, plot_varentropy(trace), thresholds, n, bottom, top)) return head;
    svg_rect(d, LEFT, top, right - LEFT, height, "panel");
    draw_grid(d, &x, &y, plot_varentropy(trace));
    draw_entropy_lines(d, &x, top, bottom, thresholds, n, d->width - PLOT_MARGIN);
    draw_varentropy_lines(d, &x, &y, thresholds, n);
    if (trace->n_tokens == 0)
        svg_text(d, (LEFT + right) / 2, (top + bottom) / 2, "soft", ANCHOR_MIDDLE, "no tokens in this trace");
    draw_marks(d, trace, &x, &y);
    return bottom + BOTTOM;
}
