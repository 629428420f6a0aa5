/* explain.c - a decision in words and numbers. */
#include <string.h>

#include "metric_fields.h"
#include "token_output.h"

enum { SHOWN_CANDIDATES = 5, SHOWN_AHEAD = 2, COLUMNS = 100, INDENT = 6 };

static ex_string text_of(const token_view *view, int32_t token) { return ex_token_text(view->tokenizer, token, true); }

static void next_part(const token_view *view) {
    paint_format(view->painter, NULL, "%s", view->as_block ? "\n      " : " | ");
}

/* In a block no line is wider than COLUMNS, and each group of metrics begins one. */
static void explain_metrics(const token_view *view, const ex_metrics *metrics) {
    int at = 0;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        char value[32];
        const char *name = ex_metric_name(i);
        const int width = (int)strlen(name) + snprintf(value, sizeof value, " %.3f", ex_metric_value(metrics, i)) + 1;
        const bool begins = i == 0 || (view->as_block && (metric_begins_group(i) || at + width > COLUMNS));
        if (begins) next_part(view), at = INDENT;
        at += width;
        paint_format(view->painter, style_dim, "%s%s", begins ? "" : " ", name);
        paint_format(view->painter, NULL, "%s", value);
    }
}

static void explain_rule(const token_view *view, const ex_decision *decision) {
    const char *condition = ex_rules_condition(view->rules, (size_t)decision->rule);
    next_part(view);
    paint_format(view->painter, NULL, "%s", *condition ? condition : "no rule above holds");
    if (decision->action != EX_ACTION_SAMPLE)
        paint_format(view->painter, NULL, ": %s", ex_action_name(decision->action));
    if (decision->margin_metric && *decision->margin_metric)
        paint_format(view->painter, NULL, ", margin %.3f in %s", decision->margin, decision->margin_metric);
}

static void explain_parameters(const token_view *view, const ex_decision *after) {
    const ex_policy *before = view->policy;
    next_part(view);
    paint_format(view->painter, NULL, "T %.3f -> %.3f  top_p %.3f -> %.3f  top_k %d -> %d  min_p %.3f -> %.3f",
                 before->temperature, after->temperature, before->top_p, after->top_p, before->top_k, after->top_k,
                 before->min_p, after->min_p);
}

static void explain_candidates(const token_view *view, const ex_distribution *distribution) {
    next_part(view);
    paint_format(view->painter, NULL, "kept %zu:", distribution->count);
    for (size_t i = 0; i < distribution->count && i < SHOWN_CANDIDATES; i++) {
        paint_format(view->painter, NULL, " ");
        paint_quoted(view->painter, style_bold, text_of(view, distribution->candidates[i].token));
        paint_format(view->painter, NULL, " %.3f", distribution->candidates[i].probability);
    }
    if (distribution->count > SHOWN_CANDIDATES) paint_format(view->painter, NULL, " ...");
}

static double score_of(const ex_distribution *distribution, int32_t token) {
    for (size_t i = 0; i < distribution->count; i++)
        if (distribution->candidates[i].token == token) return distribution->candidates[i].score;
    return 0;
}

static const ex_outlook *outlook_of(const ex_choice *choice, int32_t token) {
    for (size_t i = 0; i < choice->n_ahead; i++)
        if (choice->ahead[i].token == token) return &choice->ahead[i];
    return NULL;
}

static double best_score(const ex_choice *choice) {
    const ex_outlook *ahead = outlook_of(choice, choice->draw.token);
    return ahead ? ahead->score : score_of(&choice->distribution, choice->draw.token);
}

static int distinct_draws(const ex_draw *draw) {
    int distinct = 0;
    for (int32_t i = 0; i < draw->n_draws; i++) {
        int32_t before = 0;
        while (draw->drawn[before] != draw->drawn[i]) before++;
        distinct += before == i;
    }
    return distinct;
}

static void explain_outlook(const token_view *view, const ex_outlook *ahead) {
    paint_format(view->painter, NULL, " ");
    paint_quoted(view->painter, style_bold, text_of(view, ahead->token));
    paint_format(view->painter, NULL, " %.3f (%.2f bits)", ahead->score, ahead->metrics.logits_entropy);
}

/* The scores after looking ahead, and the entropy that is met there: of the one that was taken, and some others. */
static void explain_ahead(const token_view *view, const ex_choice *choice) {
    const ex_outlook *taken = outlook_of(choice, choice->draw.token);
    size_t shown = 0;
    next_part(view);
    paint_format(view->painter, NULL, "ahead of %zu:", choice->n_ahead);
    if (taken) explain_outlook(view, taken);
    for (size_t i = 0; i < choice->n_ahead && shown < SHOWN_AHEAD; i++) {
        if (&choice->ahead[i] == taken) continue;
        explain_outlook(view, &choice->ahead[i]);
        shown++;
    }
    if (choice->n_ahead > shown + (taken != NULL)) paint_format(view->painter, NULL, " ...");
}

static void explain_draw(const token_view *view, const ex_choice *choice) {
    const ex_draw *draw = &choice->draw;
    next_part(view);
    if (draw->token == EX_TOKEN_NONE) {
        paint_format(view->painter, NULL, "the clarification is inserted");
        return;
    }
    if (draw->n_draws == 0)
        paint_format(view->painter, NULL, "the likeliest is ");
    else if (draw->n_draws == 1)
        paint_format(view->painter, NULL, "drew %.6f: ", draw->uniform[0]);
    else
        paint_format(view->painter, NULL, "drew %d, %d distinct; best score %.3f: ", draw->n_draws,
                     distinct_draws(draw), best_score(choice));
    paint_quoted(view->painter, style_bold, text_of(view, draw->token));
}

void explain_event(const token_view *view, const ex_event *event) {
    const ex_choice *choice = event->choice;
    if (!choice) return;
    bool inserted = event->kind == EX_EVENT_INSERTED;
    const ex_decision *decision = &choice->decision;
    paint_format(view->painter, style_dim, "%5zu ", event->position);
    paint_quoted(view->painter, inserted ? style_inserted : strategy_style(decision->strategy, decision->action),
                 text_of(view, event->token));
    paint_format(view->painter, NULL, " %s%s", decision->strategy, inserted ? " (inserted)" : "");
    if (event->kind == EX_EVENT_END)
        paint_format(view->painter, NULL, event->end == EX_END_TRAP ? " (uncertain: stops here)" : " (ends the text)");
    explain_rule(view, &choice->decision);
    explain_metrics(view, &choice->metrics);
    explain_parameters(view, &choice->decision);
    if (choice->distribution.count) explain_candidates(view, &choice->distribution);
    if (choice->n_ahead) explain_ahead(view, choice);
    if (event->kind != EX_EVENT_END || event->end == EX_END_TOKEN) explain_draw(view, choice);
    paint_end(view->painter);
    fputc('\n', view->painter->out);
}
