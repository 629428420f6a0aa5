/* plan.c - tasks and terms become a run that run.json can describe. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

enum { SHOWN_MAX = 240, POLICY_TEXT = EX_RULES_MAX + 8192 }; /* bytes of a prompt in run.json, of a policy */

/* ---- the questions that are asked ------------------------------------------------------------------------------ */

size_t eval_run_units(const eval_run *run, size_t task) {
    return run->tasks[task].kind == EVAL_CHOOSE ? 1 : run->n_policies * run->n_seeds;
}

/* Place of the question among those of its half. */
static bool is_asked(const eval_run *run, size_t question) {
    if (run->half != EVAL_HALF_ALL && question % 2 != (run->half == EVAL_HALF_ODD)) return false;
    const size_t place = run->half == EVAL_HALF_ALL ? question : question / 2;
    return place % run->n_shards == run->shard;
}

bool eval_run_find(const eval_run *run, size_t *task, size_t *question) {
    for (; *task < run->n_tasks; ++*task, *question = 0)
        for (; *question < run->tasks[*task].n_questions; ++*question)
            if (is_asked(run, *question)) return true;
    return false;
}

size_t eval_run_total(const eval_run *run) {
    size_t total = 0;
    for (size_t task = 0, question = 0; eval_run_find(run, &task, &question); question++)
        total += eval_run_units(run, task);
    return total;
}

/* ---- prompts that fit ------------------------------------------------------------------------------------------ */

/* Positions that a question needs: prompt and answer, or prompt and longest choice. */
static ex_code positions_of(const eval_plan *plan, const eval_task *task, const eval_question *question, size_t *out,
                            ex_error *error) {
    int32_t *tokens;
    size_t n_shared, n = 0;
    *out = 0;
    if (task->kind == EVAL_CHOOSE && question->n_choices == 0)
        return eval_fail(error, EX_ERROR_FORMAT, 0, "the question has no choices");
    if (task->kind != EVAL_CHOOSE) {
        ex_code code = eval_prompt_tokens(plan->engine, task, question, &tokens, &n, error);
        free(tokens);
        *out = n + task->n_predict;
        return code;
    }
    for (size_t i = 0; i < question->n_choices; i++) {
        ex_code code = eval_choice_tokens(plan->engine, task, question, i, &tokens, &n, &n_shared, error);
        free(tokens);
        if (code != EX_OK) return code;
        if (n > *out) *out = n;
    }
    return EX_OK;
}

/* A question that cannot be asked is one line less; a model without a chat template is the run's failure. */
static ex_code fit_question(eval_plan *plan, eval_task *task, size_t *index, size_t most, ex_error *error) {
    size_t needed;
    ex_error reason;
    char text[200] = "";
    const size_t line = task->questions[*index].line;
    ex_code code = positions_of(plan, task, &task->questions[*index], &needed, &reason);
    if (code == EX_ERROR_MEMORY || code == EX_ERROR_UNSUPPORTED) {
        if (error) *error = reason;
        return code;
    }
    if (code != EX_OK) snprintf(text, sizeof text, "%.190s", reason.message);
    else if (needed > most)
        snprintf(text, sizeof text, "prompt and answer need %zu positions, and the context has %zu", needed, most);
    if (!*text) {
        if (needed > plan->n_context) plan->n_context = needed;
        ++*index;
        return EX_OK;
    }
    return eval_task_reject(task, line, text, error);
}

static ex_code fit_prompts(eval_plan *plan, size_t n_context, ex_error *error) {
    const size_t trained = (size_t)ex_engine_get_info(plan->engine).n_context;
    const size_t most = n_context > 0 ? n_context : trained;
    ex_code code = EX_OK;
    for (size_t i = 0; i < plan->n_tasks; i++)
        for (size_t j = 0; j < plan->tasks[i]->n_questions && code == EX_OK;)
            code = fit_question(plan, plan->tasks[i], &j, most, error);
    if (n_context > 0) plan->n_context = n_context;
    return code;
}

/* ---- what run.json says ---------------------------------------------------------------------------------------- */

static bool is_middle(char byte) { return ((unsigned char)byte & 0xC0) == 0x80; }

/* The end of a long text, which has the question. */
static char *shortened(const char *text) {
    const size_t length = strlen(text);
    if (length <= SHOWN_MAX) return strdup(text);
    const char *from = text + length - SHOWN_MAX;
    while (is_middle(*from)) from++;
    char *out = NULL;
    return asprintf(&out, "\xE2\x80\xA6%s", from) < 0 ? NULL : out;
}

static const char *right_of(const eval_question *question) {
    if (question->answer) return question->answer;
    if (question->n_accept > 0) return question->accept[0];
    for (size_t i = 0; i < question->n_choices; i++)
        if (question->is_right[i]) return question->choices[i];
    return NULL;
}

static bool describe_question(eval_run_task *to, size_t index, const eval_question *question) {
    const char *right = right_of(question);
    to->lines[index] = question->line;
    to->ids[index] = strdup(question->id ? question->id : "");
    to->prompts[index] = shortened(question->prompt);
    to->right[index] = right ? shortened(right) : NULL;
    to->n_choices[index] = question->n_choices;
    to->choices_right[index] = question->n_choices > 0 ? calloc(question->n_choices, sizeof(bool)) : NULL;
    if (to->choices_right[index])
        memcpy(to->choices_right[index], question->is_right, question->n_choices * sizeof(bool));
    return to->ids[index] && to->prompts[index] && !right == !to->right[index] &&
           !question->n_choices == !to->choices_right[index];
}

static bool describe_task(eval_run_task *to, const eval_task *task) {
    const size_t n = task->n_questions + 1;
    *to = (eval_run_task){.name = strdup(task->name), .kind = task->kind, .is_unknown = task->is_unknown,
                          .digest = task->digest, .lines = calloc(n, sizeof *to->lines),
                          .ids = calloc(n, sizeof *to->ids), .prompts = calloc(n, sizeof *to->prompts),
                          .right = calloc(n, sizeof *to->right), .n_choices = calloc(n, sizeof *to->n_choices),
                          .choices_right = calloc(n, sizeof *to->choices_right),
                          .bad = calloc(task->n_bad + 1, sizeof *to->bad)};
    if (!to->name || !to->lines || !to->ids || !to->prompts || !to->right || !to->n_choices || !to->choices_right ||
        !to->bad)
        return false;
    if (task->n_bad > 0) memcpy(to->bad, task->bad, task->n_bad * sizeof *to->bad);
    to->n_bad = task->n_bad;
    for (size_t i = 0; i < task->n_questions; i++) {
        to->n_questions++;
        if (!describe_question(to, i, &task->questions[i])) return false;
    }
    return true;
}

static bool describe_policy(eval_run_policy *to, const eval_policy *policy) {
    size_t length;
    *to = (eval_run_policy){.name = strdup(policy->name), .text = malloc(POLICY_TEXT), .price = 1};
    if (!to->name || !to->text) return false;
    ex_policy_format(&policy->values, to->text, POLICY_TEXT, &length);
    return length < POLICY_TEXT;
}

static ex_code describe(eval_plan *plan, ex_error *error) {
    eval_run *run = plan->run;
    const ex_engine_info info = ex_engine_get_info(plan->engine);
    run->version = strdup(ex_version());
    run->kernels = strdup(info.kernels);
    run->model_bytes = ex_file_size(ex_engine_file(plan->engine));
    run->tasks = calloc(plan->n_tasks, sizeof *run->tasks);
    run->policies = calloc(plan->n_policies, sizeof *run->policies);
    bool is_whole = run->model && run->version && run->kernels && run->tasks && run->policies;
    for (size_t i = 0; i < plan->n_tasks && is_whole; i++, run->n_tasks++)
        is_whole = describe_task(&run->tasks[i], plan->tasks[i]);
    for (size_t i = 0; i < plan->n_policies && is_whole; i++, run->n_policies++)
        is_whole = describe_policy(&run->policies[i], &plan->policies[i]);
    return is_whole ? EX_OK : eval_fail_memory(error, "the description of a run");
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static ex_code open_tasks(eval_plan *plan, const eval_terms *terms, ex_error *error) {
    plan->tasks = calloc(terms->n_tasks, sizeof *plan->tasks);
    if (!plan->tasks) return eval_fail_memory(error, "tasks");
    plan->owns_tasks = true;
    for (size_t i = 0; i < terms->n_tasks; i++, plan->n_tasks++) {
        ex_code code = eval_task_open(&plan->tasks[i], terms->tasks[i], terms->task_folder, terms->limit, error);
        if (code != EX_OK) return code;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(plan->tasks[i]->name, plan->tasks[j]->name) != 0) continue;
            plan->n_tasks++;
            return eval_fail(error, EX_ERROR_ARGUMENT, 0, "the task '%s' is there twice", plan->tasks[i]->name);
        }
    }
    return EX_OK;
}

static ex_code take_terms(eval_run *run, const eval_terms *terms, ex_error *error) {
    const char *votes = terms->votes ? terms->votes : terms->budget == EVAL_BUDGET_NONE ? "first" : "majority";
    run->model = strdup(terms->model);
    run->n_seeds = terms->n_seeds;
    run->first_seed = terms->first_seed;
    run->budget = terms->budget;
    run->budget_times = terms->budget == EVAL_BUDGET_NONE ? 1 : terms->budget_times;
    run->shard = terms->shard;
    run->n_shards = terms->n_shards;
    run->n_trials = terms->n_trials;
    run->half = terms->n_trials > 0 ? EVAL_HALF_ODD : EVAL_HALF_ALL;
    return eval_votes_read(run->votes, &run->n_votes, votes, error);
}

ex_code eval_plan_open(eval_plan **out, ex_engine *engine, const eval_terms *terms, ex_error *error) {
    *out = NULL;
    eval_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return eval_fail_memory(error, "a plan");
    plan->engine = engine;
    plan->run = calloc(1, sizeof *plan->run);
    ex_code code = plan->run ? take_terms(plan->run, terms, error) : eval_fail_memory(error, "a plan");
    if (code == EX_OK) code = eval_policies_read(&plan->policies, &plan->n_policies, terms->policies, error);
    if (code == EX_OK) code = open_tasks(plan, terms, error);
    if (code == EX_OK) code = fit_prompts(plan, terms->n_context, error);
    if (code == EX_OK) code = describe(plan, error);
    if (code == EX_OK) *out = plan;
    else eval_plan_close(plan);
    return code;
}

/* The terms of `from`, in one piece. */
static eval_run *derive_run(const eval_run *from, eval_half half) {
    eval_run *run = calloc(1, sizeof *run);
    if (!run) return NULL;
    *run = (eval_run){.model = strdup(from->model), .n_seeds = from->n_seeds, .first_seed = from->first_seed,
                      .budget = from->budget, .budget_times = from->budget_times, .n_votes = from->n_votes,
                      .n_shards = 1, .half = half};
    memcpy(run->votes, from->votes, sizeof run->votes);
    return run;
}

ex_code eval_plan_derive(eval_plan **out, const eval_plan *from, eval_policy *policies, size_t n_policies,
                         eval_half half, ex_error *error) {
    *out = NULL;
    eval_plan *plan = calloc(1, sizeof *plan);
    if (!plan) {
        eval_policies_free(policies, n_policies);
        return eval_fail_memory(error, "a plan");
    }
    *plan = (eval_plan){.engine = from->engine, .tasks = from->tasks, .n_tasks = from->n_tasks, .policies = policies,
                        .n_policies = n_policies, .n_context = from->n_context, .run = derive_run(from->run, half)};
    ex_code code = plan->run ? describe(plan, error) : eval_fail_memory(error, "a plan");
    if (code == EX_OK) *out = plan;
    else eval_plan_close(plan);
    return code;
}

void eval_plan_close(eval_plan *plan) {
    if (!plan) return;
    eval_records_free(plan->run, NULL, 0);
    for (size_t i = 0; plan->owns_tasks && i < plan->n_tasks; i++) eval_task_close(plan->tasks[i]);
    if (plan->owns_tasks) free(plan->tasks);
    eval_policies_free(plan->policies, plan->n_policies);
    free(plan);
}
