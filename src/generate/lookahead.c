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

static bool contains(const ex_looking *looking, int32_t token) {
    for (size_t i = 0; i < looking->count; i++)
        if (looking->candidates[i]->token == token) return true;
    return false;
}

/* In order of probability, the likeliest last. */
static void insert(ex_looking *looking, const ex_candidate *candidate) {
    size_t at = looking->count++;
    for (; at > 0 && looking->candidates[at - 1]->log_probability > candidate->log_probability; at--)
        looking->candidates[at] = looking->candidates[at - 1];
    looking->candidates[at] = candidate;
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
static void prune(const ex_generator *generator, ex_looking *looking) {
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    const size_t count = looking->count, most = (size_t)policy->candidates;
    const double least = looking->candidates[count - 1]->log_probability - reach_of(policy, generator->step.n_vocab);
    size_t first = count > most ? count - most : 0;
    while (looking->candidates[first]->log_probability < least) first++;
    looking->count -= first;
    memmove(looking->candidates, looking->candidates + first, looking->count * sizeof *looking->candidates);
}

/* The distinct tokens that were drawn, the likeliest last. What ends the text leads to nothing and is left out. */
static void gather(ex_generator *generator, ex_looking *looking) {
    const ex_draw *draw = &generator->choice.draw;
    for (int32_t i = 0; i < draw->n_draws; i++)
        if (!contains(looking, draw->drawn[i]) && !ex_generator_ends(generator, draw->drawn[i]))
            insert(looking, ex_candidate_of(&generator->choice.distribution, draw->drawn[i]));
    if (looking->count > 0) prune(generator, looking);
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

/* ---- the levels -------------------------------------------------------------------------------------------------- */

void ex_lookahead_release(ex_generator *generator) {
    for (size_t i = 0; i < generator->n_forks; i++) ex_session_rewind(generator->forks[i], 0, NULL);
}

/* The timeline of a candidate at the first position. */
static ex_session *first_of(const ex_generator *generator, size_t index) {
    return index + 1 < generator->looking.count ? generator->forks[index] : generator->session;
}

/* The one that goes on from it. */
static ex_session *second_of(const ex_generator *generator, size_t index) {
    return generator->forks[(size_t)ex_sampler_policy(generator->sampler)->candidates - 1 + index];
}

static void score(ex_generator *generator) {
    const ex_looking *looking = &generator->looking;
    for (size_t i = 0; i < looking->count; i++)
        generator->ahead[i].score = looking->candidates[i]->log_probability +
                                    ex_confidence(ex_sampler_policy(generator->sampler), &generator->ahead[i].metrics);
    generator->choice.ahead = generator->ahead;
    generator->choice.n_ahead = looking->count;
}

static ex_code take_best(ex_generator *generator, ex_error *error) {
    size_t winner;
    score(generator);
    generator->choice.draw.token = best_of(generator, &winner);
    const bool is_evaluated = winner < generator->looking.count;
    if (!is_evaluated) ex_session_rewind(generator->session, generator->position, NULL);
    else if (winner + 1 < generator->looking.count)
        ex_session_exchange(generator->session, first_of(generator, winner));
    if (is_evaluated) generator->step = ex_session_step(generator->session);
    return ex_generator_take_drawn(generator, is_evaluated, error);
}

static ex_code measure_all(ex_generator *generator, ex_error *error) {
    ex_wants *wants = &generator->wants;
    const bool is_first = generator->looking.depth++ == 0;
    ex_code code = EX_OK;
    for (size_t i = 0; i < generator->looking.count && code == EX_OK; i++) {
        const ex_session *session = (is_first ? first_of : second_of)(generator, i);
        code = measure_next(generator, session, i, &wants->steps[i], &wants->tokens[i], error);
    }
    return code;
}

static bool goes_further(const ex_generator *generator) {
    const size_t depth = generator->looking.depth, lookahead = (size_t)ex_sampler_policy(generator->sampler)->lookahead;
    return depth < lookahead && depth < ex_session_context(generator->session) - generator->position;
}

/* Each timeline goes on with its likeliest token, which measuring left in place of the one before. */
static void want_further(ex_generator *generator) {
    const size_t count = generator->looking.count;
    for (size_t i = 0; i < count; i++) {
        if (generator->looking.depth == 1)
            ex_session_assign(second_of(generator, i), first_of(generator, i), NULL);
        ex_generator_want(generator, second_of(generator, i), generator->wants.tokens[i]);
    }
}

/* After a failure the decision can be made again. */
static ex_code look_on(ex_generator *generator, ex_error *error) {
    ex_code code = measure_all(generator, error);
    if (code == EX_OK && goes_further(generator)) {
        want_further(generator);
        return EX_OK;
    }
    if (code == EX_OK) code = take_best(generator, error);
    ex_lookahead_release(generator);
    if (code != EX_OK) ex_generator_return_to(generator, generator->position, NULL);
    return code;
}

/* A single candidate has nothing to be compared with: it is evaluated when the next step needs it. */
bool ex_lookahead_begin(ex_generator *generator) {
    ex_looking *looking = &generator->looking;
    *looking = (ex_looking){0};
    gather(generator, looking);
    for (size_t i = 0; i < looking->count && looking->count > 1; i++) {
        const int32_t token = looking->candidates[i]->token;
        ex_session_assign(first_of(generator, i), generator->session, NULL);
        generator->ahead[i] = (ex_outlook){.token = token};
        if (generator->outlooks)
            ex_constraint_copy(generator->constraint, &generator->outlooks[i], &generator->decided);
        ex_generator_want(generator, first_of(generator, i), token);
    }
    generator->wants.then = look_on;
    return looking->count > 1;
}
