/* plot_timeline.c - metrics along the text. Short traces are set like music: rows of text with the metrics of each
 * token above it. Of long ones a row shows the course of the metrics, and the text follows below. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plot_svg.h"

enum { LEFT = 118, LANE = 36, LANE_GAP = 7, EVENTS = 15, SHORT = 320, LINE = 19, TEXT_MAX = 128, LANES = 4, BAR = 9 };

static const struct lane {
    plot_value metric;
    const char *name, *unit;
} lane_table[LANES] = {{PLOT_ENTROPY, "entropy", "bits"},
                       {PLOT_VARENTROPY, "varentropy", "bits\xC2\xB2"},
                       {PLOT_ATTN_ENTROPY, "attention entropy", "bits"},
                       {PLOT_DISAGREEMENT, "head disagreement", "bits"}};

typedef struct strip { /* the settled tokens of a run */
    const plot_trace *trace;
    size_t run, n;
    size_t *tokens;  /* indices in the trace */
    double *left, *width;
    int n_lanes;
    const struct lane *lanes[LANES];
    double highest[LANES];
} strip;

static const plot_token *token_at(const strip *s, size_t i) { return &s->trace->tokens[s->tokens[i]]; }
static double middle(const strip *s, size_t i) { return s->left[i] + s->width[i] / 2; }
static double lanes_height(const strip *s) { return s->n_lanes * (LANE + LANE_GAP); }

/* A lane for each metric that is not zero throughout: without attention statistics there is nothing to see. */
static void find_lanes(strip *s) {
    for (int i = 0; i < LANES; i++) {
        double highest = 0;
        for (size_t j = 0; j < s->n; j++) {
            double value = token_at(s, j)->values[lane_table[i].metric];
            if (value > highest) highest = value;
        }
        if (i > 1 && highest == 0) continue;
        s->lanes[s->n_lanes] = &lane_table[i];
        s->highest[s->n_lanes++] = highest > 0 ? highest : 1;
    }
}

static bool strip_open(drawing *d, strip *s, const plot_trace *trace, size_t run) {
    *s = (strip){.trace = trace, .run = run};
    s->tokens = svg_memory(d, trace->n_tokens + 1, sizeof *s->tokens);
    s->left = svg_memory(d, trace->n_tokens + 1, sizeof *s->left);
    s->width = svg_memory(d, trace->n_tokens + 1, sizeof *s->width);
    if (!s->tokens || !s->left || !s->width) return false;
    for (size_t i = 0; i < trace->n_tokens; i++)
        if (trace->tokens[i].run == run && trace->tokens[i].settled) s->tokens[s->n++] = i;
    find_lanes(s);
    return true;
}

static void strip_close(strip *s) {
    free(s->tokens);
    free(s->left);
    free(s->width);
}

/* The token of the strip at a position, or s->n. */
static size_t find_position(const strip *s, int64_t position) {
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t half = low + (high - low) / 2;
        if (token_at(s, half)->position < position) low = half + 1;
        else high = half;
    }
    return low;
}

static double lane_y(const strip *s, int lane, double y, double value) {
    double base = y + EVENTS + lane * (LANE + LANE_GAP) + LANE;
    return base - LANE * fmin(fmax(value, 0), s->highest[lane]) / s->highest[lane];
}

static void draw_frame(drawing *d, const strip *s, double y, double right) {
    for (int i = 0; i < s->n_lanes; i++) {
        double top = lane_y(s, i, y, s->highest[i]);
        svg_rect(d, LEFT, top, right - LEFT, LANE, "panel");
        svg_line(d, LEFT, top + LANE, right, top + LANE, "axis");
        svg_text(d, LEFT - 7, top + 15, "small", ANCHOR_END, "%s", s->lanes[i]->name);
        svg_text(d, LEFT - 7, top + 28, "small soft", ANCHOR_END, "0 to %.3g %s", s->highest[i], s->lanes[i]->unit);
    }
}

static void draw_bars(drawing *d, const strip *s, size_t first, size_t last, double y) {
    for (int lane = 0; lane < s->n_lanes; lane++) {
        char class[16];
        snprintf(class, sizeof class, "lane%d", (int)(s->lanes[lane] - lane_table));
        for (size_t i = first; i < last; i++) {
            double value = token_at(s, i)->values[s->lanes[lane]->metric], top = lane_y(s, lane, y, value);
            double base = lane_y(s, lane, y, 0);
            if (isfinite(value)) svg_rect(d, middle(s, i) - BAR / 2.0, top, BAR, base - top, class);
        }
    }
}

typedef struct column { /* the tokens that share a pixel */
    double lowest, highest, sum;
    size_t count;
} column;

static void put(drawing *d, char command, double x, double y) {
    fputc(command, d->out);
    svg_number(d->out, x);
    fputc(' ', d->out);
    svg_number(d->out, y);
}

static void draw_columns(drawing *d, const strip *s, int lane, const column *columns, size_t n, double y) {
    size_t drawn = 0;
    fprintf(d->out, "<path class=\"lane%d range\" d=\"", (int)(s->lanes[lane] - lane_table));
    for (size_t i = 0; i < n; i++)
        if (columns[i].count)
            put(d, drawn++ ? 'L' : 'M', LEFT + (double)i + 0.5, lane_y(s, lane, y, columns[i].highest));
    for (size_t i = n; i-- > 0;)
        if (columns[i].count) put(d, 'L', LEFT + (double)i + 0.5, lane_y(s, lane, y, columns[i].lowest));
    fputs(drawn ? "Z\"/>\n<path class=\"mean\" d=\"" : "\"/>\n<path class=\"mean\" d=\"", d->out);
    drawn = 0;
    for (size_t i = 0; i < n; i++)
        if (columns[i].count)
            put(d, drawn++ ? 'L' : 'M', LEFT + (double)i + 0.5,
                lane_y(s, lane, y, columns[i].sum / (double)columns[i].count));
    fputs("\"/>\n", d->out);
}

/* Range and mean of the tokens around each pixel. */
static bool draw_course(drawing *d, const strip *s, double y, double right) {
    size_t n = (size_t)(right - LEFT), reach = 1 + n / 400;
    column *columns = svg_memory(d, n, sizeof *columns);
    if (!columns) return false;
    for (int lane = 0; lane < s->n_lanes; lane++) {
        memset(columns, 0, n * sizeof *columns);
        for (size_t i = 0; i < s->n; i++) {
            double value = token_at(s, i)->values[s->lanes[lane]->metric];
            size_t at = (size_t)(middle(s, i) - LEFT);
            for (size_t j = at > reach ? at - reach : 0; isfinite(value) && j <= at + reach && j < n; j++) {
                column *c = &columns[j];
                c->lowest = c->count ? fmin(c->lowest, value) : value;
                c->highest = c->count ? fmax(c->highest, value) : value;
                c->sum += value;
                c->count++;
            }
        }
        draw_columns(d, s, lane, columns, n, y);
    }
    free(columns);
    return true;
}

static void draw_glyph(drawing *d, bool rewind, double x, double y) {
    fputs("<path class=\"event\" d=\"", d->out);
    put(d, 'M', x - 4, y);
    fputs(rewind ? "l3.5-3.5m-3.5 3.5l3.5 3.5m-3.5-3.5h7.5" : "h3l5-3.5m-5 3.5l5 3.5", d->out);
    fputs("\"/>\n", d->out);
}

/* Branches and ways back above the lanes, and what was taken back as rings on the first lane. */
static void draw_events(drawing *d, const strip *s, size_t first, size_t last, double y) {
    const plot_trace *trace = s->trace;
    double previous = -INFINITY;
    for (size_t i = 0; i < trace->n_marks; i++) {
        size_t at = trace->marks[i].run == s->run ? find_position(s, trace->marks[i].position) : s->n;
        if (at < first || at >= last || middle(s, at) < previous + 13) continue;
        previous = middle(s, at);
        draw_glyph(d, trace->marks[i].rewind, middle(s, at), y + EVENTS - 7);
        svg_hit(d, middle(s, at) - 7, y, 14, EVENTS, trace->marks[i].title, -1);
    }
    for (size_t i = 0; i < trace->n_tokens; i++) {
        const plot_token *token = &trace->tokens[i];
        if (token->settled || token->run != s->run || isnan(token->values[PLOT_ENTROPY])) continue;
        size_t at = find_position(s, token->position);
        if (at < first || at >= last) continue;
        fprintf(d->out, "<circle class=\"ghost\" r=\"%s\" cx=\"", s->width[at] < 6 ? "1.2" : "2.6");
        svg_number(d->out, middle(s, at));
        fputs("\" cy=\"", d->out);
        svg_number(d->out, lane_y(s, 0, y, token->values[PLOT_ENTROPY]));
        fputs("\">", d->out);
        svg_title(d, token->title);
        fputs("</circle>\n", d->out);
    }
}

static void draw_word(drawing *d, const strip *s, size_t i, double x, double y) {
    const plot_token *token = token_at(s, i);
    char text[TEXT_MAX], class[16];
    visible_token(text, sizeof text, token->text);
    int cells = text_cells(text);
    snprintf(class, sizeof class, "s%d", s->trace->strategies[token->strategy].style);
    if (cells) svg_mono(d, x, y, class, text, cells);
    if (token->kind == PLOT_INSERTED) svg_rect(d, x - 3, y - 11, cells * CELL + 6, 15, "inserted");
}

static int word_cells(const strip *s, size_t i) {
    char text[TEXT_MAX];
    visible_token(text, sizeof text, token_at(s, i)->text);
    return text_cells(text);
}

static void draw_hits(drawing *d, const strip *s, size_t first, size_t last, double y, double height) {
    for (size_t i = first; i < last; i++)
        svg_hit(d, s->left[i], y, s->width[i], height, token_at(s, i)->title, (long)s->tokens[i]);
}

/* Tokens from `first` that have room in a row; sets their places. */
static size_t fill_row(strip *s, size_t first, double right) {
    double x = LEFT;
    size_t i = first;
    for (; i < s->n; i++) {
        double width = fmax(14, word_cells(s, i) * CELL + 8);
        if (x + width > right && i > first) break;
        s->left[i] = x;
        s->width[i] = width;
        x += width;
    }
    return i;
}

static double draw_short(drawing *d, strip *s, double y) {
    double right = d->width - PLOT_MARGIN;
    for (size_t first = 0, last; first < s->n; first = last) {
        last = fill_row(s, first, right);
        double row_end = s->left[last - 1] + s->width[last - 1], words = y + EVENTS + lanes_height(s) + 22;
        draw_frame(d, s, y, fmin(right, fmax(row_end, LEFT + 40)));
        draw_bars(d, s, first, last, y);
        for (size_t i = first; i < last; i++) {
            const plot_token *token = token_at(s, i);
            svg_mark(d, s->trace->strategies[token->strategy].style, middle(s, i), words - 17, 3.4, NULL, -1);
            draw_word(d, s, i, s->left[i] + (s->width[i] - word_cells(s, i) * CELL) / 2, words);
        }
        svg_text(d, LEFT - 7, words, "small soft", ANCHOR_END, "from position %lld",
                 (long long)token_at(s, first)->position);
        draw_hits(d, s, first, last, y + EVENTS, words + 5 - y - EVENTS);
        draw_events(d, s, first, last, y);
        y = words + 16;
    }
    return y;
}

static double draw_text(drawing *d, const strip *s, double y) {
    double right = d->width - PLOT_MARGIN, x = right + 1;
    for (size_t i = 0; i < s->n; i++) {
        const plot_token *token = token_at(s, i);
        double width = word_cells(s, i) * CELL + (token->text[0] == ' ' || token->kind == PLOT_INSERTED ? CELL : 0);
        if (x + width > right) {
            x = LEFT - (token->text[0] == ' ' ? CELL : 0);
            y += LINE;
            svg_text(d, LEFT - 12, y, "small soft", ANCHOR_END, "%lld", (long long)token->position);
        }
        double start = x + width - word_cells(s, i) * CELL;
        if (strspn(token->text, " ") < strlen(token->text)) draw_word(d, s, i, start, y);
        char class[16];
        snprintf(class, sizeof class, "u%d", s->trace->strategies[token->strategy].style);
        svg_line(d, start, y + 3.5, x + width, y + 3.5, class);
        svg_hit(d, x, y - 12, width, 16, token->title, (long)s->tokens[i]);
        x += width;
    }
    return y + 12;
}

static double draw_long(drawing *d, strip *s, double y) {
    double right = d->width - PLOT_MARGIN, step = (right - LEFT) / (double)s->n;
    for (size_t i = 0; i < s->n; i++) {
        s->left[i] = LEFT + step * (double)i;
        s->width[i] = step;
    }
    draw_frame(d, s, y, right);
    draw_course(d, s, y, right);
    draw_events(d, s, 0, s->n, y);
    y += EVENTS + lanes_height(s);
    double apart = 70 / step;
    for (double i = 0; i < (double)s->n; i += apart) {
        size_t at = (size_t)i;
        svg_text(d, middle(s, at), y + 8, "small soft", ANCHOR_MIDDLE, "%lld", (long long)token_at(s, at)->position);
    }
    return draw_text(d, s, y + 12);
}

/* What the signs mean, of those that there are. */
static double draw_signs(drawing *d, const plot_trace *trace, double y) {
    bool rewinds = false, branches = false, inserted = false, ghosts = false;
    for (size_t i = 0; i < trace->n_marks; i++) *(trace->marks[i].rewind ? &rewinds : &branches) = true;
    for (size_t i = 0; i < trace->n_tokens; i++) {
        inserted |= trace->tokens[i].kind == PLOT_INSERTED;
        ghosts |= !trace->tokens[i].settled;
    }
    if (!rewinds && !branches && !inserted && !ghosts) return y;
    const struct {
        bool shown;
        const char *words;
    } signs[] = {{branches, "branched here"},
                 {rewinds, "went back to here"},
                 {ghosts, "taken back, or of a branch that lost"},
                 {inserted, "inserted"}};
    double x = PLOT_MARGIN + 6;
    y += 10;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (!signs[i].shown) continue;
        if (i < 2) draw_glyph(d, i == 1, x, y - 4);
        else if (i == 2) fprintf(d->out, "<circle class=\"ghost\" r=\"2.6\" cx=\"%.1f\" cy=\"%.1f\"/>\n", x, y - 4);
        else svg_rect(d, x - 6, y - 10, 12, 12, "inserted");
        svg_text(d, x + 10, y, "", ANCHOR_START, "%s", signs[i].words);
        x += 34 + text_width(signs[i].words, 11);
    }
    return y + 6;
}

double plot_timeline(drawing *d, const plot_trace *trace) {
    char subject[300] = "no tokens in this trace";
    const char *prompt = trace->n_runs ? trace->runs[0].prompt : "";
    size_t length = strlen(prompt), shown = length > 90 ? 90 : length;
    while (shown < length && ((unsigned char)prompt[length - shown] & 0xC0) == 0x80) shown--;
    if (trace->n_tokens && length)
        snprintf(subject, sizeof subject, "after \xE2\x80\x9C%s%s\xE2\x80\x9D", shown < length ? "\xE2\x80\xA6" : "",
                 prompt + length - shown);
    else if (trace->n_tokens) plot_subject(subject, sizeof subject, trace);
    double y = plot_heading(d, "Metrics along the text", subject);
    if (trace->n_tokens == 0) return y + PLOT_MARGIN;
    y = draw_signs(d, trace, plot_legend(d, trace, y, trace->n_tokens > SHORT)) + 6;
    for (size_t run = 0; run < trace->n_runs; run++) {
        strip s;
        if (strip_open(d, &s, trace, run) && s.n > 0) {
            if (trace->n_runs > 1) {
                svg_text(d, PLOT_MARGIN, y + 14, "", ANCHOR_START, "sequence %lld",
                         (long long)trace->runs[run].sequence);
                y += 20;
            }
            y = s.n <= SHORT ? draw_short(d, &s, y) : draw_long(d, &s, y);
        }
        strip_close(&s);
    }
    return y + PLOT_MARGIN / 2.0;
}
