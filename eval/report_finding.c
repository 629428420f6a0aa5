/* report_finding.c - what the numbers say, as sentences. "Beyond chance" is one rule everywhere: the p of the paired
 * randomisation test, after Holm's correction over the arms of the scope, is at most 0.05; in open text, where there is
 * no such test, the 95 % interval of the paired difference leaves out 0. */
#include <math.h>
#include <stdarg.h>

#include "report_parts.h"

void eval_say(eval_sentence *sentence, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const size_t room = sizeof sentence->text - sentence->n;
    const int n = vsnprintf(sentence->text + sentence->n, room, format, arguments);
    va_end(arguments);
    if (n > 0) sentence->n += (size_t)n < room ? (size_t)n : room - 1;
}

void eval_say_p(eval_sentence *sentence, double p) {
    if (p < 0.001) eval_say(sentence, "p < 0.001");
    else eval_say(sentence, "p = %.3f", p);
}

const char *eval_baseline_name(const eval_summary *summary) {
    return summary->n_arms ? summary->arms[summary->baseline].label : "the baseline";
}

const eval_scope *eval_scope_shown(const eval_summary *summary, size_t index) {
    return &summary->scopes[(index + summary->n_scopes - 1) % summary->n_scopes];
}

const eval_doubt *eval_doubt_shown(const eval_summary *summary, size_t index) {
    return &summary->doubts[summary->arms[summary->baseline].policy][index];
}

/* ---- accuracy -------------------------------------------------------------------------------------------------- */

static bool is_compared(const eval_summary *summary, const eval_scope *scope, size_t arm) {
    return arm != summary->baseline && isfinite(scope->arms[arm].difference.difference.value);
}

typedef enum outcome { BETTER, WORSE, UNDECIDED } outcome;

static outcome outcome_of(const eval_arm_score *score) {
    if (!(score->p <= eval_alpha)) return UNDECIDED;
    return score->difference.difference.value > 0 ? BETTER : WORSE;
}

static size_t say_arms(eval_sentence *sentence, const eval_summary *summary, const eval_scope *scope, outcome which,
                       const char *before) {
    size_t n = 0;
    for (size_t i = 0; i < summary->n_arms; i++) {
        const eval_arm_score *score = &scope->arms[i];
        if (!is_compared(summary, scope, i) || outcome_of(score) != which) continue;
        eval_say(sentence, "%s%s %+.1f", n++ ? "; " : before, summary->arms[i].label,
                 eval_round(100 * score->difference.difference.value, 1));
        if (which == UNDECIDED) continue;
        eval_say(sentence, ", ");
        eval_say_p(sentence, score->p);
    }
    if (n) eval_say(sentence, ".");
    return n;
}

void eval_say_differences(eval_sentence *sentence, const eval_summary *summary, const eval_scope *scope) {
    eval_say(sentence, "%s: ", scope->name);
    if (isnan(scope->arms[summary->baseline].accuracy.value)) {
        eval_say(sentence, "nothing has been answered by %s.", eval_baseline_name(summary));
        return;
    }
    eval_say(sentence, "%s is right in %.1f %% of its answers.", eval_baseline_name(summary),
             100 * scope->arms[summary->baseline].accuracy.value);
    size_t sure = say_arms(sentence, summary, scope, BETTER, " Better beyond chance, in points: ");
    sure += say_arms(sentence, summary, scope, WORSE, " Worse beyond chance, in points: ");
    say_arms(sentence, summary, scope, UNDECIDED,
             sure ? " Not beyond chance: " : " No difference is beyond chance, in points: ");
}

static size_t find_best(const eval_summary *summary, const eval_scope *scope) {
    if (scope->arms[summary->baseline].is_best) return summary->baseline;
    for (size_t i = 0; i < summary->n_arms; i++)
        if (scope->arms[i].is_best) return i;
    return summary->baseline;
}

void eval_say_leader(eval_sentence *sentence, const eval_summary *summary, const eval_scope *scope) {
    const size_t best = find_best(summary, scope);
    const eval_arm_score *score = &scope->arms[best];
    eval_say(sentence, "%s: ", scope->name);
    if (isnan(score->accuracy.value)) eval_say(sentence, "no answers yet");
    else if (best == summary->baseline)
        eval_say(sentence, "no other is right more often than %s, %.1f %%", summary->arms[best].label,
                 100 * score->accuracy.value);
    else
        eval_say(sentence, "%s leads with %.1f %%, %s", summary->arms[best].label, 100 * score->accuracy.value,
                 score->p <= eval_alpha ? "beyond chance" : "a lead that may be chance");
}

void eval_say_count(eval_sentence *sentence, const eval_summary *summary, const eval_scope *scope) {
    size_t better = 0, worse = 0, n = 0;
    for (size_t i = 0; i < summary->n_arms; i++) {
        const eval_arm_score *score = &scope->arms[i];
        if (!is_compared(summary, scope, i)) continue;
        n++;
        better += outcome_of(score) == BETTER;
        worse += outcome_of(score) == WORSE;
    }
    eval_say(sentence, "%s: ", scope->name);
    if (better + worse == 0)
        eval_say(sentence, "none of %zu differs from %s beyond chance", n, eval_baseline_name(summary));
    else
        eval_say(sentence, "%zu of %zu better and %zu worse than %s beyond chance", better, n, worse,
                 eval_baseline_name(summary));
}

/* ---- doubt ----------------------------------------------------------------------------------------------------- */

void eval_say_signal(eval_sentence *sentence, const eval_doubt *doubt) {
    static const char *const what[] = {"wrong answers", "wrong answers", "unknown questions"};
    const eval_interval area = doubt->held_out.area;
    eval_say(sentence, "%s: ", doubt->name);
    if (!doubt->has_choice || isnan(area.value)) {
        eval_say(sentence, "too few of either kind to tell what a signal is worth");
        return;
    }
    char text[EVAL_INTERVAL_SIZE];
    const char *verdict = area.low > 0.5 ? "warns" : area.high < 0.5 ? "is a wrong warning" : "is no sure warning";
    eval_say(sentence, "%s (%s) %s of %s, area %s", eval_metrics[doubt->metric].label, eval_pool_names[doubt->pool],
             verdict, what[doubt->kind], eval_format_interval(text, area, 1, 2, false));
}

static double per_cent(size_t part, size_t whole) { return whole ? 100 * (double)part / (double)whole : 0; }

void eval_say_abstaining(eval_sentence *sentence, const eval_doubt *doubt, double coverage) {
    size_t i = 0;
    while (i + 1 < EVAL_COVERAGE_COUNT && eval_coverages[i] != coverage) i++;
    const eval_abstention *of = &doubt->abstentions[i];
    if (!doubt->has_choice || of->n == 0 || isnan(of->threshold)) {
        eval_say(sentence, "too few answers to abstain by");
        return;
    }
    const size_t n_right = of->n - of->n_wrong;
    eval_say(sentence, "answering %.0f %% avoids %zu of %zu wrong answers (%.0f %%)", 100 * of->coverage,
             of->n_wrong_avoided, of->n_wrong, per_cent(of->n_wrong_avoided, of->n_wrong));
    eval_say(sentence, " and loses %zu of %zu right ones (%.0f %%)", of->n_right_lost, n_right,
             per_cent(of->n_right_lost, n_right));
}

void eval_say_calibration(eval_sentence *sentence, const eval_doubt *doubt) {
    eval_say(sentence, "%s: ", doubt->name);
    if (isnan(doubt->reliability.error)) eval_say(sentence, "too few answers");
    else eval_say(sentence, "what doubt says of being %s is off by %.1f points on average",
                  doubt->kind == EVAL_DOUBT_UNKNOWN ? "known" : "right", 100 * doubt->reliability.error);
}

/* ---- open text ------------------------------------------------------------------------------------------------- */

void eval_say_text(eval_sentence *sentence, const eval_summary *summary, const eval_text_scope *scope,
                   eval_text_measure measure) {
    size_t higher = 0, lower = 0, n = 0;
    const size_t baseline = summary->arms[summary->baseline].policy;
    const double value = scope->policies[baseline].measures[measure].value;
    if (isnan(value)) {
        eval_say(sentence, "%s: nothing to measure", eval_text_names[measure].label);
        return;
    }
    for (size_t i = 0; i < summary->run->n_policies; i++) {
        const eval_interval of = scope->policies[i].differences[measure];
        if (!isfinite(of.value)) continue;
        n++;
        higher += of.low > 0;
        lower += of.high < 0;
    }
    eval_say(sentence, "%s %.*f with %s; of %zu others %zu are above, %zu below", eval_text_names[measure].label,
             eval_text_names[measure].digits, value, summary->run->policies[baseline].name, n, higher, lower);
}
