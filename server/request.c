/* request.c - what every completion request has: sampling, lengths, stop texts, the extension. */
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "request_fields.h"
#include "request_prompt.h"

request_limits request_limits_default(void) {
    return (request_limits){
        .n_answers = 64, .n_stop = 16, .stop_bytes = 256, .n_bias = 64, .n_messages = 1024, .json_depth = 64};
}

static bool depth_is_fine(const char *body, size_t length, size_t limit) {
    size_t depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < length; i++) {
        const char c = body[i];
        if (in_text) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '{' || c == '[') {
            if (++depth > limit) return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

json_t *request_json(const char *body, size_t length, const request_limits *limits, request_problem *problem) {
    if (!depth_is_fine(body, length, limits->json_depth)) {
        request_refuse(problem, 400, NULL, "the body has values in values more than %zu deep", limits->json_depth);
        return NULL;
    }
    const char *zero = length ? memchr(body, 0, length) : NULL;
    if (zero) { /* jansson passes over one behind a number */
        request_refuse(problem, 400, NULL, "the body is not JSON: byte %zu is zero", (size_t)(zero - body));
        return NULL;
    }
    json_error_t reason;
    json_t *object = json_loadb(body, length, JSON_REJECT_DUPLICATES, &reason);
    if (!object) {
        request_refuse(problem, 400, NULL, "the body is not JSON: %s (line %d, column %d)", reason.text, reason.line,
                       reason.column);
        return NULL;
    }
    if (json_is_object(object)) return object;
    json_decref(object);
    request_refuse(problem, 400, NULL, "the body must be a JSON object");
    return NULL;
}

/* ---- the policy -------------------------------------------------------------------------------------------------- */

static bool set_key(ex_policy *policy, const char *key, json_t *value, request_problem *problem) {
    char number[64];
    const char *text = number;
    if (json_is_string(value))
        text = json_string_value(value);
    else if (json_is_boolean(value))
        text = json_is_true(value) ? "true" : "false";
    else if (json_is_integer(value))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(number, sizeof number, "%.17g", json_real_value(value));
    else
        return request_refuse(problem, 400, "entropix", "'set.%s' must be a number, a text, true or false", key);
    ex_error error;
    if (ex_policy_set(policy, key, text, &error) == EX_OK) return true;
    return request_refuse(problem, 400, "entropix", "%s", error.message);
}

/* A name, or the text of a policy file, which has a line for each key. */
static bool named_policy(ex_policy *out, const char *text, request_problem *problem) {
    ex_error error;
    ex_code code = strchr(text, '=') ? ex_policy_parse(out, text, strlen(text), "policy", &error)
                                     : ex_policy_preset(out, text, &error);
    return code == EX_OK || request_refuse(problem, 400, "entropix", "%s", error.message);
}

/* What one decision may cost: others wait for it. */
static bool is_cheap(const ex_policy *policy, request_problem *problem) {
    enum { AHEAD_MAX = 256, BRANCHED_MAX = 1024, REWINDS_MAX = 64 };
    if (policy->candidates * policy->lookahead > AHEAD_MAX)
        return request_refuse(problem, 400, "entropix", "candidates x lookahead may be %d at most here", AHEAD_MAX);
    if (policy->branches * policy->branch_tokens > BRANCHED_MAX)
        return request_refuse(problem, 400, "entropix", "branches x branch_tokens may be %d at most here",
                              BRANCHED_MAX);
    if (policy->rewind_limit > REWINDS_MAX)
        return request_refuse(problem, 400, "entropix", "rewind_limit may be %d at most here", REWINDS_MAX);
    return true;
}

bool request_policy(ex_policy *out, json_t *object, const ex_policy *default_policy, request_problem *problem) {
    *out = *default_policy;
    const char *text = NULL, *key;
    json_t *changes, *value;
    if (!field_text(object, "policy", &text, problem) || !field_object(object, "set", &changes, problem)) return false;
    if (text && !named_policy(out, text, problem)) return false;
    json_object_foreach(changes, key, value) if (!set_key(out, key, value, problem)) return false;
    ex_error error;
    if (ex_policy_check(out, &error) != EX_OK) return request_refuse(problem, 400, "entropix", "%s", error.message);
    return is_cheap(out, problem);
}

/* Standard parameters, and the keys of the policy that they are. */
typedef struct sampling_field {
    const char *key, *policy_key;
    double minimum, maximum;
    bool is_whole;
} sampling_field;

static const sampling_field sampling_fields[] = {
    {"temperature", "temperature", 0, 100, false},
    {"top_p", "top_p", 0, 1, false},
    {"top_k", "top_k", 0, 1000000, true},
    {"min_p", "min_p", 0, 1, false},
    {"typical_p", "typical_p", 0, 1, false},
    {"repeat_penalty", "repeat_penalty", 0.01, 100, false},
    {"repeat_last_n", "repeat_last_n", -1, 4096, true},
    {"presence_penalty", "presence_penalty", -2, 2, false},
    {"frequency_penalty", "frequency_penalty", -2, 2, false},
};

static bool read_sampling(completion_request *out, request_problem *problem) {
    ex_error error;
    for (size_t i = 0; i < sizeof sampling_fields / sizeof *sampling_fields; i++) {
        const sampling_field *field = &sampling_fields[i];
        double value = -1000; /* below every minimum */
        int64_t whole = INT64_MIN;
        char text[64];
        const bool read = field->is_whole
                              ? field_integer(out->body, field->key, (int64_t)field->minimum, (int64_t)field->maximum,
                                              &whole, problem)
                              : field_number(out->body, field->key, field->minimum, field->maximum, &value, problem);
        if (!read) return false;
        if (whole == INT64_MIN && value < field->minimum) continue;
        if (field->is_whole)
            snprintf(text, sizeof text, "%lld", (long long)whole);
        else
            snprintf(text, sizeof text, "%.17g", value);
        if (ex_policy_set(&out->policy, field->policy_key, text, &error) != EX_OK)
            return request_refuse(problem, 400, field->key, "%s", error.message);
        /* Who asks for temperature 0 wants the likeliest token, whatever the rules would make of it. */
        if (i == 0 && value <= 0) out->policy.strategies = false;
    }
    return true;
}

/* {"15043": 1.5, "13": -100}: -100 bans, as clients know it. */
static bool read_bias(completion_request *out, const request_limits *limits, request_problem *problem) {
    json_t *biases, *value;
    const char *key;
    if (!field_object(out->body, "logit_bias", &biases, problem)) return false;
    if (json_object_size(biases) == 0) return true;
    if (json_object_size(biases) > limits->n_bias)
        return request_refuse(problem, 400, "logit_bias", "'logit_bias' may have at most %zu tokens", limits->n_bias);
    char text[sizeof out->policy.logit_bias] = "";
    size_t at = 0;
    const long n_vocab = ex_tokenizer_size(ex_engine_tokenizer(out->engine));
    json_object_foreach(biases, key, value) {
        char *end;
        errno = 0;
        const long token = strtol(key, &end, 10);
        const double bias = json_number_value(value);
        if (*end || *key < '0' || *key > '9' || errno || token < 0 || token >= n_vocab || !json_is_number(value) ||
            !(bias >= -100 && bias <= 100))
            return request_refuse(problem, 400, "logit_bias",
                                  "'logit_bias' maps ids of tokens, 0 to %ld, to numbers from -100 to 100",
                                  n_vocab - 1);
        const char *comma = at > 0 ? "," : "";
        const int n = bias <= -100 ? snprintf(text + at, sizeof text - at, "%s%ld=false", comma, token)
                                   : snprintf(text + at, sizeof text - at, "%s%ld%+.6g", comma, token, bias);
        if (n < 0 || (size_t)n >= sizeof text - at)
            return request_refuse(problem, 400, "logit_bias", "'logit_bias' has too many tokens");
        at += (size_t)n;
    }
    ex_error error;
    return ex_policy_set(&out->policy, "logit_bias", text, &error) == EX_OK ||
           request_refuse(problem, 400, "logit_bias", "%s", error.message);
}

/* ---- lengths, stop texts, probabilities -------------------------------------------------------------------------- */

static bool read_lengths(completion_request *out, const request_limits *limits, request_problem *problem) {
    int64_t n = 1, n_predict = 0, seed = 0;
    const int64_t most = limits->n_predict > 0 ? (int64_t)limits->n_predict : INT32_MAX;
    if (limits->n_predict > 0) n_predict = most;
    const bool read = field_integer(out->body, "n", 1, (int64_t)limits->n_answers, &n, problem) &&
                      field_integer(out->body, "max_tokens", 1, most, &n_predict, problem) &&
                      field_integer(out->body, "max_completion_tokens", 1, most, &n_predict, problem) &&
                      field_integer(out->body, "seed", INT64_MIN, INT64_MAX, &seed, problem);
    if (!read) return false;
    out->n_answers = (size_t)n;
    out->n_predict = (size_t)n_predict;
    out->seed = (uint64_t)seed;
    json_t *given = json_object_get(out->body, "seed");
    if (given && !json_is_null(given) && seed >= 0) return true;
    if (getrandom(&out->seed, sizeof out->seed, GRND_NONBLOCK) != (ssize_t)sizeof out->seed)
        return request_refuse(problem, 503, NULL, "the system has no random numbers yet");
    out->seed &= (UINT64_C(1) << 53) - 1; /* that every JSON reader keeps exact */
    return true;
}

static bool add_stop(completion_request *out, json_t *text, const request_limits *limits, request_problem *problem) {
    const size_t length = json_string_length(text);
    if (!json_is_string(text) || length == 0 || length > limits->stop_bytes ||
        strlen(json_string_value(text)) != length)
        return request_refuse(problem, 400, "stop", "a stop text must have 1 to %zu bytes", limits->stop_bytes);
    out->stop[out->n_stop++] = json_string_value(text);
    return true;
}

static bool read_stop(completion_request *out, const request_limits *limits, request_problem *problem) {
    json_t *stop = json_object_get(out->body, "stop"), *text;
    if (!stop || json_is_null(stop)) return true;
    const size_t count = json_is_array(stop) ? json_array_size(stop) : 1, at_most = limits->n_stop;
    if (count > at_most) return request_refuse(problem, 400, "stop", "there may be %zu stop texts", at_most);
    out->stop = calloc(count > 0 ? count : 1, sizeof *out->stop);
    if (!out->stop) return request_refuse(problem, 503, NULL, "no memory for stop texts");
    if (!json_is_array(stop)) return add_stop(out, stop, limits, problem);
    size_t i;
    json_array_foreach(stop, i, text) if (!add_stop(out, text, limits, problem)) return false;
    return true;
}

/* In chats `logprobs` is a switch beside `top_logprobs`; in completions it is the number itself. */
static bool read_logprobs(completion_request *out, request_problem *problem) {
    int64_t n = 0;
    if (out->is_chat) {
        const bool read = field_bool(out->body, "logprobs", &out->wants_logprobs, problem) &&
                          field_integer(out->body, "top_logprobs", 0, EX_LIKELIEST_MAX, &n, problem);
        if (!read) return false;
        if (n > 0 && !out->wants_logprobs)
            return request_refuse(problem, 400, "top_logprobs", "'top_logprobs' needs 'logprobs' to be true");
    } else {
        json_t *value = json_object_get(out->body, "logprobs");
        if (json_is_false(value)) return true;
        if (!field_integer(out->body, "logprobs", 0, EX_LIKELIEST_MAX, &n, problem)) return false;
        out->wants_logprobs = value && !json_is_null(value);
    }
    out->n_likeliest = (size_t)n;
    return true;
}

static bool read_stream(completion_request *out, request_problem *problem) {
    json_t *options;
    return field_bool(out->body, "stream", &out->streams, problem) &&
           field_object(out->body, "stream_options", &options, problem) &&
           (!options || field_bool(options, "stream_options.include_usage", &out->includes_usage, problem));
}

/* ---- the form of the answer -------------------------------------------------------------------------------------- */

static const char any_object[] = "{\"type\": \"object\"}";

static bool open_grammar(completion_request *out, const char *schema, request_problem *problem) {
    ex_error error;
    if (ex_grammar_from_schema(&out->grammar, schema, strlen(schema), &error) == EX_OK) return true;
    return request_refuse(problem, 400, "response_format", "%s", error.message);
}

static bool read_format(completion_request *out, request_problem *problem) {
    json_t *format, *description, *schema = NULL;
    const char *type = "text";
    if (!field_object(out->body, "response_format", &format, problem)) return false;
    if (!format) return true;
    if (!field_text(format, "response_format.type", &type, problem)) return false;
    if (strcmp(type, "text") == 0) return true;
    if (strcmp(type, "json_object") == 0) return open_grammar(out, any_object, problem);
    if (strcmp(type, "json_schema") != 0)
        return request_refuse(problem, 400, "response_format",
                              "'response_format.type' must be text, json_object or json_schema");
    if (!field_object(format, "response_format.json_schema", &description, problem)) return false;
    if (description && !field_object(description, "response_format.json_schema.schema", &schema, problem)) return false;
    if (!schema)
        return request_refuse(problem, 400, "response_format",
                              "'response_format.json_schema.schema' must be an object");
    char *text = json_dumps(schema, JSON_COMPACT);
    if (!text) return request_refuse(problem, 503, NULL, "no memory for the schema");
    const bool opened = open_grammar(out, text, problem);
    free(text);
    return opened;
}

/* ---- the extension ----------------------------------------------------------------------------------------------- */

static bool read_extension(completion_request *out, const ex_policy *default_policy, request_problem *problem) {
    out->policy = *default_policy;
    json_t *extension, *fork;
    if (!field_object(out->body, "entropix", &extension, problem)) return false;
    if (!extension) return true;
    out->has_extension = out->wants_trace = true;
    int64_t answer = 0, position = -1, token = -1;
    if (!request_policy(&out->policy, extension, default_policy, problem)) {
        problem->parameter = "entropix";
        return false;
    }
    const bool read = field_bool(extension, "entropix.trace", &out->wants_trace, problem) &&
                      field_object(extension, "entropix.fork", &fork, problem);
    if (!read || !fork) return read;
    if (!field_text(fork, "entropix.fork.trace", &out->fork.trace, problem) ||
        !field_integer(fork, "entropix.fork.choice", 0, INT32_MAX, &answer, problem) ||
        !field_integer(fork, "entropix.fork.position", 1, INT32_MAX, &position, problem) ||
        !field_integer(fork, "entropix.fork.token", 0, INT32_MAX, &token, problem))
        return false;
    if (!out->fork.trace || position < 0 || token < 0)
        return request_refuse(problem, 400, "entropix", "'fork' needs 'trace', 'position' and 'token'");
    out->has_fork = true;
    out->fork.answer = (size_t)answer;
    out->fork.position = (size_t)position;
    out->fork.token = (int32_t)token;
    return true;
}

static bool refuse_tools(const completion_request *out, const char *key, request_problem *problem) {
    json_t *tools = json_object_get(out->body, key);
    if (!tools || json_is_null(tools) || (json_is_array(tools) && json_array_size(tools) == 0)) return true;
    if (!json_is_array(tools)) return request_refuse(problem, 400, key, "'%s' must be a list", key);
    return request_refuse(problem, 400, key,
                          "tools are not supported; a json_schema as 'response_format' gives structured answers");
}

/* What would change the answer must not be passed over in silence. */
static bool refuse_what_is_not_there(const completion_request *out, request_problem *problem) {
    const char *suffix = NULL;
    bool echo = false;
    int64_t n = 1, best_of = 0;
    if (!refuse_tools(out, "tools", problem) || !refuse_tools(out, "functions", problem)) return false;
    if (out->is_chat) return true;
    if (!field_text(out->body, "suffix", &suffix, problem) || !field_bool(out->body, "echo", &echo, problem) ||
        !field_integer(out->body, "n", INT64_MIN, INT64_MAX, &n, problem) ||
        !field_integer(out->body, "best_of", 0, INT64_MAX, &best_of, problem))
        return false;
    if (suffix && *suffix) return request_refuse(problem, 400, "suffix", "'suffix' is not supported");
    if (echo) return request_refuse(problem, 400, "echo", "'echo' is not supported; put the prompt before the answer");
    if (best_of > 0 && best_of != n)
        return request_refuse(problem, 400, "best_of", "'best_of' is not supported; 'n' gives several answers");
    return true;
}

bool completion_read(completion_request *out, const ex_engine *engine, bool is_chat, const char *body, size_t length,
                     const ex_policy *default_policy, const request_limits *limits, request_problem *problem) {
    *out = (completion_request){.engine = engine, .is_chat = is_chat};
    out->body = request_json(body, length, limits, problem);
    const bool read = out->body && field_text(out->body, "model", &out->model, problem) &&
                      refuse_what_is_not_there(out, problem) && read_extension(out, default_policy, problem) &&
                      read_sampling(out, problem) && read_bias(out, limits, problem) &&
                      read_lengths(out, limits, problem) && read_stop(out, limits, problem) &&
                      read_logprobs(out, problem) && read_stream(out, problem) && read_format(out, problem) &&
                      request_prompt(out, limits, problem);
    if (!read) completion_free(out);
    return read;
}

void completion_free(completion_request *request) {
    ex_grammar_close(request->grammar);
    free(request->tokens);
    free(request->stop);
    json_decref(request->body);
    *request = (completion_request){0};
}
