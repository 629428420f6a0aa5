/* plot_style.h - colours and shapes of the pictures, in light and dark. */
#ifndef CLI_PLOT_STYLE_H
#define CLI_PLOT_STYLE_H

#include <stdio.h>

#include "plot_trace.h"

typedef enum plot_theme { THEME_AUTO, THEME_LIGHT, THEME_DARK } plot_theme;

enum { PLOT_STYLES = 12, PLOT_RAMP = 64 };

/* Gives each strategy of the trace a style: those of the presets their own, others what is left. */
void plot_assign_styles(plot_trace *trace);
/* The rules of all pictures. THEME_AUTO follows the reader's preference; programs that do not know custom properties
 * get the light colours. */
void plot_write_style(FILE *out, plot_theme theme);

/* The colours of one theme as custom properties. */
void plot_write_properties(FILE *out, plot_theme theme);

/* A step of the scale from low to high as #rrggbb: dark to light, so that it also reads without hue. */
const char *plot_ramp(char buffer[8], int step);
/* The step of a value between 0 and `maximum`. */
int plot_ramp_step(double value, double maximum);

#endif
