/* generator.c - the loop: evaluate, sample, insert, stop. One call of ex_generator_next gives one token. A token is
 * evaluated when the next one is asked for, so that it can be shown first and the last one costs nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/stop_text.h"
#include "generate/text_stream.h"
#include "model/model.h"
#include "sampler/sampler.h"

enum { CLARIFICATION_MAX = 64 };

struct ex_generator {
    ex_session *session;
    const ex_tokenizer *tokenizer;
    ex_sampler *sampler;
    ex_generator_options options;
    ex_text_stream text;
    ex_stop_text stop;
    ex_step step;
    ex_choice choice;
    int32_t pending;  /* chosen and not evaluated yet, or EX_TOKEN_NONE */
    size_t n_generated;
    size_t n_to_insert; /* tokens of the clarification that are still to come */
    bool prompted;
    ex_end end;
};

ex_generator_options ex_generator_options_default(void) { return (ex_generator_options){0}; }

static ex_code set_clarification(ex_generator *generator, ex_error *error) {
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    int32_t tokens[CLARIFICATION_MAX] = {policy->clarify_token};
    size_t count = 1;
    if (policy->clarify_token == EX_TOKEN_NONE) {
        ex_code code = ex_tokenize(generator->tokenizer, policy->clarify_text, strlen(policy->clarify_text), 0, tokens,
                                   CLARIFICATION_MAX, &count, error);
        if (code != EX_OK) return code;
        if (count > CLARIFICATION_MAX)
            return ex_fail(error, EX_ERROR_ARGUMENT, 0, "clarify_text has %zu tokens; at most %d can be inserted",
                           count, (int)CLARIFICATION_MAX);
    } else if (policy->clarify_token >= ex_tokenizer_size(generator->tokenizer)) {
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "clarify_token %d is not in the vocabulary (0 to %d)",
                       policy->clarify_token, ex_tokenizer_size(generator->tokenizer) - 1);
    }
    return ex_sampler_set_clarification(generator->sampler, tokens, count, error);
}

static size_t longest_token(const ex_tokenizer *tokenizer) {
    size_t longest = 0;
    for (int32_t token = 0; token < ex_tokenizer_size(tokenizer); token++) {
        ex_string text = ex_token_text(tokenizer, token, false);
        if (text.length > longest) longest = text.length;
    }
    return longest;
}

static ex_code open_parts(ex_generator *generator, const ex_model *model, ex_error *error) {
    ex_code code = ex_sampler_open_with(&generator->sampler, generator->options.policy, model->shape.n_vocab,
                                        &model->kernels->vector_math, error);
    generator->options.policy = NULL; /* the caller's; the sampler has a copy */
    if (code != EX_OK) return code;
    code = ex_text_stream_open(&generator->text, longest_token(generator->tokenizer), error);
    if (code == EX_OK)
        code = ex_stop_text_open(&generator->stop, generator->options.stop, generator->options.n_stop,
                                 generator->text.capacity, error);
    generator->options.stop = NULL; /* the caller's, too */
    return code == EX_OK ? set_clarification(generator, error) : code;
}

ex_code ex_generator_open(ex_generator **out, ex_session *session, const ex_generator_options *options,
                          ex_error *error) {
    *out = NULL;
    ex_generator *generator = ex_allocate(1, sizeof *generator);
    if (!generator) return ex_fail_memory(error, "a generator");
    const ex_model *model = ex_session_model(session);
    generator->session = session;
    generator->tokenizer = model->tokenizer;
    generator->options = options ? *options : ex_generator_options_default();
    generator->pending = EX_TOKEN_NONE;
    ex_code code = open_parts(generator, model, error);
    if (code != EX_OK) {
        ex_generator_close(generator);
        return code;
    }
    *out = generator;
    return EX_OK;
}

void ex_generator_close(ex_generator *generator) {
    if (!generator) return;
    ex_sampler_close(generator->sampler);
    ex_text_stream_close(&generator->text);
    ex_stop_text_close(&generator->stop);
    free(generator);
}

static ex_string take_text(ex_generator *generator, ex_string bytes, bool last) {
    return ex_stop_text_add(&generator->stop, ex_text_stream_add(&generator->text, bytes, last), last);
}

ex_code ex_generator_prompt(ex_generator *generator, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    ex_code code = ex_session_evaluate(generator->session, tokens, n_tokens, NULL, &generator->step, error);
    if (code != EX_OK) return code;
    ex_sampler_reset(generator->sampler);
    take_text(generator, (ex_string){"", 0}, true);
    ex_stop_text_reset(&generator->stop);
    generator->pending = EX_TOKEN_NONE;
    generator->n_generated = generator->n_to_insert = 0;
    generator->prompted = true;
    generator->end = EX_END_NONE;
    return EX_OK;
}

static ex_code evaluate_pending(ex_generator *generator, ex_error *error) {
    if (generator->pending == EX_TOKEN_NONE) return EX_OK;
    ex_code code = ex_session_evaluate(generator->session, &generator->pending, 1, NULL, &generator->step, error);
    if (code == EX_OK) generator->pending = EX_TOKEN_NONE;
    return code;
}

static ex_code sample(ex_generator *generator, ex_error *error) {
    ex_random_key key = {generator->options.seed, generator->options.sequence,
                         (uint32_t)ex_session_position(generator->session)};
    return ex_sampler_step(generator->sampler, generator->step.logits, generator->step.attention, key,
                           &generator->choice, error);
}

static void finish(ex_generator *generator, ex_end end, int32_t token, ex_event *event) {
    generator->end = end;
    *event = (ex_event){.kind = EX_EVENT_END,
                        .end = end,
                        .token = token,
                        .position = ex_session_position(generator->session),
                        .text = take_text(generator, (ex_string){"", 0}, true),
                        .choice = token == EX_TOKEN_NONE ? NULL : &generator->choice};
}

/* Why generation must stop before the next token, if it must. */
static ex_end find_end(const ex_generator *generator) {
    if (generator->end != EX_END_NONE) return generator->end;
    size_t n_predict = generator->options.n_predict;
    if (n_predict > 0 && generator->n_generated >= n_predict) return EX_END_LENGTH;
    size_t held = ex_session_position(generator->session) + (generator->pending != EX_TOKEN_NONE);
    return held >= ex_session_context(generator->session) ? EX_END_CONTEXT : EX_END_NONE;
}

/* With the last token of an answer comes all text that was held back. */
static void emit(ex_generator *generator, ex_event_kind kind, int32_t token, ex_event *event) {
    ex_sampler_accept(generator->sampler, token, kind == EX_EVENT_INSERTED);
    generator->pending = token;
    generator->n_generated++;
    bool last = find_end(generator) != EX_END_NONE;
    *event = (ex_event){.kind = kind,
                        .token = token,
                        .position = ex_session_position(generator->session),
                        .text = take_text(generator, ex_token_text(generator->tokenizer, token, false), last),
                        .choice = &generator->choice};
    if (generator->stop.found) generator->end = EX_END_STOP;
}

static void insert_next(ex_generator *generator, ex_event *event) {
    size_t count;
    const int32_t *tokens = ex_sampler_clarification(generator->sampler, &count);
    emit(generator, EX_EVENT_INSERTED, tokens[count - generator->n_to_insert--], event);
}

ex_code ex_generator_next(ex_generator *generator, ex_event *event, ex_error *error) {
    if (!generator->prompted)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "the generator has no prompt yet: call ex_generator_prompt first");
    ex_end end = find_end(generator);
    if (end != EX_END_NONE) {
        finish(generator, end, EX_TOKEN_NONE, event);
        return EX_OK;
    }
    ex_code code = evaluate_pending(generator, error);
    if (code == EX_OK && generator->n_to_insert == 0) code = sample(generator, error);
    if (code != EX_OK) return code;
    int32_t token = generator->choice.draw.token;
    if (generator->n_to_insert > 0) {
        insert_next(generator, event);
    } else if (token == EX_TOKEN_NONE) {
        ex_sampler_clarification(generator->sampler, &generator->n_to_insert);
        insert_next(generator, event);
    } else if (ex_token_ends_generation(generator->tokenizer, token) && !generator->options.ignore_end) {
        finish(generator, EX_END_TOKEN, token, event);
    } else {
        emit(generator, EX_EVENT_TOKEN, token, event);
    }
    return EX_OK;
}
