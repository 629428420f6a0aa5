/* tune.c - trials, and which of them is the best. The trials of a policy are itself and random places in a small space,
 * the same places for all policies. */
#include "tune.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

enum { VALUES_MAX = 6, KEYS_MAX = 4, SETTINGS_MAX = 160 };

/* What a trial draws: one of the values for its keys. Factors are for thresholds, and for policies with strategies. */
typedef struct dimension {
    const char *name;
    bool is_factor;
    size_t n_keys, n_values;
    size_t fields[KEYS_MAX]; /* offsets in ex_policy */
    double values[VALUES_MAX];
} dimension;

static const dimension space[] = {
    {"temperature", false, 1, 6, {offsetof(ex_policy, temperature)}, {0.3, 0.5, 0.7, 0.85, 1, 1.2}},
    {"top_p", false, 1, 5, {offsetof(ex_policy, top_p)}, {0.6, 0.8, 0.9, 0.95, 1}},
    {"min_p", false, 1, 5, {offsetof(ex_policy, min_p)}, {0, 0.02, 0.05, 0.1, 0.2}},
    {"entropy_thresholds", true, 4, 5,
     {offsetof(ex_policy, low_entropy), offsetof(ex_policy, clarify_entropy), offsetof(ex_policy, explore_entropy),
      offsetof(ex_policy, high_entropy)},
     {0.5, 0.7, 1, 1.4, 2}},
    {"varentropy_thresholds", true, 2, 5,
     {offsetof(ex_policy, low_varentropy), offsetof(ex_policy, high_varentropy)},
     {0.5, 0.7, 1, 1.4, 2}},
};

static uint64_t mix(uint64_t value) {
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

/* Trial 0 is the policy as it was given. */
static void apply_trial(ex_policy *policy, size_t trial, char settings[SETTINGS_MAX]) {
    size_t length = 0;
    snprintf(settings, SETTINGS_MAX, "as given");
    for (size_t i = 0; trial > 0 && i < sizeof space / sizeof *space; i++) {
        const dimension *row = &space[i];
        const double value = row->values[mix(trial * 64 + i) % row->n_values];
        if (row->is_factor && !policy->strategies) continue;
        for (size_t j = 0; j < row->n_keys; j++) {
            double *field = (double *)(void *)((char *)policy + row->fields[j]);
            *field = row->is_factor ? *field * value : value;
        }
        length += (size_t)snprintf(settings + length, SETTINGS_MAX - length, "%s%s%s%g", length ? " " : "", row->name,
                                   row->is_factor ? " times " : "=", value);
    }
}

/* ---- the run of trials ----------------------------------------------------------------------------------------- */

static bool is_tuned(const eval_policy *policy) { return !policy->is_deterministic; }

static ex_code make_trial(eval_policy *to, const eval_policy *from, size_t trial, ex_error *error) {
    char settings[SETTINGS_MAX];
    *to = *from;
    to->name = NULL;
    if (asprintf(&to->name, "%s#%zu", from->name, trial) < 0) return eval_fail_memory(error, "trials");
    apply_trial(&to->values, trial, settings);
    to->is_deterministic = eval_policy_is_deterministic(&to->values);
    return ex_policy_check(&to->values, error);
}

/* The trials of the tuned policies, one policy after the other. */
static ex_code make_trials(const eval_plan *plan, eval_policy **out, size_t *count, ex_error *error) {
    const size_t n_trials = plan->run->n_trials;
    *count = 0;
    *out = calloc(plan->n_policies * n_trials, sizeof **out);
    ex_code code = *out ? EX_OK : eval_fail_memory(error, "trials");
    for (size_t i = 0; i < plan->n_policies && code == EX_OK; i++)
        for (size_t trial = 0; is_tuned(&plan->policies[i]) && trial < n_trials && code == EX_OK; trial++)
            code = make_trial(&(*out)[(*count)++], &plan->policies[i], trial, error);
    if (code == EX_OK && *count > 0) return EX_OK;
    eval_policies_free(*out, *count);
    *out = NULL;
    *count = 0;
    return code;
}

/* Share of right answers of each trial, [n_policies] of the trials' run. */
static ex_code read_accuracies(const char *folder, double **out, ex_error *error) {
    eval_run *run;
    eval_result *results;
    size_t n_results;
    ex_code code = eval_records_read(&run, &results, &n_results, folder, error);
    if (code != EX_OK) return code;
    *out = calloc(run->n_policies, sizeof **out);
    double *counts = calloc(run->n_policies, sizeof *counts);
    if (!*out || !counts) code = eval_fail_memory(error, "trials");
    for (size_t i = 0; i < n_results && code == EX_OK; i++) {
        const eval_run_task *task = &run->tasks[results[i].task];
        if (task->kind != EVAL_GENERATE || task->is_unknown) continue;
        const size_t taken = eval_vote_take(run->votes[0], results[i].answers, results[i].n_answers, NULL);
        (*out)[results[i].policy] += results[i].answers[taken].is_right;
        counts[results[i].policy]++;
    }
    for (size_t i = 0; i < run->n_policies && code == EX_OK; i++)
        if (counts[i] > 0) (*out)[i] /= counts[i];
    free(counts);
    eval_records_free(run, results, n_results);
    return code;
}

/* ---- choosing -------------------------------------------------------------------------------------------------- */

static size_t best_of(const double *accuracies, size_t n_trials) {
    size_t best = 0;
    for (size_t i = 1; i < n_trials; i++)
        if (accuracies[i] > accuracies[best]) best = i;
    return best;
}

static json_t *describe(const eval_policy *policy, const double *accuracies, size_t n_trials, size_t best) {
    json_t *trials = json_array();
    for (size_t i = 0; i < n_trials; i++) {
        char settings[SETTINGS_MAX];
        ex_policy values = policy->values;
        apply_trial(&values, i, settings);
        json_array_append_new(trials, json_pack("{s:s, s:f}", "settings", settings, "accuracy", accuracies[i]));
    }
    return json_pack("{s:s, s:I, s:o}", "policy", policy->name, "chosen", (json_int_t)best, "trials", trials);
}

static ex_code take_best(eval_plan *plan, const double *accuracies, ex_error *error) {
    json_t *all = json_array();
    char settings[SETTINGS_MAX];
    for (size_t i = 0; i < plan->n_policies; i++) {
        eval_policy *policy = &plan->policies[i];
        if (!is_tuned(policy)) continue;
        const size_t best = best_of(accuracies, plan->run->n_trials);
        json_array_append_new(all, describe(policy, accuracies, plan->run->n_trials, best));
        apply_trial(&policy->values, best, settings);
        accuracies += plan->run->n_trials;
    }
    plan->run->tuning = json_dumps(all, JSON_REAL_PRECISION(6));
    json_decref(all);
    return plan->run->tuning ? EX_OK : eval_fail_memory(error, "trials");
}

ex_code eval_tune(eval_plan *plan, const char *folder, size_t n_parallel, const eval_watcher *watcher, bool *stopped,
                  ex_error *error) {
    eval_policy *trials;
    eval_plan *tuning;
    double *accuracies = NULL;
    size_t n_trials;
    char path[4096];
    *stopped = false;
    snprintf(path, sizeof path, "%s/tuning", folder);
    ex_code code = make_trials(plan, &trials, &n_trials, error);
    if (code != EX_OK || n_trials == 0) return code;
    code = eval_plan_derive(&tuning, plan, trials, n_trials, EVAL_HALF_EVEN, error);
    if (code != EX_OK) return code;
    code = eval_run_plan(tuning, path, n_parallel, "trials", watcher, stopped, error);
    if (code == EX_OK && !*stopped) code = read_accuracies(path, &accuracies, error);
    if (code == EX_OK && !*stopped) code = take_best(plan, accuracies, error);
    free(accuracies);
    eval_plan_close(tuning);
    return code;
}
