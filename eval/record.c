/* record.c - the names of metrics, pools and votes, and freeing what records hold. */
#include "record.h"

#include <stdlib.h>

const eval_metric eval_metrics[EVAL_METRIC_COUNT] = {
    {"logits_entropy", "entropy", 1},
    {"logits_varentropy", "varentropy", 1},
    {"attn_entropy", "attention entropy", 1},
    {"attn_varentropy", "attention varentropy", 1},
    {"head_consensus", "consensus of heads", -1},
    {"agreement", "agreement (document)", 1},
    {"interaction_strength", "interaction strength", 1},
    {"probability_margin", "margin", -1},
    {"surprise", "surprise", 1},
};

const char *const eval_pool_names[EVAL_POOL_COUNT] = {"first", "mean", "maximum", "last"};

const char *const eval_vote_names[EVAL_VOTE_COUNT] = {"first", "majority", "certain", "consistent", "entropy", "tail"};

static void free_texts(char **texts, size_t count) {
    for (size_t i = 0; texts && i < count; i++) free(texts[i]);
    free(texts);
}

static void clear_task(eval_run_task *task) {
    free_texts(task->ids, task->n_questions);
    free_texts(task->prompts, task->n_questions);
    free_texts(task->right, task->n_questions);
    for (size_t i = 0; task->choices_right && i < task->n_questions; i++) free(task->choices_right[i]);
    free(task->choices_right);
    free(task->n_choices);
    free(task->lines);
    free(task->bad);
    free(task->name);
}

static void free_run(eval_run *run) {
    for (size_t i = 0; run->tasks && i < run->n_tasks; i++) clear_task(&run->tasks[i]);
    for (size_t i = 0; run->policies && i < run->n_policies; i++) {
        free(run->policies[i].name);
        free(run->policies[i].text);
    }
    free(run->tasks);
    free(run->policies);
    free(run->model);
    free(run->version);
    free(run->kernels);
    free(run->tuning);
    free(run);
}

void eval_result_clear(eval_result *result) {
    for (size_t i = 0; result->answers && i < result->n_answers; i++) {
        free(result->answers[i].text);
        free(result->answers[i].answer);
        free(result->answers[i].tokens);
    }
    free(result->answers);
    free(result->choice_scores);
    free(result->choice_lengths);
    *result = (eval_result){0};
}

void eval_records_free(eval_run *run, eval_result *results, size_t n_results) {
    for (size_t i = 0; results && i < n_results; i++) eval_result_clear(&results[i]);
    free(results);
    if (run) free_run(run);
}
