/* plot_parts.c - what all pictures have above them. */
#include <stdlib.h>

#include "plot_svg.h"

void plot_subject(char *buffer, size_t size, const plot_trace *trace) {
    char number[32];
    const char *model = trace->n_runs ? trace->runs[0].model : "";
    int used = snprintf(buffer, size, "%.80s%s%s token%s", model, *model ? ", " : "",
                        format_count(number, trace->n_tokens), trace->n_tokens == 1 ? "" : "s");
    if (used < 0 || (size_t)used >= size) return;
    if (trace->n_runs > 1) snprintf(buffer + used, size - (size_t)used, " of %zu sequences", trace->n_runs);
}

double plot_heading(drawing *d, const char *title, const char *subtitle) {
    svg_text(d, PLOT_MARGIN, 27, "title", ANCHOR_START, "%s", title);
    svg_text(d, PLOT_MARGIN, 46, "soft", ANCHOR_START, "%s", subtitle);
    return 54;
}

void plot_order(const plot_trace *trace, size_t *order) {
    for (size_t i = 0; i < trace->n_strategies; i++) {
        size_t at = i;
        for (; at > 0 && trace->strategies[order[at - 1]].count < trace->strategies[i].count; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

double plot_legend(drawing *d, const plot_trace *trace, double y, bool underlined) {
    double x = PLOT_MARGIN + 6;
    size_t *order = svg_memory(d, trace->n_strategies + 1, sizeof *order);
    if (!order) return y;
    plot_order(trace, order);
    y += 16;
    for (size_t i = 0; i < trace->n_strategies; i++) {
        const plot_strategy *strategy = &trace->strategies[order[i]];
        char label[96], number[32];
        snprintf(label, sizeof label, "%.50s %s (%.0f %%)", strategy->name, format_count(number, strategy->count),
                 100 * (double)strategy->count / (double)trace->n_tokens);
        double width = text_width(label, 11) + 32;
        if (x + width > d->width && i > 0) {
            x = PLOT_MARGIN + 6;
            y += 18;
        }
        svg_mark(d, strategy->style, x, y - 4, 4.5, NULL, -1);
        svg_text(d, x + 10, y, "", ANCHOR_START, "%s", label);
        if (underlined) {
            char class[16];
            snprintf(class, sizeof class, "u%d", strategy->style);
            svg_line(d, x + 10, y + 4, x + 10 + 0.85 * text_width(strategy->name, 11), y + 4, class);
        }
        x += width;
    }
    free(order);
    return y + 8;
}
