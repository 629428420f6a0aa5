/* plot_style.c - the palette is Okabe and Ito's, darkened where it would be text on white; strategies have a shape
 * each, too, so that no picture depends on colour alone. */
#include "plot_style.h"

#include <stdbool.h>
#include <string.h>

static const struct {
    const char *name, *light, *dark;
} colors[] = {
    {"page", "#ffffff", "#0d1117"},  {"ink", "#1f2328", "#e6edf3"},   {"soft", "#59636e", "#9198a1"},
    {"grid", "#e4e8ec", "#21262d"},  {"axis", "#8c959f", "#656c76"},  {"panel", "#f6f8fa", "#151b23"},
    {"lane0", "#4b7fae", "#6ea8dc"}, {"lane1", "#b98345", "#d9a765"}, {"lane2", "#7d8794", "#8b96a3"},
    {"lane3", "#8f78ad", "#ae97cf"}, {"limit", "#59636e", "#b1bac4"},
    {"s0", "#00805d", "#26b98c"},    {"s1", "#c94f00", "#f0803c"},    {"s2", "#b97700", "#e69f00"},
    {"s3", "#0072b2", "#56b4e9"},    {"s4", "#b04a88", "#e08fbe"},    {"s5", "#857500", "#e5d93c"},
    {"s6", "#59636e", "#9198a1"},    {"s7", "#1f2328", "#f0f6fc"},    {"s8", "#5d3a9b", "#b79bf0"},
    {"s9", "#8f4400", "#c98a55"},    {"s10", "#00707a", "#4fd0dc"},   {"s11", "#a01c2c", "#ff8b92"},
};

static const char *const preset_names[] = {"greedy",           "clarify",  "clarify_resample", "explore",
                                           "high_uncertainty", "adaptive", "plain"};
enum { N_PRESETS = sizeof preset_names / sizeof *preset_names };

/* Selector and declarations; @NAME is a colour. */
static const char *const rules[][2] = {
    {"text", "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:11px;fill:@ink"},
    {".mono", "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:11px"},
    {".title", "font-size:15px;font-weight:600"},
    {".soft", "fill:@soft"},
    {".small", "font-size:10px"},
    {".page", "fill:@page"},
    {".panel", "fill:@panel"},
    {".grid", "stroke:@grid;stroke-width:1px"},
    {".axis", "stroke:@axis;stroke-width:1px;fill:none"},
    {".limit", "stroke:@limit;stroke-width:1.2px;stroke-dasharray:5 3;fill:none"},
    {".leader", "stroke:@axis;stroke-width:.7px;fill:none"},
    {".dot", "stroke:@page;stroke-width:.8px;fill-opacity:.88"},
    {".ghost", "fill:@page;stroke:@soft;stroke-width:1.1px"},
    {".inserted", "fill:none;stroke:@ink;stroke-width:1px;stroke-dasharray:2 1.5"},
    {".event", "fill:none;stroke:@ink;stroke-width:1.4px;stroke-linejoin:round;stroke-linecap:round"},
    {".hit", "fill:@ink;fill-opacity:0"},
    {".lane0", "fill:@lane0"},
    {".lane1", "fill:@lane1"},
    {".lane2", "fill:@lane2"},
    {".lane3", "fill:@lane3"},
    {".range", "fill-opacity:.35;stroke:none"},
    {".mean", "fill:none;stroke:@ink;stroke-width:1px;stroke-linejoin:round"},
    {".s0", "fill:@s0"}, {".s1", "fill:@s1"}, {".s2", "fill:@s2"}, {".s3", "fill:@s3"},
    {".s4", "fill:@s4"}, {".s5", "fill:@s5"}, {".s6", "fill:@s6"}, {".s7", "fill:@s7"},
    {".s8", "fill:@s8"}, {".s9", "fill:@s9"}, {".s10", "fill:@s10"}, {".s11", "fill:@s11"},
    {".u0", "fill:none;stroke:@s0;stroke-width:1px;stroke-opacity:0"},
    {".u1", "fill:none;stroke:@s1;stroke-width:1px;stroke-dasharray:4 1.5"},
    {".u2", "fill:none;stroke:@s2;stroke-width:1px;stroke-dasharray:1.5 1.5"},
    {".u3", "fill:none;stroke:@s3;stroke-width:1px;stroke-dasharray:6 1.5 1.5 1.5"},
    {".u4", "fill:none;stroke:@s4;stroke-width:1px"},
    {".u5", "fill:none;stroke:@s5;stroke-width:1px;stroke-dasharray:2.5 2.5"},
    {".u6", "fill:none;stroke:@s6;stroke-width:1px;stroke-dasharray:1 3"},
    {".u7", "fill:none;stroke:@s7;stroke-width:1px;stroke-dasharray:5 3"},
    {".u8", "fill:none;stroke:@s8;stroke-width:1px;stroke-dasharray:3 1"},
    {".u9", "fill:none;stroke:@s9;stroke-width:1px;stroke-dasharray:8 2"},
    {".u10", "fill:none;stroke:@s10;stroke-width:1px;stroke-dasharray:1 1"},
    {".u11", "fill:none;stroke:@s11;stroke-width:1px;stroke-dasharray:6 1 1 1 1 1"},
};

static int style_named(const char *name) {
    for (int i = 0; i < N_PRESETS; i++)
        if (strcmp(preset_names[i], name) == 0) return i;
    return -1;
}

void plot_assign_styles(plot_trace *trace) {
    bool used[PLOT_STYLES] = {false};
    for (size_t i = 0; i < trace->n_strategies; i++) {
        int style = style_named(trace->strategies[i].name);
        trace->strategies[i].style = style;
        if (style >= 0) used[style] = true;
    }
    int next = N_PRESETS;
    for (size_t i = 0; i < trace->n_strategies; i++) {
        if (trace->strategies[i].style >= 0) continue;
        for (int tries = 0; used[next] && tries < PLOT_STYLES; tries++) next = (next + 1) % PLOT_STYLES;
        trace->strategies[i].style = next;
        used[next] = true;
        next = (next + 1) % PLOT_STYLES;
    }
}

static void write_color(FILE *out, const char *name, size_t length, plot_theme theme) {
    for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
        if (strlen(colors[i].name) == length && strncmp(colors[i].name, name, length) == 0)
            fputs(theme == THEME_DARK ? colors[i].dark : colors[i].light, out);
}

static void write_declaration(FILE *out, const char *text, int length, plot_theme theme) {
    const char *at = memchr(text, '@', (size_t)length);
    if (!at) {
        fprintf(out, "%.*s;", length, text);
        return;
    }
    int before = (int)(at - text);
    fprintf(out, "%.*s", before, text);
    write_color(out, at + 1, (size_t)(length - before - 1), theme);
    fputc(';', out);
    if (theme == THEME_AUTO) fprintf(out, "%.*svar(--%.*s);", before, text, length - before - 1, at + 1);
}

void plot_write_properties(FILE *out, plot_theme theme) {
    fputs(":root{", out);
    for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
        fprintf(out, "--%s:%s;", colors[i].name, theme == THEME_DARK ? colors[i].dark : colors[i].light);
    fputs("}", out);
}

void plot_write_style(FILE *out, plot_theme theme) {
    if (theme == THEME_AUTO) {
        plot_write_properties(out, THEME_LIGHT);
        fputs("\n@media (prefers-color-scheme:dark){", out);
        plot_write_properties(out, THEME_DARK);
        fputs("}\n", out);
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        fprintf(out, "%s{", rules[i][0]);
        for (const char *at = rules[i][1]; *at;) {
            int length = (int)strcspn(at, ";");
            write_declaration(out, at, length, theme);
            at += length + (at[length] == ';');
        }
        fputs("}\n", out);
    }
}

/* Lightness grows evenly; blue to yellow stays apart for all kinds of colour vision. */
const char *plot_ramp(char buffer[8], int step) {
    static const int stops[][3] = {{16, 30, 74}, {44, 76, 124}, {104, 117, 128}, {191, 165, 92}, {255, 237, 150}};
    enum { INTERVALS = sizeof stops / sizeof *stops - 1 };
    double at = (double)step / (PLOT_RAMP - 1) * INTERVALS;
    int low = at >= INTERVALS ? INTERVALS - 1 : (int)at, rgb[3];
    for (int i = 0; i < 3; i++) rgb[i] = (int)(stops[low][i] + (at - low) * (stops[low + 1][i] - stops[low][i]) + 0.5);
    snprintf(buffer, 8, "#%02x%02x%02x", (unsigned)rgb[0] & 0xFF, (unsigned)rgb[1] & 0xFF, (unsigned)rgb[2] & 0xFF);
    return buffer;
}

int plot_ramp_step(double value, double maximum) {
    if (!(value > 0) || !(maximum > 0)) return 0;
    return value >= maximum ? PLOT_RAMP - 1 : (int)(value / maximum * (PLOT_RAMP - 1) + 0.5);
}
