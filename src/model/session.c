/* session.c - one timeline of positions: evaluates tokens, alone or with other timelines, goes back, forks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/batch.h"
#include "model/region.h"

enum { CONTEXT_DEFAULT_MAX = 4096, BATCH_DEFAULT = 256 };

struct ex_session {
    ex_model *model;
    ex_session_options options; /* with the defaults filled in */
    size_t position;
    ex_kv_table kv;
    ex_statistics statistics;
    ex_attention attention;  /* view of the statistics */
    float *logits;           /* [n_vocab] */
    float *scores;           /* [n_layer][n_head][positions] of the last query, or NULL */
    float *late_scores;      /* the same, where they were asked for after opening */
    float *rope_frequencies; /* [EX_ROPE_COUNT][n_rot / 2] */
    size_t n_scored;         /* columns that the last query's scores have */
    void *memory;
    size_t n_bytes;
};

ex_session_options ex_session_options_default(void) { return (ex_session_options){0}; }

static ex_kv_shape kv_shape(const ex_shape *shape, ex_kv_type type) {
    return (ex_kv_shape){type, (size_t)shape->n_layer, (size_t)shape->n_head_kv, (size_t)shape->head_dim};
}

static ex_code fill_options(ex_session_options *options, const ex_shape *shape, ex_error *error) {
    size_t n_trained = (size_t)shape->n_context;
    if (options->n_context == 0) options->n_context = n_trained < CONTEXT_DEFAULT_MAX ? n_trained : CONTEXT_DEFAULT_MAX;
    if (options->n_context > n_trained)
        return ex_fail(error, EX_ERROR_CONTEXT, 0, "a context of %zu positions: this model was trained for at most %zu",
                       options->n_context, n_trained);
    if (options->kv_type >= EX_KV_TYPE_COUNT)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "KV cache type %d does not exist", (int)options->kv_type);
    if (options->n_batch == 0) options->n_batch = BATCH_DEFAULT;
    if (options->n_batch > options->n_context) options->n_batch = options->n_context;
    return EX_OK;
}

static void carve(ex_session *session, ex_region *region) {
    const ex_shape *shape = &session->model->shape;
    size_t n_layer = (size_t)shape->n_layer, n_head = (size_t)shape->n_head, n_context = session->options.n_context;
    size_t n_columns = n_context + ex_layer_sinks(session->model->weights.layers);
    ex_statistics *s = &session->statistics;
    s->n_chunks = (n_columns + EX_DEVIATION_CHUNK - 1) / EX_DEVIATION_CHUNK;
    s->n_positions = ex_region_carve(region, n_layer, 1, sizeof *s->n_positions);
    s->head_entropy = ex_region_carve(region, n_layer, n_head, sizeof *s->head_entropy);
    s->head_maximum = ex_region_carve(region, n_layer, n_head, sizeof *s->head_maximum);
    s->head_strength = ex_region_carve(region, n_layer, n_head, sizeof *s->head_strength);
    s->layer_deviation = ex_region_carve(region, n_layer, 1, sizeof *s->layer_deviation);
    s->layer_entropy = ex_region_carve(region, n_layer, 1, sizeof *s->layer_entropy);
    s->head_sums = ex_region_carve(region, n_layer, s->n_chunks, sizeof *s->head_sums);
    session->rope_frequencies =
        ex_region_carve(region, EX_ROPE_COUNT, (size_t)shape->n_rot / 2, sizeof *session->rope_frequencies);
    session->logits = ex_region_carve(region, 1, (size_t)shape->n_vocab, sizeof *session->logits);
    if (session->options.keep_scores)
        session->scores = ex_region_carve(region, n_layer * n_head, n_columns, sizeof *session->scores);
}

/* Everything but the pages. */
static ex_code open_session(ex_session **out, ex_model *model, const ex_session_options *options, ex_error *error) {
    *out = NULL;
    ex_session *session = ex_allocate(1, sizeof *session);
    if (!session) return ex_fail_memory(error, "a session");
    session->model = model;
    session->options = *options;
    ex_region region = {0};
    carve(session, &region);
    session->n_bytes = region.used;
    if (!ex_region_reserve(&region)) {
        free(session);
        return ex_fail_memory(error, "a session");
    }
    session->memory = region.base;
    carve(session, &region);
    const ex_shape *shape = &model->shape;
    for (int kind = 0; kind < ex_rope_kinds(shape); kind++)
        ex_rope_frequencies(shape, &model->weights, kind, options->n_context,
                            session->rope_frequencies + kind * (shape->n_rot / 2));
    const ex_statistics *s = &session->statistics;
    session->attention = (ex_attention){shape->n_layer,  shape->n_head,    s->n_positions,     s->head_entropy,
                                        s->head_maximum, s->head_strength, s->layer_deviation, s->layer_entropy};
    *out = session;
    return EX_OK;
}

ex_code ex_model_session(ex_session **out, ex_model *model, const ex_session_options *options, ex_error *error) {
    *out = NULL;
    ex_session_options filled = options ? *options : ex_session_options_default();
    ex_code code = fill_options(&filled, &model->shape, error);
    if (code == EX_OK) code = ex_workspace_grow(model, filled.n_batch, filled.n_context, error);
    if (code == EX_OK) code = open_session(out, model, &filled, error);
    if (code != EX_OK) return code;
    code = ex_kv_open(&(*out)->kv, kv_shape(&model->shape, filled.kv_type), filled.n_context, error);
    if (code != EX_OK) {
        ex_session_close(*out);
        *out = NULL;
    }
    return code;
}

void ex_session_close(ex_session *session) {
    if (!session) return;
    ex_kv_close(&session->kv);
    free(session->late_scores);
    ex_release(session->memory, session->n_bytes);
    free(session);
}

ex_code ex_session_fork(ex_session **out, ex_session *session, ex_error *error) {
    ex_code code = open_session(out, session->model, &session->options, error);
    if (code != EX_OK) return code;
    code = ex_kv_fork(&(*out)->kv, &session->kv, error);
    if (code != EX_OK) {
        ex_session_close(*out);
        *out = NULL;
        return code;
    }
    (*out)->position = session->position;
    return EX_OK;
}

ex_code ex_session_assign(ex_session *to, const ex_session *from, ex_error *error) {
    if (to->kv.pool != from->kv.pool)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "sessions that are no forks of each other share no pages");
    if (to != from) ex_kv_share(&to->kv, &from->kv);
    to->position = from->position;
    to->n_scored = 0;
    return EX_OK;
}

void ex_session_exchange(ex_session *a, ex_session *b) {
    ex_session held = *a;
    *a = *b;
    *b = held;
}

size_t ex_session_pages_in_use(const ex_session *session) { return ex_kv_pages_in_use(&session->kv); }

const ex_model *ex_session_model(const ex_session *session) { return session->model; }

size_t ex_session_context(const ex_session *session) { return session->options.n_context; }

size_t ex_session_position(const ex_session *session) { return session->position; }

void ex_session_set_statistics(ex_session *session, bool on) { session->options.no_attention_statistics = !on; }

ex_code ex_session_rewind(ex_session *session, size_t position, ex_error *error) {
    if (position > session->position)
        return ex_fail(error, EX_ERROR_ARGUMENT, position, "cannot rewind to position %zu: the session holds %zu",
                       position, session->position);
    session->position = position;
    session->n_scored = 0;
    ex_kv_truncate(&session->kv, position);
    return EX_OK;
}

/* ---- evaluation ---------------------------------------------------------------------------------------------- */

static ex_code check_tokens(const ex_session *session, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    if (n_tokens == 0) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "no tokens to evaluate");
    if (n_tokens > session->options.n_context - session->position)
        return ex_fail(error, EX_ERROR_CONTEXT, session->position,
                       "%zu tokens after position %zu do not fit into a context of %zu", n_tokens, session->position,
                       session->options.n_context);
    for (size_t i = 0; i < n_tokens; i++)
        if (tokens[i] < 0 || tokens[i] >= session->model->shape.n_vocab)
            return ex_fail(error, EX_ERROR_ARGUMENT, i, "token %d is not in the vocabulary (0 to %d)", tokens[i],
                           session->model->shape.n_vocab - 1);
    return EX_OK;
}

/* Weights that are not finite show here, and are looked for only now: at load, that would read the whole file. */
static ex_code check_logits(const ex_session *session, const float *logits, ex_error *error) {
    const ex_model *model = session->model;
    size_t n_vocab = (size_t)model->shape.n_vocab;
    if (isfinite(model->kernels->vector_math.maximum(logits, n_vocab))) return EX_OK;
    ex_error reason;
    if (!ex_weights_explain(model->file, error ? error : &reason))
        ex_fail(error, EX_ERROR_NUMBER, session->position,
                "%s: the logits are not finite, though all weights are: the model's activations overflow",
                ex_file_path(model->file));
    return EX_ERROR_NUMBER;
}

/* `is_last`: results are wanted, of the last token. */
static ex_timeline timeline_of(ex_session *session, bool is_last) {
    ex_timeline timeline = {
        .kv = &session->kv, .rope_frequencies = session->rope_frequencies, .first = session->position};
    if (!is_last) return timeline;
    timeline.statistics = session->options.no_attention_statistics ? NULL : &session->statistics;
    timeline.scores = session->scores;
    timeline.logits = session->logits;
    return timeline;
}

static void evaluate_all(ex_session *session, const int32_t *tokens, size_t n_tokens, float *all_logits) {
    size_t n_vocab = (size_t)session->model->shape.n_vocab, n_batch = session->options.n_batch;
    for (size_t done = 0; done < n_tokens;) {
        size_t n = n_tokens - done < n_batch ? n_tokens - done : n_batch;
        ex_timeline timeline = timeline_of(session, done + n == n_tokens);
        ex_batch batch = {.model = session->model,
                          .timelines = &timeline,
                          .n_timelines = 1,
                          .kv_type = session->options.kv_type,
                          .tokens = tokens + done,
                          .n_tokens = n,
                          .all_logits = all_logits ? all_logits + done * n_vocab : NULL};
        ex_kv_prepare(&session->kv, session->position, session->position + n);
        ex_team_run(session->model->team, ex_forward, &batch);
        session->position += n;
        done += n;
    }
}

static ex_step step_of(ex_session *session, const float *logits) {
    session->n_scored = session->scores ? session->position + ex_layer_sinks(session->model->weights.layers) : 0;
    return (ex_step){.logits = logits,
                     .n_vocab = session->model->shape.n_vocab,
                     .attention = session->options.no_attention_statistics ? NULL : &session->attention,
                     .position = session->position - 1};
}

ex_step ex_session_step(ex_session *session) { return step_of(session, session->logits); }

ex_code ex_session_evaluate(ex_session *session, const int32_t *tokens, size_t n_tokens, float *all_logits,
                            ex_step *step, ex_error *error) {
    ex_code code = check_tokens(session, tokens, n_tokens, error);
    if (code != EX_OK) return code;
    size_t before = session->position, n_vocab = (size_t)session->model->shape.n_vocab;
    evaluate_all(session, tokens, n_tokens, all_logits);
    const float *logits = all_logits ? all_logits + (n_tokens - 1) * n_vocab : session->logits;
    code = check_logits(session, logits, error);
    if (code != EX_OK) {
        ex_session_rewind(session, before, NULL);
        return code;
    }
    ex_step result = step_of(session, logits);
    if (step) *step = result;
    return EX_OK;
}

static ex_code check_together(ex_session *const *sessions, const int32_t *tokens, size_t n_sessions, ex_error *error) {
    for (size_t i = 0; i < n_sessions; i++) {
        ex_code code = check_tokens(sessions[i], &tokens[i], 1, error);
        if (code != EX_OK) return code;
        bool alike = sessions[i]->model == sessions[0]->model &&
                     sessions[i]->options.kv_type == sessions[0]->options.kv_type;
        if (!alike)
            return ex_fail(error, EX_ERROR_ARGUMENT, i,
                           "session %zu cannot be evaluated with the first: another engine or type of KV cache", i);
        for (size_t j = 0; j < i; j++)
            if (sessions[i] == sessions[j])
                return ex_fail(error, EX_ERROR_ARGUMENT, i, "session %zu is session %zu: a session can be in it once",
                               i, j);
    }
    return EX_OK;
}

static void evaluate_group(ex_session *const *sessions, const int32_t *tokens, size_t n_sessions) {
    ex_timeline timelines[EX_TIMELINES];
    for (size_t i = 0; i < n_sessions; i++) {
        timelines[i] = timeline_of(sessions[i], true);
        ex_kv_prepare(&sessions[i]->kv, sessions[i]->position, sessions[i]->position + 1);
    }
    ex_batch batch = {.model = sessions[0]->model,
                      .timelines = timelines,
                      .n_timelines = n_sessions,
                      .kv_type = sessions[0]->options.kv_type,
                      .tokens = tokens,
                      .n_tokens = n_sessions};
    ex_team_run(batch.model->team, ex_forward, &batch);
    for (size_t i = 0; i < n_sessions; i++) sessions[i]->position++;
}

ex_code ex_sessions_evaluate(ex_session *const *sessions, const int32_t *tokens, size_t n_sessions, ex_step *steps,
                             ex_error *error) {
    if (n_sessions == 0) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "no sessions to evaluate");
    ex_code code = check_together(sessions, tokens, n_sessions, error);
    if (code != EX_OK) return code;
    for (size_t done = 0; done < n_sessions; done += EX_TIMELINES) {
        size_t left = n_sessions - done;
        evaluate_group(sessions + done, tokens + done, left < EX_TIMELINES ? left : EX_TIMELINES);
    }
    for (size_t i = 0; i < n_sessions && code == EX_OK; i++) {
        code = check_logits(sessions[i], sessions[i]->logits, error);
        steps[i] = step_of(sessions[i], sessions[i]->logits);
    }
    for (size_t i = 0; i < n_sessions && code != EX_OK; i++)
        ex_session_rewind(sessions[i], sessions[i]->position - 1, NULL);
    return code;
}

ex_code ex_session_keep_scores(ex_session *session, ex_error *error) {
    if (session->scores) return EX_OK;
    const ex_shape *shape = &session->model->shape;
    const size_t n_columns = session->options.n_context + ex_layer_sinks(session->model->weights.layers);
    session->late_scores = ex_allocate((size_t)shape->n_layer * (size_t)shape->n_head * n_columns, sizeof(float));
    if (!session->late_scores) return ex_fail_memory(error, "the attention scores of a session");
    session->scores = session->late_scores;
    session->options.keep_scores = true; /* of its forks too */
    return EX_OK;
}

const float *ex_session_scores(const ex_session *session, size_t *n_positions) {
    if (n_positions) *n_positions = session->n_scored;
    return session->n_scored ? session->scores : NULL;
}
