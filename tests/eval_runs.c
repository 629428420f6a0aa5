/* eval_runs.c - every question has a difficulty that all policies share, so that pairing them helps, as in real
 * runs. */
#include "eval_runs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { N_CHOICES = 4, TEXT_TOKENS = 80 };

typedef struct state {
    uint64_t bits;
} state;

static double uniform(state *from) { return random_between(&from->bits, 0, 1); }

static double normal(state *from) { return sqrt(-2 * log(1 - uniform(from))) * cos(6.283185307179586 * uniform(from)); }

/* What two keys have in common with nothing else. */
static state state_of(uint64_t seed, size_t a, size_t b, size_t c, size_t d) {
    uint64_t mixed = seed;
    const uint64_t keys[] = {a, b, c, d};
    for (size_t i = 0; i < 4; i++) mixed = (mixed ^ (keys[i] + 1)) * 0x9E3779B97F4A7C15u ^ (mixed >> 29);
    state made = {mixed};
    for (int i = 0; i < 4; i++) uniform(&made);
    return made;
}

static void make_signals(eval_signals *signals, bool is_wrong, double separation, state *from) {
    static const double strength[EVAL_METRIC_COUNT] = {1, 0.7, 0.15, 0.1, 0.3, 0.2, 0, 0.9, 0.8};
    static const double pooled[EVAL_POOL_COUNT] = {0.6, 1, 0.8, 0.5};
    const double shared = normal(from);
    for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++)
        for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++) {
            const double noise = 0.6 * shared + 0.8 * normal(from);
            const double doubt = separation * strength[metric] * pooled[pool] * is_wrong + noise;
            signals->values[pool][metric] = eval_metrics[metric].sign * 0.5 * doubt + 2;
        }
}

static void make_answer(eval_answer *answer, const made_task *task, const made_policy *policy, double chance,
                        state *from) {
    answer->is_right = !task->is_unknown && uniform(from) < chance;
    const size_t wrong = (size_t)(uniform(from) * 5);
    char text[40];
    snprintf(text, sizeof text, answer->is_right ? "42" : "%zu", wrong);
    answer->text = strdup(text);
    answer->answer = strdup(text);
    answer->n_tokens = policy->n_tokens + (size_t)(uniform(from) * 6);
    answer->n_forwarded = answer->n_tokens;
    answer->end = uniform(from) < policy->trap * (answer->is_right ? 0.4 : 1.6) ? EX_END_TRAP : EX_END_TOKEN;
    make_signals(&answer->signals, !answer->is_right, task->separation, from);
}

static void make_text(eval_answer *answer, const made_policy *policy, state *from) {
    answer->n_tokens = TEXT_TOKENS;
    answer->tokens = calloc(TEXT_TOKENS, sizeof *answer->tokens);
    for (size_t i = 0; i < TEXT_TOKENS; i++) {
        const bool repeats = i >= 7 && uniform(from) < 0.9 - 8 * fabs(policy->gain);
        answer->tokens[i] = repeats ? answer->tokens[i - 7] : (int32_t)(uniform(from) * uniform(from) * 500);
    }
    answer->is_right = false;
}

static void make_choice(eval_result *result, double right, state *from) {
    result->n_choices = N_CHOICES;
    result->choice_scores = calloc(N_CHOICES, sizeof *result->choice_scores);
    result->choice_lengths = calloc(N_CHOICES, sizeof *result->choice_lengths);
    for (size_t i = 0; i < N_CHOICES; i++) {
        result->choice_scores[i] = -20 + 3 * normal(from) + (i == 0 ? 10 * (right - 0.25) : 0);
        result->choice_lengths[i] = 8 + floor(8 * uniform(from));
    }
}

static void make_result(eval_result *result, const made_task *task, const made_policy *policy, uint64_t seed) {
    state shared = state_of(seed, result->task, result->question, 0, 0);
    const double difficulty = 0.25 * normal(&shared);
    state own = state_of(seed, result->task, result->question, result->policy + 1,
                         policy->same_by_seed ? 1 : result->seed + 1);
    result->n_answers = task->kind == EVAL_GENERATE ? policy->n_answers : 1;
    result->answers = calloc(result->n_answers, sizeof *result->answers);
    const double chance = task->right + policy->gain - difficulty;
    for (size_t i = 0; i < result->n_answers; i++) make_answer(&result->answers[i], task, policy, chance, &own);
    if (task->kind == EVAL_CONTINUE) make_text(&result->answers[0], policy, &own);
    if (task->kind == EVAL_CHOOSE) make_choice(result, task->right, &own);
    result->seconds = (double)(result->n_answers * policy->n_tokens) / 400;
}

static void make_questions(eval_run_task *to, const made_task *from) {
    to->name = strdup(from->name);
    to->kind = from->kind;
    to->is_unknown = from->is_unknown;
    to->n_questions = from->n_questions;
    to->lines = calloc(from->n_questions + 1, sizeof *to->lines);
    to->ids = calloc(from->n_questions + 1, sizeof *to->ids);
    to->prompts = calloc(from->n_questions + 1, sizeof *to->prompts);
    to->right = calloc(from->n_questions + 1, sizeof *to->right);
    to->n_choices = calloc(from->n_questions + 1, sizeof *to->n_choices);
    if (from->kind == EVAL_CHOOSE) to->choices_right = calloc(from->n_questions + 1, sizeof *to->choices_right);
    for (size_t i = 0; i < from->n_questions; i++) {
        char id[24];
        snprintf(id, sizeof id, "%zu", i + 1);
        to->lines[i] = i + 1;
        to->ids[i] = strdup(id);
        to->prompts[i] = strdup("How many <script>alert(1)</script> are | there?");
        to->right[i] = from->is_unknown ? NULL : strdup(strstr(from->name, "problems") ? "42" : "Forty-two.");
        if (!to->choices_right) continue;
        to->choices_right[i] = calloc(N_CHOICES, sizeof **to->choices_right);
        to->choices_right[i][0] = true;
        to->n_choices[i] = N_CHOICES;
    }
}

static eval_run *make_terms(const made_task *tasks, size_t n_tasks, const made_policy *policies, size_t n_policies,
                            size_t n_seeds) {
    eval_run *run = calloc(1, sizeof *run);
    *run = (eval_run){.model = strdup("models/synthetic-40M-Q6_K.gguf"), .version = strdup("0.0.0"),
                      .kernels = strdup("portable"), .model_bytes = 34000000, .n_tasks = n_tasks,
                      .n_policies = n_policies, .n_seeds = n_seeds, .first_seed = 1, .n_votes = 2, .n_shards = 1,
                      .votes = {EVAL_VOTE_FIRST, EVAL_VOTE_MAJORITY}};
    run->tasks = calloc(n_tasks, sizeof *run->tasks);
    run->policies = calloc(n_policies, sizeof *run->policies);
    for (size_t i = 0; i < n_tasks; i++) make_questions(&run->tasks[i], &tasks[i]);
    for (size_t i = 0; i < n_policies; i++) {
        run->policies[i] = (eval_run_policy){.name = strdup(policies[i].name), .text = strdup(""), .price = 1};
        if (policies[i].n_answers > 1) run->budget = EVAL_BUDGET_TOKENS;
        if ((double)policies[i].n_answers > run->budget_times) run->budget_times = (double)policies[i].n_answers;
    }
    return run;
}

void make_run(made_run *made, const made_task *tasks, size_t n_tasks, const made_policy *policies, size_t n_policies,
              size_t n_seeds, uint64_t seed) {
    size_t n = 0;
    for (size_t i = 0; i < n_tasks; i++) n += tasks[i].n_questions * n_policies * n_seeds;
    *made = (made_run){make_terms(tasks, n_tasks, policies, n_policies, n_seeds), calloc(n + 1, sizeof(eval_result)),
                       0};
    for (size_t task = 0; task < n_tasks; task++)
        for (size_t question = 0; question < tasks[task].n_questions; question++)
            for (size_t policy = 0; policy < n_policies; policy++)
                for (size_t i = 0; i < n_seeds; i++) {
                    if (tasks[task].kind == EVAL_CHOOSE && (policy || i)) continue;
                    eval_result *result = &made->results[made->n_results++];
                    *result = (eval_result){.task = task, .question = question, .policy = policy, .seed = i};
                    make_result(result, &tasks[task], &policies[policy], seed);
                }
}

void make_large_run(made_run *made, size_t n_questions, size_t n_seeds) {
    const made_task tasks[] = {{"facts", EVAL_GENERATE, false, 0.62, 1.6, n_questions},
                               {"problems", EVAL_GENERATE, false, 0.55, 1.1, n_questions},
                               {"large_problems", EVAL_GENERATE, false, 0.4, 0.8, n_questions},
                               {"unknown", EVAL_GENERATE, true, 0, 2.4, n_questions},
                               {"arc_easy", EVAL_CHOOSE, false, 0.45, 0, n_questions},
                               {"prose", EVAL_CONTINUE, false, 0, 0, n_questions / 4 + 1}};
    const made_policy policies[] = {{"greedy", 0, 1, 20, 0, true},
                                    {"temperature 0.7 + top-p 0.9", -0.02, 8, 20, 0, false},
                                    {"min-p", -0.01, 8, 20, 0, false},
                                    {"entropixplained", -0.06, 1, 170, 0, false},
                                    {"entropix", 0.07, 8, 21, 0, false},
                                    {"trap", 0, 1, 18, 0.2, true}};
    make_run(made, tasks, sizeof tasks / sizeof *tasks, policies, sizeof policies / sizeof *policies, n_seeds, 7);
}

void free_made(made_run *made) { eval_records_free(made->run, made->results, made->n_results); }

ex_code write_made(const made_run *made, const char *folder, ex_error *error) {
    char path[600], *text = NULL;
    size_t length = 0;
    ex_code code = eval_run_format(made->run, &text, &length, error);
    snprintf(path, sizeof path, "%s/run.json", folder);
    FILE *out = code == EX_OK ? fopen(path, "wb") : NULL;
    if (out) {
        fwrite(text, 1, length, out);
        fclose(out);
    }
    free(text);
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    out = code == EX_OK ? fopen(path, "wb") : NULL;
    for (size_t i = 0; out && i < made->n_results; i++) {
        code = eval_result_format(&made->results[i], &text, &length, error);
        if (code != EX_OK) break;
        fwrite(text, 1, length, out);
        free(text);
    }
    return out && fclose(out) == 0 ? code : EX_ERROR_IO;
}
