/* plot_svg.h - the one drawing model of the pictures: elements of SVG, written as they are drawn. */
#ifndef CLI_PLOT_SVG_H
#define CLI_PLOT_SVG_H

#include <stdbool.h>
#include <stdio.h>

#include "plot_style.h"
#include "terminal.h"

typedef struct drawing {
    FILE *out;
    double width;
    bool titles;  /* write what shows when a pointer rests on an element */
    bool indices; /* number the elements of tokens, for a script */
    bool failed;  /* there was no memory for a part of it */
} drawing;

/* Zeroed, and to free; NULL without memory, which the drawing then tells. */
void *svg_memory(drawing *d, size_t count, size_t size);

typedef enum text_anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END } text_anchor;

/* Text as it can stand in XML: &, <, > and quotes escaped, control characters made visible. */
void svg_escape(FILE *out, const char *text);
void svg_number(FILE *out, double value); /* one decimal, without a trailing zero */
void svg_text(drawing *d, double x, double y, const char *class, text_anchor anchor, const char *format, ...)
    EX_PRINTF(6, 7);
/* In the fixed-width font; readers with another one squeeze it into `cells` cells. */
void svg_mono(drawing *d, double x, double y, const char *class, const char *text, int cells);
void svg_line(drawing *d, double x1, double y1, double x2, double y2, const char *class);
void svg_rect(drawing *d, double x, double y, double width, double height, const char *class);
/* A filled mark in the shape and colour of a style. `index`, of a token, is not written when it is negative. */
void svg_mark(drawing *d, int style, double x, double y, double radius, const char *title, long index);
/* An invisible rectangle that shows `title`. */
void svg_hit(drawing *d, double x, double y, double width, double height, const char *title, long index);
void svg_title(drawing *d, const char *title);

/* Cells of CELL pixels that a text takes in the fixed-width font; wide characters take two. */
int text_cells(const char *text);
extern const double CELL;
/* Pixels that a text takes in the proportional font, at least. */
double text_width(const char *text, double size);
/* A token as it is shown in a row: no blanks around it, visible when it is nothing but blanks, cut at 24 characters. */
void visible_token(char *buffer, size_t size, const char *text);

/* Title and subtitle of a picture; returns the y below them. */
double plot_heading(drawing *d, const char *title, const char *subtitle);
/* Strategies from the most frequent to the rarest, so that rare marks can lie on top: order [n_strategies]. */
void plot_order(const plot_trace *trace, size_t *order);
/* The strategies of the trace with their counts, and the line that is drawn under their words; returns the y below. */
double plot_legend(drawing *d, const plot_trace *trace, double y, bool underlined);
/* "a model, 128 tokens" */
void plot_subject(char *buffer, size_t size, const plot_trace *trace);

/* Each draws from y = 0 and returns its height. */
double plot_plane(drawing *d, const plot_trace *trace);
double plot_timeline(drawing *d, const plot_trace *trace);
double plot_heads(drawing *d, const plot_trace *trace);

enum { PLOT_MARGIN = 16 };

#endif
