/* decide.c - one request of the decide protocol: logits, attention scores and configuration in, the whole decision out.
 * docs/SAMPLER.md describes it. Nothing is carried from one request to the next. */
#include "decide.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct decide_request {
    json_t *object;
    ex_policy policy;
    bool clarified, draws, extended;
    float *logits, *scores; /* scores NULL: none were given */
    size_t n_vocab, n_positions;
    int32_t n_layer, n_head;
    double sequence_varentropy;
    ex_random_key key;
    char message[DECIDE_REASON_BYTES]; /* why it cannot be answered */
} decide_request;

/* ---- reading a request ------------------------------------------------------------------------------------- */

static bool refuse(decide_request *request, const char *format, ...) EX_PRINTF(2, 3);

static bool refuse(decide_request *request, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(request->message, sizeof request->message, format, arguments);
    va_end(arguments);
    return false;
}

/* The last six are our own answer's: a line of answers can be asked again. */
static const char *const known_keys[] = {"id",
                                         "logits",
                                         "scores",
                                         "scores_shape",
                                         "scope",
                                         "clarified",
                                         "config",
                                         "seed",
                                         "sequence",
                                         "position",
                                         "sequence_varentropy",
                                         "extended",
                                         "metrics",
                                         "head_entropy",
                                         "decision",
                                         "distribution",
                                         "candidate_scores",
                                         "token",
                                         NULL};

static bool check_keys(decide_request *request) {
    const char *key;
    json_t *value;
    json_object_foreach(request->object, key, value) {
        size_t i = 0;
        while (known_keys[i] && strcmp(known_keys[i], key) != 0) i++;
        if (!known_keys[i]) return refuse(request, "there is no key \"%.60s\"", key);
    }
    return true;
}

/* NULL when the key is absent or null. */
static json_t *optional(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

/* A value of `config` as the text that ex_policy_set takes; free it. NULL when it has none. */
static char *text_of(const json_t *value) {
    if (json_is_string(value)) return strdup(json_string_value(value));
    if (json_is_boolean(value)) return strdup(json_is_true(value) ? "true" : "false");
    return json_is_number(value) ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) : NULL;
}

static bool set_value(decide_request *request, const char *key, const json_t *value) {
    char *text = text_of(value);
    if (!text) return refuse(request, "config: %.60s must be a number, a text, true or false", key);
    ex_error error;
    ex_code code = ex_policy_set(&request->policy, key, text, &error);
    free(text);
    return code == EX_OK || refuse(request, "config: %s", error.message);
}

static bool read_config(decide_request *request) {
    const json_t *config = optional(request->object, "config");
    if (config && !json_is_object(config)) return refuse(request, "config must be an object");
    const json_t *preset = optional(config, "preset");
    if (preset && !json_is_string(preset)) return refuse(request, "config: preset must be a text");
    ex_error error;
    const char *name = preset ? json_string_value(preset) : "entropixplained";
    if (ex_policy_preset(&request->policy, name, &error) != EX_OK)
        return refuse(request, "config: %s", error.message);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)config, key, value) {
        if (strcmp(key, "preset") != 0 && !set_value(request, key, value)) return false;
    }
    const json_t *high = json_object_get(config, "high_entropy"), *scope = optional(request->object, "scope");
    if (high && !json_object_get(config, "explore_entropy") && !set_value(request, "explore_entropy", high))
        return false;
    if (scope && !set_value(request, "scope", scope)) return false;
    return ex_policy_check(&request->policy, &error) == EX_OK || refuse(request, "config: %s", error.message);
}

/* An array of numbers; null stands for -infinity, which JSON cannot write. */
static bool read_numbers(decide_request *request, const char *key, float **out, size_t *count) {
    const json_t *array = json_object_get(request->object, key);
    if (!json_is_array(array) || json_array_size(array) == 0)
        return refuse(request, "%s must be an array with at least one number", key);
    *count = json_array_size(array);
    *out = malloc(*count * sizeof **out);
    if (!*out) return refuse(request, "out of memory for %zu %s", *count, key);
    for (size_t i = 0; i < *count; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_number(value) && !json_is_null(value))
            return refuse(request, "%s[%zu] must be a number or null", key, i);
        if (fabs(json_number_value(value)) > (double)FLT_MAX)
            return refuse(request, "%s[%zu] does not fit single precision", key, i);
        (*out)[i] = json_is_null(value) ? -INFINITY : (float)json_number_value(value);
    }
    return true;
}

static bool read_logits(decide_request *request) {
    if (!read_numbers(request, "logits", &request->logits, &request->n_vocab)) return false;
    return request->n_vocab <= INT32_MAX || refuse(request, "there are more than %d logits", INT32_MAX);
}

static bool read_scores(decide_request *request) {
    const json_t *shape = optional(request->object, "scores_shape");
    if (!optional(request->object, "scores"))
        return !shape || refuse(request, "scores_shape is there, but scores is not");
    size_t count;
    if (!read_numbers(request, "scores", &request->scores, &count)) return false;
    json_int_t sizes[3] = {0};
    for (size_t i = 0; i < 3 && json_array_size(shape) == 3; i++)
        sizes[i] = json_integer_value(json_array_get(shape, i));
    uint64_t heads, cells;
    if (sizes[0] < 1 || sizes[1] < 1 || sizes[2] < 1 || sizes[0] > INT32_MAX || sizes[1] > INT32_MAX)
        return refuse(request, "scores_shape must be three whole numbers: layers, heads, positions");
    if (__builtin_mul_overflow((uint64_t)sizes[0], (uint64_t)sizes[1], &heads) ||
        __builtin_mul_overflow(heads, (uint64_t)sizes[2], &cells) || cells != count)
        return refuse(request, "scores_shape [%lld, %lld, %lld] does not fit the %zu scores", (long long)sizes[0],
                      (long long)sizes[1], (long long)sizes[2], count);
    request->n_layer = (int32_t)sizes[0];
    request->n_head = (int32_t)sizes[1];
    request->n_positions = (size_t)sizes[2];
    return true;
}

static bool read_integer(decide_request *request, const char *key, json_int_t highest, json_int_t *out) {
    const json_t *value = optional(request->object, key);
    *out = json_integer_value(value);
    if (!value || (json_is_integer(value) && *out >= 0 && *out <= highest)) return true;
    return refuse(request, "%s must be a whole number from 0 to %lld", key, (long long)highest);
}

static bool read_rest(decide_request *request) {
    json_int_t seed, sequence, position;
    if (!read_integer(request, "seed", INT64_MAX, &seed) || !read_integer(request, "sequence", UINT32_MAX, &sequence) ||
        !read_integer(request, "position", UINT32_MAX, &position))
        return false;
    request->draws = optional(request->object, "seed") != NULL;
    request->key = (ex_random_key){(uint64_t)seed, (uint32_t)sequence, (uint32_t)position, 0};
    const json_t *clarified = optional(request->object, "clarified");
    if (clarified && !json_is_boolean(clarified)) return refuse(request, "clarified must be true or false");
    request->clarified = json_is_true(clarified);
    const json_t *extended = optional(request->object, "extended");
    if (extended && !json_is_boolean(extended)) return refuse(request, "extended must be true or false");
    request->extended = json_is_true(extended);
    const json_t *varentropy = optional(request->object, "sequence_varentropy");
    request->sequence_varentropy = json_number_value(varentropy);
    if (varentropy && (!json_is_number(varentropy) || request->sequence_varentropy < 0))
        return refuse(request, "sequence_varentropy must be a number that is not negative");
    if (!varentropy && request->policy.varentropy == EX_VARENTROPY_SEQUENCE)
        return refuse(request, "config: varentropy is sequence, so the line must give sequence_varentropy");
    return true;
}

static bool read_request(decide_request *request) {
    if (!json_is_object(request->object)) return refuse(request, "a line must be a JSON object");
    return check_keys(request) && read_config(request) && read_logits(request) && read_scores(request) &&
           read_rest(request);
}

/* ---- answering it ------------------------------------------------------------------------------------------ */

static bool is_among(const char *const *names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

/* The document's metrics, and with `extended` all of one step. */
static json_t *metrics_to_json(const decide_request *request, const ex_metrics *metrics) {
    static const char *const always[] = {"logits_entropy", "logits_varentropy", "attn_entropy", "attn_varentropy",
                                         "agreement", "head_consensus", "interaction_strength"};
    json_t *object = json_object();
    bool has_sequence = optional(request->object, "sequence_varentropy") != NULL;
    for (size_t i = 0; ex_metric_name(i); i++) {
        const char *name = ex_metric_name(i);
        bool wanted = has_sequence && strcmp(name, "sequence_varentropy") == 0;
        if (strncmp(name, "sequence_", 9) != 0) wanted = request->extended || is_among(always, 7, name);
        if (wanted) json_object_set_new(object, name, json_real(ex_metric_value(metrics, i)));
    }
    return object;
}

static json_t *head_entropy_to_json(const decide_request *request, const ex_attention *attention) {
    json_t *layers = json_array();
    if (!attention) return layers;
    int32_t first = request->policy.scope == EX_SCOPE_LAST ? attention->n_layer - 1 : 0;
    for (int32_t layer = first; layer < attention->n_layer; layer++) {
        json_t *heads = json_array();
        for (int32_t head = 0; head < attention->n_head; head++)
            json_array_append_new(heads, json_real(attention->head_entropy[layer * attention->n_head + head]));
        json_array_append_new(layers, heads);
    }
    return layers;
}

static json_t *decision_to_json(const decide_request *request, const ex_decision *decision) {
    json_t *object = json_pack("{s:s, s:f, s:f, s:i, s:f}", "strategy", decision->strategy, "temperature",
                               decision->temperature, "top_p", decision->top_p, "top_k", decision->top_k, "min_p",
                               decision->min_p);
    if (!request->extended) return object;
    json_object_set_new(object, "action", json_string(ex_action_name(decision->action)));
    json_object_set_new(object, "margin_metric", json_string(decision->margin_metric));
    json_object_set_new(object, "margin", json_real(decision->margin));
    return object;
}

static void set_by_token(json_t *object, int32_t token, double value) {
    char name[16];
    snprintf(name, sizeof name, "%d", token);
    json_object_set_new(object, name, json_real(value));
}

static void add_distribution(json_t *answer, const decide_request *request, const ex_distribution *distribution) {
    json_t *probabilities = distribution->count ? json_object() : json_null(), *scores = json_object();
    for (size_t i = 0; i < distribution->count; i++) {
        const ex_candidate *candidate = &distribution->candidates[i];
        set_by_token(probabilities, candidate->token, candidate->probability);
        if (i < (size_t)request->policy.candidates) set_by_token(scores, candidate->token, candidate->score);
    }
    json_object_set_new(answer, "distribution", probabilities);
    json_object_set_new(answer, "candidate_scores", scores);
}

static ex_code measure(const decide_request *request, ex_score_reducer *reducer, ex_metrics *metrics,
                       const ex_attention **attention, ex_error *error) {
    *attention = NULL;
    *metrics = (ex_metrics){.sequence_varentropy = request->sequence_varentropy};
    ex_code code = ex_measure_logits(request->logits, request->n_vocab, request->policy.top_k, metrics, error);
    if (code == EX_OK) code = ex_score_reducer_set_padding(reducer, request->policy.attention_padding, error);
    if (code == EX_OK && request->scores)
        code = ex_score_reduce(reducer, request->scores, request->n_layer, request->n_head, request->n_positions,
                               attention, error);
    if (code == EX_OK) ex_measure_attention(*attention, request->policy.scope, metrics, NULL);
    return code;
}

static ex_code sample(const decide_request *request, const ex_metrics *metrics, json_t *answer, ex_error *error) {
    ex_decision decision;
    ex_sampler *sampler;
    ex_code code = ex_sampler_open(&sampler, &request->policy, (int32_t)request->n_vocab, error);
    if (code != EX_OK) return code;
    ex_sampler_decide(sampler, metrics, !request->clarified, &decision);
    json_object_set_new(answer, "decision", decision_to_json(request, &decision));
    ex_distribution distribution;
    code = ex_sampler_distribution(sampler, request->logits, metrics, &decision, &distribution, error);
    if (code == EX_OK) add_distribution(answer, request, &distribution);
    if (code == EX_OK && request->draws) {
        ex_draw draw;
        ex_sampler_draw(sampler, &distribution, &decision, request->key, &draw);
        json_object_set_new(answer, "token", draw.token == EX_TOKEN_NONE ? json_null() : json_integer(draw.token));
    }
    ex_sampler_close(sampler);
    return code;
}

static bool answer_request(decide_request *request, ex_score_reducer *reducer, json_t *answer) {
    ex_error error;
    ex_metrics metrics;
    const ex_attention *attention;
    if (measure(request, reducer, &metrics, &attention, &error) != EX_OK) return refuse(request, "%s", error.message);
    json_object_set_new(answer, "metrics", metrics_to_json(request, &metrics));
    json_object_set_new(answer, "head_entropy", head_entropy_to_json(request, attention));
    return sample(request, &metrics, answer, &error) == EX_OK || refuse(request, "%s", error.message);
}

static json_t *refusal(json_t *id, const char *reason) { return json_pack("{s:O?, s:s}", "id", id, "error", reason); }

json_t *decide_object(json_t *object, ex_score_reducer *reducer, char reason[DECIDE_REASON_BYTES]) {
    decide_request request = {.object = object};
    json_t *id = json_object_get(object, "id"), *answer = json_pack("{s:O?}", "id", id);
    reason[0] = 0;
    if (!read_request(&request) || !answer_request(&request, reducer, answer)) {
        snprintf(reason, DECIDE_REASON_BYTES, "%s", request.message);
        json_decref(answer);
        answer = refusal(id, reason);
    }
    free(request.logits);
    free(request.scores);
    return answer;
}

json_t *decide(const char *text, size_t length, ex_score_reducer *reducer, char reason[DECIDE_REASON_BYTES]) {
    json_error_t error;
    const char *zero = length ? memchr(text, 0, length) : NULL;
    if (zero) { /* jansson passes over one behind a number */
        snprintf(reason, DECIDE_REASON_BYTES, "a zero byte (column %zu)", (size_t)(zero - text) + 1);
        return refusal(NULL, reason);
    }
    json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        snprintf(reason, DECIDE_REASON_BYTES, "%s (column %d)", error.text, error.column);
        return refusal(NULL, reason);
    }
    json_t *answer = decide_object(object, reducer, reason);
    json_decref(object);
    return answer;
}
