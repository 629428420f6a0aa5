/* plot_output.h - pictures as files: each function returns the whole file in memory (to free), or NULL after a
 * message. */
#ifndef CLI_PLOT_OUTPUT_H
#define CLI_PLOT_OUTPUT_H

#include "plot_style.h"

typedef enum plot_part { PART_PLANE = 1, PART_TIMELINE = 2, PART_HEADS = 4, PART_ALL = 7 } plot_part;

typedef struct plot_request {
    const plot_trace *trace;
    unsigned parts; /* bits of plot_part */
    int width;      /* pixels */
    plot_theme theme;
} plot_request;

char *plot_svg(const plot_request *request, size_t *size);
char *plot_html(const plot_request *request, size_t *size);
char *plot_png(const plot_request *request, size_t *size);

/* One part as an <svg> element without a style of its own. */
bool plot_part_svg(const plot_request *request, plot_part part, bool indices, FILE *out);

#endif
