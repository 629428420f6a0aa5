/* heat.c - text on a background from dark blue (the model is sure) to light yellow (it doubts), with letters that stand
 * out on it: so it reads on black and on white terminals, and in any colour vision by lightness alone. */
#include "heat.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS = 8 };

/* Bounds do not move with the text, so that colours of two runs compare. */
struct heat_scale {
    const char *name, *label;
    size_t metric; /* offset in ex_metrics */
    double bounds[LEVELS - 1];
};

static const struct heat_scale scales[] = {
    {"entropy", "entropy, bits", offsetof(ex_metrics, logits_entropy), {0.05, 0.25, 0.75, 1.5, 2.5, 4, 6}},
    {"varentropy", "varentropy, bits\xC2\xB2", offsetof(ex_metrics, logits_varentropy), {0.1, 0.5, 1.5, 3, 6, 10, 15}},
    {"attention", "attention entropy / log2(positions)", offsetof(ex_metrics, attn_entropy_normalized),
     {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}},
};

#define TRUE_COLOR(letters, background) "\033[38;2;" letters ";48;2;" background "m"
#define INDEXED(letters, background) "\033[38;5;" letters ";48;5;" background "m"
#define WHITE "255;255;255"
#define BLACK "0;0;0"

static const char *const styles[2][LEVELS] = {
    {INDEXED("231", "17"), INDEXED("231", "18"), INDEXED("231", "24"), INDEXED("231", "60"), INDEXED("16", "102"),
     INDEXED("16", "143"), INDEXED("16", "179"), INDEXED("16", "228")},
    {TRUE_COLOR(WHITE, "16;30;74"), TRUE_COLOR(WHITE, "32;56;102"), TRUE_COLOR(WHITE, "53;82;125"),
     TRUE_COLOR(WHITE, "87;105;127"), TRUE_COLOR(BLACK, "137;137;116"), TRUE_COLOR(BLACK, "179;157;97"),
     TRUE_COLOR(BLACK, "220;196;113"), TRUE_COLOR(BLACK, "255;237;150")}};

int heat_open(cli_heat *heat, const cli_options *options) {
    const char *name = option_text(options, OPTION_HEAT), *terminal = getenv("COLORTERM");
    *heat = (cli_heat){0};
    if (!name) return STATUS_OK;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
        if (strcmp(scales[i].name, name) == 0) heat->scale = &scales[i];
    heat->true_color = terminal && (strcmp(terminal, "truecolor") == 0 || strcmp(terminal, "24bit") == 0);
    if (strcmp(name, "attention") != 0 || !option_flag(options, OPTION_NO_STATISTICS)) return STATUS_OK;
    message("--heat attention needs what --no-attention-statistics switches off; choose one");
    return STATUS_INPUT;
}

const char *heat_style(const cli_heat *heat, const ex_event *event, const char *current) {
    const ex_choice *choice = event->choice;
    if (!heat->scale && event->kind == EX_EVENT_INSERTED) return style_inserted;
    if (!choice) return current;
    if (!heat->scale) return strategy_style(choice->decision.strategy, choice->decision.action);
    double value = *(const double *)((const char *)&choice->metrics + heat->scale->metric);
    int level = 0;
    while (level < LEVELS - 1 && value >= heat->scale->bounds[level]) level++;
    return styles[heat->true_color][level];
}

void heat_legend(cli_painter *painter, const cli_heat *heat) {
    if (!heat->scale || !painter->color) return;
    const double *bounds = heat->scale->bounds;
    paint_format(painter, style_dim, "%-10s", "heat");
    for (int i = 0; i < LEVELS; i++) {
        const char *style = styles[heat->true_color][i];
        if (i == 0) paint_format(painter, style, " < %g ", bounds[0]);
        else if (i + 1 < LEVELS) paint_format(painter, style, " %g ", bounds[i - 1]);
        else paint_format(painter, style, " >= %g ", bounds[i - 1]);
    }
    paint_format(painter, NULL, " %s\n", heat->scale->label);
}
