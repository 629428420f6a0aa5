/* plot_trace.c - reads a trace for its pictures. A line that cannot be read is an error with its number: a picture of
 * half a trace would look like one of a whole. Unknown keys and kinds are for other readers. */
#include "plot_trace.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/memory_text.h"
#include "plot_style.h"
#include "terminal.h"

const char *const plot_value_names[PLOT_VALUES] = {
    [PLOT_ENTROPY] = "logits_entropy",         [PLOT_VARENTROPY] = "logits_varentropy",
    [PLOT_ATTN_ENTROPY] = "attn_entropy",      [PLOT_DISAGREEMENT] = "head_disagreement",
    [PLOT_SEQUENCE_VARENTROPY] = "sequence_varentropy"};

enum { TRACE_VERSION = 1, HEADS_MAX = 1 << 16 };

typedef struct reader {
    plot_trace *trace;
    const char *path;
    size_t line;
    int status;
} reader;

static bool refuse(reader *r, const char *format, ...) EX_PRINTF(2, 3);

static bool refuse(reader *r, const char *format, ...) {
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message("%s:%zu: %s", r->path, r->line, text);
    r->status = STATUS_INPUT;
    return false;
}

static bool refuse_memory(reader *r) {
    r->status = report_memory();
    return false;
}

/* Room for one more item, cleared, at the end of an array that grows by doubling; NULL after a message. */
static void *append(reader *r, void **items, size_t *count, size_t size) {
    bool full = (*count & (*count - 1)) == 0;
    void *larger = full ? realloc(*items, (*count ? *count * 2 : 1) * size) : *items;
    if (!larger) {
        refuse_memory(r);
        return NULL;
    }
    *items = larger;
    return memset((char *)larger + (*count)++ * size, 0, size);
}

static char *copy(reader *r, const char *text) {
    char *copied = strdup(text);
    if (!copied) refuse_memory(r);
    return copied;
}

static double number_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static int64_t whole_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool read_header(reader *r, const json_t *line) {
    if (whole_of(line, "trace") != TRACE_VERSION)
        return refuse(r, "a trace of version %lld; this program reads version %d", (long long)whole_of(line, "trace"),
                      TRACE_VERSION);
    plot_trace *trace = r->trace;
    plot_run *run = append(r, (void **)&trace->runs, &trace->n_runs, sizeof *run);
    if (!run) return false;
    run->sequence = whole_of(line, "sequence");
    run->model = copy(r, text_of(line, "model"));
    run->prompt = copy(r, text_of(line, "prompt"));
    run->policy = copy(r, text_of(line, "policy"));
    return r->status == STATUS_OK;
}

/* Of the newest header, unless the line names another sequence. */
static size_t run_of(const plot_trace *trace, const json_t *line) {
    if (json_object_get(line, "sequence"))
        for (size_t i = trace->n_runs; i-- > 0;)
            if (trace->runs[i].sequence == whole_of(line, "sequence")) return i;
    return trace->n_runs - 1;
}

static int strategy_of(reader *r, const char *name) {
    plot_trace *trace = r->trace;
    for (size_t i = 0; i < trace->n_strategies; i++) {
        if (strcmp(trace->strategies[i].name, name) != 0) continue;
        trace->strategies[i].count++;
        return (int)i;
    }
    plot_strategy *strategy = append(r, (void **)&trace->strategies, &trace->n_strategies, sizeof *strategy);
    if (!strategy) return 0;
    strategy->name = copy(r, name);
    strategy->count = 1;
    return (int)trace->n_strategies - 1;
}

static bool read_values(reader *r, const json_t *line, plot_token *token) {
    const json_t *metrics = json_object_get(line, "metrics");
    for (int i = 0; i < PLOT_VALUES; i++) token->values[i] = number_of(metrics, plot_value_names[i]);
    if (token->kind != PLOT_TOKEN) return true;
    for (int i = 0; i <= PLOT_VARENTROPY; i++)
        if (isnan(token->values[i])) return refuse(r, "the metrics have no number %s", plot_value_names[i]);
    return true;
}

static bool take_shape(reader *r, const json_t *layers) {
    plot_trace *trace = r->trace;
    size_t n_layer = json_array_size(layers), n_head = json_array_size(json_array_get(layers, 0));
    if (trace->n_layer == 0) {
        if (n_layer * n_head == 0 || n_layer > HEADS_MAX || n_head > HEADS_MAX / n_layer)
            return refuse(r, "head_entropy of %zu layers with %zu heads", n_layer, n_head);
        trace->n_layer = n_layer;
        trace->n_head = n_head;
    }
    if (n_layer == trace->n_layer) return true;
    return refuse(r, "head_entropy has %zu layers, but %zu in the lines before", n_layer, trace->n_layer);
}

static bool read_heads(reader *r, const json_t *line, plot_token *token) {
    const json_t *layers = json_object_get(line, "head_entropy");
    if (!json_is_array(layers) || json_array_size(layers) == 0) return true;
    if (!take_shape(r, layers)) return false;
    size_t n_layer = r->trace->n_layer, n_head = r->trace->n_head;
    token->heads = malloc(n_layer * n_head * sizeof *token->heads);
    if (!token->heads) return refuse_memory(r);
    for (size_t i = 0; i < n_layer; i++) {
        const json_t *heads = json_array_get(layers, i);
        if (json_array_size(heads) != n_head)
            return refuse(r, "head_entropy: layer %zu has %zu heads, not %zu", i, json_array_size(heads), n_head);
        for (size_t j = 0; j < n_head; j++)
            token->heads[i * n_head + j] = (float)json_number_value(json_array_get(heads, j));
    }
    return true;
}

/* What shows when a pointer rests on a token. */
static bool make_title(reader *r, const json_t *line, plot_token *token) {
    static const char *const states[] = {[PLOT_TOKEN] = "", [PLOT_INSERTED] = ", inserted", [PLOT_END] = ", the end"};
    size_t size;
    FILE *out = eval_memory_open(&token->title, &size);
    if (!out) return refuse_memory(r);
    fprintf(out, "%lld \"%s\"%s\n%s", (long long)token->position, token->text, states[token->kind],
            r->trace->strategies[token->strategy].name);
    const char *action = text_of(line, "action"), *metric = text_of(line, "margin_metric");
    if (*action) fprintf(out, " (%s)", action);
    if (*metric) fprintf(out, ", margin %.3g in %s", number_of(line, "margin"), metric);
    for (int i = 0; i < PLOT_VALUES; i++)
        if (!isnan(token->values[i])) fprintf(out, "\n%s %.4g", plot_value_names[i], token->values[i]);
    if (!isnan(number_of(line, "temperature"))) fprintf(out, "\ntemperature %.3g", number_of(line, "temperature"));
    return eval_memory_close(out, &token->title) || refuse_memory(r);
}

/* A line at a position makes all lines before it void that lie there or beyond: they were of a branch that lost, or
 * were taken back. */
static bool take_back(reader *r, size_t run, int64_t position) {
    for (size_t i = r->trace->n_tokens; i-- > 0;) {
        plot_token *token = &r->trace->tokens[i];
        if (token->run != run || !token->settled) continue;
        if (token->position < position) break;
        char *title = NULL;
        if (asprintf(&title, "%s\ntaken back", token->title) < 0) return refuse_memory(r);
        free(token->title);
        token->title = title;
        token->settled = false;
    }
    return true;
}

static bool read_token(reader *r, const json_t *line, plot_kind kind) {
    plot_trace *trace = r->trace;
    if (!take_back(r, run_of(trace, line), whole_of(line, "position"))) return false;
    plot_token *token = append(r, (void **)&trace->tokens, &trace->n_tokens, sizeof *token);
    if (!token) return false;
    token->kind = kind;
    token->settled = true;
    token->position = whole_of(line, "position");
    token->run = run_of(trace, line);
    token->text = copy(r, text_of(line, "text"));
    token->strategy = strategy_of(r, *text_of(line, "strategy") ? text_of(line, "strategy") : "plain");
    if (r->status != STATUS_OK) return false;
    return read_values(r, line, token) && read_heads(r, line, token) && make_title(r, line, token);
}

static void write_branches(FILE *out, const json_t *line) {
    const json_t *branches = json_object_get(line, "branches"), *branch;
    size_t i;
    fprintf(out, "%lld: %zu branches", (long long)whole_of(line, "position"), json_array_size(branches));
    json_array_foreach(branches, i, branch) {
        fprintf(out, "\n%s, %lld tokens", json_is_true(json_object_get(branch, "kept")) ? "kept" : "lost",
                (long long)whole_of(branch, "tokens"));
        if (!isnan(number_of(branch, "score"))) fprintf(out, " score %.3f", number_of(branch, "score"));
    }
}

static bool read_mark(reader *r, const json_t *line, bool rewind) {
    plot_trace *trace = r->trace;
    plot_mark *mark = append(r, (void **)&trace->marks, &trace->n_marks, sizeof *mark);
    size_t size;
    FILE *out = mark ? eval_memory_open(&mark->title, &size) : NULL;
    if (!out) return r->status == STATUS_OK ? refuse_memory(r) : false;
    mark->rewind = rewind;
    mark->position = whole_of(line, "position");
    mark->run = run_of(trace, line);
    if (rewind && !take_back(r, mark->run, mark->position)) {
        fclose(out);
        return false;
    }
    if (rewind)
        fprintf(out, "back from %lld to %lld: %s", (long long)whole_of(line, "from"), (long long)mark->position,
                text_of(line, "reason"));
    else
        write_branches(out, line);
    return eval_memory_close(out, &mark->title) || refuse_memory(r);
}

static bool read_object(reader *r, const json_t *line) {
    static const char *const kinds[] = {[PLOT_TOKEN] = "token", [PLOT_INSERTED] = "inserted", [PLOT_END] = "end"};
    if (json_object_get(line, "trace")) return read_header(r, line);
    if (r->trace->n_runs == 0) return refuse(r, "no header of a trace; `entropix run --trace FILE` writes traces");
    const char *kind = text_of(line, "kind");
    if (!*kind) return refuse(r, "the line has no kind");
    for (int i = 0; i <= PLOT_END; i++)
        if (strcmp(kind, kinds[i]) == 0) return read_token(r, line, (plot_kind)i);
    bool rewind = strcmp(kind, "rewind") == 0;
    return rewind || strcmp(kind, "branch") == 0 ? read_mark(r, line, rewind) : true;
}

static bool read_line(reader *r, const char *text, size_t length) {
    json_error_t error;
    json_t *line = json_loadb(text, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    bool good = json_is_object(line) ? read_object(r, line)
                : line               ? refuse(r, "no JSON object")
                                     : refuse(r, "column %d: %s", error.column, error.text);
    json_decref(line);
    return good;
}

static void read_lines(reader *r, FILE *file) {
    char *text = NULL;
    size_t capacity = 0;
    ssize_t n;
    while (r->status == STATUS_OK && (n = getline(&text, &capacity, file)) >= 0) {
        r->line++;
        read_line(r, text, (size_t)n);
    }
    free(text);
    if (r->status != STATUS_OK) return;
    r->line++;
    if (!feof(file)) refuse(r, "cannot read: %s", strerror(errno));
    else if (r->trace->n_runs == 0) refuse(r, "the file is empty; `entropix run --trace FILE` writes traces");
}

int plot_trace_read(plot_trace *trace, const char *path) {
    bool standard_input = strcmp(path, "-") == 0;
    FILE *file = standard_input ? stdin : fopen(path, "rbe");
    if (!file) {
        message("%s: cannot read: %s", path, strerror(errno));
        return STATUS_INPUT;
    }
    reader r = {.trace = trace, .path = standard_input ? "standard input" : path, .status = STATUS_OK};
    read_lines(&r, file);
    if (!standard_input) fclose(file);
    if (r.status != STATUS_OK) return r.status;
    trace->sequence = plot_looks_at_sequence(trace->runs[0].policy);
    plot_assign_styles(trace);
    return STATUS_OK;
}

void plot_trace_free(plot_trace *trace) {
    for (size_t i = 0; i < trace->n_runs; i++) {
        free(trace->runs[i].model);
        free(trace->runs[i].prompt);
        free(trace->runs[i].policy);
    }
    for (size_t i = 0; i < trace->n_tokens; i++) {
        free(trace->tokens[i].text);
        free(trace->tokens[i].title);
        free(trace->tokens[i].heads);
    }
    for (size_t i = 0; i < trace->n_marks; i++) free(trace->marks[i].title);
    for (size_t i = 0; i < trace->n_strategies; i++) free(trace->strategies[i].name);
    free(trace->runs);
    free(trace->tokens);
    free(trace->marks);
    free(trace->strategies);
}
