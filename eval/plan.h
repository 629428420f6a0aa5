/* plan.h - what a run does, before it does it: tasks, policies, and the order of all units (a question with a policy
 * and a seed). Which questions are asked depends on the tasks, the half and the shard alone. */
#ifndef EVAL_PLAN_H
#define EVAL_PLAN_H

#include "record.h"

typedef struct eval_policy {
    char *name;
    ex_policy values;
    bool is_deterministic; /* the same answer for every seed: it is computed once */
} eval_policy;

/* "A,B:key=value:key=value,…": presets, policy files and `greedy`, each with keys of its own. */
ex_code eval_policies_read(eval_policy **out, size_t *count, const char *list, ex_error *error);
void eval_policies_free(eval_policy *policies, size_t count);
bool eval_policy_is_deterministic(const ex_policy *policy);
/* The likeliest token, always. */
ex_code eval_policy_greedy(ex_policy *policy, ex_error *error);
/* "majority,certain" */
ex_code eval_votes_read(eval_vote votes[EVAL_VOTE_COUNT], size_t *count, const char *list, ex_error *error);

typedef struct eval_terms { /* of a run, as its caller gives them; strings are borrowed */
    const char *const *tasks;
    size_t n_tasks;
    const char *task_folder; /* of the tasks that come with the program */
    size_t limit;            /* questions of each task; 0: all */
    const char *policies;
    const char *votes;       /* NULL: the first answer, or the majority where a budget allows several */
    size_t n_seeds;
    uint64_t first_seed;
    eval_budget budget;
    double budget_times;
    size_t n_trials;
    size_t shard, n_shards;
    const char *model;       /* name of its file, without folders */
    size_t n_context;        /* positions of a session; 0: what the tasks need */
} eval_terms;

typedef struct eval_plan {
    ex_engine *engine;
    eval_task **tasks;
    size_t n_tasks;
    bool owns_tasks;
    eval_policy *policies;
    size_t n_policies;
    size_t n_context;
    eval_run *run; /* what run.json will say */
} eval_plan;

/* Opens the tasks, and rejects lines whose prompt does not fit the context. */
ex_code eval_plan_open(eval_plan **out, ex_engine *engine, const eval_terms *terms, ex_error *error);
/* The same tasks and terms with other policies (which become the plan's) and another half, unsharded. */
ex_code eval_plan_derive(eval_plan **out, const eval_plan *from, eval_policy *policies, size_t n_policies,
                         eval_half half, ex_error *error);
void eval_plan_close(eval_plan *plan);

/* Lines of one question, and of all. */
size_t eval_run_units(const eval_run *run, size_t task);
size_t eval_run_total(const eval_run *run);
/* The first question at or after *task, *question that is asked; false when there is none. */
bool eval_run_find(const eval_run *run, size_t *task, size_t *question);

/* The tokens of a question's prompt, in new memory; of prompt and choice, of which *n_shared come before the choice. */
ex_code eval_prompt_tokens(const ex_engine *engine, const eval_task *task, const eval_question *question,
                           int32_t **tokens, size_t *n_tokens, ex_error *error);
ex_code eval_choice_tokens(const ex_engine *engine, const eval_task *task, const eval_question *question,
                           size_t choice, int32_t **tokens, size_t *n_tokens, size_t *n_shared, ex_error *error);

#endif
