/* completion.c - reads a request, submits it, and turns what the scheduler tells into an answer or a stream. */
#include "completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "failure.h"

enum { TRACE_SHARE = 8 }; /* of the memory for all traces, that one may take */

static void free_completion(server_completion *completion) {
    for (size_t i = 0; completion->choices && i < completion->request.n_answers; i++) {
        completion_choice *choice = &completion->choices[i];
        text_free(&choice->text);
        text_free(&choice->lines);
        json_decref(choice->logprobs);
        json_decref(choice->summary);
    }
    scheduler_job_release(completion->job);
    free(completion->choices);
    free(completion->kept_text);
    text_free(&completion->trace);
    completion_free(&completion->request);
    free(completion);
}

/* ---- what the scheduler tells ------------------------------------------------------------------------------------ */

static void leave(server_completion *completion) {
    if (!completion->is_gone) scheduler_cancel(completion->job);
    completion->is_gone = true;
}

static void write_stream(server_completion *completion, server_text *out) {
    if (!completion->has_begun) http_reply_begin(completion->reply, 200, "text/event-stream; charset=utf-8");
    completion->has_begun = true;
    if (out->failed || !http_reply_write(completion->reply, out->bytes, out->length)) leave(completion);
    text_free(out);
}

/* Not before the first second: until then an error can have a status of its own. */
static void on_waiting(void *context, size_t n_done, size_t n_total) {
    server_completion *completion = context;
    if (http_reply_is_gone(completion->reply)) leave(completion);
    if (!completion->request.streams || completion->is_gone) return;
    char comment[80];
    snprintf(comment, sizeof comment, ": %zu of %zu tokens of the prompt\n\n", n_done, n_total);
    server_text out = {0};
    text_add_string(&out, comment);
    write_stream(completion, &out);
}

/* A trace that is too long is not kept, and no more of it comes. */
static void on_trace(void *context, size_t answer, const char *line, size_t length) {
    server_completion *completion = context;
    completion_choice *choice = &completion->choices[answer];
    if (completion->trace.length + length > completion->server->options.trace_bytes / TRACE_SHARE) {
        text_free(&completion->trace);
        completion->is_untraced = true;
    }
    if (completion->is_gone || completion->is_untraced) return;
    text_add(&completion->trace, line, length);
    char opening[48];
    snprintf(opening, sizeof opening, "%s{\"choice\":%zu,", choice->lines.length > 0 ? "," : "", answer);
    text_add_string(&choice->lines, opening);
    text_add(&choice->lines, line + 1, length - 2); /* without its brace and its line end */
}

static void count_strategy(completion_choice *choice, const char *name) {
    size_t i = 0;
    while (i + 1 < STRATEGIES_MAX && choice->strategies[i].name && strcmp(choice->strategies[i].name, name) != 0) i++;
    choice->strategies[i].name = name;
    choice->strategies[i].count++;
}

static void measure(server_completion *completion, completion_choice *choice, const ex_event *event) {
    choice->n_tokens++;
    if (completion->request.wants_logprobs) {
        if (!choice->logprobs) choice->logprobs = json_array();
        json_array_append_new(choice->logprobs, format_logprob(completion, event));
    }
    if (event->kind != EX_EVENT_TOKEN || !event->choice) return;
    const ex_metrics *metrics = &event->choice->metrics;
    choice->n_measured++;
    choice->sum_entropy += metrics->logits_entropy;
    choice->sum_varentropy += metrics->logits_varentropy;
    choice->sum_attn_entropy += metrics->attn_entropy;
    count_strategy(choice, event->choice->decision.strategy);
}

static void stream_event(server_completion *completion, size_t answer, const ex_event *event) {
    completion_choice *choice = &completion->choices[answer];
    server_text out = {0};
    if (!choice->has_role && completion->kept_length > 0) {
        format_delta(&out, completion, answer, completion->kept_text, completion->kept_length);
        choice->has_role = true;
    }
    const bool says_something = event->text.length > 0 || choice->logprobs || choice->lines.length > 0;
    if (!choice->has_role || event->text.length > 0 || (says_something && event->kind != EX_EVENT_END))
        format_delta(&out, completion, answer, event->text.data, event->text.length);
    choice->has_role = true;
    if (event->kind == EX_EVENT_END) format_finish(&out, completion, answer);
    if (out.length > 0 || out.failed) write_stream(completion, &out);
}

static void keep_event(const server_completion *completion, completion_choice *choice, const ex_event *event) {
    if (!choice->has_role) text_add(&choice->text, completion->kept_text, completion->kept_length);
    choice->has_role = true;
    text_add(&choice->text, event->text.data, event->text.length);
}

static void on_event(void *context, size_t answer, const ex_event *event, const ex_generator *generator) {
    server_completion *completion = context;
    completion_choice *choice = &completion->choices[answer];
    if (completion->is_gone) return;
    if (http_reply_is_gone(completion->reply)) {
        leave(completion);
        return;
    }
    if (event->kind != EX_EVENT_END) {
        measure(completion, choice, event);
    } else {
        choice->end = event->end;
        choice->summary = format_summary(choice, answer, generator);
    }
    if (completion->request.streams)
        stream_event(completion, answer, event);
    else
        keep_event(completion, choice, event);
}

static void keep_trace(server_completion *completion) {
    if (completion->trace.length == 0 || completion->trace.failed) return;
    ex_error error;
    if (trace_store_add(completion->server->traces, completion->id, completion->client, completion->trace.bytes,
                        completion->trace.length, &error) != EX_OK)
        telemetry_add(completion->server->telemetry, COUNT_TRACES_FAILED, 1);
    completion->trace = (server_text){0};
}

static void end_stream(server_completion *completion, const ex_error *error) {
    server_text out = {0};
    if (error)
        format_stream_error(&out, status_of_error(error), error->message);
    else
        format_last(&out, completion);
    write_stream(completion, &out);
    http_reply_end(completion->reply);
}

static void send_answer(server_completion *completion) {
    server_text out = {0};
    format_answer(&out, completion);
    bool failed = out.failed;
    for (size_t i = 0; i < completion->request.n_answers; i++) failed = failed || completion->choices[i].text.failed;
    if (failed) {
        const ex_error error = {.code = EX_ERROR_MEMORY, .message = "no memory for the answer"};
        reply_error(completion->reply, &error);
    } else {
        http_reply_send(completion->reply, 200, "application/json", out.bytes, out.length);
    }
    text_free(&out);
}

static void on_done(void *context, const ex_error *error, bool cancelled) {
    server_completion *completion = context;
    static const ex_error stopped = {.code = EX_ERROR_MEMORY, .message = "the server is shutting down"};
    if (cancelled && !error) error = &stopped;
    keep_trace(completion);
    if (completion->is_gone)
        http_reply_end(completion->reply);
    else if (completion->has_begun)
        end_stream(completion, error);
    else if (error)
        reply_error(completion->reply, error);
    else if (completion->request.streams)
        end_stream(completion, error);
    else
        send_answer(completion);
    free_completion(completion);
}

/* ---- submitting -------------------------------------------------------------------------------------------------- */

static bool keep_text(server_completion *completion, const int32_t *tokens, size_t n_tokens) {
    server_text text = {0};
    for (size_t i = 0; i < n_tokens; i++) {
        const ex_string piece = ex_token_text(ex_engine_tokenizer(completion->request.engine), tokens[i], false);
        text_add(&text, piece.data, piece.length);
    }
    completion->kept_text = text.bytes;
    completion->kept_length = text.length;
    return !text.failed;
}

/* The tokens of the earlier answer take the place of the prompt. */
static bool resolve_fork(server_completion *completion, request_problem *problem) {
    completion_request *request = &completion->request;
    const request_fork *fork = &request->fork;
    size_t length, n_tokens, n_prompt;
    char *text = trace_store_get(completion->server->traces, fork->trace, completion->client, &length);
    if (!text) return request_refuse(problem, 404, "entropix", "there is no trace %.60s (any more)", fork->trace);
    ex_error error;
    int32_t *tokens = trace_tokens(text, length, fork->answer, fork->position, &n_tokens, &n_prompt, &error);
    free(text);
    if (!tokens) return request_refuse(problem, 400, "entropix", "%s", error.message);
    int32_t *grown = realloc(tokens, (n_tokens + 1) * sizeof *tokens);
    if (!grown) {
        free(tokens);
        return request_refuse(problem, 503, NULL, "no memory for the tokens");
    }
    free(request->tokens);
    request->tokens = grown;
    request->tokens[n_tokens] = fork->token;
    request->n_tokens = n_tokens + 1;
    if (fork->token >= ex_tokenizer_size(ex_engine_tokenizer(request->engine)))
        return request_refuse(problem, 400, "entropix", "there is no token %d", fork->token);
    return keep_text(completion, grown + n_prompt, n_tokens + 1 - n_prompt) ||
           request_refuse(problem, 503, NULL, "no memory for the text");
}

static void name_completion(server_completion *completion) {
    uint64_t random[2] = {0};
    if (getrandom(random, sizeof random, GRND_NONBLOCK) < 0) random[0] = (uint64_t)clock();
    snprintf(completion->id, sizeof completion->id, "%s-%016llx%08llx",
             completion->request.is_chat ? "chatcmpl" : "cmpl", (unsigned long long)random[0],
             (unsigned long long)(random[1] & 0xFFFFFFFF));
    completion->created = (int64_t)time(NULL);
}

static ex_code submit(server_completion *completion, ex_error *error) {
    const completion_request *request = &completion->request;
    scheduler_request job = {.tokens = request->tokens,
                             .n_tokens = request->n_tokens,
                             .answer = ex_generator_options_default(),
                             .n_answers = request->n_answers,
                             .client = completion->client,
                             .wants_trace = request->wants_trace,
                             .seconds_at_most = completion->server->options.seconds_at_most};
    job.answer.policy = &request->policy;
    job.answer.seed = request->seed;
    job.answer.n_predict = request->n_predict;
    job.answer.stop = request->stop;
    job.answer.n_stop = request->n_stop;
    job.answer.grammar = request->grammar;
    job.answer.n_likeliest = request->wants_logprobs ? request->n_likeliest : 0;
    const scheduler_listener listener = {completion, on_waiting, on_event, on_trace, on_done};
    return scheduler_submit(completion->server->scheduler, &job, &listener, &completion->job, error);
}

static void reply_refusal(http_reply *reply, const ex_error *error) {
    char seconds[16];
    if (error->code == EX_ERROR_CONTEXT) {
        json_t *value = error_json(400, NULL, error->message);
        json_t *details = json_object_get(value, "error");
        json_object_set_new(details, "type", json_string("exceed_context_size_error"));
        json_object_set_new(details, "n_ctx", json_integer((json_int_t)error->position));
        reply_json(reply, 400, value);
        return;
    }
    if (error->code == EX_ERROR_MEMORY && error->position > 0) {
        snprintf(seconds, sizeof seconds, "%u", (unsigned)error->position);
        http_reply_header(reply, "Retry-After", seconds);
        reply_json(reply, 429, error_json(429, NULL, error->message));
        return;
    }
    reply_error(reply, error);
}

static bool prepare(server_completion *completion, const http_request *request, bool is_chat,
                    request_problem *problem) {
    server_core *server = completion->server;
    if (!completion_read(&completion->request, server->options.engine, is_chat, request->body, request->body_length,
                         &server->policy, &server->options.limits, problem))
        return false;
    if (completion->request.has_fork && !resolve_fork(completion, problem)) return false;
    completion->choices = calloc(completion->request.n_answers, sizeof *completion->choices);
    return completion->choices || request_refuse(problem, 503, NULL, "no memory for the answers");
}

static void handle(server_core *server, const http_request *request, http_reply *reply, bool is_chat) {
    telemetry_add(server->telemetry, COUNT_REQUESTS, 1);
    server_completion *completion = calloc(1, sizeof *completion);
    request_problem problem = {.status = 503, .message = "no memory for the request"};
    if (!completion) {
        reply_problem(reply, &problem);
        return;
    }
    completion->server = server;
    completion->reply = reply;
    completion->client = request->client;
    if (!prepare(completion, request, is_chat, &problem)) {
        free_completion(completion);
        reply_problem(reply, &problem);
        return;
    }
    name_completion(completion);
    ex_error error;
    if (submit(completion, &error) == EX_OK) return; /* it may be gone already */
    free_completion(completion);
    reply_refusal(reply, &error);
}

void handle_chat(void *context, const http_request *request, http_reply *reply) {
    handle(context, request, reply, true);
}

void handle_completion(void *context, const http_request *request, http_reply *reply) {
    handle(context, request, reply, false);
}
