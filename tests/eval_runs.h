/* eval_runs.h - made-up runs of entropix eval with known truth, for the tests of reports. */
#ifndef EX_TESTS_EVAL_RUNS_H
#define EX_TESTS_EVAL_RUNS_H

#include "eval/record.h"

typedef struct made_task {
    const char *name;
    eval_kind kind;
    bool is_unknown;
    double right;      /* probability that the first policy is right */
    double separation; /* by how many standard deviations wrong answers show more entropy */
    size_t n_questions;
} made_task;

typedef struct made_policy {
    const char *name;
    double gain;        /* added to the probability of being right */
    size_t n_answers, n_tokens;
    double trap;        /* share of answers that a trap ends */
    bool same_by_seed;  /* each seed gives the same answer, as greedy does */
} made_policy;

typedef struct made_run {
    eval_run *run;
    eval_result *results;
    size_t n_results;
} made_run;

/* Everything is drawn from `seed`. Free it with eval_records_free. */
void make_run(made_run *made, const made_task *tasks, size_t n_tasks, const made_policy *policies, size_t n_policies,
              size_t n_seeds, uint64_t seed);
/* Six tasks, five policies: what a report of a real run looks like. */
void make_large_run(made_run *made, size_t n_questions, size_t n_seeds);
void free_made(made_run *made);
/* run.json and results.jsonl into a folder. */
ex_code write_made(const made_run *made, const char *folder, ex_error *error);

#endif
