/* lookahead.c - candidates are told apart by what comes after them. Each drawn token is fed to a timeline of its own,
 * all in one pass over the weights; the likeliest goes to the session itself, so that mostly nothing has to be moved.
 * The winner's timeline becomes the session's, and its logits are those of the next step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/generator.h"
#include "sampler/candidate.h"

/* With more than one position, a second set of timelines goes on from the first, whose results are the next step's. */
static size_t forks_needed(const ex_policy *policy) {
    return (size_t)(policy->candidates - 1) + (policy->lookahead > 1 ? (size_t)policy->candidates : 0);
}

ex_code ex_lookahead_open(ex_generator *generator, ex_error *error) {
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    if (policy->lookahead == 0 || policy->candidates < 2) return EX_OK;
    const ex_model *model = ex_session_model(generator->session);
    ex_code code = ex_sampler_open_with(&generator->ahead_sampler, policy, model->shape.n_vocab,
                                        &model->kernels->vector_math, error);
    if (code != EX_OK) return code;
    generator->forks = ex_allocate(forks_needed(policy), sizeof *generator->forks);
    if (!generator->forks) return ex_fail_memory(error, "lookahead");
    for (; generator->n_forks < forks_needed(policy) && code == EX_OK; generator->n_forks += code == EX_OK)
        code = ex_session_fork(&generator->forks[generator->n_forks], generator->session, error);
    for (size_t i = 0; i < generator->n_forks; i++) ex_session_rewind(generator->forks[i], 0, NULL);
    if (code != EX_OK || policy->lookahead == 1 || !generator->constraint) return code;
    generator->outlooks = ex_allocate((size_t)policy->candidates, sizeof *generator->outlooks);
    if (!generator->outlooks) return ex_fail_memory(error, "lookahead");
    for (int32_t i = 0; i < policy->candidates && code == EX_OK; i++)
        code = ex_constrained_open(&generator->outlooks[i], generator->constraint, error);
    return code;
}

void ex_lookahead_close(ex_generator *generator) {
    for (size_t i = 0; i < generator->n_forks; i++) ex_session_close(generator->forks[i]);
    const int32_t candidates = generator->outlooks ? ex_sampler_policy(generator->sampler)->candidates : 0;
    for (int32_t i = 0; i < candidates; i++) ex_constrained_close(&generator->outlooks[i]);
    free(generator->outlooks);
    free(generator->forks);
    ex_sampler_close(generator->ahead_sampler);
}

typedef struct ahead_group { /* the candidates of one step; the last one's timeline is the session */
    const ex_candidate *candidates[EX_DRAWS_MAX];
    ex_session *sessions[EX_DRAWS_MAX];
    int32_t tokens[EX_DRAWS_MAX];
    ex_step steps[EX_DRAWS_MAX];
    size_t count;
} ahead_group;

static bool contains(const ahead_group *group, int32_t token) {
    for (size_t i = 0; i < group->count; i++)
        if (group->candidates[i]->token == token) return true;
    return false;
}

/* In order of probability, the likeliest last. */
static void insert(ahead_group *group, const ex_candidate *candidate) {
    size_t at = group->count++;
    for (; at > 0 && group->candidates[at - 1]->log_probability > candidate->log_probability; at--)
        group->candidates[at] = group->candidates[at - 1];
    group->candidates[at] = candidate;
}

/* By how much what comes after can tell two candidates apart. Entropy lies between 0 and log2 of the vocabulary; the
 * other metrics have no bound. */
static double reach_of(const ex_policy *policy, int32_t n_vocab) {
    const bool has_bound = policy->score_attn_entropy == 0 && policy->score_logits_varentropy == 0 &&
                           policy->score_attn_varentropy == 0 && policy->score_agreement == 0 &&
                           policy->score_interaction == 0;
    return has_bound ? fabs(policy->score_logits_entropy) * log2(n_vocab) : INFINITY;
}

/* Leaves out those that cannot win, whatever comes after them, and the least likely of more than there are timelines
 * for: a rule may draw more candidates than the policy's key says. */
static void prune(const ex_generator *generator, ahead_group *group) {
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    const size_t count = group->count, most = (size_t)policy->candidates;
    const double least = group->candidates[count - 1]->log_probability - reach_of(policy, generator->step.n_vocab);
    size_t first = count > most ? count - most : 0;
    while (group->candidates[first]->log_probability < least) first++;
    group->count -= first;
    memmove(group->candidates, group->candidates + first, group->count * sizeof *group->candidates);
}

/* The distinct tokens that were drawn, the likeliest last. What ends the text leads to nothing and is left out. */
static void gather(ex_generator *generator, ahead_group *group) {
    const ex_draw *draw = &generator->choice.draw;
    for (int32_t i = 0; i < draw->n_draws; i++)
        if (!contains(group, draw->drawn[i]) && !ex_generator_ends(generator, draw->drawn[i]))
            insert(group, ex_candidate_of(&generator->choice.distribution, draw->drawn[i]));
    if (group->count > 0) prune(generator, group);
    for (size_t i = 0; i < group->count; i++) group->tokens[i] = group->candidates[i]->token;
}

static ex_code evaluate(ex_generator *generator, ahead_group *group, ex_error *error) {
    for (size_t i = 0; i + 1 < group->count; i++) {
        group->sessions[i] = generator->forks[i];
        ex_session_assign(generator->forks[i], generator->session, NULL);
    }
    group->sessions[group->count - 1] = generator->session;
    return ex_sessions_evaluate(group->sessions, group->tokens, group->count, group->steps, error);
}

static void add_metrics(ex_metrics *sum, const ex_metrics *metrics, double weight) {
    double *to = (double *)sum;
    for (size_t i = 0; ex_metric_name(i); i++) to[i] += weight * ex_metric_value(metrics, i);
}

/* The sampler that measures has no history: metrics of the sequence are those of a first position. */
static ex_code measure(ex_generator *generator, const ex_session *session, const ex_step *step, ex_outlook *ahead,
                       int32_t *likeliest, ex_error *error) {
    ex_metrics metrics;
    const ex_attention *attention;
    ex_code code = ex_generator_attention(generator, session, step, &attention, error);
    if (code == EX_OK)
        code = ex_sampler_measure(generator->ahead_sampler, step->logits, attention, &metrics, likeliest, error);
    if (code == EX_OK) add_metrics(&ahead->metrics, &metrics, 1.0 / ex_sampler_policy(generator->sampler)->lookahead);
    return code;
}

/* After a grammar, the likeliest token is that of those it permits after `token`, which was evaluated. */
static ex_code permit(const ex_generator *generator, size_t index, int32_t token, const ex_step *step,
                      int32_t *likeliest, ex_error *error) {
    if (!generator->outlooks) return EX_OK;
    ex_constrained *line = &generator->outlooks[index];
    ex_constraint_accept(generator->constraint, line, token);
    ex_code code = ex_constraint_mask(generator->constraint, line, error);
    if (code == EX_OK) *likeliest = ex_constraint_likeliest(generator->constraint, line, step->logits);
    return code;
}

static ex_code measure_next(ex_generator *generator, const ex_session *session, size_t index, const ex_step *step,
                            int32_t *token, ex_error *error) {
    const int32_t evaluated = *token;
    ex_code code = measure(generator, session, step, &generator->ahead[index], token, error);
    const bool has_ended = ex_token_ends_generation(generator->tokenizer, evaluated); /* what follows is of no text */
    return code == EX_OK && !has_ended ? permit(generator, index, evaluated, step, token, error) : code;
}

/* Positions after the first: each timeline goes on with its likeliest token, in the second set. */
static ex_code go_on(ex_generator *generator, ahead_group *group, int32_t *tokens, ex_error *error) {
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    ex_session **second = generator->forks + policy->candidates - 1;
    ex_step steps[EX_DRAWS_MAX];
    const size_t left = ex_session_context(generator->session) - ex_session_position(generator->session);
    for (size_t i = 0; i < group->count; i++) ex_session_assign(second[i], group->sessions[i], NULL);
    ex_code code = EX_OK;
    for (int32_t depth = 1; depth < policy->lookahead && (size_t)depth <= left && code == EX_OK; depth++) {
        code = ex_sessions_evaluate(second, tokens, group->count, steps, error);
        for (size_t i = 0; i < group->count && code == EX_OK; i++)
            code = measure_next(generator, second[i], i, &steps[i], &tokens[i], error);
    }
    for (size_t i = 0; i < group->count; i++) ex_session_rewind(second[i], 0, NULL);
    return code;
}

static ex_code score(ex_generator *generator, ahead_group *group, ex_error *error) {
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    int32_t next[EX_DRAWS_MAX];
    ex_code code = EX_OK;
    for (size_t i = 0; i < group->count && code == EX_OK; i++) {
        generator->ahead[i] = (ex_outlook){.token = group->tokens[i]};
        next[i] = group->tokens[i];
        if (generator->outlooks)
            ex_constraint_copy(generator->constraint, &generator->outlooks[i], &generator->decided);
        code = measure_next(generator, group->sessions[i], i, &group->steps[i], &next[i], error);
    }
    if (code == EX_OK && policy->lookahead > 1) code = go_on(generator, group, next, error);
    for (size_t i = 0; i < group->count && code == EX_OK; i++)
        generator->ahead[i].score =
            group->candidates[i]->log_probability + ex_confidence(policy, &generator->ahead[i].metrics);
    generator->choice.ahead = generator->ahead;
    generator->choice.n_ahead = group->count;
    return code;
}

/* A token that ends the text competes with its own score, in which nothing comes after it. */
static int32_t best_of(const ex_generator *generator, size_t *winner) {
    const ex_choice *choice = &generator->choice;
    double best = -INFINITY;
    int32_t token = EX_TOKEN_NONE;
    *winner = choice->n_ahead;
    for (size_t i = choice->n_ahead; i-- > 0;) {
        if (choice->ahead[i].score <= best) continue;
        best = choice->ahead[i].score;
        token = choice->ahead[i].token;
        *winner = i;
    }
    for (int32_t i = 0; i < choice->draw.n_draws; i++) {
        if (!ex_generator_ends(generator, choice->draw.drawn[i])) continue;
        const ex_candidate *candidate = ex_candidate_of(&choice->distribution, choice->draw.drawn[i]);
        if (candidate->score <= best) continue;
        best = candidate->score;
        token = candidate->token;
        *winner = choice->n_ahead;
    }
    return token;
}

/* A single candidate has nothing to be compared with: it is evaluated when the next step needs it. */
ex_code ex_lookahead(ex_generator *generator, bool *evaluated, ex_error *error) {
    ahead_group group = {0};
    *evaluated = false;
    gather(generator, &group);
    if (group.count < 2) return EX_OK;
    const size_t position = ex_session_position(generator->session);
    ex_code code = evaluate(generator, &group, error);
    if (code != EX_OK) return code;
    code = score(generator, &group, error);
    size_t winner = group.count;
    if (code == EX_OK) generator->choice.draw.token = best_of(generator, &winner);
    if (winner + 1 < group.count) ex_session_exchange(generator->session, group.sessions[winner]);
    if (winner == group.count) ex_session_rewind(generator->session, position, NULL);
    for (size_t i = 0; i + 1 < group.count; i++) ex_session_rewind(generator->forks[i], 0, NULL);
    *evaluated = winner < group.count;
    if (*evaluated) generator->step = ex_session_step(generator->session);
    return code;
}
