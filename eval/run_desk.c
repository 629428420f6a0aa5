/* run_desk.c - the questions that are open: their prompts, their units, and what is ready to be written. */
#include "run_desk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failure.h"
#include "run_prompt.h"

typedef enum unit_state { UNIT_READY, UNIT_RUNNING, UNIT_DONE, UNIT_COPY } unit_state;

typedef struct unit {
    struct open_question *of;
    unit_state state;
    double used; /* tokens of its answers */
    eval_result result;
} unit;

typedef struct open_question {
    size_t task, question;
    ex_session *prompt; /* holds the tokens but for the last */
    int32_t *tokens;
    size_t n_tokens;
    unit *units; /* [n_units], and under a budget one more: the greedy answer */
    size_t n_units, n_taken;
    bool has_reference, knows_reference;
    double reference; /* tokens of the greedy answer */
} open_question;

struct eval_desk {
    const eval_plan *plan;
    eval_batch *batch;
    eval_holder holder;
    ex_policy greedy;
    open_question *open; /* [n_room], a ring */
    size_t n_room, first, n_open;
    size_t task, question; /* the next to open */
    size_t n_skip;         /* units of the first question that are there already */
    eval_result copy;
};

/* ---- opening and closing --------------------------------------------------------------------------------------- */

static void skip_done(eval_desk *desk, size_t n_done) {
    const eval_run *run = desk->plan->run;
    while (eval_run_find(run, &desk->task, &desk->question) && n_done >= eval_run_units(run, desk->task)) {
        n_done -= eval_run_units(run, desk->task);
        desk->question++;
    }
    desk->n_skip = n_done;
}

ex_code eval_desk_open(eval_desk **out, const eval_plan *plan, eval_batch *batch, size_t n_open, size_t n_done,
                       ex_error *error) {
    eval_desk *desk = *out = calloc(1, sizeof *desk);
    if (!desk) return eval_fail_memory(error, "questions");
    desk->plan = plan;
    desk->batch = batch;
    desk->holder.session = eval_batch_root(batch);
    desk->open = calloc(n_open, sizeof *desk->open);
    ex_code code = desk->open ? eval_policy_greedy(&desk->greedy, error) : eval_fail_memory(error, "questions");
    for (; code == EX_OK && desk->n_room < n_open; desk->n_room += code == EX_OK)
        code = ex_session_fork(&desk->open[desk->n_room].prompt, desk->holder.session, error);
    if (code == EX_OK) {
        skip_done(desk, n_done);
        return EX_OK;
    }
    eval_desk_close(desk);
    *out = NULL;
    return code;
}

static void clear_question(open_question *open) {
    for (size_t i = 0; open->units && i < open->n_units + open->has_reference; i++)
        eval_result_clear(&open->units[i].result);
    free(open->units);
    free(open->tokens);
    *open = (open_question){.prompt = open->prompt};
}

void eval_desk_close(eval_desk *desk) {
    if (!desk) return;
    for (size_t i = 0; i < desk->n_room; i++) {
        clear_question(&desk->open[i]);
        ex_session_close(desk->open[i].prompt);
    }
    free(desk->open);
    eval_holder_clear(&desk->holder);
    free(desk);
}

/* ---- a question ------------------------------------------------------------------------------------------------ */

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static open_question *question_at(const eval_desk *desk, size_t index) {
    return &desk->open[(desk->first + index) % desk->n_room];
}

static ex_code make_units(eval_desk *desk, open_question *open, ex_error *error) {
    const eval_run *run = desk->plan->run;
    open->n_units = eval_run_units(run, open->task);
    open->has_reference = run->budget != EVAL_BUDGET_NONE;
    open->units = calloc(open->n_units + 1, sizeof *open->units);
    if (!open->units) return eval_fail_memory(error, "questions");
    for (size_t i = 0; i < open->n_units; i++) {
        unit *one = &open->units[i];
        one->of = open;
        one->result.task = open->task;
        one->result.question = open->question;
        one->result.policy = i / run->n_seeds;
        one->result.seed = i % run->n_seeds;
        const bool is_copy = one->result.seed > 0 && desk->plan->policies[one->result.policy].is_deterministic;
        one->state = is_copy ? UNIT_COPY : UNIT_READY;
    }
    open->units[open->n_units].of = open;
    open->n_taken = desk->n_skip;
    desk->n_skip = 0;
    return EX_OK;
}

static ex_code hold_prompt(eval_desk *desk, open_question *open, ex_error *error) {
    const eval_task *task = desk->plan->tasks[open->task];
    ex_code code = eval_prompt_tokens(desk->plan->engine, task, &task->questions[open->question], &open->tokens,
                                      &open->n_tokens, error);
    if (code == EX_OK) code = eval_holder_hold(&desk->holder, open->tokens, open->n_tokens - 1, error);
    return code == EX_OK ? ex_session_assign(open->prompt, desk->holder.session, error) : code;
}

/* Nothing of it depends on a policy or a seed, and nothing has to be drawn. */
static ex_code choose(eval_desk *desk, open_question *open, ex_error *error) {
    const double start = now();
    open->n_units = 1;
    open->has_reference = false;
    open->units = calloc(1, sizeof *open->units);
    if (!open->units) return eval_fail_memory(error, "questions");
    unit *one = &open->units[0];
    *one = (unit){.of = open, .state = UNIT_DONE, .result = {.task = open->task, .question = open->question}};
    ex_code code = eval_choose(desk->plan, &desk->holder, open->prompt, &one->result, error);
    one->result.seconds = now() - start;
    return code;
}

static ex_code open_next(eval_desk *desk, ex_error *error) {
    open_question *open = question_at(desk, desk->n_open++);
    open->task = desk->task;
    open->question = desk->question++;
    if (desk->plan->tasks[open->task]->kind == EVAL_CHOOSE) return choose(desk, open, error);
    ex_code code = hold_prompt(desk, open, error);
    return code == EX_OK ? make_units(desk, open, error) : code;
}

/* ---- orders ---------------------------------------------------------------------------------------------------- */

/* Spreads the bits of seeds, tasks and lines: a seed means other random numbers in each question. */
static uint64_t mix(uint64_t value) {
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

static uint64_t seed_of(const eval_desk *desk, const unit *one) {
    const eval_task *task = desk->plan->tasks[one->of->task];
    uint64_t seed = mix(desk->plan->run->first_seed + one->result.seed);
    for (const char *at = task->name; *at; at++) seed = mix(seed ^ (unsigned char)*at);
    return mix(seed ^ task->questions[one->of->question].line);
}

static bool is_reference(const unit *one) { return one == &one->of->units[one->of->n_units]; }

static const ex_policy *policy_of(const eval_desk *desk, const unit *one) {
    return is_reference(one) ? &desk->greedy : &desk->plan->policies[one->result.policy].values;
}

/* What the unit may still cost; below 1: nothing. */
static double left_of(const eval_desk *desk, const unit *one) {
    const eval_run *run = desk->plan->run;
    return run->budget_times * one->of->reference / run->policies[one->result.policy].price - one->used;
}

static unit *find_ready(open_question *open) {
    if (open->has_reference && !open->knows_reference) {
        unit *reference = &open->units[open->n_units];
        return reference->state == UNIT_READY ? reference : NULL;
    }
    for (size_t i = 0; i < open->n_units; i++)
        if (open->units[i].state == UNIT_READY) return &open->units[i];
    return NULL;
}

static void make_order(eval_desk *desk, unit *one, eval_order *order) {
    const eval_task *task = desk->plan->tasks[one->of->task];
    const size_t n_before = one->result.n_answers;
    *order = (eval_order){.prompt = one->of->prompt,
                          .tokens = one->of->tokens,
                          .n_tokens = one->of->n_tokens,
                          .policy = policy_of(desk, one),
                          .seed = seed_of(desk, one),
                          .sequence = (uint32_t)n_before,
                          .n_predict = task->n_predict,
                          .stop = (const char *const *)task->stop,
                          .n_stop = task->n_stop,
                          .most_forwarded = n_before > 0 ? (size_t)left_of(desk, one) : 0,
                          .unit = one};
    one->state = UNIT_RUNNING;
}

ex_code eval_desk_order(eval_desk *desk, eval_order *order, bool *found, ex_error *error) {
    *found = true;
    for (size_t i = 0;; i++) {
        if (i == desk->n_open) {
            const bool is_more = eval_run_find(desk->plan->run, &desk->task, &desk->question);
            if (!is_more || desk->n_open == desk->n_room) break;
            ex_code code = open_next(desk, error);
            if (code != EX_OK) return code;
            if (question_at(desk, i)->units[0].state == UNIT_DONE) break; /* choices: to be written first */
        }
        unit *ready = find_ready(question_at(desk, i));
        if (!ready) continue;
        make_order(desk, ready, order);
        return EX_OK;
    }
    *found = false;
    return EX_OK;
}

/* ---- deliveries ------------------------------------------------------------------------------------------------ */

static ex_code grade(const eval_desk *desk, const unit *one, eval_answer *answer, ex_error *error) {
    const eval_task *task = desk->plan->tasks[one->of->task];
    if (task->kind != EVAL_CONTINUE) {
        free(answer->tokens);
        answer->tokens = NULL;
        ex_code code = eval_answer_of(task, answer->text, &answer->answer, error);
        if (code != EX_OK) return code;
        answer->is_right = eval_is_right(task, &task->questions[one->of->question], answer->text, answer->answer);
        return EX_OK;
    }
    if (!answer->tokens) answer->tokens = calloc(1, sizeof *answer->tokens);
    answer->answer = calloc(1, 1);
    return answer->answer && answer->tokens ? EX_OK : eval_fail_memory(error, "an answer");
}

static void forget(eval_answer *answer) {
    free(answer->text);
    free(answer->answer);
    free(answer->tokens);
}

static ex_code keep_answer(const eval_desk *desk, unit *one, eval_answer *answer, ex_error *error) {
    eval_result *result = &one->result;
    ex_code code = grade(desk, one, answer, error);
    eval_answer *grown = code == EX_OK ? realloc(result->answers, (result->n_answers + 1) * sizeof *grown) : NULL;
    if (!grown) {
        forget(answer);
        return code != EX_OK ? code : eval_fail_memory(error, "an answer");
    }
    result->answers = grown;
    result->answers[result->n_answers++] = *answer;
    return EX_OK;
}

static double cost_of(const eval_answer *answer) {
    return answer->n_forwarded > 0 ? (double)answer->n_forwarded : 1;
}

static bool may_go_on(const eval_desk *desk, const unit *one) {
    if (desk->plan->run->budget == EVAL_BUDGET_NONE) return false;
    return !desk->plan->policies[one->result.policy].is_deterministic && left_of(desk, one) >= 1;
}

ex_code eval_desk_deliver(void *context, eval_delivery *delivery, ex_error *error) {
    eval_desk *desk = context;
    unit *one = delivery->order.unit;
    one->result.seconds += delivery->seconds;
    one->state = UNIT_DONE;
    if (is_reference(one)) {
        one->of->reference = cost_of(&delivery->answer);
        one->of->knows_reference = true;
    }
    if (is_reference(one) || delivery->is_given_up) {
        forget(&delivery->answer);
        return EX_OK;
    }
    one->used += cost_of(&delivery->answer);
    ex_code code = keep_answer(desk, one, &delivery->answer, error);
    if (code == EX_OK && may_go_on(desk, one)) one->state = UNIT_READY;
    return code;
}

/* ---- results --------------------------------------------------------------------------------------------------- */

/* Closes what has been taken whole: a taken result lives until this call. */
static void close_taken(eval_desk *desk) {
    while (desk->n_open > 0 && question_at(desk, 0)->n_taken == question_at(desk, 0)->n_units) {
        clear_question(question_at(desk, 0));
        desk->first = (desk->first + 1) % desk->n_room;
        desk->n_open--;
    }
}

bool eval_desk_take(eval_desk *desk, const eval_result **result) {
    close_taken(desk);
    if (desk->n_open == 0) return false;
    open_question *open = question_at(desk, 0);
    unit *one = &open->units[open->n_taken];
    const unit *source = one->state == UNIT_COPY ? one - one->result.seed : one;
    if (source->state != UNIT_DONE) return false;
    desk->copy = source->result;
    desk->copy.seed = one->result.seed;
    *result = &desk->copy;
    open->n_taken++;
    return true;
}
