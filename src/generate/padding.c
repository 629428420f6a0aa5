/* padding.c - attention for policies that count the unused places of a cache (attention_padding): what a place of
 * score 0 weighs depends on the raw scores, so they are kept and reduced once more. */
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/generator.h"

static int32_t padding_of(const ex_generator *generator) {
    return ex_sampler_policy(generator->sampler)->attention_padding;
}

/* As many positions as there will ever be, so that the reducer has its memory from the start. */
static ex_code reserve(ex_generator *generator, ex_error *error) {
    const ex_model *model = ex_session_model(generator->session);
    const size_t n_columns = ex_session_context(generator->session) + ex_layer_sinks(model->weights.layers);
    const size_t n_heads = (size_t)model->shape.n_layer * (size_t)model->shape.n_head;
    const ex_attention *ignored;
    float *zeros = ex_allocate(n_heads * n_columns, sizeof *zeros);
    if (!zeros) return ex_fail_memory(error, "the attention scores of a generator");
    ex_code code = ex_score_reduce(generator->reducer, zeros, model->shape.n_layer, model->shape.n_head, n_columns,
                                   &ignored, error);
    free(zeros);
    return code;
}

ex_code ex_padding_open(ex_generator *generator, ex_error *error) {
    if (padding_of(generator) == 0) return EX_OK;
    ex_code code = ex_session_keep_scores(generator->session, error);
    if (code == EX_OK) code = ex_score_reducer_open(&generator->reducer, error);
    if (code == EX_OK) code = ex_score_reducer_set_padding(generator->reducer, padding_of(generator), error);
    return code == EX_OK ? reserve(generator, error) : code;
}

void ex_padding_close(ex_generator *generator) { ex_score_reducer_close(generator->reducer); }

ex_code ex_generator_attention(const ex_generator *generator, const ex_session *session, const ex_step *step,
                               const ex_attention **out, ex_error *error) {
    *out = step->attention;
    if (!generator->reducer || !step->attention) return EX_OK;
    size_t n_positions;
    const float *scores = ex_session_scores(session, &n_positions);
    return ex_score_reduce(generator->reducer, scores, step->attention->n_layer, step->attention->n_head, n_positions,
                           out, error);
}
