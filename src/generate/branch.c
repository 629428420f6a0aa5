/* branch.c - the action `branch`: several continuations of one text, a token of each in one pass over the weights.
 * Each stops where it is sure of itself again. The best is kept, with all its work; of the others nothing remains. */
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/generator.h"
#include "sampler/candidate.h"
#include "sampler/rule.h"

static ex_code open_branch(ex_generator *generator, ex_branch *branch, ex_error *error) {
    const ex_model *model = ex_session_model(generator->session);
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    size_t count;
    const int32_t *clarification = ex_sampler_clarification(generator->sampler, &count);
    ex_code code = ex_session_fork(&branch->session, generator->session, error);
    if (code == EX_OK) code = ex_session_rewind(branch->session, 0, error);
    if (code == EX_OK)
        code = ex_sampler_open_with(&branch->sampler, policy, model->shape.n_vocab, &model->kernels->vector_math,
                                    error);
    if (code == EX_OK) code = ex_generator_teach(generator, branch->sampler, error);
    if (code == EX_OK) code = ex_sampler_set_clarification(branch->sampler, clarification, count, error);
    if (code == EX_OK) code = ex_constrained_open(&branch->constrained, generator->constraint, error);
    if (code == EX_OK)
        code = ex_queue_open(&branch->entries, (size_t)policy->branch_tokens, model->shape.n_layer,
                             generator->options.n_likeliest, error);
    return code;
}

ex_code ex_branches_open(ex_generator *generator, ex_error *error) {
    if (!ex_rules_may(ex_sampler_rules(generator->sampler), EX_ACTION_BRANCH)) return EX_OK;
    const size_t n_branches = (size_t)ex_sampler_policy(generator->sampler)->branches;
    generator->branches = ex_allocate(n_branches, sizeof *generator->branches);
    if (!generator->branches) return ex_fail_memory(error, "branches");
    ex_code code = EX_OK;
    for (; generator->n_branches < n_branches && code == EX_OK; generator->n_branches++)
        code = open_branch(generator, &generator->branches[generator->n_branches], error);
    return code;
}

void ex_branches_close(ex_generator *generator) {
    for (size_t i = 0; i < generator->n_branches; i++) {
        ex_session_close(generator->branches[i].session);
        ex_sampler_close(generator->branches[i].sampler);
        ex_queue_close(&generator->branches[i].entries);
        ex_constrained_close(&generator->branches[i].constrained);
    }
    free(generator->branches);
}

/* ---- the tokens that branches begin with ---------------------------------------------------------------------- */

static bool is_taken(const ex_draw *draws, size_t count, int32_t token) {
    for (size_t i = 0; i < count; i++)
        if (draws[i].token == token) return true;
    return false;
}

/* The first is what was drawn; the others are drawn as well, and where a draw repeats one, the likeliest that is left
 * takes its place. Fewer than asked for where there are not so many candidates. */
static size_t first_draws(const ex_generator *generator, ex_draw *draws, size_t wanted) {
    const ex_distribution *distribution = &generator->choice.distribution;
    const size_t position = ex_session_position(generator->session);
    size_t count = 0;
    draws[count++] = generator->choice.draw;
    for (; count < wanted && count < distribution->count; count++) {
        ex_draw *draw = &draws[count];
        ex_draw_best(distribution, 1, EX_DRAWING_INVERSE, ex_generator_key(generator, position, (uint32_t)count),
                     draw);
        for (size_t i = 0; is_taken(draws, count, draw->token); i++) draw->token = distribution->candidates[i].token;
    }
    return count;
}

static ex_code add_token(ex_generator *generator, ex_branch *branch, const ex_sampler *sampler, const ex_choice *choice,
                         ex_random_key key, ex_error *error) {
    const int32_t token = choice->draw.token;
    const ex_traced traced = {.kind = EX_TRACE_TOKEN,
                              .position = key.position,
                              .attempt = key.attempt,
                              .branch = (int32_t)(branch - generator->branches),
                              .token = token,
                              .choice = choice,
                              .sampler = sampler};
    const ex_entry entry = {.kind = EX_EVENT_TOKEN,
                      .token = token,
                      .position = ex_session_position(branch->session),
                      .n_accepted = ex_sampler_count(branch->sampler),
                      .log_probability = ex_candidate_of(&choice->distribution, token)->log_probability,
                      .choice = *choice};
    ex_code code = ex_tracer_decision(generator->tracer, &traced, error);
    ex_queue_push(&branch->entries, &entry);
    ex_sampler_accept(branch->sampler, token, false);
    ex_constraint_accept(generator->constraint, &branch->constrained, token);
    branch->sum_log_probability += entry.log_probability;
    branch->n_tokens++;
    return code;
}

static ex_code begin(ex_generator *generator, ex_branch *branch, const ex_draw *draw, ex_error *error) {
    ex_choice choice = generator->choice;
    const uint32_t index = (uint32_t)(branch - generator->branches);
    const ex_random_key key = ex_generator_key(generator, ex_session_position(generator->session), index);
    choice.draw = *draw;
    ex_session_assign(branch->session, generator->session, NULL);
    ex_sampler_copy_history(branch->sampler, generator->sampler);
    ex_queue_clear(&branch->entries);
    ex_constraint_copy(generator->constraint, &branch->constrained, &generator->decided);
    branch->sum_log_probability = branch->sum_confidence = 0;
    branch->n_tokens = 0;
    branch->is_live = true;
    return add_token(generator, branch, generator->sampler, &choice, key, error);
}

/* ---- growing --------------------------------------------------------------------------------------------------- */

/* A branch goes on while its rules sample: certainty ends it, and so does all that is for the main line to do. */
static bool goes_on(const ex_generator *generator, const ex_choice *choice) {
    const ex_action action = choice->decision.action;
    if (action != EX_ACTION_SAMPLE && action != EX_ACTION_BRANCH) return false;
    return !ex_generator_ends(generator, choice->draw.token);
}

static ex_code grow(ex_generator *generator, ex_branch *branch, const ex_step *step, ex_error *error) {
    const uint32_t index = (uint32_t)(branch - generator->branches) + 1;
    ex_choice choice;
    ex_random_key key = ex_generator_key(generator, ex_session_position(branch->session), index);
    const ex_attention *attention;
    ex_code code = ex_generator_attention(generator, branch->session, step, &attention, error);
    if (code == EX_OK) code = ex_generator_constrain(generator, &branch->constrained, branch->sampler, error);
    if (code == EX_OK) code = ex_sampler_step(branch->sampler, step->logits, attention, key, &choice, error);
    if (code != EX_OK) return code;
    ex_generator_count(generator, &choice);
    ex_tracer_measured(generator->tracer, attention);
    branch->sum_confidence += ex_confidence(ex_sampler_policy(branch->sampler), &choice.metrics);
    branch->is_live = branch->n_tokens < generator->branch_limit && goes_on(generator, &choice);
    return branch->is_live ? add_token(generator, branch, branch->sampler, &choice, key, error) : EX_OK;
}

/* ---- choosing -------------------------------------------------------------------------------------------------- */

static double score_of(const ex_branch *branch) {
    const double n = (double)branch->n_tokens;
    return (branch->sum_log_probability + branch->sum_confidence) / n;
}

static ex_branch *best_of(const ex_generator *generator) {
    ex_branch *best = &generator->branches[0];
    for (size_t i = 1; i < generator->n_begun; i++)
        if (score_of(&generator->branches[i]) > score_of(best)) best = &generator->branches[i];
    return best;
}

static ex_code trace_all(ex_generator *generator, const ex_branch *winner, ex_error *error) {
    ex_traced_branch traced[EX_BRANCHES_MAX];
    for (size_t i = 0; i < generator->n_begun; i++) {
        const ex_branch *branch = &generator->branches[i];
        traced[i] = (ex_traced_branch){branch->n_tokens, score_of(branch),
                                       branch->sum_log_probability / (double)branch->n_tokens};
    }
    return ex_tracer_branched(generator->tracer, ex_queue_at(&winner->entries, 0)->position, traced,
                              (size_t)(winner - generator->branches), error);
}

static void keep(ex_generator *generator, ex_branch *branch) {
    for (size_t i = 0; i < branch->entries.count; i++)
        ex_queue_push(&generator->queue, ex_queue_at(&branch->entries, i));
    ex_session_exchange(generator->session, branch->session);
    ex_sampler_copy_history(generator->sampler, branch->sampler);
    ex_constraint_copy(generator->constraint, &generator->decided, &branch->constrained);
    generator->n_generated += branch->n_tokens;
    generator->effort.n_branched++;
    generator->effort.n_lost -= branch->n_tokens;
    generator->pending = EX_TOKEN_NONE;
    generator->step = ex_session_step(generator->session);
}

void ex_branches_release(ex_generator *generator) {
    for (size_t i = 0; i < generator->n_begun; i++) ex_session_rewind(generator->branches[i].session, 0, NULL);
    generator->n_begun = 0;
}

/* `code`: how growing ended. */
static ex_code choose(ex_generator *generator, ex_code code, ex_error *error) {
    ex_branch *best = best_of(generator);
    if (code == EX_OK) code = trace_all(generator, best, error);
    if (code == EX_OK) keep(generator, best);
    for (size_t i = 0; i < generator->n_begun; i++) generator->effort.n_lost += generator->branches[i].n_tokens;
    ex_branches_release(generator);
    return code;
}

/* ---- the action -------------------------------------------------------------------------------------------------- */

static ex_act grow_all;

static void want_newest(ex_generator *generator) {
    for (size_t i = 0; i < generator->n_begun; i++) {
        const ex_branch *branch = &generator->branches[i];
        if (!branch->is_live) continue;
        const int32_t newest = ex_queue_at(&branch->entries, branch->entries.count - 1)->token;
        ex_generator_want(generator, branch->session, newest);
    }
    generator->wants.then = grow_all;
}

/* A token of each that is live. */
static ex_code grow_all(ex_generator *generator, ex_error *error) {
    const ex_step *step = generator->wants.steps;
    ex_code code = EX_OK;
    for (size_t i = 0; i < generator->n_begun && code == EX_OK; i++)
        if (generator->branches[i].is_live) code = grow(generator, &generator->branches[i], step++, error);
    if (code == EX_OK) want_newest(generator);
    return generator->wants.count > 0 ? EX_OK : choose(generator, code, error);
}

ex_code ex_branch_out(ex_generator *generator, ex_error *error) {
    const size_t most = (size_t)ex_sampler_policy(generator->sampler)->branch_tokens;
    const size_t room = ex_generator_room(generator), limit = most < room ? most : room;
    const bool at_end = ex_generator_ends(generator, generator->choice.draw.token);
    ex_draw draws[EX_BRANCHES_MAX];
    const size_t count = limit > 0 ? first_draws(generator, draws, generator->n_branches) : 0;
    if (count < 2 || at_end) return ex_generator_take_token(generator, error);
    ex_tracer_branch(generator->tracer, count);
    ex_code code = EX_OK;
    generator->branch_limit = limit;
    for (generator->n_begun = 0; generator->n_begun < count && code == EX_OK; generator->n_begun++)
        code = begin(generator, &generator->branches[generator->n_begun], &draws[generator->n_begun], error);
    if (code != EX_OK) return choose(generator, code, error);
    want_newest(generator);
    return EX_OK;
}
