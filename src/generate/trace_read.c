/* trace_read.c - reads a trace line by line. What a decision needs must be there and have its type; keys that are not
 * known are passed over. */
#include "generate/trace_read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

/* ---- the file -------------------------------------------------------------------------------------------------- */

static bool grow_text(ex_trace_reader *reader, size_t *capacity) {
    if (reader->length < *capacity) return true;
    const size_t larger = *capacity ? *capacity * 2 : (size_t)1 << 20;
    char *memory = realloc(reader->memory, larger);
    if (!memory) return false;
    reader->memory = memory;
    reader->text = memory;
    *capacity = larger;
    return true;
}

static ex_code read_all(ex_trace_reader *reader, int descriptor, ex_error *error) {
    size_t capacity = 0;
    for (;;) {
        if (!grow_text(reader, &capacity)) return ex_fail_memory(error, "a trace");
        ssize_t n = read(descriptor, reader->memory + reader->length, capacity - reader->length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ex_fail_system(error, reader->name, "read the trace");
        if (n == 0) return EX_OK;
        reader->length += (size_t)n;
    }
}

ex_code ex_trace_reader_open_text(ex_trace_reader *reader, const char *text, size_t length, ex_error *error) {
    *reader = (ex_trace_reader){.name = "the trace", .text = length > 0 ? text : "", .length = length};
    reader->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return reader->locale ? EX_OK : ex_fail_memory(error, "a trace");
}

ex_code ex_trace_reader_open(ex_trace_reader *reader, const char *path, ex_error *error) {
    const bool is_standard = strcmp(path, "-") == 0;
    *reader = (ex_trace_reader){.name = is_standard ? "standard input" : path};
    int descriptor = is_standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return ex_fail_system(error, path, "read the trace");
    reader->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    ex_code code = reader->locale ? read_all(reader, descriptor, error) : ex_fail_memory(error, "a trace");
    if (!is_standard) close(descriptor);
    return code;
}

void ex_trace_reader_close(ex_trace_reader *reader) {
    ex_json_free(&reader->document);
    if (reader->locale) freelocale(reader->locale);
    free(reader->memory);
    free(reader->candidates);
    free(reader->logits);
    free(reader->tokens);
    free(reader->texts);
    *reader = (ex_trace_reader){0};
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

ex_code ex_trace_fail(ex_trace_reader *reader, const char *format, ...) {
    if (reader->code != EX_OK) return reader->code;
    char what[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    reader->code = ex_fail(reader->error, EX_ERROR_FORMAT, reader->line, "%s: %s", reader->place, what);
    return reader->code;
}

static const ex_json *value_of(ex_trace_reader *reader, const ex_json *map, const char *key, ex_json_kind kind) {
    const ex_json *value = ex_json_member(map, key);
    if (!value) ex_trace_fail(reader, "there is no %s", key);
    else if (value->kind != kind) ex_trace_fail(reader, "%s is not %s", key, ex_json_kind_name(kind));
    else return value;
    return NULL;
}

static int64_t whole(ex_trace_reader *reader, const ex_json *value, const char *key, int64_t minimum, int64_t maximum) {
    if (value->kind == EX_JSON_INTEGER && value->as.integer >= minimum && value->as.integer <= maximum)
        return value->as.integer;
    ex_trace_fail(reader, "%s is not an integer from %" PRId64 " to %" PRId64, key, minimum, maximum);
    return 0;
}

int64_t ex_trace_integer(ex_trace_reader *reader, const ex_json *map, const char *key, int64_t minimum,
                         int64_t maximum) {
    const ex_json *value = value_of(reader, map, key, EX_JSON_INTEGER);
    return value ? whole(reader, value, key, minimum, maximum) : 0;
}

static int64_t integer_or(ex_trace_reader *reader, const ex_json *map, const char *key, int64_t minimum,
                          int64_t maximum, int64_t otherwise) {
    const ex_json *value = ex_json_member(map, key);
    return value ? whole(reader, value, key, minimum, maximum) : otherwise;
}

ex_string ex_trace_text(ex_trace_reader *reader, const ex_json *map, const char *key) {
    const ex_json *value = value_of(reader, map, key, EX_JSON_TEXT);
    return value ? value->as.text : (ex_string){"", 0};
}

/* null stands for what is not finite. */
static double number(ex_trace_reader *reader, const ex_json *value, const char *key) {
    if (value->kind == EX_JSON_NUMBER) return value->as.number;
    if (value->kind == EX_JSON_INTEGER) return (double)value->as.integer;
    if (value->kind != EX_JSON_NULL) ex_trace_fail(reader, "%s is not a number", key);
    return NAN;
}

static double number_of(ex_trace_reader *reader, const ex_json *map, const char *key) {
    for (const ex_json *member = NULL; (member = ex_json_next(map, member));)
        if (ex_string_is(member->name, key)) return number(reader, member, key);
    ex_trace_fail(reader, "there is no %s", key);
    return 0;
}

/* Read again in single precision: by way of double precision it would be rounded twice. */
static float single(ex_trace_reader *reader, const ex_json *value, const char *key) {
    char text[EX_DECIMAL_LENGTH + 1];
    if ((value->kind != EX_JSON_NUMBER && value->kind != EX_JSON_INTEGER) || value->n_bytes > EX_DECIMAL_LENGTH) {
        ex_trace_fail(reader, "%s is not a number in single precision", key);
        return 0;
    }
    memcpy(text, reader->line_text + value->offset, value->n_bytes);
    text[value->n_bytes] = '\0';
    return strtof_l(text, NULL, reader->locale);
}

static void name_of(ex_trace_reader *reader, const ex_json *map, const char *key, char name[EX_TRACE_NAME_MAX]) {
    const ex_string text = ex_trace_text(reader, map, key);
    if (text.length >= EX_TRACE_NAME_MAX)
        ex_trace_fail(reader, "%s is longer than %d bytes", key, EX_TRACE_NAME_MAX - 1);
    const size_t length = text.length < EX_TRACE_NAME_MAX ? text.length : 0;
    if (length > 0) memcpy(name, text.data, length);
    name[length] = '\0';
}

/* ---- decisions --------------------------------------------------------------------------------------------------- */

static void read_metrics(ex_trace_reader *reader, const ex_json *owner, ex_metrics *metrics) {
    const ex_json *map = value_of(reader, owner, "metrics", EX_JSON_MAP);
    double *values = (double *)metrics;
    for (size_t i = 0; map && ex_metric_name(i); i++) {
        values[i] = number_of(reader, map, ex_metric_name(i));
        if (!isfinite(values[i])) ex_trace_fail(reader, "metrics: %s is not finite", ex_metric_name(i));
    }
}

/* The items of a list of as many as there are layers; NULL after a failure. */
static const ex_json *layer_list(ex_trace_reader *reader, const ex_json *map, const char *key, ex_choice *choice) {
    const ex_json *list = value_of(reader, map, key, EX_JSON_LIST);
    if (!list) return NULL;
    if (choice->n_layer == 0 && list->count <= EX_LAYERS_MAX) choice->n_layer = (int32_t)list->count;
    if (list->count == (size_t)choice->n_layer) return list;
    ex_trace_fail(reader, "layers: %s has %zu values, not %d", key, list->count, choice->n_layer);
    return NULL;
}

static void read_layers(ex_trace_reader *reader, ex_trace_row *row) {
    const ex_json *map = ex_json_member(row->json, "layers");
    if (!map) return;
    const ex_json *list = layer_list(reader, map, "positions", &row->choice), *item = NULL;
    for (size_t layer = 0; list && (item = ex_json_next(list, item)); layer++)
        reader->n_positions[layer] = (int32_t)whole(reader, item, "positions", 0, INT32_MAX);
    for (size_t i = 0; ex_layer_metric_name(i); i++) {
        list = layer_list(reader, map, ex_layer_metric_name(i), &row->choice);
        item = NULL;
        for (size_t layer = 0; list && (item = ex_json_next(list, item)); layer++)
            ((double *)&reader->layers[layer])[i] = number(reader, item, ex_layer_metric_name(i));
    }
    row->choice.layers = reader->layers;
    row->n_positions = reader->n_positions;
}

static ex_action action_of(ex_trace_reader *reader, const ex_json *map) {
    const ex_string text = ex_trace_text(reader, map, "action");
    for (int action = 0; action < EX_ACTION_COUNT; action++)
        if (ex_string_is(text, ex_action_name((ex_action)action))) return (ex_action)action;
    ex_trace_fail(reader, "there is no action \"%.*s\"", (int)(text.length < 40 ? text.length : 40), text.data);
    return EX_ACTION_SAMPLE;
}

static void read_decision(ex_trace_reader *reader, ex_trace_row *row) {
    const ex_json *map = row->json;
    ex_decision *decision = &row->choice.decision;
    const ex_json *may_insert = value_of(reader, map, "may_insert", EX_JSON_BOOLEAN);
    row->choice.may_insert = may_insert && may_insert->as.boolean;
    name_of(reader, map, "strategy", row->strategy);
    name_of(reader, map, "margin_metric", row->margin_metric);
    decision->strategy = row->strategy;
    decision->margin_metric = row->margin_metric;
    decision->action = action_of(reader, map);
    decision->rule = (int32_t)ex_trace_integer(reader, map, "rule", 0, EX_RULES_COUNT_MAX);
    decision->margin = number_of(reader, map, "margin");
    decision->temperature = number_of(reader, map, "temperature");
    decision->top_p = number_of(reader, map, "top_p");
    decision->min_p = number_of(reader, map, "min_p");
    decision->top_k = (int32_t)ex_trace_integer(reader, map, "top_k", 0, INT32_MAX);
    decision->candidates = (int32_t)ex_trace_integer(reader, map, "candidates_wanted", 0, INT32_MAX);
}

static bool reserve_candidates(ex_trace_reader *reader, size_t count) {
    if (count <= reader->capacity) return true;
    free(reader->candidates);
    free(reader->logits);
    free(reader->tokens);
    free(reader->texts);
    reader->candidates = ex_allocate(count, sizeof *reader->candidates);
    reader->logits = ex_allocate(count, sizeof *reader->logits);
    reader->tokens = ex_allocate(count, sizeof *reader->tokens);
    reader->texts = ex_allocate(count, sizeof *reader->texts);
    const bool complete = reader->candidates && reader->logits && reader->tokens && reader->texts;
    reader->capacity = complete ? count : 0;
    if (!complete) reader->code = ex_fail_memory(reader->error, "a line of a trace");
    return complete;
}

/* [token, "text", logit, probability or null, score or null]; kept ones come first. */
static void read_candidate(ex_trace_reader *reader, const ex_json *item, ex_trace_row *row) {
    const size_t index = row->n_listed;
    const ex_json *parts[5] = {NULL};
    size_t count = 0;
    if (item->kind == EX_JSON_LIST)
        for (const ex_json *part = NULL; count < 5 && (part = ex_json_next(item, part));) parts[count++] = part;
    if (count < 5 || parts[1]->kind != EX_JSON_TEXT) {
        ex_trace_fail(reader, "candidate %zu is not a list of token, text, logit, probability and score", index);
        return;
    }
    ex_distribution *kept = &row->choice.distribution;
    const bool is_kept = parts[3]->kind != EX_JSON_NULL;
    if (is_kept && kept->count < index) ex_trace_fail(reader, "candidate %zu is kept, but one before it is not", index);
    reader->tokens[index] = (int32_t)whole(reader, parts[0], "the token of a candidate", 0, INT32_MAX);
    reader->texts[index] = parts[1]->as.text;
    reader->logits[index] = single(reader, parts[2], "the logit of a candidate");
    row->n_listed++;
    if (!is_kept) return;
    kept->count = row->n_listed;
    reader->candidates[index] = (ex_candidate){
        .token = reader->tokens[index],
        .probability = number(reader, parts[3], "the probability of a candidate"),
        .log_probability = (double)reader->logits[index] - (row->choice.maximum + row->choice.log_sum),
        .score = number(reader, parts[4], "the score of a candidate")};
}

static void read_candidates(ex_trace_reader *reader, ex_trace_row *row) {
    const ex_json *list = value_of(reader, row->json, "candidates", EX_JSON_LIST);
    row->choice.maximum = number_of(reader, row->json, "maximum");
    row->choice.log_sum = number_of(reader, row->json, "log_sum");
    row->n_kept = (uint64_t)ex_trace_integer(reader, row->json, "kept", 0, INT32_MAX);
    const ex_json *others = ex_json_member(row->json, "others_at_most");
    row->others_at_most = others ? single(reader, others, "others_at_most") : -INFINITY;
    if (!list || !reserve_candidates(reader, list->count)) return;
    for (const ex_json *item = NULL; (item = ex_json_next(list, item));) read_candidate(reader, item, row);
    row->choice.distribution.candidates = reader->candidates;
    row->logits = reader->logits;
    row->tokens = reader->tokens;
    row->texts = reader->texts;
    float largest = -INFINITY;
    for (size_t i = 0; i < row->n_listed; i++)
        if (row->logits[i] > largest) largest = row->logits[i];
    if ((double)largest != row->choice.maximum)
        ex_trace_fail(reader, "no candidate has the logit that is the maximum");
}

static const ex_json *short_list(ex_trace_reader *reader, const ex_json *map, const char *key, size_t limit) {
    const ex_json *list = value_of(reader, map, key, EX_JSON_LIST);
    if (!list || list->count <= limit) return list;
    ex_trace_fail(reader, "%s has %zu values, more than %zu", key, list->count, limit);
    return NULL;
}

static void read_draw(ex_trace_reader *reader, ex_trace_row *row) {
    ex_draw *draw = &row->choice.draw;
    const ex_json *uniform = short_list(reader, row->json, "uniform", EX_DRAWS_MAX), *item = NULL;
    const ex_json *drawn = short_list(reader, row->json, "drawn", EX_DRAWS_MAX);
    if (!uniform || !drawn) return;
    if (uniform->count != drawn->count) ex_trace_fail(reader, "uniform and drawn are not of the same length");
    for (size_t i = 0; (item = ex_json_next(uniform, item)); i++) draw->uniform[i] = number(reader, item, "uniform");
    for (size_t i = 0; (item = ex_json_next(drawn, item)); i++)
        draw->drawn[i] = (int32_t)whole(reader, item, "drawn", 0, INT32_MAX);
    draw->n_draws = (int32_t)uniform->count;
    draw->token = row->token;
}

static void read_ahead(ex_trace_reader *reader, ex_trace_row *row) {
    if (!ex_json_member(row->json, "ahead")) return;
    const ex_json *list = short_list(reader, row->json, "ahead", EX_DRAWS_MAX), *item = NULL;
    for (size_t i = 0; list && (item = ex_json_next(list, item)); i++) {
        reader->ahead[i] = (ex_outlook){.token = (int32_t)ex_trace_integer(reader, item, "token", 0, INT32_MAX),
                                      .score = number_of(reader, item, "score")};
        read_metrics(reader, item, &reader->ahead[i].metrics);
        row->choice.n_ahead = i + 1;
    }
    row->choice.ahead = reader->ahead;
}

static void read_excluded(ex_trace_reader *reader, ex_trace_row *row) {
    if (!ex_json_member(row->json, "excluded")) return;
    const ex_json *list = short_list(reader, row->json, "excluded", EX_EXCLUDED_MAX), *item = NULL;
    while (list && (item = ex_json_next(list, item)))
        row->excluded[row->n_excluded++] = (int32_t)whole(reader, item, "excluded", 0, INT32_MAX);
}

static void read_grammar(ex_trace_reader *reader, ex_trace_row *row) {
    const ex_json *most = ex_json_member(row->json, "permitted_at_most"), *item = NULL;
    row->is_masked = ex_json_member(row->json, "permitted") != NULL;
    if (!row->is_masked) return;
    row->n_permitted = (uint64_t)ex_trace_integer(reader, row->json, "permitted", 1, INT32_MAX);
    row->permitted_at_most = most ? single(reader, most, "permitted_at_most") : INFINITY;
    const ex_json *list = short_list(reader, row->json, "forbidden", EX_TRACED_MAX);
    while (list && (item = ex_json_next(list, item)))
        row->forbidden[row->n_forbidden++] = (int32_t)whole(reader, item, "forbidden", 0, INT32_MAX);
    if (row->n_forbidden > row->n_listed) ex_trace_fail(reader, "more tokens are forbidden than listed");
}

static void read_steering(ex_trace_reader *reader, ex_trace_row *row) {
    if (!ex_json_member(row->json, "steering")) return;
    const ex_json *list = short_list(reader, row->json, "steering", EX_STEERING_COUNT), *item = NULL;
    for (size_t i = 0; list && (item = ex_json_next(list, item)); i++)
        row->steering[i] = number(reader, item, "steering");
    row->is_steered = true;
}

static void read_decision_row(ex_trace_reader *reader, ex_trace_row *row) {
    row->position = (size_t)ex_trace_integer(reader, row->json, "position", 0, UINT32_MAX);
    row->attempt = (uint32_t)integer_or(reader, row->json, "attempt", 0, UINT32_MAX, 0);
    row->branch = (int32_t)integer_or(reader, row->json, "branch", 0, 4095, -1);
    row->token = (int32_t)integer_or(reader, row->json, "token", 0, INT32_MAX, EX_TOKEN_NONE);
    row->text = ex_trace_text(reader, row->json, "text");
    if (row->token == EX_TOKEN_NONE && row->traced != EX_TRACE_END) ex_trace_fail(reader, "there is no token");
    row->decided = ex_json_member(row->json, "metrics") != NULL;
    if (!row->decided && row->traced != EX_TRACE_INSERTED) ex_trace_fail(reader, "there are no metrics");
    if (!row->decided) return;
    read_metrics(reader, row->json, &row->choice.metrics);
    read_layers(reader, row);
    read_decision(reader, row);
    read_candidates(reader, row);
    read_draw(reader, row);
    read_ahead(reader, row);
    read_excluded(reader, row);
    read_grammar(reader, row);
    read_steering(reader, row);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void read_kind(ex_trace_reader *reader, ex_trace_row *row) {
    static const struct {
        const char *name;
        ex_row_kind kind;
        ex_trace_kind traced;
    } kinds[] = {{"token", EX_ROW_DECISION, EX_TRACE_TOKEN},   {"inserted", EX_ROW_DECISION, EX_TRACE_INSERTED},
                 {"end", EX_ROW_DECISION, EX_TRACE_END},       {"branch", EX_ROW_BRANCH, EX_TRACE_TOKEN},
                 {"rewind", EX_ROW_REWIND, EX_TRACE_TOKEN},    {"summary", EX_ROW_SUMMARY, EX_TRACE_TOKEN}};
    row->kind = EX_ROW_OTHER;
    if (ex_json_member(row->json, "trace")) {
        const int64_t version = ex_trace_integer(reader, row->json, "trace", 0, INT32_MAX);
        if (version != EX_TRACE_VERSION)
            ex_trace_fail(reader, "a trace of version %" PRId64 "; this program reads version %d", version,
                          EX_TRACE_VERSION);
        row->kind = EX_ROW_HEADER;
        return;
    }
    const ex_string name = ex_trace_text(reader, row->json, "kind");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ex_string_is(name, kinds[i].name)) {
            row->kind = kinds[i].kind;
            row->traced = kinds[i].traced;
        }
}

static void read_row(ex_trace_reader *reader, ex_trace_row *row) {
    *row = (ex_trace_row){.json = reader->document.nodes, .branch = -1, .token = EX_TOKEN_NONE};
    if (row->json->kind != EX_JSON_MAP) {
        ex_trace_fail(reader, "the line is not a JSON object");
        return;
    }
    read_kind(reader, row);
    row->sequence = (uint32_t)integer_or(reader, row->json, "sequence", 0, UINT32_MAX, 0);
    if (row->kind == EX_ROW_DECISION) read_decision_row(reader, row);
    if (row->kind == EX_ROW_REWIND || row->kind == EX_ROW_BRANCH)
        row->position = (size_t)ex_trace_integer(reader, row->json, "position", 0, UINT32_MAX);
}

ex_code ex_trace_read(ex_trace_reader *reader, ex_trace_row *row, ex_error *error) {
    ex_json_free(&reader->document);
    *row = (ex_trace_row){.kind = EX_ROW_NONE};
    reader->error = error;
    reader->code = EX_OK;
    const char *line = reader->text + reader->at;
    const size_t left = reader->length - reader->at;
    const char *end = left > 0 ? memchr(line, '\n', left) : NULL;
    if (!end) return EX_OK;
    const size_t length = (size_t)(end - line);
    reader->at += length + 1;
    reader->line++;
    reader->line_text = line;
    snprintf(reader->place, sizeof reader->place, "%.400s:%" PRIu64, reader->name, reader->line);
    ex_code code = ex_json_read(&reader->document, line, length, reader->place, 0, error);
    if (code != EX_OK) {
        if (error) error->position = reader->line;
        return code;
    }
    read_row(reader, row);
    return reader->code;
}
