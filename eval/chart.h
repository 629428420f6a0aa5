/* chart.h - charts of a report: small panels of SVG with axes, each a figure with its finding as caption. */
#ifndef EVAL_CHART_H
#define EVAL_CHART_H

#include "report_page.h"
#include "summary.h"

/* ---- what charts are made of (chart.c) ---- */

enum { EVAL_TICKS_MAX = 12, EVAL_STYLE_COUNT = 12 };

typedef struct eval_axis {
    double low, high; /* values */
    double from, to;  /* pixels */
    bool is_log;
} eval_axis;

/* An axis over these values with a little room at both ends. */
eval_axis eval_axis_over(double low, double high, double from, double to, bool is_log);
double eval_axis_at(const eval_axis *axis, double value);

typedef enum eval_anchor { EVAL_ANCHOR_START, EVAL_ANCHOR_MIDDLE, EVAL_ANCHOR_END } eval_anchor;

typedef struct eval_chart {
    FILE *out;
    double width, height;
    eval_axis x, y;
} eval_chart;

/* A row of panels. */
void eval_panels_begin(eval_page *page);
void eval_panels_end(eval_page *page);

/* `caption` is what is seen above; `description` is for those who cannot see the chart. */
void eval_chart_begin(eval_chart *chart, eval_page *page, double width, double height, const char *caption,
                      const char *description);
void eval_chart_end(eval_chart *chart);

void eval_chart_text(eval_chart *chart, double x, double y, const char *class, eval_anchor anchor, const char *format,
                     ...) EX_PRINTF(6, 7);
/* Cut to `characters` with `ending` after them, and the whole text for a pointer that rests on it. */
void eval_chart_label(eval_chart *chart, double x, double y, const char *class, const char *text, size_t characters,
                      const char *ending);
void eval_chart_line(eval_chart *chart, double x1, double y1, double x2, double y2, const char *class);
void eval_chart_rect(eval_chart *chart, double x, double y, double width, double height, const char *class);
/* Through points in values of the axes. */
void eval_chart_curve(eval_chart *chart, const eval_curve *curve, const char *class);
/* In pixels; `title` shows when a pointer rests on it. `hollow`: its outline alone. */
void eval_chart_mark(eval_chart *chart, int style, double x, double y, double radius, bool hollow, const char *title);
/* Grid, ticks and names: with their units, values times `scale`. No `y_name`: no such axis. */
void eval_chart_axes(eval_chart *chart, const char *x_name, double x_scale, const char *y_name, double y_scale);
/* A step of 0..63 from dark to light as #rrggbb. */
void eval_chart_ramp(char color[8], int step);
/* Moves places so that neighbours are `gap` apart and all lie in low..high, in the order of their places. */
void eval_spread(double *places, size_t n, double gap, double low, double high);

/* ---- the page's style (chart_style.c) ---- */

void eval_chart_write_style(FILE *out);
/* Style of a policy: the baseline's is the colour of ink. */
int eval_policy_style(const eval_summary *summary, size_t policy);

/* ---- the charts ---- */

void eval_chart_cost(eval_page *page, const eval_summary *summary, const eval_scope *scope, const char *caption);
void eval_chart_forest(eval_page *page, const eval_summary *summary, const eval_scope *scope, const char *caption);
void eval_chart_heat(eval_page *page, const eval_doubt *doubt, const char *caption);
void eval_chart_roc(eval_page *page, const eval_doubt *doubt, const char *caption);
void eval_chart_risk(eval_page *page, const eval_doubt *doubt, const char *caption);
void eval_chart_reliability(eval_page *page, const eval_doubt *doubt, const char *caption);
void eval_chart_distribution(eval_page *page, const eval_doubt *doubt, size_t metric, const char *caption);
void eval_chart_texts(eval_page *page, const eval_summary *summary, const eval_text_scope *scope,
                      eval_text_measure measure, const char *caption);

#endif
