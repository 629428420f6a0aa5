/* chart_doubt.c - what doubt is worth: all signals, ROC, risk and coverage, reliability, distributions. */
#include <math.h>
#include <string.h>

#include "chart.h"

enum { WIDTH = 360, HEIGHT = 300 };

static const char *what_is_positive(const eval_doubt *doubt) {
    return doubt->kind == EVAL_DOUBT_UNKNOWN ? "unknown" : "wrong";
}

static const char *what_is_negative(const eval_doubt *doubt) {
    return doubt->kind == EVAL_DOUBT_UNKNOWN ? "known" : "right";
}

/* ---- all signals ----------------------------------------------------------------------------------------------- */

enum { CELL_WIDTH = 54, CELL_HEIGHT = 22, NAMES_WIDTH = 136, CELLS_TOP = 22 };

static void draw_cell(eval_chart *chart, const eval_doubt *doubt, size_t pool, size_t metric) {
    const eval_interval area = doubt->areas[pool][metric].area;
    const double x = NAMES_WIDTH + CELL_WIDTH * (double)pool, y = CELLS_TOP + CELL_HEIGHT * (double)metric;
    if (isnan(area.value)) {
        eval_chart_rect(chart, x, y, CELL_WIDTH - 2, CELL_HEIGHT - 2, "none");
        return;
    }
    const double share = (area.value - 0.5) / 0.45;
    const int step = share <= 0 ? 0 : share >= 1 ? 63 : (int)(63 * share);
    char color[8], text[EVAL_INTERVAL_SIZE];
    eval_chart_ramp(color, step);
    fprintf(chart->out, "<g><title>%s, %s: %s</title>", eval_metrics[metric].label, eval_pool_names[pool],
            eval_format_interval(text, area, 1, 3, false));
    fprintf(chart->out, "<rect fill=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\"/>", color, x, y,
            CELL_WIDTH - 2, CELL_HEIGHT - 2);
    eval_chart_text(chart, x + CELL_WIDTH / 2.0 - 1, y + 14.5, step > 34 ? "on-light" : "on-dark", EVAL_ANCHOR_MIDDLE,
                    "%.2f", area.value);
    fputs("</g>", chart->out);
}

void eval_chart_heat(eval_page *page, const eval_doubt *doubt, const char *caption) {
    eval_chart chart;
    eval_chart_begin(&chart, page, WIDTH, CELLS_TOP + EVAL_METRIC_COUNT * CELL_HEIGHT + 4, caption,
                     "Area under the ROC curve of each metric (rows) and pool (columns); 0.5 says nothing.");
    for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++)
        eval_chart_text(&chart, NAMES_WIDTH + CELL_WIDTH * ((double)pool + 0.5), 14, "name", EVAL_ANCHOR_MIDDLE, "%s",
                        eval_pool_names[pool]);
    for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++) {
        eval_chart_label(&chart, 2, CELLS_TOP + CELL_HEIGHT * (double)metric + 14.5, "", eval_metrics[metric].label,
                         24, "");
        for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++) draw_cell(&chart, doubt, pool, metric);
    }
    if (doubt->has_choice)
        eval_chart_rect(&chart, NAMES_WIDTH + CELL_WIDTH * (double)doubt->pool,
                        CELLS_TOP + CELL_HEIGHT * (double)doubt->metric, CELL_WIDTH - 2, CELL_HEIGHT - 2, "chosen");
    eval_chart_end(&chart);
}

/* ---- ROC ------------------------------------------------------------------------------------------------------- */

void eval_chart_roc(eval_page *page, const eval_doubt *doubt, const char *caption) {
    static const eval_curve diagonal = {2, {0, 1}, {0, 1}};
    eval_chart chart;
    char x_name[80], y_name[80], area[EVAL_INTERVAL_SIZE];
    eval_chart_begin(&chart, page, WIDTH, HEIGHT, caption,
                     "Receiver operating characteristic of the chosen signal on the rows that it was not chosen on; "
                     "thin lines are the other metrics in the same pool, over all rows.");
    const char *what = doubt->kind == EVAL_DOUBT_UNKNOWN ? "questions" : "answers";
    snprintf(x_name, sizeof x_name, "%s %s flagged too, %%", what_is_negative(doubt), what);
    snprintf(y_name, sizeof y_name, "%s %s flagged, %%", what_is_positive(doubt), what);
    chart.x = (eval_axis){0, 1, 34, WIDTH - 14, false};
    chart.y = (eval_axis){0, 1, HEIGHT - 40, 24, false};
    eval_chart_axes(&chart, x_name, 100, y_name, 100);
    eval_chart_curve(&chart, &diagonal, "limit");
    for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++)
        if (metric != doubt->metric) eval_chart_curve(&chart, &doubt->metric_rocs[metric], "context");
    eval_chart_curve(&chart, &doubt->roc, "curve");
    const double x = chart.x.to - 4, y = chart.y.from;
    eval_chart_text(&chart, x, y - 36, "t-right halo", EVAL_ANCHOR_END, "%s, %s", eval_metrics[doubt->metric].label,
                    eval_pool_names[doubt->pool]);
    eval_chart_text(&chart, x, y - 22, "halo", EVAL_ANCHOR_END, "area %s",
                    eval_format_interval(area, doubt->held_out.area, 1, 2, false));
    eval_chart_text(&chart, x, y - 8, "soft halo", EVAL_ANCHOR_END, "thin: the other metrics");
    eval_chart_end(&chart);
}

/* ---- risk and coverage ----------------------------------------------------------------------------------------- */

static double curve_at(const eval_curve *curve, double x) {
    size_t i = 0;
    while (i + 1 < curve->n && curve->x[i] < x) i++;
    return curve->n ? curve->y[i] : NAN;
}

/* The share of few answers says nothing: the curve begins where they are more. */
static eval_curve curve_from(const eval_curve *curve, double x, double highest) {
    eval_curve shown = {0};
    for (size_t i = 0; i < curve->n; i++) {
        if (curve->x[i] < x) continue;
        shown.x[shown.n] = curve->x[i];
        shown.y[shown.n++] = fmin(curve->y[i], highest);
    }
    return shown;
}

void eval_chart_risk(eval_page *page, const eval_doubt *doubt, const char *caption) {
    eval_chart chart;
    double highest = doubt->whole.risk;
    eval_chart_begin(&chart, page, WIDTH, HEIGHT, caption,
                     "Share of the given answers that are wrong, as fewer and fewer questions are answered, the least "
                     "doubtful first; on the rows that the signal was not chosen on.");
    for (size_t i = 0; i < doubt->coverage.n; i++)
        if (doubt->coverage.x[i] > 0.05) highest = fmax(highest, doubt->coverage.y[i]);
    chart.x = (eval_axis){0, 1, 34, WIDTH - 14, false};
    chart.y = (eval_axis){0, fmin(1, fmax(highest * 1.12, 0.02)), HEIGHT - 40, 24, false};
    eval_chart_axes(&chart, "questions answered, %", 100, "wrong among the answered, %", 100);
    const eval_curve random = {2, {0, 1}, {doubt->whole.risk, doubt->whole.risk}};
    const eval_curve shown = curve_from(&doubt->coverage, 0.05, chart.y.high);
    eval_chart_curve(&chart, &random, "limit");
    eval_chart_curve(&chart, &doubt->coverage_best, "best");
    eval_chart_curve(&chart, &shown, "curve");
    for (size_t i = 0; i < EVAL_COVERAGE_COUNT; i++) {
        const eval_abstention *of = &doubt->abstentions[i];
        char title[200];
        if (isnan(of->risk) || of->risk > chart.y.high) continue;
        snprintf(title, sizeof title, "asked for %.0f %%: answers %.1f %%, %.1f %% of them wrong",
                 100 * eval_coverages[i], 100 * of->coverage, 100 * of->risk);
        eval_chart_mark(&chart, 3, eval_axis_at(&chart.x, of->coverage), eval_axis_at(&chart.y, of->risk), 3, false,
                        title);
    }
    const double random_y = eval_axis_at(&chart.y, doubt->whole.risk);
    const double curve_y = eval_axis_at(&chart.y, curve_at(&shown, 0.3));
    const bool is_crowded = random_y < chart.y.to + 24; /* no room above the line */
    eval_chart_text(&chart, chart.x.to - 4, is_crowded ? random_y + 36 : random_y - 5, "soft halo", EVAL_ANCHOR_END,
                    "a doubt that knows nothing");
    eval_chart_text(&chart, eval_axis_at(&chart.x, 0.3), curve_y < chart.y.to + 24 ? curve_y + 22 : curve_y - 8,
                    "t-right halo", EVAL_ANCHOR_MIDDLE, "%s", eval_metrics[doubt->metric].label);
    eval_chart_text(&chart, chart.x.to - 4, chart.y.from - 8, "t-best halo", EVAL_ANCHOR_END, "one that knows all");
    eval_chart_end(&chart);
}

/* ---- reliability ----------------------------------------------------------------------------------------------- */

/* Answers to one question are not independent: the questions behind a bin, not its answers, make its interval. */
static void draw_bin(eval_chart *chart, const eval_doubt *doubt, const eval_bin *bin) {
    const double per_question = (double)doubt->n_held_out / fmax(1, (double)doubt->n_held_out_questions);
    const size_t n = (size_t)fmax(1, (double)bin->n / fmax(1, per_question));
    const eval_interval of = eval_wilson(bin->share * (double)n, n);
    const double x = eval_axis_at(&chart->x, bin->probability);
    char title[160];
    snprintf(title, sizeof title, "said %.0f %%, was %.0f %% [%.0f, %.0f] of %zu answers", 100 * bin->probability,
             100 * bin->share, 100 * of.low, 100 * of.high, bin->n);
    eval_chart_line(chart, x, eval_axis_at(&chart->y, of.low), x, eval_axis_at(&chart->y, of.high), "spread");
    eval_chart_mark(chart, 3, x, eval_axis_at(&chart->y, bin->share), 4, false, title);
}

void eval_chart_reliability(eval_page *page, const eval_doubt *doubt, const char *caption) {
    static const eval_curve diagonal = {2, {0, 1}, {0, 1}};
    eval_chart chart;
    char x_name[80], y_name[80];
    eval_chart_begin(&chart, page, WIDTH, HEIGHT, caption,
                     "What the probability that is learned from doubt says, and how often it comes true, in bins of "
                     "equally many answers, with 95 % intervals. The diagonal is honest.");
    snprintf(x_name, sizeof x_name, "said probability of being %s, %%", what_is_negative(doubt));
    snprintf(y_name, sizeof y_name, "share that was %s, %%", what_is_negative(doubt));
    chart.x = (eval_axis){0, 1, 34, WIDTH - 14, false};
    chart.y = (eval_axis){0, 1, HEIGHT - 40, 24, false};
    eval_chart_axes(&chart, x_name, 100, y_name, 100);
    eval_chart_curve(&chart, &diagonal, "limit");
    for (size_t i = 0; i < EVAL_RELIABILITY_BINS; i++)
        if (doubt->bins[i].n) draw_bin(&chart, doubt, &doubt->bins[i]);
    eval_chart_text(&chart, chart.x.to - 4, chart.y.from - 20, "halo", EVAL_ANCHOR_END, "calibration error %.3f",
                    doubt->reliability.error);
    eval_chart_text(&chart, chart.x.to - 4, chart.y.from - 7, "soft halo", EVAL_ANCHOR_END,
                    "above the line: too modest");
    eval_chart_end(&chart);
}

/* ---- distributions --------------------------------------------------------------------------------------------- */

static const char *unit_of(size_t metric) {
    const char *name = eval_metrics[metric].name;
    if (strstr(name, "varentropy")) return ", bits\xC2\xB2";
    return strstr(name, "entropy") || strcmp(name, "surprise") == 0 ? ", bits" : "";
}

static double largest_share(const eval_histogram *of) {
    double largest = 0;
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < EVAL_HISTOGRAM_BINS; i++)
            if (of->n[side]) largest = fmax(largest, (double)of->counts[side][i] / (double)of->n[side]);
    return largest;
}

/* Right answers stand on the middle line, wrong ones hang from it; each side adds up to one. */
static void draw_side(eval_chart *chart, const eval_histogram *of, size_t side, double middle, double room) {
    const double width = (chart->x.to - chart->x.from) / EVAL_HISTOGRAM_BINS, largest = largest_share(of);
    for (size_t i = 0; i < EVAL_HISTOGRAM_BINS; i++) {
        if (of->counts[side][i] == 0) continue;
        const double height = room * (double)of->counts[side][i] / (double)of->n[side] / largest;
        eval_chart_rect(chart, chart->x.from + width * (double)i + 0.5, side ? middle + 1 : middle - height - 1,
                        width - 1,
                        height, side ? "wrong" : "right");
    }
}

void eval_chart_distribution(eval_page *page, const eval_doubt *doubt, size_t metric, const char *caption) {
    enum { PLOT_HEIGHT = 190, MIDDLE = 82, ROOM = 62 };
    const eval_histogram *of = &doubt->histograms[metric];
    eval_chart chart;
    eval_chart_begin(&chart, page, WIDTH, PLOT_HEIGHT, caption,
                     "Distribution of the metric: bars above the line are of right (known) answers, bars below of "
                     "wrong (unknown) ones; each side adds up to one.");
    chart.x = (eval_axis){of->low, of->high > of->low ? of->high : of->low + 1, 12, WIDTH - 12, false};
    chart.y = (eval_axis){0, 1, PLOT_HEIGHT - 40, 8, false};
    char name[80];
    snprintf(name, sizeof name, "%s%s", eval_metrics[metric].label, unit_of(metric));
    eval_chart_axes(&chart, name, 1, NULL, 1);
    for (size_t side = 0; side < 2; side++) draw_side(&chart, of, side, MIDDLE, ROOM);
    eval_chart_line(&chart, chart.x.from, MIDDLE, chart.x.to, MIDDLE, "axis");
    /* Each where the other's bars are. */
    const bool is_reversed = doubt->areas[doubt->pool][metric].area.value < 0.5;
    const bool rises = (eval_metrics[metric].sign > 0) != is_reversed;
    eval_chart_text(&chart, rises ? chart.x.to : chart.x.from, 18, "t-right halo",
                    rises ? EVAL_ANCHOR_END : EVAL_ANCHOR_START, "%s, %zu", what_is_negative(doubt), of->n[0]);
    eval_chart_text(&chart, rises ? chart.x.from : chart.x.to, PLOT_HEIGHT - 46, "t-wrong halo",
                    rises ? EVAL_ANCHOR_START : EVAL_ANCHOR_END, "%s, %zu", what_is_positive(doubt), of->n[1]);
    eval_chart_end(&chart);
}
