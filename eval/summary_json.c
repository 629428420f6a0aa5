/* summary_json.c - summary.json: every number of the report under the names of summary.h, NaN as null. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "summary.h"

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *count(size_t value) { return json_integer((json_int_t)value); }

/* Texts of files may hold anything. */
static json_t *text_of(const char *text) {
    json_t *value = json_string(text ? text : "");
    return value ? value : json_string("\xEF\xBF\xBD");
}

static void put(json_t *object, const char *key, json_t *value) { json_object_set_new_nocheck(object, key, value); }

static json_t *interval(eval_interval of) {
    json_t *list = json_array();
    const double values[] = {of.value, of.low, of.high};
    for (size_t i = 0; i < 3; i++) json_array_append_new(list, number(values[i]));
    return list;
}

static json_t *arm_score(const eval_summary *summary, size_t arm, const eval_arm_score *score) {
    json_t *object = json_object();
    const eval_arm *of = &summary->arms[arm];
    put(object, "arm", text_of(of->label));
    put(object, "policy", count(of->policy));
    put(object, "vote", json_string(eval_vote_names[of->vote]));
    put(object, "baseline", json_boolean(arm == summary->baseline));
    put(object, "best", json_boolean(score->is_best));
    put(object, "n_questions", count(score->n_questions));
    put(object, "n_results", count(score->n_results));
    put(object, "accuracy", interval(score->accuracy));
    put(object, "tokens", interval(score->tokens));
    put(object, "seconds", interval(score->seconds));
    put(object, "accuracy_per_1000_tokens", interval(score->per_thousand));
    put(object, "n_abstained", count(score->n_abstained));
    put(object, "n_wrong", count(score->n_wrong));
    put(object, "n_wrong_avoided", count(score->n_wrong_avoided));
    put(object, "n_right_lost", count(score->n_right_lost));
    if (arm == summary->baseline) return object;
    put(object, "difference", interval(score->difference.difference));
    put(object, "p", number(score->difference.p));
    put(object, "p_holm", number(score->p));
    put(object, "p_mcnemar", number(score->discordance.p));
    put(object, "p_mcnemar_holm", number(score->p_mcnemar));
    put(object, "n_better", count(score->discordance.n_only_a));
    put(object, "n_worse", count(score->discordance.n_only_b));
    return object;
}

static json_t *scopes(const eval_summary *summary) {
    json_t *list = json_array();
    for (size_t i = 0; i < summary->n_scopes; i++) {
        const eval_scope *scope = &summary->scopes[i];
        json_t *object = json_object(), *arms = json_array();
        put(object, "scope", text_of(scope->name));
        put(object, "n_tasks", count(scope->n_tasks));
        put(object, "n_questions", count(scope->rows.n));
        for (size_t arm = 0; arm < summary->n_arms; arm++)
            json_array_append_new(arms, arm_score(summary, arm, &scope->arms[arm]));
        put(object, "arms", arms);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *choices(const eval_summary *summary) {
    json_t *list = json_array();
    for (size_t i = 0; i < summary->n_choices; i++) {
        const eval_choice_score *score = &summary->choices[i];
        json_t *object = json_object();
        put(object, "task", text_of(summary->run->tasks[score->task].name));
        put(object, "n_questions", count(score->n_questions));
        put(object, "chance", number(score->chance));
        put(object, "acc", interval(score->accuracy));
        put(object, "acc_norm", interval(score->normalised));
        put(object, "mc1", interval(score->mc1));
        put(object, "mc2", interval(score->mc2));
        json_array_append_new(list, object);
    }
    return list;
}

/* ---- doubt ----------------------------------------------------------------------------------------------------- */

static json_t *curve(const eval_curve *of) {
    json_t *list = json_array();
    for (size_t i = 0; i < of->n; i++) {
        json_t *point = json_array();
        json_array_append_new(point, number(of->x[i]));
        json_array_append_new(point, number(of->y[i]));
        json_array_append_new(list, point);
    }
    return list;
}

static json_t *signals(const eval_doubt *doubt) {
    json_t *list = json_array();
    for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++)
        for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++) {
            json_t *object = json_object();
            put(object, "metric", json_string(eval_metrics[metric].name));
            put(object, "pool", json_string(eval_pool_names[pool]));
            put(object, "area", interval(doubt->areas[pool][metric].area));
            put(object, "calibration_error", number(doubt->calibration[pool][metric]));
            json_array_append_new(list, object);
        }
    return list;
}

static json_t *abstention(const eval_abstention *of, double asked) {
    json_t *object = json_object();
    put(object, "coverage_asked", number(asked));
    put(object, "coverage", number(of->coverage));
    put(object, "threshold", number(of->threshold));
    put(object, "risk", number(of->risk));
    put(object, "n", count(of->n));
    put(object, "n_answered", count(of->n_answered));
    put(object, "n_wrong", count(of->n_wrong));
    put(object, "n_wrong_avoided", count(of->n_wrong_avoided));
    put(object, "n_right_lost", count(of->n_right_lost));
    return object;
}

static json_t *bins(const eval_doubt *doubt) {
    json_t *list = json_array();
    for (size_t i = 0; i < EVAL_RELIABILITY_BINS; i++) {
        const eval_bin *bin = &doubt->bins[i];
        if (bin->n == 0) continue;
        json_t *object = json_object();
        put(object, "n", count(bin->n));
        put(object, "probability", number(bin->probability));
        put(object, "share", number(bin->share));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *histogram(const eval_histogram *of, size_t metric) {
    static const char *const keys[] = {"negative", "positive"};
    json_t *object = json_object();
    put(object, "metric", json_string(eval_metrics[metric].name));
    put(object, "low", number(of->low));
    put(object, "high", number(of->high));
    for (size_t side = 0; side < 2; side++) {
        json_t *list = json_array();
        for (size_t i = 0; i < EVAL_HISTOGRAM_BINS; i++) json_array_append_new(list, count(of->counts[side][i]));
        put(object, keys[side], list);
    }
    return object;
}

static void put_choice(json_t *object, const eval_doubt *doubt) {
    json_t *abstentions = json_array(), *histograms = json_array();
    put(object, "metric", json_string(eval_metrics[doubt->metric].name));
    put(object, "pool", json_string(eval_pool_names[doubt->pool]));
    put(object, "area_choosing", number(doubt->area_choosing));
    put(object, "area_held_out", interval(doubt->held_out.area));
    put(object, "n_held_out", count(doubt->n_held_out));
    put(object, "calibration_error", number(doubt->reliability.error));
    put(object, "brier", number(doubt->reliability.brier));
    put(object, "reliability", bins(doubt));
    json_array_append_new(abstentions, abstention(&doubt->whole, 1));
    for (size_t i = 0; i < EVAL_COVERAGE_COUNT; i++)
        json_array_append_new(abstentions, abstention(&doubt->abstentions[i], eval_coverages[i]));
    put(object, "abstaining", abstentions);
    put(object, "risk_area", number(doubt->risk.area));
    put(object, "risk_area_best", number(doubt->risk.area_best));
    put(object, "risk_area_random", number(doubt->risk.area_random));
    put(object, "roc", curve(&doubt->roc));
    put(object, "risk_coverage", curve(&doubt->coverage));
    for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++)
        json_array_append_new(histograms, histogram(&doubt->histograms[metric], metric));
    put(object, "histograms", histograms);
}

static json_t *doubts(const eval_summary *summary) {
    static const char *const kinds[] = {"wrong", "wrong or unknown", "unknown"};
    json_t *list = json_array();
    for (size_t policy = 0; policy < summary->run->n_policies; policy++)
        for (size_t i = 0; i < summary->n_doubts; i++) {
            const eval_doubt *doubt = &summary->doubts[policy][i];
            json_t *object = json_object();
            put(object, "policy", count(policy));
            put(object, "scope", text_of(doubt->name));
            put(object, "positive", json_string(kinds[doubt->kind]));
            put(object, "n", count(doubt->n));
            put(object, "n_positive", count(doubt->n_positive));
            put(object, "n_questions", count(doubt->n_questions));
            put(object, "signals", signals(doubt));
            if (doubt->has_choice) put_choice(object, doubt);
            json_array_append_new(list, object);
        }
    return list;
}

/* ---- open text and the whole ----------------------------------------------------------------------------------- */

static json_t *texts(const eval_summary *summary) {
    json_t *list = json_array();
    for (size_t i = 0; i < summary->n_texts; i++)
        for (size_t policy = 0; policy < summary->run->n_policies; policy++) {
            const eval_text_score *score = &summary->texts[i].policies[policy];
            json_t *object = json_object(), *differences = json_object();
            put(object, "task", text_of(summary->run->tasks[summary->texts[i].task].name));
            put(object, "policy", count(policy));
            for (size_t k = 0; k < EVAL_TEXT_COUNT; k++) {
                put(object, eval_text_names[k].key, interval(score->measures[k]));
                put(differences, eval_text_names[k].key, interval(score->differences[k]));
            }
            put(object, "differences", differences);
            json_array_append_new(list, object);
        }
    return list;
}

static void put_run(json_t *object, const eval_summary *summary) {
    const eval_run *run = summary->run;
    json_t *policies = json_array();
    put(object, "model", text_of(run->model));
    put(object, "version", text_of(run->version));
    put(object, "kernels", text_of(run->kernels));
    for (size_t i = 0; i < run->n_policies; i++) json_array_append_new(policies, text_of(run->policies[i].name));
    put(object, "policies", policies);
    put(object, "n_seeds", count(run->n_seeds));
    put(object, "n_results", count(summary->n_results));
    put(object, "n_expected", count(summary->n_expected));
    put(object, "n_bad_lines", count(summary->n_bad));
}

ex_code eval_summary_format(const eval_summary *summary, char **text, size_t *length, ex_error *error) {
    json_t *object = json_object();
    put_run(object, summary);
    put(object, "accuracy", scopes(summary));
    put(object, "choices", choices(summary));
    if (summary->known) put(object, "known", text_of(summary->known));
    put(object, "doubt", doubts(summary));
    put(object, "texts", texts(summary));
    json_t *tuning = summary->run->tuning ? json_loads(summary->run->tuning, 0, NULL) : NULL;
    if (tuning) put(object, "tuning", tuning);
    *text = json_dumps(object, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(8));
    json_decref(object);
    *length = *text ? strlen(*text) : 0;
    return *text ? EX_OK : eval_fail_memory(error, "summary.json");
}
