/* chart.c - axes and elements. Numbers are rounded to tenths of a pixel. */
#include "chart.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 300 };

/* ---- axes ------------------------------------------------------------------------------------------------------ */

eval_axis eval_axis_over(double low, double high, double from, double to, bool is_log) {
    if (!isfinite(low) || !isfinite(high)) low = 0, high = 1, is_log = false;
    if (is_log) {
        const double room = pow(high / low, 0.08);
        return (eval_axis){low / fmax(room, 1.05), high * fmax(room, 1.05), from, to, true};
    }
    double room = 0.06 * (high - low);
    if (!(room > 0)) room = fmax(fabs(low) * 0.1, 1e-6);
    return (eval_axis){low - room, high + room, from, to, false};
}

double eval_axis_at(const eval_axis *axis, double value) {
    const double share = axis->is_log ? log(value / axis->low) / log(axis->high / axis->low)
                                      : (value - axis->low) / (axis->high - axis->low);
    return axis->from + share * (axis->to - axis->from);
}

static double nice_step(double span, int wanted) {
    static const double nice[] = {1, 2, 2.5, 5, 10};
    const double rough = span / wanted, unit = pow(10, floor(log10(rough)));
    for (size_t i = 0; i < sizeof nice / sizeof *nice; i++)
        if (nice[i] * unit >= rough * 0.999) return nice[i] * unit;
    return 10 * unit;
}

static size_t log_ticks(const eval_axis *axis, double *ticks) {
    static const double digits[] = {1, 2, 5};
    size_t n = 0;
    for (double unit = pow(10, floor(log10(axis->low))); unit <= axis->high; unit *= 10)
        for (size_t i = 0; i < 3; i++)
            if (digits[i] * unit >= axis->low && digits[i] * unit <= axis->high && n < EVAL_TICKS_MAX)
                ticks[n++] = digits[i] * unit;
    return n;
}

/* In values as they are shown: those of the axis times `scale`. */
static size_t linear_ticks(const eval_axis *axis, double scale, int wanted, double *ticks) {
    const double step = nice_step(scale * (axis->high - axis->low), wanted);
    size_t n = 0;
    for (double k = ceil(scale * axis->low / step - 1e-9); k * step <= scale * axis->high + 1e-9 * step; k++) {
        if (n == EVAL_TICKS_MAX) break;
        ticks[n++] = k * step / scale;
    }
    return n;
}

static size_t make_ticks(const eval_axis *axis, double scale, int wanted, double *ticks) {
    return axis->is_log ? log_ticks(axis, ticks) : linear_ticks(axis, scale, wanted, ticks);
}

void eval_chart_axes(eval_chart *chart, const char *x_name, double x_scale, const char *y_name, double y_scale) {
    double ticks[EVAL_TICKS_MAX];
    size_t n = y_name ? make_ticks(&chart->y, y_scale, 6, ticks) : 0;
    for (size_t i = 0; i < n; i++) {
        const double y = eval_axis_at(&chart->y, ticks[i]);
        eval_chart_line(chart, chart->x.from, y, chart->x.to, y, "grid");
        eval_chart_text(chart, chart->x.from - 6, y + 3.5, "tick", EVAL_ANCHOR_END, "%.4g", ticks[i] * y_scale + 0.0);
    }
    n = make_ticks(&chart->x, x_scale, 5, ticks);
    for (size_t i = 0; i < n; i++) {
        const double x = eval_axis_at(&chart->x, ticks[i]);
        eval_chart_line(chart, x, chart->y.from, x, chart->y.from + 4, "axis");
        eval_chart_text(chart, x, chart->y.from + 16, "tick", EVAL_ANCHOR_MIDDLE, "%.4g", ticks[i] * x_scale + 0.0);
    }
    eval_chart_line(chart, chart->x.from, chart->y.from, chart->x.to, chart->y.from, "axis");
    eval_chart_text(chart, (chart->x.from + chart->x.to) / 2, chart->y.from + 32, "name", EVAL_ANCHOR_MIDDLE, "%s",
                    x_name);
    if (y_name) eval_chart_text(chart, 8, chart->y.to - 10, "name", EVAL_ANCHOR_START, "%s", y_name);
}

/* ---- elements -------------------------------------------------------------------------------------------------- */

static void write_number(FILE *out, double value) {
    const double tenths = rint(value * 10);
    if (fmod(tenths, 10) == 0) fprintf(out, "%.0f", tenths / 10 + 0.0);
    else fprintf(out, "%.1f", tenths / 10);
}

static void attribute(FILE *out, const char *name, double value) {
    fprintf(out, " %s=\"", name);
    write_number(out, value);
    fputc('"', out);
}

static void write_title(FILE *out, const char *title) {
    fputs("<title>", out);
    eval_write_xml(out, title);
    fputs("</title>", out);
}

void eval_panels_begin(eval_page *page) { fputs("<div class=\"panels\">\n", page->out); }

void eval_panels_end(eval_page *page) { fputs("</div>\n", page->out); }

void eval_chart_begin(eval_chart *chart, eval_page *page, double width, double height, const char *caption,
                      const char *description) {
    FILE *out = page->out;
    const size_t number = ++page->n_charts;
    *chart = (eval_chart){.out = out, .width = width, .height = height};
    fputs("<figure><figcaption>", out);
    eval_write_xml(out, caption);
    fprintf(out, "</figcaption>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
            "aria-labelledby=\"t%zu d%zu\">\n<title id=\"t%zu\">", width, height, number, number, number);
    eval_write_xml(out, caption);
    fprintf(out, "</title><desc id=\"d%zu\">", number);
    eval_write_xml(out, description);
    fputs("</desc>\n", out);
}

void eval_chart_end(eval_chart *chart) { fputs("</svg></figure>\n", chart->out); }

void eval_chart_text(eval_chart *chart, double x, double y, const char *class, eval_anchor anchor, const char *format,
                     ...) {
    static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(chart->out, "<text class=\"%s\"%s", class, anchors[anchor]);
    attribute(chart->out, "x", x);
    attribute(chart->out, "y", y);
    fputc('>', chart->out);
    eval_write_xml(chart->out, text);
    fputs("</text>\n", chart->out);
}

static size_t bytes_of(const char *text, size_t characters) {
    size_t n = 0, seen = 0;
    for (; text[n]; n++)
        if (((unsigned char)text[n] & 0xC0) != 0x80 && seen++ == characters) break;
    return n;
}

void eval_chart_label(eval_chart *chart, double x, double y, const char *class, const char *text, size_t characters,
                      const char *ending) {
    const size_t n = bytes_of(text, characters);
    if (text[n] == '\0') {
        eval_chart_text(chart, x, y, class, EVAL_ANCHOR_START, "%s", text);
        return;
    }
    fputs("<g>", chart->out);
    write_title(chart->out, text);
    eval_chart_text(chart, x, y, class, EVAL_ANCHOR_START, "%.*s\xE2\x80\xA6%s", (int)n, text, ending);
    fputs("</g>", chart->out);
}

/* An interval of one question has no ends. */
void eval_chart_line(eval_chart *chart, double x1, double y1, double x2, double y2, const char *class) {
    if (!isfinite(x1 + y1 + x2 + y2)) return;
    fprintf(chart->out, "<line class=\"%s\"", class);
    attribute(chart->out, "x1", x1);
    attribute(chart->out, "y1", y1);
    attribute(chart->out, "x2", x2);
    attribute(chart->out, "y2", y2);
    fputs("/>\n", chart->out);
}

void eval_chart_rect(eval_chart *chart, double x, double y, double width, double height, const char *class) {
    if (!isfinite(x + y + width + height)) return;
    fprintf(chart->out, "<rect class=\"%s\"", class);
    attribute(chart->out, "x", x);
    attribute(chart->out, "y", y);
    attribute(chart->out, "width", fmax(width, 0));
    attribute(chart->out, "height", fmax(height, 0));
    fputs("/>\n", chart->out);
}

static void write_point(FILE *out, char command, double x, double y) {
    fputc(command, out);
    write_number(out, x);
    fputc(' ', out);
    write_number(out, y);
}

void eval_chart_curve(eval_chart *chart, const eval_curve *curve, const char *class) {
    if (curve->n < 2) return;
    fprintf(chart->out, "<path class=\"%s\" d=\"", class);
    for (size_t i = 0; i < curve->n; i++)
        write_point(chart->out, i ? 'L' : 'M', eval_axis_at(&chart->x, curve->x[i]), eval_axis_at(&chart->y,
                                                                                                  curve->y[i]));
    fputs("\"/>\n", chart->out);
}

typedef struct shape {
    int n; /* corners; 0: a circle */
    double corners[12][2];
} shape;

/* Of about the same area at radius 1. */
static const shape shapes[EVAL_STYLE_COUNT] = {
    {0, {{0}}},
    {3, {{0, -1.3}, {1.2, 0.8}, {-1.2, 0.8}}},
    {3, {{0, 1.3}, {1.2, -0.8}, {-1.2, -0.8}}},
    {4, {{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}}},
    {5, {{0, -1.2}, {1.15, -0.35}, {0.7, 1}, {-0.7, 1}, {-1.15, -0.35}}},
    {4, {{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}}},
    {4, {{-1.3, -0.5}, {1.3, -0.5}, {1.3, 0.5}, {-1.3, 0.5}}},
    {0, {{0}}},
    {6, {{-0.6, -1.05}, {0.6, -1.05}, {1.2, 0}, {0.6, 1.05}, {-0.6, 1.05}, {-1.2, 0}}},
    {4, {{-0.5, -1.3}, {0.5, -1.3}, {0.5, 1.3}, {-0.5, 1.3}}},
    {4, {{-1.2, -0.8}, {0.6, -0.8}, {1.2, 0.8}, {-0.6, 0.8}}},
    {12, {{-0.4, -1.2}, {0.4, -1.2}, {0.4, -0.4}, {1.2, -0.4}, {1.2, 0.4}, {0.4, 0.4}, {0.4, 1.2}, {-0.4, 1.2},
          {-0.4, 0.4}, {-1.2, 0.4}, {-1.2, -0.4}, {-0.4, -0.4}}},
};

void eval_chart_mark(eval_chart *chart, int style, double x, double y, double radius, bool hollow, const char *title) {
    const shape *of = &shapes[style];
    FILE *out = chart->out;
    fprintf(out, "<%s class=\"mark %s%d\"", of->n ? "path" : "circle", hollow ? "h" : "s", style);
    if (of->n) {
        fputs(" d=\"", out);
        for (int i = 0; i < of->n; i++)
            write_point(out, i ? 'L' : 'M', x + radius * of->corners[i][0], y + radius * of->corners[i][1]);
        fputs("Z\"", out);
    } else {
        attribute(out, "cx", x);
        attribute(out, "cy", y);
        attribute(out, "r", radius);
    }
    fputc('>', out);
    write_title(out, title);
    fprintf(out, "</%s>\n", of->n ? "path" : "circle");
}

/* ---- places of labels ------------------------------------------------------------------------------------------ */

static void sort_places(const double *places, size_t *order, size_t n) {
    for (size_t i = 0; i < n; i++) {
        size_t k = i;
        for (; k > 0 && places[order[k - 1]] > places[i]; k--) order[k] = order[k - 1];
        order[k] = i;
    }
}

void eval_spread(double *places, size_t n, double gap, double low, double high) {
    enum { MOST = 64 };
    size_t order[MOST];
    if (n == 0 || n > MOST) return;
    if (gap * (double)(n - 1) > high - low) gap = (high - low) / (double)(n - 1);
    sort_places(places, order, n);
    double least = low;
    for (size_t i = 0; i < n; i++) {
        places[order[i]] = fmax(places[order[i]], least);
        least = places[order[i]] + gap;
    }
    double most = high;
    for (size_t i = n; i-- > 0;) {
        places[order[i]] = fmin(places[order[i]], most);
        most = places[order[i]] - gap;
    }
}

/* Lightness grows evenly; blue to yellow stays apart for all kinds of colour vision. */
void eval_chart_ramp(char color[8], int step) {
    static const int stops[][3] = {{16, 30, 74}, {44, 76, 124}, {104, 117, 128}, {191, 165, 92}, {255, 237, 150}};
    enum { INTERVALS = sizeof stops / sizeof *stops - 1, LAST = 63 };
    const double at = (double)step / LAST * INTERVALS;
    const int low = at >= INTERVALS ? INTERVALS - 1 : (int)at;
    int rgb[3];
    for (int i = 0; i < 3; i++) rgb[i] = (int)(stops[low][i] + (at - low) * (stops[low + 1][i] - stops[low][i]) + 0.5);
    snprintf(color, 8, "#%02x%02x%02x", (unsigned)rgb[0] & 0xFF, (unsigned)rgb[1] & 0xFF, (unsigned)rgb[2] & 0xFF);
}
