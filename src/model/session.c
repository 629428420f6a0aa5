/* session.c - one timeline of positions: evaluates tokens, goes back, forks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/batch.h"

enum { CONTEXT_DEFAULT_MAX = 4096, BATCH_DEFAULT = 256 };

struct ex_session {
    ex_model *model;
    ex_session_options options; /* with the defaults filled in */
    size_t position;
    ex_kv_table kv;
    ex_workspace work;
    ex_attention attention; /* view of the last query */
    size_t n_scored;        /* positions that the last query's scores cover */
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

/* Everything but the pages. */
static ex_code open_session(ex_session **out, ex_model *model, const ex_session_options *options, ex_error *error) {
    *out = NULL;
    ex_session *session = ex_allocate(1, sizeof *session);
    if (!session) return ex_fail_memory(error, "a session");
    session->model = model;
    session->options = *options;
    ex_workspace *w = &session->work;
    ex_code code = ex_workspace_open(w, model, options->n_context, options->n_batch, options->keep_scores, error);
    if (code != EX_OK) {
        free(session);
        return code;
    }
    session->attention = (ex_attention){model->shape.n_layer, model->shape.n_head, w->n_positions,    w->head_entropy,
                                        w->head_maximum,      w->head_strength,    w->layer_deviation};
    *out = session;
    return EX_OK;
}

ex_code ex_model_session(ex_session **out, ex_model *model, const ex_session_options *options, ex_error *error) {
    *out = NULL;
    ex_session_options filled = options ? *options : ex_session_options_default();
    ex_code code = fill_options(&filled, &model->shape, error);
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
    ex_workspace_close(&session->work);
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

static void evaluate_batch(ex_session *session, ex_batch *batch) {
    ex_kv_prepare(&session->kv, batch->first, batch->first + batch->n_tokens);
    ex_team_run(session->model->team, ex_forward, batch);
    session->position += batch->n_tokens;
}

static void evaluate_all(ex_session *session, const int32_t *tokens, size_t n_tokens, float *all_logits) {
    size_t n_vocab = (size_t)session->model->shape.n_vocab;
    for (size_t done = 0; done < n_tokens;) {
        size_t left = n_tokens - done;
        bool is_last = left <= session->options.n_batch;
        ex_batch batch = {
            .model = session->model,
            .work = &session->work,
            .kv = &session->kv,
            .kv_type = session->options.kv_type,
            .tokens = tokens + done,
            .n_tokens = is_last ? left : session->options.n_batch,
            .first = session->position,
            .statistics = is_last && !session->options.no_attention_statistics,
            .keep_scores = is_last && session->options.keep_scores,
            .all_logits = all_logits ? all_logits + done * n_vocab : NULL,
            .want_logits = is_last,
        };
        evaluate_batch(session, &batch);
        done += batch.n_tokens;
    }
}

ex_code ex_session_evaluate(ex_session *session, const int32_t *tokens, size_t n_tokens, float *all_logits,
                            ex_step *step, ex_error *error) {
    ex_code code = check_tokens(session, tokens, n_tokens, error);
    if (code != EX_OK) return code;
    size_t before = session->position, n_vocab = (size_t)session->model->shape.n_vocab;
    evaluate_all(session, tokens, n_tokens, all_logits);
    const float *logits = all_logits ? all_logits + (n_tokens - 1) * n_vocab : session->work.logits;
    code = check_logits(session, logits, error);
    if (code != EX_OK) {
        ex_session_rewind(session, before, NULL);
        return code;
    }
    session->n_scored = session->options.keep_scores ? session->position : 0;
    if (step)
        *step = (ex_step){.logits = logits,
                          .n_vocab = session->model->shape.n_vocab,
                          .attention = session->options.no_attention_statistics ? NULL : &session->attention,
                          .position = session->position - 1};
    return EX_OK;
}

const float *ex_session_scores(const ex_session *session, size_t *n_positions) {
    if (n_positions) *n_positions = session->n_scored;
    return session->n_scored ? session->work.scores : NULL;
}
