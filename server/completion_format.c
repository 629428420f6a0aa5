/* completion_format.c - chunks, finishes, usage and whole answers, in the shapes that clients of the API expect. Lines
 * of a trace are JSON already and go in as they are. */
#include <stdio.h>
#include <string.h>

#include "completion.h"

static const char *const finish_reasons[] = {
    [EX_END_TOKEN] = "stop", [EX_END_STOP] = "stop",     [EX_END_RULE] = "stop",
    [EX_END_TRAP] = "stop",  [EX_END_LENGTH] = "length", [EX_END_CONTEXT] = "length",
};
static const char *const end_names[] = {
    [EX_END_NONE] = "none", [EX_END_TOKEN] = "token", [EX_END_LENGTH] = "length", [EX_END_CONTEXT] = "context",
    [EX_END_STOP] = "stop", [EX_END_TRAP] = "trap",   [EX_END_RULE] = "rule",
};

/* ---- probabilities ----------------------------------------------------------------------------------------------- */

static json_t *bytes_of(ex_string text) {
    json_t *bytes = json_array();
    for (size_t i = 0; i < text.length; i++) json_array_append_new(bytes, json_integer((unsigned char)text.data[i]));
    return bytes;
}

static json_t *one_logprob(const server_completion *completion, int32_t token, double log_probability) {
    const ex_string text = ex_token_text(ex_engine_tokenizer(completion->request.engine), token, true);
    return json_pack("{s:o, s:o, s:o}", "token", json_of_bytes(text.data, text.length), "logprob",
                     json_of_number(log_probability), "bytes", bytes_of(text));
}

json_t *format_logprob(const server_completion *completion, const ex_event *event) {
    json_t *entry = one_logprob(completion, event->token, event->log_probability), *list = json_array();
    const size_t n = event->choice ? event->choice->n_likeliest : 0;
    for (size_t i = 0; i < n; i++) {
        const ex_candidate *likely = &event->choice->likeliest[i];
        json_array_append_new(list, one_logprob(completion, likely->token, likely->log_probability));
    }
    json_object_set_new(entry, "top_logprobs", list);
    return entry;
}

/* The older shape of /v1/completions: lists side by side. */
static json_t *legacy_logprobs(json_t *entries, size_t offset) {
    json_t *tokens = json_array(), *values = json_array(), *tops = json_array(), *offsets = json_array(), *entry;
    size_t i;
    json_array_foreach(entries, i, entry) {
        json_t *top = json_object(), *likely;
        size_t j;
        json_array_foreach(json_object_get(entry, "top_logprobs"), j, likely) json_object_set(
            top, json_string_value(json_object_get(likely, "token")), json_object_get(likely, "logprob"));
        json_array_append(tokens, json_object_get(entry, "token"));
        json_array_append(values, json_object_get(entry, "logprob"));
        json_array_append_new(tops, top);
        json_array_append_new(offsets, json_integer((json_int_t)offset));
        offset += json_array_size(json_object_get(entry, "bytes"));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", tokens, "token_logprobs", values, "top_logprobs", tops,
                     "text_offset", offsets);
}

/* What has come together, and an empty list from then on. */
static json_t *take_logprobs(server_completion *completion, completion_choice *choice) {
    if (!completion->request.wants_logprobs) return json_null();
    json_t *entries = choice->logprobs ? choice->logprobs : json_array();
    choice->logprobs = NULL;
    if (completion->request.is_chat) return json_pack("{s:o, s:n}", "content", entries, "refusal");
    json_t *legacy = legacy_logprobs(entries, choice->text_length);
    json_decref(entries);
    return legacy;
}

/* ---- events of a stream ------------------------------------------------------------------------------------------ */

static json_t *frame(const server_completion *completion, const char *chat_object, const char *text_object,
                     json_t *choices) {
    const bool is_chat = completion->request.is_chat;
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", completion->id, "object",
                     is_chat ? chat_object : text_object, "created", (json_int_t)completion->created, "model",
                     completion->server->model_name, "system_fingerprint", "entropix-" EX_VERSION, "choices", choices);
}

static json_t *chunk_frame(const server_completion *completion, json_t *choices) {
    return frame(completion, "chat.completion.chunk", "text_completion", choices);
}

/* The value without its last brace, so that more keys can follow. */
static void add_open(server_text *out, json_t *value) {
    text_add_json(out, value);
    if (!out->failed && out->length > 0) out->length--;
}

static void add_lines(server_text *out, completion_choice *choice) {
    text_add_string(out, ",\"entropix\":{\"lines\":[");
    text_add(out, choice->lines.bytes, choice->lines.length);
    text_add_string(out, "]}");
    text_clear(&choice->lines);
}

static json_t *delta_of(completion_choice *choice, const char *text, size_t length) {
    json_t *content = json_of_bytes(text, length);
    if (!choice->has_role) {
        choice->has_role = true;
        return json_pack("{s:s, s:o}", "role", "assistant", "content", content);
    }
    return json_pack("{s:o}", "content", content);
}

/* The event with this part of the answer, and the lines of the trace that came before it. */
static void add_chunk(server_text *out, server_completion *completion, completion_choice *choice, json_t *part) {
    text_add_string(out, "data: ");
    add_open(out, chunk_frame(completion, json_pack("[o]", part)));
    if (choice->lines.length > 0) add_lines(out, choice);
    text_add_string(out, "}\n\n");
}

void format_delta(server_text *out, server_completion *completion, size_t index, const char *text, size_t length) {
    completion_choice *choice = &completion->choices[index];
    json_t *part = json_pack("{s:I}", "index", (json_int_t)index);
    if (completion->request.is_chat)
        json_object_set_new(part, "delta", delta_of(choice, text, length));
    else
        json_object_set_new(part, "text", json_of_bytes(text, length));
    json_object_set_new(part, "logprobs", take_logprobs(completion, choice));
    json_object_set_new(part, "finish_reason", json_null());
    choice->text_length += length;
    add_chunk(out, completion, choice, part);
}

void format_finish(server_text *out, server_completion *completion, size_t index) {
    completion_choice *choice = &completion->choices[index];
    json_t *part = json_pack("{s:I}", "index", (json_int_t)index);
    if (completion->request.is_chat)
        json_object_set_new(part, "delta", json_object());
    else
        json_object_set_new(part, "text", json_string(""));
    json_object_set_new(part, "logprobs", json_null());
    json_object_set_new(part, "finish_reason", json_string(finish_reasons[choice->end]));
    add_chunk(out, completion, choice, part);
}

static json_t *usage_of(const server_completion *completion) {
    const scheduler_usage usage = scheduler_job_usage(completion->job);
    const json_int_t n_prompt = (json_int_t)usage.n_prompt, n_generated = (json_int_t)usage.n_generated;
    return json_pack("{s:I, s:I, s:I, s:{s:I}}", "prompt_tokens", n_prompt, "completion_tokens", n_generated,
                     "total_tokens", n_prompt + n_generated, "prompt_tokens_details", "cached_tokens",
                     (json_int_t)usage.n_cached);
}

static json_t *extension_of(const server_completion *completion) {
    const scheduler_usage usage = scheduler_job_usage(completion->job);
    json_t *summaries = json_array();
    for (size_t i = 0; i < completion->request.n_answers; i++)
        json_array_append(summaries, completion->choices[i].summary);
    const double seconds = usage.decode_seconds;
    return json_pack("{s:s, s:I, s:o, s:{s:f, s:f, s:f, s:f, s:I}}", "id", completion->id, "seed",
                     (json_int_t)completion->request.seed, "summary", summaries, "timings", "queue_seconds",
                     usage.queue_seconds, "prefill_seconds", usage.prefill_seconds, "decode_seconds", seconds,
                     "tokens_per_second", seconds > 0 ? (double)usage.n_generated / seconds : 0.0, "forwarded_tokens",
                     (json_int_t)usage.n_forwarded);
}

void format_last(server_text *out, server_completion *completion) {
    const bool has_usage = completion->request.includes_usage, is_extended = completion->request.has_extension;
    if (has_usage || is_extended) {
        json_t *event = chunk_frame(completion, json_array());
        if (has_usage) json_object_set_new(event, "usage", usage_of(completion));
        if (is_extended) json_object_set_new(event, "entropix", extension_of(completion));
        text_add_string(out, "data: ");
        text_add_json(out, event);
        text_add_string(out, "\n\n");
    }
    text_add_string(out, "data: [DONE]\n\n");
}

void format_stream_error(server_text *out, unsigned status, const char *message) {
    text_add_string(out, "data: ");
    text_add_json(out, error_json(status, NULL, message));
    text_add_string(out, "\n\ndata: [DONE]\n\n");
}

/* ---- whole answers ----------------------------------------------------------------------------------------------- */

static json_t *choice_of(server_completion *completion, size_t index) {
    completion_choice *choice = &completion->choices[index];
    json_t *text = json_of_bytes(choice->text.bytes, choice->text.length);
    json_t *part = json_pack("{s:I}", "index", (json_int_t)index);
    if (completion->request.is_chat)
        json_object_set_new(part, "message",
                            json_pack("{s:s, s:o, s:n}", "role", "assistant", "content", text, "refusal"));
    else
        json_object_set_new(part, "text", text);
    json_object_set_new(part, "logprobs", take_logprobs(completion, choice));
    json_object_set_new(part, "finish_reason", json_string(finish_reasons[choice->end]));
    return part;
}

void format_answer(server_text *out, server_completion *completion) {
    json_t *choices = json_array();
    for (size_t i = 0; i < completion->request.n_answers; i++) json_array_append_new(choices, choice_of(completion, i));
    json_t *answer = frame(completion, "chat.completion", "text_completion", choices);
    json_object_set_new(answer, "usage", usage_of(completion));
    if (!completion->request.has_extension) {
        text_add_json(out, answer);
        return;
    }
    add_open(out, answer);
    text_add_string(out, ",\"entropix\":");
    add_open(out, extension_of(completion));
    text_add_string(out, ",\"lines\":[");
    for (size_t i = 0, n = 0; i < completion->request.n_answers; i++) {
        const server_text *lines = &completion->choices[i].lines;
        if (lines->length > 0 && n++ > 0) text_add_string(out, ",");
        text_add(out, lines->bytes, lines->length);
    }
    text_add_string(out, "]}}");
}

json_t *format_summary(const completion_choice *choice, size_t index, const ex_generator *generator) {
    const ex_effort effort = ex_generator_effort(generator);
    const double n = choice->n_measured > 0 ? (double)choice->n_measured : 1;
    json_t *strategies = json_object();
    for (size_t i = 0; i < STRATEGIES_MAX && choice->strategies[i].name; i++)
        json_object_set_new(strategies, choice->strategies[i].name,
                            json_integer((json_int_t)choice->strategies[i].count));
    return json_pack("{s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I}", "choice", (json_int_t)index, "end",
                     end_names[choice->end], "tokens", (json_int_t)choice->n_tokens, "mean_logits_entropy",
                     json_of_number(choice->sum_entropy / n), "mean_logits_varentropy",
                     json_of_number(choice->sum_varentropy / n), "mean_attn_entropy",
                     json_of_number(choice->sum_attn_entropy / n), "strategies", strategies, "branched",
                     (json_int_t)effort.n_branched, "rewound", (json_int_t)effort.n_rewound, "tokens_lost",
                     (json_int_t)effort.n_lost, "tokens_taken_back", (json_int_t)effort.n_taken_back);
}
