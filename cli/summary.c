/* summary.c - what a generation amounts to, for people and as JSON. */
#include <stddef.h>

#include "generation.h"
#include "metric_fields.h"

enum { BAR_CELLS = 60 };

static const char *const end_names[] = {
    [EX_END_NONE] = "none",       [EX_END_TOKEN] = "token", [EX_END_LENGTH] = "length",
    [EX_END_CONTEXT] = "context", [EX_END_STOP] = "stop",   [EX_END_TRAP] = "trap",
    [EX_END_RULE] = "rule"};

const char *end_name(ex_end end) { return end_names[end]; }

static double rate(size_t n, double seconds) { return seconds > 0 ? (double)n / seconds : 0; }

static double share(const cli_tally *tally, size_t rule) {
    return tally->n_tokens ? (double)tally->by_rule[rule] / (double)tally->n_tokens : 0;
}

static const char *style_of(const ex_rules *rules, size_t rule) {
    return strategy_style(ex_rules_name(rules, rule), ex_rules_action(rules, rule));
}

static void print_speed(cli_painter *painter, const char *what, size_t n, double seconds) {
    paint_format(painter, style_dim, "%-9s ", what);
    paint_format(painter, NULL, "%zu token%s in %.2f s, %.1f tokens/s\n", n, n == 1 ? "" : "s", seconds,
                 rate(n, seconds));
}

/* Each strategy in its colour: the legend of the text above. */
static void print_shares(cli_painter *painter, const cli_tally *tally, const ex_rules *rules) {
    const char *between = " ";
    paint_format(painter, style_dim, "%-9s", "strategy");
    for (size_t i = 0; i <= ex_rules_count(rules); i++) {
        if (tally->by_rule[i] == 0) continue;
        paint_format(painter, NULL, "%s", between);
        paint_format(painter, style_of(rules, i), "%s", ex_rules_name(rules, i));
        paint_format(painter, NULL, " %.1f %%", 100 * share(tally, i));
        between = "  ";
    }
    if (tally->n_inserted) paint_format(painter, NULL, " (%zu inserted)", tally->n_inserted);
    paint_format(painter, NULL, "\n");
    if (!painter->color) return;
    paint_format(painter, NULL, "%10s", "");
    size_t sum = 0, drawn = 0;
    for (size_t i = 0; i <= ex_rules_count(rules); i++) {
        sum += tally->by_rule[i];
        for (; drawn < sum * BAR_CELLS / tally->n_tokens; drawn++)
            paint_format(painter, style_of(rules, i), "\xE2\x96\x88");
    }
    paint_format(painter, NULL, "\n");
}

/* A rule that never held is perhaps one that never can. With `all`, how often each did. */
static void print_rules(cli_painter *painter, const cli_tally *tally, const ex_rules *rules, bool all) {
    bool begun = false;
    for (size_t i = 0; i < ex_rules_count(rules); i++) {
        if (!all && tally->fired[i] > 0) continue;
        if (!begun) paint_format(painter, style_dim, "%-10s", all ? "rules" : "not held");
        paint_format(painter, NULL, "%s", begun ? "  " : "");
        paint_format(painter, style_of(rules, i), "%s", ex_rules_name(rules, i));
        if (all) paint_format(painter, NULL, " %llu", (unsigned long long)tally->fired[i]);
        begun = true;
    }
    if (begun) paint_format(painter, NULL, "\n");
}

static void print_effort(cli_painter *painter, const cli_tally *tally) {
    if (tally->n_looked > 0) {
        paint_format(painter, style_dim, "%-10s", "ahead");
        paint_format(painter, NULL, "%zu candidates in %zu decisions looked at further, %zu of which that changed\n",
                     tally->n_candidates, tally->n_looked, tally->n_changed);
    }
    if (tally->n_branched > 0) {
        paint_format(painter, style_dim, "%-10s", "branches");
        paint_format(painter, NULL, "%zu times; %zu tokens of branches that were not kept\n", tally->n_branched,
                     tally->n_lost);
    }
    if (tally->n_rewound > 0) {
        paint_format(painter, style_dim, "%-10s", "rewound");
        paint_format(painter, NULL, "%zu token%s taken back in %zu step%s\n", tally->n_taken_back,
                     tally->n_taken_back == 1 ? "" : "s", tally->n_rewound, tally->n_rewound == 1 ? "" : "s");
    }
}

#define METRIC_INDEX(name) (offsetof(ex_metrics, name) / sizeof(double))

/* What people look at; the JSON summary has all. */
static const size_t shown_means[] = {
    METRIC_INDEX(logits_entropy),  METRIC_INDEX(logits_varentropy), METRIC_INDEX(attn_entropy),
    METRIC_INDEX(attn_varentropy), METRIC_INDEX(head_consensus),    METRIC_INDEX(interaction_strength),
};

static void print_means(cli_painter *painter, const cli_tally *tally) {
    if (tally->n_decisions == 0) return;
    paint_format(painter, style_dim, "%-10s", "means");
    for (size_t i = 0; i < sizeof shown_means / sizeof *shown_means; i++) {
        if (i > 0) paint_format(painter, NULL, "%s", i == 4 ? "\n          " : "  ");
        paint_format(painter, style_dim, "%s ", ex_metric_name(shown_means[i]));
        paint_format(painter, NULL, "%.3f", ex_metric_value(&tally->sums, shown_means[i]) / (double)tally->n_decisions);
    }
    paint_format(painter, NULL, "\n");
}

static void print_end(cli_painter *painter, const cli_generation *generation) {
    const cli_tally *tally = &generation->tally;
    const char *rule = ex_rules_name(generation->rules, (size_t)tally->end_rule);
    paint_format(painter, style_dim, "%-9s ", "ended");
    if (tally->interrupted)
        paint_format(painter, NULL, "by Ctrl-C");
    else if (tally->end == EX_END_TOKEN)
        paint_format(painter, NULL, "by the model");
    else if (tally->end == EX_END_LENGTH)
        paint_format(painter, NULL, "after %zu token%s (-n)", tally->n_tokens, tally->n_tokens == 1 ? "" : "s");
    else if (tally->end == EX_END_CONTEXT)
        paint_format(painter, NULL, "with the context of %zu positions full", ex_session_context(generation->session));
    else if (tally->end == EX_END_STOP)
        paint_format(painter, NULL, "at a stop text (--stop)");
    else if (tally->end == EX_END_TRAP)
        paint_format(painter, NULL, "uncertain, by rule %s at entropy %.3f, varentropy %.3f, attn_entropy %.3f", rule,
                     tally->end_metrics.logits_entropy, tally->end_metrics.logits_varentropy,
                     tally->end_metrics.attn_entropy);
    else if (tally->end == EX_END_RULE)
        paint_format(painter, NULL, "by rule %s", rule);
    else
        paint_format(painter, NULL, "early");
}

void summary_print(cli_painter *painter, const cli_generation *generation, bool rules) {
    const cli_tally *tally = &generation->tally;
    print_speed(painter, "prefill", tally->n_prefill, tally->prefill_seconds);
    print_speed(painter, "decode", tally->n_decoded, tally->decode_seconds);
    if (tally->n_tokens) print_shares(painter, tally, generation->rules);
    heat_legend(painter, &generation->heat);
    if (tally->n_decisions) print_rules(painter, tally, generation->rules, rules);
    print_effort(painter, tally);
    print_means(painter, tally);
    print_end(painter, generation);
    paint_end(painter);
}

static void emit_speed(emitter *json, const char *key, size_t n, double seconds) {
    emit_object_begin(json, key);
    emit_count(json, "tokens", n);
    emit_real(json, "seconds", seconds);
    emit_real(json, "tokens_per_second", rate(n, seconds));
    emit_object_end(json);
}

static void emit_rules(emitter *json, const cli_tally *tally, const ex_rules *rules) {
    emit_array_begin(json, "rules");
    for (size_t i = 0; i < ex_rules_count(rules); i++) {
        emit_object_begin(json, NULL);
        emit_text(json, "name", ex_rules_name(rules, i));
        emit_text(json, "action", ex_action_name(ex_rules_action(rules, i)));
        emit_count(json, "held", tally->fired[i]);
        emit_object_end(json);
    }
    emit_array_end(json);
}

static void emit_effort(emitter *json, const cli_tally *tally) {
    emit_object_begin(json, "effort");
    emit_count(json, "looked_ahead", tally->n_looked);
    emit_count(json, "candidates_looked_at", tally->n_candidates);
    emit_count(json, "changed_by_looking", tally->n_changed);
    emit_count(json, "branched", tally->n_branched);
    emit_count(json, "tokens_of_lost_branches", tally->n_lost);
    emit_count(json, "rewound", tally->n_rewound);
    emit_count(json, "tokens_taken_back", tally->n_taken_back);
    emit_object_end(json);
}

void summary_json(emitter *json, const cli_generation *generation) {
    const cli_tally *tally = &generation->tally;
    const ex_rules *rules = generation->rules;
    emit_speed(json, "prefill", tally->n_prefill, tally->prefill_seconds);
    emit_speed(json, "decode", tally->n_decoded, tally->decode_seconds);
    emit_count(json, "tokens", tally->n_tokens);
    emit_count(json, "inserted", tally->n_inserted);
    emit_object_begin(json, "strategies");
    for (size_t i = 0; i <= ex_rules_count(rules); i++) {
        emit_object_begin(json, ex_rules_name(rules, i));
        emit_count(json, "tokens", tally->by_rule[i]);
        emit_real(json, "share", share(tally, i));
        emit_object_end(json);
    }
    emit_object_end(json);
    emit_rules(json, tally, rules);
    emit_effort(json, tally);
    emit_object_begin(json, "mean_metrics");
    for (size_t i = 0; i < METRIC_COUNT && tally->n_decisions; i++)
        emit_real(json, ex_metric_name(i), ex_metric_value(&tally->sums, i) / (double)tally->n_decisions);
    emit_object_end(json);
    emit_text(json, "end", tally->interrupted ? "interrupted" : end_names[tally->end]);
}
