/* plot_svg.c - numbers are rounded to tenths of a pixel: that is what makes large pictures small. */
#include "plot_svg.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const double CELL = 6.62;

enum { TOKEN_CELLS = 24, TEXT_SIZE = 400 };

void *svg_memory(drawing *d, size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) d->failed = true;
    return memory;
}

void svg_number(FILE *out, double value) {
    double tenths = rint(value * 10);
    if (fmod(tenths, 10) == 0) fprintf(out, "%.0f", tenths / 10);
    else fprintf(out, "%.1f", tenths / 10);
}

/* A control character of XML or of terminals: C0 but line feed and tab, DEL, C1, and the two that are no characters. */
static const char *replacement(const char *at, size_t n) {
    unsigned char first = (unsigned char)at[0];
    if (n == 0) return "\xEF\xBF\xBD";
    if (first == '\t') return "\xE2\x87\xA5";
    if (first < 0x20 || first == 0x7F) return "\xC2\xB7";
    if (n == 2 && first == 0xC2 && (unsigned char)at[1] < 0xA0) return "\xC2\xB7";
    return n == 3 && memcmp(at, "\xEF\xBF", 2) == 0 && (unsigned char)at[2] >= 0xBE ? "\xC2\xB7" : NULL;
}

static const char *entity(char character) {
    switch (character) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    default: return NULL;
    }
}

void svg_escape(FILE *out, const char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i);
        const char *other = entity(text[i]);
        if (!other && text[i] != '\n') other = replacement(text + i, n);
        if (other) fputs(other, out);
        else fwrite(text + i, 1, n, out);
        i += n ? n : 1;
    }
}

static void attribute(drawing *d, const char *name, double value) {
    fprintf(d->out, " %s=\"", name);
    svg_number(d->out, value);
    fputc('"', d->out);
}

static void begin(drawing *d, const char *element, const char *class) {
    fprintf(d->out, "<%s", element);
    if (*class) fprintf(d->out, " class=\"%s\"", class);
}

void svg_title(drawing *d, const char *title) {
    if (!d->titles || !title) return;
    fputs("<title>", d->out);
    svg_escape(d->out, title);
    fputs("</title>", d->out);
}

static void end_with_title(drawing *d, const char *element, const char *title, long index) {
    if (d->indices && index >= 0) fprintf(d->out, " data-i=\"%ld\"", index);
    if (!d->titles || !title) {
        fputs("/>\n", d->out);
        return;
    }
    fputc('>', d->out);
    svg_title(d, title);
    fprintf(d->out, "</%s>\n", element);
}

void svg_text(drawing *d, double x, double y, const char *class, text_anchor anchor, const char *format, ...) {
    static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
    char text[TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    begin(d, "text", class);
    attribute(d, "x", x);
    attribute(d, "y", y);
    fprintf(d->out, "%s>", anchors[anchor]);
    svg_escape(d->out, text);
    fputs("</text>\n", d->out);
}

void svg_mono(drawing *d, double x, double y, const char *class, const char *text, int cells) {
    fprintf(d->out, "<text class=\"mono %s\"", class);
    attribute(d, "x", x);
    attribute(d, "y", y);
    attribute(d, "textLength", cells * CELL);
    fputc('>', d->out);
    svg_escape(d->out, text);
    fputs("</text>\n", d->out);
}

void svg_line(drawing *d, double x1, double y1, double x2, double y2, const char *class) {
    begin(d, "path", class);
    fputs(" d=\"M", d->out);
    svg_number(d->out, x1);
    fputc(' ', d->out);
    svg_number(d->out, y1);
    fputc('L', d->out);
    svg_number(d->out, x2);
    fputc(' ', d->out);
    svg_number(d->out, y2);
    fputs("\"/>\n", d->out);
}

static void rectangle(drawing *d, double x, double y, double width, double height, const char *class) {
    begin(d, "rect", class);
    attribute(d, "x", x);
    attribute(d, "y", y);
    attribute(d, "width", width);
    attribute(d, "height", height);
}

void svg_rect(drawing *d, double x, double y, double width, double height, const char *class) {
    rectangle(d, x, y, width, height, class);
    fputs("/>\n", d->out);
}

void svg_hit(drawing *d, double x, double y, double width, double height, const char *title, long index) {
    if (!d->titles && !d->indices) return;
    rectangle(d, x, y, width, height, "hit");
    end_with_title(d, "rect", title, index);
}

typedef struct shape {
    int n; /* corners; 0: a circle */
    double corners[12][2];
} shape;

/* Of about the same area at radius 1. */
static const shape shapes[PLOT_STYLES] = {
    {0, {{0}}},                                                                        /* circle */
    {3, {{0, -1.3}, {1.2, 0.8}, {-1.2, 0.8}}},                                         /* triangle */
    {3, {{0, 1.3}, {1.2, -0.8}, {-1.2, -0.8}}},                                        /* triangle on its tip */
    {4, {{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}}},                                   /* diamond */
    {10, {{0, -1.5}, {0.38, -0.5}, {1.42, -0.46}, {0.6, 0.2}, {0.9, 1.22}, {0, 0.62}, {-0.9, 1.22}, {-0.6, 0.2},
          {-1.42, -0.46}, {-0.38, -0.5}}},                                             /* star */
    {4, {{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}}},                         /* square */
    {4, {{-1.3, -0.45}, {1.3, -0.45}, {1.3, 0.45}, {-1.3, 0.45}}},                     /* bar */
    {12, {{-0.4, -1.2}, {0.4, -1.2}, {0.4, -0.4}, {1.2, -0.4}, {1.2, 0.4}, {0.4, 0.4}, {0.4, 1.2}, {-0.4, 1.2},
          {-0.4, 0.4}, {-1.2, 0.4}, {-1.2, -0.4}, {-0.4, -0.4}}},                      /* plus */
    {6, {{-0.6, -1.05}, {0.6, -1.05}, {1.2, 0}, {0.6, 1.05}, {-0.6, 1.05}, {-1.2, 0}}}, /* hexagon */
    {4, {{-0.45, -1.3}, {0.45, -1.3}, {0.45, 1.3}, {-0.45, 1.3}}},                     /* upright bar */
    {12, {{0, -0.55}, {0.65, -1.2}, {1.2, -0.65}, {0.55, 0}, {1.2, 0.65}, {0.65, 1.2}, {0, 0.55}, {-0.65, 1.2},
          {-1.2, 0.65}, {-0.55, 0}, {-1.2, -0.65}, {-0.65, -1.2}}},                    /* cross */
    {4, {{-1.2, -0.8}, {0.6, -0.8}, {1.2, 0.8}, {-0.6, 0.8}}},                         /* parallelogram */
};

void svg_mark(drawing *d, int style, double x, double y, double radius, const char *title, long index) {
    const shape *s = &shapes[style];
    fprintf(d->out, "<%s class=\"dot s%d\"", s->n ? "path" : "circle", style);
    if (s->n) {
        fputs(" d=\"", d->out);
        for (int i = 0; i < s->n; i++) {
            fputc(i ? 'L' : 'M', d->out);
            svg_number(d->out, x + radius * s->corners[i][0]);
            fputc(' ', d->out);
            svg_number(d->out, y + radius * s->corners[i][1]);
        }
        fputs("Z\"", d->out);
    } else {
        attribute(d, "cx", x);
        attribute(d, "cy", y);
        attribute(d, "r", radius);
    }
    end_with_title(d, s->n ? "path" : "circle", title, index);
}

/* First characters of ranges, and whether those of the range are wide or take no place. */
static int character_cells(const char *at, size_t n) {
    static const struct {
        unsigned low, high;
        int cells;
    } ranges[] = {{0x300, 0x36F, 0},     {0x1100, 0x115F, 2},   {0x200B, 0x200F, 0},   {0x2E80, 0xA4CF, 2},
                  {0xAC00, 0xD7A3, 2},   {0xF900, 0xFAFF, 2},   {0xFE00, 0xFE0F, 0},   {0xFE30, 0xFE6F, 2},
                  {0xFF00, 0xFF60, 2},   {0xFFE0, 0xFFE6, 2},   {0x1F300, 0x1F64F, 2}, {0x1F680, 0x1F9FF, 2},
                  {0x20000, 0x3FFFD, 2}};
    unsigned character = (unsigned char)at[0];
    if (n > 1) character &= 0x7Fu >> n;
    for (size_t i = 1; i < n; i++) character = character << 6 | ((unsigned char)at[i] & 0x3Fu);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (character >= ranges[i].low && character <= ranges[i].high) return ranges[i].cells;
    return 1;
}

int text_cells(const char *text) {
    int cells = 0;
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i);
        cells += n ? character_cells(text + i, n) : 1;
        i += n ? n : 1;
    }
    return cells;
}

double text_width(const char *text, double size) { return 0.6 * size * text_cells(text); }

void visible_token(char *buffer, size_t size, const char *text) {
    size_t length = strlen(text), used = 0;
    while (length > 1 && text[0] == ' ') text++, length--;
    while (length > 1 && text[length - 1] == ' ') length--;
    int cells = 0;
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i), step = n ? n : 1;
        const char *shown = text + i, *other = replacement(shown, n);
        if (text[i] == '\n') other = "\xE2\x86\xB5";
        if (length == 1 && text[i] == ' ') other = "\xE2\x90\xA3";
        if (cells >= TOKEN_CELLS) other = "\xE2\x80\xA6";
        size_t n_shown = other ? strlen(other) : step;
        if (used + n_shown + 1 > size) break;
        memcpy(buffer + used, other ? other : shown, n_shown);
        used += n_shown;
        if (cells >= TOKEN_CELLS) break;
        cells += n ? character_cells(shown, n) : 1;
        i += step;
    }
    buffer[used] = '\0';
}
