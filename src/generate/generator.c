/* generator.c - the loop: want, measure, decide, act, deliver. One call of ex_generator_next gives one token. A token
 * is evaluated when the next one is asked for, so that it can be shown first and the last one costs nothing. */
#include "generate/generator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/candidate.h"

ex_generator_options ex_generator_options_default(void) { return (ex_generator_options){0}; }

static ex_code set_clarification(ex_generator *generator, ex_error *error) {
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    int32_t tokens[EX_CLARIFICATION_MAX] = {policy->clarify_token};
    size_t count = 1;
    if (generator->constraint) return ex_sampler_set_clarification(generator->sampler, NULL, 0, error);
    if (policy->clarify_token == EX_TOKEN_NONE) {
        ex_code code = ex_tokenize(generator->tokenizer, policy->clarify_text, strlen(policy->clarify_text), 0, tokens,
                                   EX_CLARIFICATION_MAX, &count, error);
        if (code != EX_OK) return code;
        if (count > EX_CLARIFICATION_MAX)
            return ex_fail(error, EX_ERROR_ARGUMENT, 0, "clarify_text has %zu tokens; at most %d can be inserted",
                           count, (int)EX_CLARIFICATION_MAX);
    } else if (policy->clarify_token >= ex_tokenizer_size(generator->tokenizer)) {
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "clarify_token %d is not in the vocabulary (0 to %d)",
                       policy->clarify_token, ex_tokenizer_size(generator->tokenizer) - 1);
    }
    return ex_sampler_set_clarification(generator->sampler, tokens, count, error);
}

static const char *text_of(const void *tokenizer, int32_t token, size_t *length) {
    ex_string text = ex_token_text(tokenizer, token, false);
    *length = text.length;
    return text.data;
}

ex_code ex_generator_teach(const ex_generator *generator, ex_sampler *sampler, ex_error *error) {
    ex_sampler_keep_likeliest(sampler, generator->options.trace != NULL);
    ex_sampler_name_likeliest(sampler, generator->options.n_likeliest);
    return ex_sampler_set_vocabulary(sampler, text_of, generator->tokenizer, error);
}

static size_t longest_token(const ex_tokenizer *tokenizer) {
    size_t longest = 0;
    for (int32_t token = 0; token < ex_tokenizer_size(tokenizer); token++) {
        ex_string text = ex_token_text(tokenizer, token, false);
        if (text.length > longest) longest = text.length;
    }
    return longest;
}

static ex_code open_text(ex_generator *generator, ex_error *error) {
    ex_code code = ex_text_stream_open(&generator->text, longest_token(generator->tokenizer), error);
    if (code == EX_OK)
        code = ex_stop_text_open(&generator->stop, generator->options.stop, generator->options.n_stop,
                                 generator->text.capacity, error);
    generator->options.stop = NULL; /* the caller's */
    return code;
}

static ex_code open_constraint(ex_generator *generator, ex_error *error) {
    const ex_grammar *grammar = generator->options.grammar;
    if (grammar && generator->options.ignore_end)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0,
                       "a grammar ends with an end-of-generation token, which ignore_end passes over: choose one");
    ex_code code = ex_constraint_open(&generator->constraint, grammar, generator->tokenizer, error);
    if (code == EX_OK) code = ex_constrained_open(&generator->decided, generator->constraint, error);
    return code == EX_OK ? ex_constrained_open(&generator->delivered, generator->constraint, error) : code;
}

static ex_code open_tracer(ex_generator *generator, const ex_model *model, ex_error *error) {
    const ex_key *name = ex_file_find_key(model->file, "general.name");
    ex_tracer_options options = {.trace = generator->options.trace,
                                 .tokenizer = generator->tokenizer,
                                 .architecture = {model->architecture->name, strlen(model->architecture->name)},
                                 .n_vocab = model->shape.n_vocab,
                                 .n_layer = model->shape.n_layer,
                                 .n_head = model->shape.n_head,
                                 .seed = generator->options.seed,
                                 .sequence = generator->options.sequence};
    if (name) ex_key_string(name, 0, &options.model);
    return ex_tracer_open(&generator->tracer, &options, error);
}

static ex_code open_parts(ex_generator *generator, const ex_model *model, ex_error *error) {
    ex_code code = ex_sampler_open_with(&generator->sampler, generator->options.policy, model->shape.n_vocab,
                                        &model->kernels->vector_math, error);
    generator->options.policy = NULL; /* the caller's; the sampler has a copy */
    if (code == EX_OK) code = ex_generator_teach(generator, generator->sampler, error);
    if (code == EX_OK) code = open_text(generator, error);
    if (code == EX_OK) code = open_constraint(generator, error);
    if (code == EX_OK) code = set_clarification(generator, error);
    if (code == EX_OK) code = ex_padding_open(generator, error);
    if (code == EX_OK) code = ex_lookahead_open(generator, error);
    if (code == EX_OK) code = ex_branches_open(generator, error);
    if (code == EX_OK)
        code = ex_text_list_read(&generator->banned, "banned_strings",
                                 ex_sampler_policy(generator->sampler)->banned_strings, error);
    if (code == EX_OK) code = open_tracer(generator, model, error);
    if (code == EX_OK)
        code = ex_queue_open(&generator->queue, ex_unsettled_max(generator), model->shape.n_layer,
                             generator->options.n_likeliest, error);
    return code;
}

static ex_code check_options(const ex_generator_options *options, ex_error *error) {
    if (options->n_likeliest <= EX_LIKELIEST_MAX) return EX_OK;
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "%zu likeliest tokens: a choice can name %d at most",
                   options->n_likeliest, EX_LIKELIEST_MAX);
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
    ex_code code = check_options(&generator->options, error);
    if (code == EX_OK) code = open_parts(generator, model, error);
    if (code != EX_OK) {
        ex_generator_close(generator);
        return code;
    }
    *out = generator;
    return EX_OK;
}

void ex_generator_close(ex_generator *generator) {
    if (!generator) return;
    ex_padding_close(generator);
    ex_lookahead_close(generator);
    ex_branches_close(generator);
    ex_queue_close(&generator->queue);
    ex_sampler_close(generator->sampler);
    ex_text_stream_close(&generator->text);
    ex_stop_text_close(&generator->stop);
    ex_text_list_free(&generator->banned);
    ex_tracer_close(generator->tracer);
    ex_constrained_close(&generator->decided);
    ex_constrained_close(&generator->delivered);
    ex_constraint_close(generator->constraint);
    free(generator);
}

const ex_sampler *ex_generator_sampler(const ex_generator *generator) { return generator->sampler; }

static ex_string take_text(ex_generator *generator, ex_string bytes, bool last) {
    return ex_stop_text_add(&generator->stop, ex_text_stream_add(&generator->text, bytes, last), last);
}

ex_effort ex_generator_effort(const ex_generator *generator) {
    ex_effort effort = generator->effort;
    effort.fired = generator->fired;
    return effort;
}

void ex_generator_count(ex_generator *generator, const ex_choice *choice) {
    generator->fired[choice->decision.rule]++;
}

/* ---- the prompt ------------------------------------------------------------------------------------------------ */

static void begin_answer(ex_generator *generator) {
    take_text(generator, (ex_string){"", 0}, true);
    ex_stop_text_reset(&generator->stop);
    ex_queue_clear(&generator->queue);
    generator->wants.count = 0;
    ex_lookahead_release(generator);
    ex_branches_release(generator);
    ex_constraint_begin(generator->constraint, &generator->decided);
    ex_constraint_begin(generator->constraint, &generator->delivered);
    generator->pending = EX_TOKEN_NONE;
    generator->n_generated = generator->n_delivered = generator->n_to_insert = 0;
    generator->is_inserting = false;
    generator->n_rewinds = generator->n_retried = generator->n_back = 0;
    generator->effort = (ex_effort){0};
    memset(generator->fired, 0, sizeof generator->fired);
    generator->attempt = 0;
    generator->end = EX_END_NONE;
}

static ex_code remember(ex_generator *generator, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    if (!generator->has_context) {
        ex_sampler_reset(generator->sampler);
        ex_tracer_reset(generator->tracer);
    }
    ex_sampler_prompt(generator->sampler, tokens, n_tokens);
    return ex_tracer_prompt(generator->tracer, tokens, n_tokens, error);
}

ex_code ex_generator_context(ex_generator *generator, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    generator->has_context = false;
    ex_code code = remember(generator, tokens, n_tokens, error);
    generator->has_context = code == EX_OK;
    return code;
}

static size_t position_of_next(const ex_generator *generator) {
    return ex_session_position(generator->session) + (generator->pending != EX_TOKEN_NONE);
}

/* `pending`: the last token, if it is not evaluated yet. */
static ex_code begin(ex_generator *generator, const int32_t *tokens, size_t n_tokens, int32_t pending,
                     ex_error *error) {
    ex_code code = remember(generator, tokens, n_tokens, error);
    generator->has_context = false;
    begin_answer(generator);
    generator->pending = pending;
    generator->last_token = tokens[n_tokens - 1];
    generator->n_kept = position_of_next(generator);
    generator->prompted = true;
    return code == EX_OK ? ex_tracer_begin(generator->tracer, generator->sampler, generator->n_kept, error) : code;
}

ex_code ex_generator_prompt(ex_generator *generator, const int32_t *tokens, size_t n_tokens, ex_error *error) {
    ex_code code = ex_session_evaluate(generator->session, tokens, n_tokens, NULL, &generator->step, error);
    return code == EX_OK ? begin(generator, tokens, n_tokens, EX_TOKEN_NONE, error) : code;
}

ex_code ex_generator_prompt_later(ex_generator *generator, int32_t token, ex_error *error) {
    const int32_t n_vocab = ex_tokenizer_size(generator->tokenizer);
    const size_t position = ex_session_position(generator->session);
    if (token < 0 || token >= n_vocab)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "token %d is not in the vocabulary (0 to %d)", token, n_vocab - 1);
    if (position == ex_session_context(generator->session))
        return ex_fail(error, EX_ERROR_CONTEXT, position, "the context of %zu positions is full", position);
    return begin(generator, &token, 1, token, error);
}

/* ---- deciding -------------------------------------------------------------------------------------------------- */

ex_random_key ex_generator_key(const ex_generator *generator, size_t position, uint32_t branch) {
    return (ex_random_key){generator->options.seed, generator->options.sequence, (uint32_t)position,
                           generator->attempt * EX_ATTEMPTS + branch};
}

size_t ex_generator_room(const ex_generator *generator) {
    const size_t in_context = ex_session_context(generator->session) - position_of_next(generator);
    const size_t n_predict = generator->options.n_predict;
    if (n_predict == 0) return in_context;
    const size_t in_answer = n_predict > generator->n_generated ? n_predict - generator->n_generated : 0;
    return in_answer < in_context ? in_answer : in_context;
}

bool ex_generator_ends(const ex_generator *generator, int32_t token) {
    return !generator->options.ignore_end && ex_token_ends_generation(generator->tokenizer, token);
}

/* Why nothing more may be decided, if so. */
static ex_end find_end(const ex_generator *generator) {
    const size_t n_predict = generator->options.n_predict;
    if (n_predict > 0 && generator->n_generated >= n_predict) return EX_END_LENGTH;
    return position_of_next(generator) >= ex_session_context(generator->session) ? EX_END_CONTEXT : EX_END_NONE;
}

ex_code ex_generator_trace(ex_generator *generator, ex_trace_kind kind, int32_t token, ex_error *error) {
    const ex_traced traced = {.kind = kind,
                              .position = generator->position,
                              .attempt = ex_generator_key(generator, generator->position, 0).attempt,
                              .token = token,
                              .choice = generator->is_inserting ? NULL : &generator->choice,
                              .sampler = generator->sampler};
    return ex_tracer_decision(generator->tracer, &traced, error);
}

static const ex_trace_kind trace_kinds[] = {[EX_EVENT_TOKEN] = EX_TRACE_TOKEN,
                                            [EX_EVENT_INSERTED] = EX_TRACE_INSERTED,
                                            [EX_EVENT_END] = EX_TRACE_END};

static bool has_choice(ex_event_kind kind, ex_end end) {
    return kind != EX_EVENT_END || end == EX_END_TOKEN || end == EX_END_TRAP || end == EX_END_RULE;
}

/* Tokens of the clarification after its first are not measured. */
static double log_probability_of(const ex_generator *generator, ex_event_kind kind, int32_t token) {
    const ex_choice *choice = &generator->choice;
    if (token == EX_TOKEN_NONE || generator->is_inserting) return NAN;
    if (kind == EX_EVENT_INSERTED) return (double)generator->step.logits[token] - (choice->maximum + choice->log_sum);
    return ex_candidate_of(&choice->distribution, token)->log_probability;
}

ex_code ex_generator_push(ex_generator *generator, ex_event_kind kind, ex_end end, int32_t token, ex_error *error) {
    const ex_entry entry = {.kind = kind,
                            .end = end,
                            .token = token,
                            .position = generator->position,
                            .n_accepted = ex_sampler_count(generator->sampler),
                            .log_probability = log_probability_of(generator, kind, token),
                            .choice = generator->choice};
    ex_code code = has_choice(kind, end) ? ex_generator_trace(generator, trace_kinds[kind], token, error) : EX_OK;
    if (code != EX_OK) return code;
    ex_queue_push(&generator->queue, &entry);
    if (kind == EX_EVENT_END) return EX_OK;
    ex_sampler_accept(generator->sampler, token, kind == EX_EVENT_INSERTED);
    ex_constraint_accept(generator->constraint, &generator->decided, token);
    generator->pending = token;
    generator->n_generated++;
    return EX_OK;
}

ex_code ex_generator_take_drawn(ex_generator *generator, bool is_evaluated, ex_error *error) {
    const int32_t token = generator->choice.draw.token;
    if (ex_generator_ends(generator, token))
        return ex_generator_push(generator, EX_EVENT_END, EX_END_TOKEN, token, error);
    ex_code code = ex_generator_push(generator, EX_EVENT_TOKEN, EX_END_NONE, token, error);
    if (is_evaluated) generator->pending = EX_TOKEN_NONE;
    return code;
}

ex_code ex_generator_take_token(ex_generator *generator, ex_error *error) {
    const ex_policy *policy = ex_sampler_policy(generator->sampler);
    const bool looks = policy->lookahead > 0 && generator->choice.draw.n_draws > 1 && generator->n_forks > 0;
    return looks && ex_lookahead_begin(generator) ? EX_OK : ex_generator_take_drawn(generator, false, error);
}

static ex_code insert_next(ex_generator *generator, ex_error *error) {
    size_t count;
    const int32_t *tokens = ex_sampler_clarification(generator->sampler, &count);
    const int32_t token = tokens[count - generator->n_to_insert--];
    ex_code code = ex_generator_push(generator, EX_EVENT_INSERTED, EX_END_NONE, token, error);
    generator->is_inserting = generator->n_to_insert > 0;
    return code;
}

static ex_code begin_insertion(ex_generator *generator, ex_error *error) {
    ex_sampler_clarification(generator->sampler, &generator->n_to_insert);
    return insert_next(generator, error);
}

static ex_code trap(ex_generator *generator, ex_error *error) {
    return ex_generator_push(generator, EX_EVENT_END, EX_END_TRAP, EX_TOKEN_NONE, error);
}

static ex_code stop(ex_generator *generator, ex_error *error) {
    return ex_generator_push(generator, EX_EVENT_END, EX_END_RULE, EX_TOKEN_NONE, error);
}

static ex_act *const actions[EX_ACTION_COUNT] = {
    [EX_ACTION_SAMPLE] = ex_generator_take_token, [EX_ACTION_GREEDY] = ex_generator_take_token,
    [EX_ACTION_INSERT] = begin_insertion,         [EX_ACTION_BRANCH] = ex_branch_out,
    [EX_ACTION_RESAMPLE] = ex_resample,           [EX_ACTION_REWIND] = ex_rewind,
    [EX_ACTION_TRAP] = trap,                      [EX_ACTION_STOP] = stop,
};

ex_code ex_generator_constrain(const ex_generator *generator, ex_constrained *line, ex_sampler *sampler,
                               ex_error *error) {
    ex_sampler_set_allowed(sampler, line->allowed);
    return ex_constraint_mask(generator->constraint, line, error);
}

/* An action that waits for something is complete later. */
static ex_code act(ex_generator *generator, ex_act *action, ex_error *error) {
    ex_code code = action(generator, error);
    const bool is_complete = code == EX_OK && generator->wants.count == 0;
    return is_complete ? ex_avoid_banned(generator, error) : code;
}

static ex_code decide(ex_generator *generator, ex_error *error) {
    const ex_random_key key = ex_generator_key(generator, generator->position, 0);
    const ex_attention *attention;
    ex_code code = ex_generator_attention(generator, generator->session, &generator->step, &attention, error);
    if (code == EX_OK) code = ex_generator_constrain(generator, &generator->decided, generator->sampler, error);
    if (code == EX_OK)
        code = ex_sampler_step(generator->sampler, generator->step.logits, attention, key, &generator->choice, error);
    if (code != EX_OK) return code;
    ex_generator_count(generator, &generator->choice);
    ex_tracer_measured(generator->tracer, attention);
    return act(generator, actions[generator->choice.decision.action], error);
}

/* Afterwards something is wanted, or the queue has more entries, or fewer where tokens were taken back. */
static ex_code advance(ex_generator *generator, ex_error *error) {
    const ex_end end = find_end(generator);
    generator->position = position_of_next(generator);
    if (end != EX_END_NONE) return ex_generator_push(generator, EX_EVENT_END, end, EX_TOKEN_NONE, error);
    if (generator->pending == EX_TOKEN_NONE)
        return generator->n_to_insert > 0 ? insert_next(generator, error) : decide(generator, error);
    ex_generator_want(generator, generator->session, generator->pending);
    generator->wants.then = NULL;
    return EX_OK;
}

ex_code ex_generator_resume(ex_generator *generator, ex_error *error) {
    ex_wants *wants = &generator->wants;
    wants->count = 0;
    if (wants->then) return act(generator, wants->then, error);
    generator->step = wants->steps[0];
    generator->pending = EX_TOKEN_NONE;
    return EX_OK;
}

static bool has_settled(const ex_generator *generator) {
    return generator->wants.count == 0 && ex_settled_count(generator) > 0;
}

ex_code ex_generator_go_on(ex_generator *generator, ex_error *error) {
    if (!generator->prompted || generator->end != EX_END_NONE) return EX_OK;
    ex_code code = EX_OK;
    while (code == EX_OK && generator->wants.count == 0 && !has_settled(generator)) code = advance(generator, error);
    return code;
}

bool ex_generator_is_ready(const ex_generator *generator) {
    if (!generator->prompted || generator->end != EX_END_NONE) return true;
    return has_settled(generator) || (generator->wants.count == 0 && find_end(generator) != EX_END_NONE);
}

/* ---- delivering ------------------------------------------------------------------------------------------------ */

/* The session keeps the tokens that were delivered, as far as they were evaluated, and nothing of what was decided
 * beyond. */
static ex_code finish(ex_generator *generator, ex_end end, ex_error *error) {
    const ex_traced_rewind unseen = {generator->n_kept, position_of_next(generator), EX_TOKEN_NONE, "end"};
    ex_code traced = EX_OK;
    if (generator->queue.count > 0) traced = ex_tracer_rewind(generator->tracer, &unseen, error);
    if (traced != EX_OK) return traced;
    generator->end = end;
    generator->pending = EX_TOKEN_NONE;
    ex_queue_clear(&generator->queue);
    const size_t held = ex_session_position(generator->session);
    ex_code code = held > generator->n_kept ? ex_session_rewind(generator->session, generator->n_kept, error) : EX_OK;
    if (code != EX_OK) return code;
    return ex_tracer_summary(generator->tracer, generator->sampler, end, generator->n_delivered, error);
}

static ex_code deliver_end(ex_generator *generator, const ex_entry *entry, ex_event *event, ex_error *error) {
    *event = (ex_event){.kind = EX_EVENT_END,
                        .end = entry->end,
                        .token = entry->token,
                        .position = entry->position,
                        .text = take_text(generator, (ex_string){"", 0}, true),
                        .choice = has_choice(entry->kind, entry->end) ? &entry->choice : NULL,
                        .log_probability = entry->log_probability};
    return finish(generator, entry->end, error);
}

/* With the last token of an answer comes all text that was held back. */
static ex_code deliver_token(ex_generator *generator, const ex_entry *entry, ex_event *event, ex_error *error) {
    const bool last = generator->queue.count == 0 && find_end(generator) != EX_END_NONE;
    *event = (ex_event){.kind = entry->kind,
                        .token = entry->token,
                        .position = entry->position,
                        .text = take_text(generator, ex_token_text(generator->tokenizer, entry->token, false), last),
                        .choice = &entry->choice,
                        .log_probability = entry->log_probability};
    ex_constraint_accept(generator->constraint, &generator->delivered, entry->token);
    generator->last_token = entry->token;
    generator->n_kept = entry->position + 1;
    generator->n_delivered++;
    generator->n_back = 0;
    return generator->stop.found ? finish(generator, EX_END_STOP, error) : EX_OK;
}

/* The entry keeps its lists until the queue comes round to its place again, which is not before the next call. */
static const ex_entry *pop(ex_entry_queue *queue) {
    const ex_entry *entry = ex_queue_at(queue, 0);
    queue->first = (queue->first + 1) % queue->capacity;
    queue->count--;
    return entry;
}

ex_code ex_generator_next(ex_generator *generator, ex_event *event, ex_error *error) {
    if (!generator->prompted)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "the generator has no prompt yet: call ex_generator_prompt first");
    if (generator->end != EX_END_NONE) {
        *event = (ex_event){.kind = EX_EVENT_END,
                            .end = generator->end,
                            .token = EX_TOKEN_NONE,
                            .position = ex_session_position(generator->session),
                            .text = take_text(generator, (ex_string){"", 0}, true),
                            .log_probability = NAN};
        return EX_OK;
    }
    while (!has_settled(generator)) {
        ex_code code = ex_generators_evaluate(&generator, 1, error);
        if (code != EX_OK) return code;
    }
    const ex_entry *entry = pop(&generator->queue);
    return (entry->kind == EX_EVENT_END ? deliver_end : deliver_token)(generator, entry, event, error);
}
