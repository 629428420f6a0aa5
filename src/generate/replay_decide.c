/* replay_decide.c - one decision made again, and what differs from the one that the trace has. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/replay.h"
#include "sampler/candidate.h"

/* ---- logits that are not listed ---------------------------------------------------------------------------------- */

typedef struct unlisted {
    float *logits; /* [n_vocab] */
    size_t n_vocab, count;
    float most;    /* none is above it */
    double least_mass, most_mass; /* of all together, in units of the likeliest */
} unlisted;

/* Those that may come. */
static size_t unlisted_count(const ex_replay_answer *answer, const ex_trace_row *row) {
    const size_t others = (size_t)answer->n_vocab - row->n_listed, listed = row->n_listed - row->n_forbidden;
    if (!row->is_masked) return others;
    const size_t permitted = row->n_permitted > listed ? (size_t)row->n_permitted - listed : 0;
    return permitted < others ? permitted : others;
}

static unlisted measure_unlisted(const ex_replay_answer *answer, const ex_trace_row *row) {
    unlisted rest = {.logits = answer->logits, .n_vocab = (size_t)answer->n_vocab, .most = -INFINITY};
    rest.count = unlisted_count(answer, row);
    if (rest.count == 0 || row->others_at_most == -INFINITY) return rest;
    const bool is_less = row->is_masked && row->permitted_at_most < row->others_at_most;
    rest.most = nextafterf(is_less ? row->permitted_at_most : row->others_at_most, -INFINITY);
    double listed = 0;
    for (size_t i = 0; i < row->n_listed; i++) listed += exp((double)row->logits[i] - row->choice.maximum);
    const double mass = exp(row->choice.log_sum) - listed;
    const double doubt = 1e-6 * fabs(mass) + 1e-7 * exp(row->choice.log_sum); /* of sums and of logits as floats */
    rest.least_mass = mass - doubt;
    rest.most_mass = mass + doubt;
    return rest;
}

static bool is_unlisted(const unlisted *rest, size_t token) { return rest->logits[token] == -INFINITY; }

/* The heaviest that there can be, as few as they can be. */
static void concentrate(const unlisted *rest, double maximum) {
    const double heaviest = exp((double)rest->most - maximum);
    double left = rest->most_mass;
    for (size_t token = 0; token < rest->n_vocab && left > 0; token++) {
        if (!is_unlisted(rest, token)) continue;
        rest->logits[token] = left >= heaviest ? rest->most : (float)(maximum + log(left));
        left -= heaviest;
    }
}

/* All alike. */
static void spread(const unlisted *rest, double maximum) {
    if (rest->least_mass <= 0) return;
    const float logit = fminf(rest->most, (float)(maximum + log(rest->least_mass / (double)rest->count)));
    for (size_t token = 0; token < rest->n_vocab; token++)
        if (is_unlisted(rest, token)) rest->logits[token] = logit;
}

static void list_logits(const ex_replay_answer *answer, const ex_trace_row *row) {
    for (int32_t token = 0; token < answer->n_vocab; token++) answer->logits[token] = -INFINITY;
    for (size_t i = 0; i < row->n_listed; i++) answer->logits[row->tokens[i]] = row->logits[i];
}

static void set_bit(uint64_t *bits, int32_t token, bool on) {
    const uint64_t bit = (uint64_t)1 << (token % 64);
    bits[token / 64] = on ? bits[token / 64] | bit : bits[token / 64] & ~bit;
}

/* Which of the tokens that are not listed were permitted makes no difference: they are all alike here. */
static ex_code set_allowed(ex_replay_answer *answer, const ex_trace_row *row, ex_error *error) {
    const size_t n_words = ((size_t)answer->n_vocab + 63) / 64;
    ex_sampler_set_allowed(answer->sampler, NULL);
    if (!row->is_masked) return EX_OK;
    if (!answer->allowed) answer->allowed = ex_allocate(n_words, sizeof *answer->allowed);
    if (!answer->allowed) return ex_fail_memory(error, "replaying a trace");
    memset(answer->allowed, 0, n_words * sizeof *answer->allowed);
    list_logits(answer, row);
    size_t left = unlisted_count(answer, row);
    for (int32_t token = 0; token < answer->n_vocab; token++) {
        const bool is_listed = answer->logits[token] != -INFINITY;
        if (is_listed || left > 0) set_bit(answer->allowed, token, true);
        left -= !is_listed && left > 0;
    }
    for (size_t i = 0; i < row->n_forbidden; i++) set_bit(answer->allowed, row->forbidden[i], false);
    ex_sampler_set_allowed(answer->sampler, answer->allowed);
    return EX_OK;
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

static bool begins_branch(const ex_replay_answer *answer, const ex_trace_row *row) {
    return answer->in_branches && row->branch > 0 && row->position == answer->first.position &&
           row->choice.decision.action == EX_ACTION_BRANCH;
}

/* What branches begin with comes from one decision, that of the first. */
static ex_random_key key_of(const ex_replay_answer *answer, const ex_trace_row *row) {
    const uint32_t attempt = begins_branch(answer, row) ? row->attempt - (uint32_t)row->branch : row->attempt;
    return (ex_random_key){answer->seed, answer->sequence, (uint32_t)row->position, attempt};
}

static ex_code make_step(const ex_replay_answer *answer, const ex_trace_row *row, ex_choice *out, ex_error *error) {
    const ex_choice *recorded = &row->choice;
    const ex_step_given given = {.logits = answer->logits,
                                 .summary = {.maximum = (float)recorded->maximum,
                                             .log_sum = recorded->log_sum,
                                             .entropy = recorded->metrics.logits_entropy,
                                             .varentropy = recorded->metrics.logits_varentropy},
                                 .layers = recorded->layers,
                                 .n_positions = row->n_positions,
                                 .n_layer = recorded->n_layer,
                                 .attention = &recorded->metrics};
    return ex_sampler_step_given(answer->sampler, &given, key_of(answer, row), out, error);
}

static bool same_number(double a, double b) { return a == b || (!isfinite(a) && !isfinite(b)); }

static bool same_parameters(const ex_decision *a, const ex_decision *b) {
    return same_number(a->temperature, b->temperature) && same_number(a->top_p, b->top_p) &&
           same_number(a->min_p, b->min_p) && a->top_k == b->top_k && a->candidates == b->candidates;
}

static bool same_kept(const ex_candidate *a, size_t n_a, const ex_candidate *b, size_t n_b) {
    if (n_a != n_b) return false;
    for (size_t i = 0; i < n_a; i++)
        if (a[i].token != b[i].token || !same_number(a[i].probability, b[i].probability) ||
            !same_number(a[i].score, b[i].score))
            return false;
    return true;
}

static bool are_listed(const ex_trace_row *row, const ex_distribution *distribution) {
    if (distribution->count > row->n_listed) return false;
    for (size_t i = 0; i < distribution->count; i++) {
        const int32_t token = distribution->candidates[i].token;
        size_t at = i < row->n_listed && row->tokens[i] == token ? i : 0;
        while (at < row->n_listed && row->tokens[at] != token) at++;
        if (at == row->n_listed) return false;
    }
    return true;
}

static ex_code keep_first(ex_replay *replay, const ex_distribution *distribution, ex_error *error) {
    if (distribution->count > replay->kept_capacity) {
        free(replay->kept);
        replay->kept = ex_allocate(distribution->count, sizeof *replay->kept);
        replay->kept_capacity = replay->kept ? distribution->count : 0;
        if (!replay->kept) return ex_fail_memory(error, "replaying a trace");
    }
    if (distribution->count > 0)
        memcpy(replay->kept, distribution->candidates, distribution->count * sizeof *replay->kept);
    return EX_OK;
}

/* Both extremes; the choice is that of the second. Where min_p removes what is unlikely, that may be all of it; and
 * where a grammar forbade tokens, all of it may be of those. */
static ex_code make_steps(ex_replay *replay, const ex_replay_answer *answer, const ex_trace_row *row,
                          ex_replay_step *step, ex_error *error) {
    list_logits(answer, row);
    const unlisted rest = measure_unlisted(answer, row);
    ex_choice first;
    if (rest.most == -INFINITY) {
        ex_code code = make_step(answer, row, &step->replayed, error);
        step->decidable = code != EX_OK || row->choice.decision.action == EX_ACTION_INSERT || row->n_listed > 0;
        return code;
    }
    concentrate(&rest, row->choice.maximum);
    ex_code code = make_step(answer, row, &first, error);
    if (code == EX_OK) code = keep_first(replay, &first.distribution, error);
    list_logits(answer, row);
    const bool may_be_all = first.decision.min_p > 0 && ex_sampler_has_stage(answer->sampler, "min_p");
    if (!row->is_masked && !may_be_all)
        spread(&rest, row->choice.maximum);
    if (code == EX_OK) code = make_step(answer, row, &step->replayed, error);
    if (code != EX_OK) return code;
    const ex_choice *second = &step->replayed;
    step->decidable = same_parameters(&first.decision, &second->decision) &&
                      first.decision.rule == second->decision.rule &&
                      same_kept(replay->kept, first.distribution.count, second->distribution.candidates,
                                second->distribution.count) &&
                      are_listed(row, &second->distribution);
    return EX_OK;
}

/* ---- the token --------------------------------------------------------------------------------------------------- */

static bool was_drawn(const ex_draw *draw, int32_t token) {
    for (int32_t i = 0; i < draw->n_draws; i++)
        if (draw->drawn[i] == token) return true;
    return false;
}

static const ex_outlook *outlook_of(const ex_trace_row *row, int32_t token) {
    for (size_t i = 0; i < row->choice.n_ahead; i++)
        if (row->choice.ahead[i].token == token) return &row->choice.ahead[i];
    return NULL;
}

/* Candidates compete with what comes after them, in the order of the trace; those that end the text, which have
 * nothing after them, come last. False when some token was not looked beyond. */
static bool choose_ahead(const ex_replay_answer *answer, const ex_trace_row *row, ex_choice *choice) {
    const ex_policy *policy = ex_sampler_policy(answer->sampler);
    double best = -INFINITY;
    int32_t token = EX_TOKEN_NONE;
    for (size_t i = row->choice.n_ahead; i-- > 0;) {
        const ex_outlook *outlook = &row->choice.ahead[i];
        const ex_candidate *candidate = ex_candidate_of(&choice->distribution, outlook->token);
        if (!candidate || !was_drawn(&choice->draw, outlook->token)) continue;
        const double score = candidate->log_probability + ex_confidence(policy, &outlook->metrics);
        if (score <= best) continue;
        best = score;
        token = outlook->token;
    }
    for (int32_t i = 0; i < choice->draw.n_draws; i++) {
        const int32_t drawn = choice->draw.drawn[i];
        if (outlook_of(row, drawn)) continue;
        if (!was_drawn(&row->choice.draw, drawn)) return false;
        const ex_candidate *candidate = ex_candidate_of(&choice->distribution, drawn);
        if (!candidate || candidate->score <= best) continue;
        best = candidate->score;
        token = drawn;
    }
    choice->draw.token = token;
    return true;
}

static bool draws_differ(const ex_draw *draw) {
    for (int32_t i = 1; i < draw->n_draws; i++)
        if (draw->drawn[i] != draw->drawn[0]) return true;
    return false;
}

/* Looking ahead is settled here, from what the line has of it. False when it is not enough. */
static bool look_ahead(const ex_replay *replay, const ex_replay_answer *answer, const ex_trace_row *row,
                       ex_choice *choice) {
    const ex_policy *policy = ex_sampler_policy(answer->sampler);
    if (policy->lookahead == 0 || !draws_differ(&choice->draw)) return true;
    if (!replay->has_policy) return row->choice.n_ahead == 0 || choose_ahead(answer, row, choice);
    return row->choice.n_ahead > 0 && policy->lookahead == answer->lookahead && choose_ahead(answer, row, choice);
}

/* Where the line has not all tokens that were kept, a draw from them cannot be checked. */
static void note_first(ex_replay_answer *answer, const ex_trace_row *row, const ex_choice *choice) {
    const bool has_all = row->n_kept == row->choice.distribution.count;
    ex_first_tokens *first = &answer->first;
    if (row->branch < 0 || row->branch >= EX_FIRST_MAX || row->position != first->position) return;
    const size_t index = (size_t)row->branch;
    if (first->seen[index]) return;
    first->seen[index] = true;
    first->drawn[index] = has_all ? choice->draw.token : row->token;
    first->taken[index] = row->token;
    if (index >= first->n_branches) first->n_branches = index + 1;
    first->n_likeliest = 0;
    for (size_t i = 0; i < choice->distribution.count && i < EX_FIRST_MAX; i++)
        first->likeliest[first->n_likeliest++] = choice->distribution.candidates[i].token;
}

static void enter_branches(ex_replay_answer *answer, const ex_trace_row *row) {
    if (row->branch < 0) {
        answer->in_branches = false;
    } else if (!answer->in_branches) {
        answer->in_branches = true;
        answer->first = (ex_first_tokens){.position = row->position};
    }
}

static bool is_taken(const int32_t *tokens, size_t count, int32_t token) {
    for (size_t i = 0; i < count; i++)
        if (tokens[i] == token) return true;
    return false;
}

void ex_replay_check_branches(ex_replay_answer *answer, ex_replay_step *step) {
    const ex_first_tokens *first = &answer->first;
    int32_t tokens[EX_FIRST_MAX];
    for (size_t branch = 0; answer->in_branches && branch < first->n_branches; branch++) {
        tokens[branch] = first->drawn[branch];
        if (!first->seen[branch]) tokens[branch] = first->taken[branch];
        for (size_t i = 0; is_taken(tokens, branch, tokens[branch]) && i < first->n_likeliest; i++)
            tokens[branch] = first->likeliest[i];
        if (tokens[branch] != first->taken[branch]) step->differences |= EX_DIFFERS_TOKEN;
    }
    answer->in_branches = false;
}

/* ---- differences ------------------------------------------------------------------------------------------------- */

/* tail_mass needs as many tokens as top_k; metrics of attention need the layers. */
static bool same_metrics(const ex_trace_row *row, const ex_policy *policy, const ex_metrics *replayed) {
    const size_t n_likeliest = row->is_masked && row->n_listed > EX_TRACED_MAX ? EX_TRACED_MAX : row->n_listed;
    const bool has_tail = row->others_at_most == -INFINITY || (size_t)policy->top_k <= n_likeliest;
    for (size_t i = 0; ex_metric_name(i); i++) {
        if (!has_tail && strcmp(ex_metric_name(i), "tail_mass") == 0) continue;
        if (!same_number(ex_metric_value(&row->choice.metrics, i), ex_metric_value(replayed, i))) return false;
    }
    return true;
}

static bool same_decision(const ex_choice *a, const ex_choice *b) {
    return strcmp(a->decision.strategy, b->decision.strategy) == 0 && a->decision.action == b->decision.action &&
           a->may_insert == b->may_insert && same_number(a->decision.margin, b->decision.margin) &&
           strcmp(a->decision.margin_metric, b->decision.margin_metric) == 0;
}

static bool same_draw(const ex_draw *a, const ex_draw *b) {
    if (a->n_draws != b->n_draws) return false;
    for (int32_t i = 0; i < a->n_draws; i++)
        if (!same_number(a->uniform[i], b->uniform[i]) || a->drawn[i] != b->drawn[i]) return false;
    return true;
}

static bool same_distribution(const ex_trace_row *row, const ex_distribution *b) {
    const ex_distribution *a = &row->choice.distribution;
    return row->n_kept == b->count && same_kept(a->candidates, a->count, b->candidates, b->count);
}

static bool takes_token(ex_action action) {
    return action != EX_ACTION_INSERT && action != EX_ACTION_TRAP && action != EX_ACTION_STOP;
}

static void compare(const ex_replay_answer *answer, const ex_trace_row *row, ex_replay_step *step) {
    const ex_choice *replayed = &step->replayed;
    uint32_t differences = 0;
    if (!same_metrics(row, ex_sampler_policy(answer->sampler), &replayed->metrics)) differences |= EX_DIFFERS_METRICS;
    if (!same_decision(&row->choice, replayed)) differences |= EX_DIFFERS_DECISION;
    if (!same_parameters(&row->choice.decision, &replayed->decision)) differences |= EX_DIFFERS_PARAMETERS;
    if (step->decidable && !same_distribution(row, &replayed->distribution)) differences |= EX_DIFFERS_KEPT;
    if (step->decidable && !same_draw(&row->choice.draw, &replayed->draw)) differences |= EX_DIFFERS_DRAW;
    const bool both = takes_token(row->choice.decision.action) == takes_token(replayed->decision.action);
    const int32_t token = takes_token(row->choice.decision.action) ? row->token : EX_TOKEN_NONE;
    if (!both || (replayed->draw.token != token && step->decidable)) differences |= EX_DIFFERS_TOKEN;
    step->differences = differences;
}

static void find_text(const ex_trace_row *row, ex_replay_step *step) {
    for (size_t i = 0; i < row->n_listed; i++)
        if (row->tokens[i] == step->replayed.draw.token) step->replayed_text = row->texts[i];
}

static ex_code check_row(ex_replay *replay, const ex_replay_answer *answer, const ex_trace_row *row) {
    for (size_t i = 0; i < row->n_listed; i++) {
        if (row->tokens[i] >= answer->n_vocab)
            return ex_trace_fail(&replay->reader, "candidate %d is not one of %d tokens", row->tokens[i],
                                 answer->n_vocab);
        if (!isfinite(row->logits[i])) return ex_trace_fail(&replay->reader, "a logit is not finite");
    }
    if (row->n_listed > (size_t)answer->n_vocab) return ex_trace_fail(&replay->reader, "too many candidates");
    for (size_t i = 0; i < row->n_forbidden; i++)
        if (row->forbidden[i] >= answer->n_vocab)
            return ex_trace_fail(&replay->reader, "the forbidden token %d is not one of %d", row->forbidden[i],
                                 answer->n_vocab);
    for (size_t i = 0; i < row->n_excluded; i++) ex_sampler_exclude(answer->sampler, row->excluded[i]);
    return EX_OK;
}

/* The draw from the tokens that were kept then. */
static void draw_recorded(const ex_replay_answer *answer, const ex_trace_row *row, ex_replay_step *step) {
    ex_choice *replayed = &step->replayed;
    replayed->distribution = row->choice.distribution;
    if (row->n_kept != row->choice.distribution.count || !takes_token(replayed->decision.action)) return;
    ex_sampler_draw(answer->sampler, &replayed->distribution, &replayed->decision, key_of(answer, row),
                    &replayed->draw);
}

ex_code ex_replay_decide(ex_replay *replay, ex_replay_answer *answer, const ex_trace_row *row, ex_replay_step *step,
                         ex_error *error) {
    ex_code code = check_row(replay, answer, row);
    if (code == EX_OK) code = set_allowed(answer, row, error);
    if (code != EX_OK) return code;
    if (row->is_steered && !replay->has_policy) ex_sampler_steer(answer->sampler, row->steering);
    enter_branches(answer, row);
    step->recorded = row->choice;
    code = make_steps(replay, answer, row, step, error);
    if (code != EX_OK) {
        if (code == EX_ERROR_MEMORY || !error) return code;
        const ex_error why = *error;
        return ex_trace_fail(&replay->reader, "%s", why.message);
    }
    ex_choice *replayed = &step->replayed;
    if (!step->decidable && !replay->has_policy) draw_recorded(answer, row, step);
    if (begins_branch(answer, row) && takes_token(replayed->decision.action)) {
        ex_random_key key = key_of(answer, row);
        key.attempt = row->attempt;
        ex_draw_best(&replayed->distribution, 1, EX_DRAWING_INVERSE, key, &replayed->draw);
    }
    if (!look_ahead(replay, answer, row, replayed)) step->decidable = false;
    note_first(answer, row, replayed);
    if (begins_branch(answer, row) && !replay->has_policy) replayed->draw.token = row->token; /* checked at the end */
    compare(answer, row, step);
    if (!step->decidable && replay->has_policy) replayed->draw.token = EX_TOKEN_NONE;
    find_text(row, step);
    return EX_OK;
}
