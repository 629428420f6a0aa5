/* calibrate_measure.c - a text, as the sampler would see it. Attention statistics belong to the last token of a
 * timeline, so the text is cut into windows, and up to 32 of them advance together, token by token. Each begins with a
 * warm-up that does not count. At some positions the likeliest candidates are fed one position further, on timelines
 * of their own. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/calibrate.h"
#include "model/model.h"
#include "sampler/candidate.h"
#include "sampler/history.h"
#include "sampler/sampler.h"

enum { LANES_MAX = 32, LANE_BYTES = 1 << 30 /* of keys and values that all lanes may hold */ };
static const double SURE = 0.98; /* from this probability on, no other candidate counts */

typedef struct window {
    const int32_t *tokens; /* [n_window - 1] after the beginning of sequence, or else [n_window] */
    uint32_t part, index;
} window;

typedef struct lane { /* a window that is being measured */
    ex_session *session;
    const window *window;
    int32_t *tokens;          /* [n_window] */
    double *entropies;        /* [n_window] */
    size_t at, n_measured;    /* the next token; entropies */
    ex_running_variance sequence;
} lane;

typedef struct trial { /* a position whose candidates wait to be fed */
    ex_tried *tried;
    const ex_session *from;
    int32_t tokens[EX_TRIED];
} trial;

typedef struct measurement {
    ex_engine *engine;
    const ex_calibration_options *options;
    const ex_policy *policy;
    ex_sampler *sampler;     /* measures; filters nothing */
    ex_policy features[EX_SCORE_WEIGHTS]; /* one weight of the score is 1 in each */
    int32_t beginning;
    window *windows;
    size_t n_windows, next;
    lane lanes[LANES_MAX];
    size_t n_lanes;          /* that were opened */
    lane *live[LANES_MAX];
    size_t n_live;
    ex_session *forks[LANES_MAX];
    trial trials[LANES_MAX / EX_TRIED];
    size_t n_trials;
    ex_measured_text *out;
    uint64_t n_done, n_total;
    ex_error *error;
} measurement;

void ex_measured_free(ex_measured_text *text) {
    free(text->positions);
    free(text->tried);
    *text = (ex_measured_text){0};
}

/* ---- windows ---------------------------------------------------------------------------------------------------- */

static ex_code find_beginning(measurement *m) {
    size_t count;
    const ex_tokenizer *tokenizer = ex_engine_tokenizer(m->engine);
    ex_code code = ex_tokenize(tokenizer, "", 0, EX_TOKENIZE_ADD_BEGINNING, NULL, 0, &count, m->error);
    m->beginning = code == EX_OK && count > 0 ? ex_token_beginning(tokenizer) : EX_TOKEN_NONE;
    return code;
}

static size_t tokens_of_window(const measurement *m) { return m->options->n_window - (m->beginning != EX_TOKEN_NONE); }

static size_t measured_of_window(const measurement *m) { return m->options->n_window - m->options->n_warm_up; }

/* How many of a part's windows are wanted. */
static size_t windows_wanted(const measurement *m, size_t there_are) {
    if (m->options->n_positions == 0) return there_are;
    const size_t wanted = (m->options->n_positions - 1) / measured_of_window(m) + 1;
    return wanted < there_are ? wanted : there_are;
}

static ex_code take_part(measurement *m, const ex_part *part, uint32_t index) {
    const size_t length = tokens_of_window(m), there_are = part->n_tokens / length;
    const size_t wanted = windows_wanted(m, there_are);
    if (there_are == 0)
        return ex_fail(m->error, EX_ERROR_ARGUMENT, 0,
                       "a text of %zu tokens is too short: calibration needs two of at least one window of %zu",
                       part->n_tokens, length);
    for (size_t i = 0; i < wanted; i++) /* spread over the whole text */
        m->windows[m->n_windows++] = (window){part->tokens + i * there_are / wanted * length, index, (uint32_t)i};
    ex_measured_text *out = &m->out[index];
    const size_t tried_of_window = measured_of_window(m) / EX_TRIED_STRIDE + 1;
    out->n_windows = wanted;
    out->positions = ex_allocate(wanted, measured_of_window(m) * sizeof *out->positions);
    out->tried = ex_allocate(wanted, tried_of_window * sizeof *out->tried);
    m->n_total += wanted * measured_of_window(m);
    return out->positions && out->tried ? EX_OK : ex_fail_memory(m->error, "calibration");
}

/* First what calibrates, then what checks. */
static ex_code cut_text(measurement *m, const ex_part *parts) {
    size_t n = 0;
    for (size_t i = 0; i < EX_PARTS; i++) n += parts[i].n_tokens / tokens_of_window(m);
    m->windows = ex_allocate(n, sizeof *m->windows);
    if (!m->windows) return ex_fail_memory(m->error, "calibration");
    ex_code code = EX_OK;
    for (uint32_t i = 0; i < EX_PARTS && code == EX_OK; i++) code = take_part(m, &parts[i], i);
    return code;
}

/* ---- lanes ------------------------------------------------------------------------------------------------------ */

static ex_code open_sampler(measurement *m) {
    ex_policy policy;
    ex_code code = ex_policy_preset(&policy, "entropixplained", m->error);
    if (code != EX_OK) return code;
    policy.scope = m->policy->scope;
    policy.varentropy = m->policy->varentropy;
    policy.top_k = m->policy->top_k;
    for (size_t i = 0; i < EX_SCORE_WEIGHTS; i++) {
        double weights[EX_SCORE_WEIGHTS] = {0};
        weights[i] = 1;
        m->features[i] = policy;
        ex_set_score_weights(&m->features[i], weights);
    }
    return ex_sampler_open(&m->sampler, &policy, ex_engine_get_info(m->engine).n_vocab, m->error);
}

static size_t lanes_wanted(const measurement *m) {
    const uint64_t window_bytes = ex_engine_get_info(m->engine).kv_bytes_per_position * m->options->n_window;
    uint64_t n = window_bytes ? LANE_BYTES / window_bytes : LANES_MAX;
    if (n > m->n_windows) n = m->n_windows;
    return n < 1 ? 1 : n > LANES_MAX ? LANES_MAX : (size_t)n;
}

static ex_code open_lane(measurement *m, lane *opened) {
    ex_session_options options = ex_session_options_default();
    options.n_context = m->options->n_window + 1; /* a candidate behind the last token */
    ex_code code = opened == m->lanes ? ex_session_open(&opened->session, m->engine, &options, m->error)
                                      : ex_session_fork(&opened->session, m->lanes[0].session, m->error);
    if (code != EX_OK) return code;
    opened->tokens = ex_allocate(m->options->n_window, sizeof *opened->tokens);
    opened->entropies = ex_allocate(m->options->n_window, sizeof *opened->entropies);
    return opened->tokens && opened->entropies ? EX_OK : ex_fail_memory(m->error, "calibration");
}

static ex_code open_lanes(measurement *m) {
    const size_t wanted = lanes_wanted(m);
    ex_code code = EX_OK;
    for (; m->n_lanes < wanted && code == EX_OK; m->n_lanes++) code = open_lane(m, &m->lanes[m->n_lanes]);
    for (size_t i = 0; i < LANES_MAX && code == EX_OK; i++)
        code = ex_session_fork(&m->forks[i], m->lanes[0].session, m->error);
    return code;
}

/* Gives the lane the next window and evaluates its warm-up; without one the lane rests. */
static ex_code begin_window(measurement *m, lane *free_lane) {
    free_lane->window = m->next < m->n_windows ? &m->windows[m->next++] : NULL;
    if (!free_lane->window) return EX_OK;
    const size_t begins = m->beginning != EX_TOKEN_NONE;
    free_lane->tokens[0] = m->beginning;
    memcpy(free_lane->tokens + begins, free_lane->window->tokens, tokens_of_window(m) * sizeof *free_lane->tokens);
    free_lane->at = m->options->n_warm_up;
    free_lane->n_measured = 0;
    free_lane->sequence = (ex_running_variance){0};
    ex_session_rewind(free_lane->session, 0, NULL);
    return ex_session_evaluate(free_lane->session, free_lane->tokens, free_lane->at, NULL, NULL, m->error);
}

static ex_code fill_lanes(measurement *m) {
    ex_code code = EX_OK;
    m->n_live = 0;
    for (size_t i = 0; i < m->n_lanes && code == EX_OK; i++) {
        lane *l = &m->lanes[i];
        if (!l->window || l->at == m->options->n_window) code = begin_window(m, l);
        if (l->window) m->live[m->n_live++] = l;
    }
    return code;
}

/* ---- one position ----------------------------------------------------------------------------------------------- */

/* Metrics of the sequence, as if the window were an answer that began after the warm-up. */
static void measure_sequence(const measurement *m, lane *l, ex_metrics *metrics) {
    ex_running_variance last = {0};
    l->entropies[l->n_measured++] = metrics->logits_entropy;
    l->sequence = ex_variance_add(l->sequence, metrics->logits_entropy);
    for (size_t i = 0; i < l->n_measured && i < (size_t)m->policy->sequence_window; i++)
        last = ex_variance_add(last, l->entropies[l->n_measured - 1 - i]);
    metrics->sequence_varentropy = l->sequence.squares / l->sequence.count;
    metrics->sequence_varentropy_window = last.squares / last.count;
}

/* Feeds the candidates of all waiting trials in one pass. */
static ex_code feed_trials(measurement *m) {
    ex_step steps[LANES_MAX];
    int32_t tokens[LANES_MAX];
    const size_t n = m->n_trials * EX_TRIED;
    if (n == 0) return EX_OK;
    for (size_t i = 0; i < n; i++) {
        ex_session_assign(m->forks[i], m->trials[i / EX_TRIED].from, NULL);
        tokens[i] = m->trials[i / EX_TRIED].tokens[i % EX_TRIED];
    }
    ex_code code = ex_sessions_evaluate(m->forks, tokens, n, steps, m->error);
    for (size_t i = 0; i < n && code == EX_OK; i++) {
        ex_metrics metrics;
        int32_t likeliest;
        code = ex_sampler_measure(m->sampler, steps[i].logits, steps[i].attention, &metrics, &likeliest, m->error);
        double *features = m->trials[i / EX_TRIED].tried->features[i % EX_TRIED];
        for (size_t k = 0; k < EX_SCORE_WEIGHTS && code == EX_OK; k++)
            features[k] = ex_confidence(&m->features[k], &metrics);
    }
    for (size_t i = 0; i < n; i++) ex_session_rewind(m->forks[i], 0, NULL);
    m->n_trials = 0;
    return code;
}

static bool is_tried(const measurement *m, const lane *l, const ex_metrics *metrics) {
    return (l->at + l->window->index) % EX_TRIED_STRIDE == 0 && l->at < m->options->n_window &&
           metrics->top_probability < SURE && ex_engine_get_info(m->engine).n_vocab >= EX_TRIED;
}

/* Candidates, if what the text goes on with is among them. */
static ex_code try_candidates(measurement *m, const lane *l, const ex_step *step, const ex_metrics *metrics) {
    static const ex_decision likeliest = {
        .temperature = 1, .top_p = 1, .top_k = EX_TRIED, .candidates = 1, .strategy = "", .margin_metric = ""};
    ex_distribution distribution;
    ex_code code = ex_sampler_distribution(m->sampler, step->logits, metrics, &likeliest, &distribution, m->error);
    if (code != EX_OK || distribution.count < EX_TRIED) return code;
    ex_measured_text *out = &m->out[l->window->part];
    ex_tried *tried = &out->tried[out->n_tried];
    trial *waiting = &m->trials[m->n_trials];
    *tried = (ex_tried){.measured = out->n_positions - 1, .truth = -1};
    *waiting = (trial){.tried = tried, .from = l->session};
    for (int32_t i = 0; i < EX_TRIED; i++) {
        waiting->tokens[i] = distribution.candidates[i].token;
        tried->log_probability[i] = distribution.candidates[i].log_probability;
        if (waiting->tokens[i] == l->tokens[l->at]) tried->truth = i;
    }
    if (tried->truth < 0) return EX_OK;
    out->n_tried++;
    return ++m->n_trials == LANES_MAX / EX_TRIED ? feed_trials(m) : EX_OK;
}

static ex_code measure_position(measurement *m, lane *l, const ex_step *step) {
    ex_measured_text *out = &m->out[l->window->part];
    ex_measured *measured = &out->positions[out->n_positions++];
    int32_t likeliest;
    measured->window = l->window->index;
    ex_code code =
        ex_sampler_measure(m->sampler, step->logits, step->attention, &measured->metrics, &likeliest, m->error);
    if (code != EX_OK) return code;
    measure_sequence(m, l, &measured->metrics);
    return is_tried(m, l, &measured->metrics) ? try_candidates(m, l, step, &measured->metrics) : EX_OK;
}

/* One token for every lane. */
static ex_code advance(measurement *m) {
    ex_session *sessions[LANES_MAX];
    int32_t tokens[LANES_MAX];
    ex_step steps[LANES_MAX];
    for (size_t i = 0; i < m->n_live; i++) {
        sessions[i] = m->live[i]->session;
        tokens[i] = m->live[i]->tokens[m->live[i]->at++];
    }
    ex_code code = ex_sessions_evaluate(sessions, tokens, m->n_live, steps, m->error);
    for (size_t i = 0; i < m->n_live && code == EX_OK; i++) code = measure_position(m, m->live[i], &steps[i]);
    if (code == EX_OK) code = feed_trials(m);
    m->n_done += m->n_live;
    const ex_calibration_options *options = m->options;
    if (code == EX_OK && options->progress && !options->progress(options->context, m->n_done, m->n_total, "measuring"))
        return ex_fail(m->error, EX_ERROR_ARGUMENT, 0, "stopped on request");
    return code;
}

static ex_code measure_all(measurement *m) {
    ex_code code = fill_lanes(m);
    while (code == EX_OK && m->n_live > 0) {
        code = advance(m);
        if (code == EX_OK) code = fill_lanes(m);
    }
    return code;
}

static void close_all(measurement *m) {
    for (size_t i = 0; i < LANES_MAX; i++) {
        ex_session_close(m->forks[i]);
        ex_session_close(m->lanes[i].session);
        free(m->lanes[i].tokens);
        free(m->lanes[i].entropies);
    }
    ex_sampler_close(m->sampler);
    free(m->windows);
    free(m);
}

ex_code ex_measure_text(ex_engine *engine, const ex_part parts[EX_PARTS], const ex_calibration_options *options,
                        const ex_policy *policy, ex_measured_text out[EX_PARTS], ex_error *error) {
    measurement *m = ex_allocate(1, sizeof *m);
    if (!m) return ex_fail_memory(error, "calibration");
    m->engine = engine;
    m->options = options;
    m->policy = policy;
    m->out = out;
    m->error = error;
    ex_code code = find_beginning(m);
    if (code == EX_OK) code = cut_text(m, parts);
    if (code == EX_OK) code = open_sampler(m);
    if (code == EX_OK) code = open_lanes(m);
    if (code == EX_OK) code = measure_all(m);
    close_all(m);
    return code;
}
