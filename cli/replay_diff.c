/* replay_diff.c - entropix replay --diff: two traces side by side, as their answers were delivered. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_output.h"
#include "replay.h"
#include "terminal.h"

enum { METRICS_MAX = 32, STRATEGY_MAX = 80 };

typedef struct taken { /* a token, and the decision behind it */
    uint64_t line;
    size_t position;
    int32_t token;
    char *text;
    char strategy[STRATEGY_MAX];
    bool decided;
    ex_metrics metrics;
} taken;

typedef struct answer {
    uint32_t sequence;
    taken *tokens;
    size_t count, capacity;
} answer;

typedef struct answers {
    answer *items;
    size_t count;
} answers;

static void truncate_at(answer *to, size_t position) {
    while (to->count > 0 && to->tokens[to->count - 1].position >= position) free(to->tokens[--to->count].text);
}

static void free_answers(answers *list) {
    for (size_t i = 0; i < list->count; i++) {
        truncate_at(&list->items[i], 0);
        free(list->items[i].tokens);
    }
    free(list->items);
}

static bool begin(answers *list, uint32_t sequence) {
    answer *larger = realloc(list->items, (list->count + 1) * sizeof *larger);
    if (!larger) return false;
    list->items = larger;
    list->items[list->count++] = (answer){.sequence = sequence};
    return true;
}

/* The newest of this sequence. */
static answer *find(answers *list, uint32_t sequence) {
    for (size_t i = list->count; i-- > 0;)
        if (list->items[i].sequence == sequence) return &list->items[i];
    return NULL;
}

static bool append(answer *to, const ex_replay_step *step) {
    truncate_at(to, step->position);
    if (to->count == to->capacity) {
        const size_t capacity = to->capacity ? 2 * to->capacity : 256;
        taken *larger = realloc(to->tokens, capacity * sizeof *larger);
        if (!larger) return false;
        to->tokens = larger;
        to->capacity = capacity;
    }
    taken *token = &to->tokens[to->count];
    *token = (taken){.line = step->line, .position = step->position, .token = step->token, .decided = step->decided};
    token->text = strndup(step->text.data ? step->text.data : "", step->text.length);
    if (!token->text) return false;
    to->count++;
    if (!step->decided) return true;
    snprintf(token->strategy, sizeof token->strategy, "%s", step->recorded.decision.strategy);
    token->metrics = step->recorded.metrics;
    return true;
}

static bool take(answers *list, const ex_replay_step *step) {
    answer *to = find(list, step->sequence);
    switch (step->kind) {
    case EX_REPLAY_ANSWER: return begin(list, step->sequence);
    case EX_REPLAY_TOKEN:
    case EX_REPLAY_INSERTED:
    case EX_REPLAY_END: return append(to, step);
    case EX_REPLAY_REWIND: truncate_at(to, step->position); return true;
    default: return true;
    }
}

static int read_answers(answers *list, const char *path) {
    ex_replay *replay;
    ex_error error;
    if (ex_replay_open(&replay, path, NULL, &error) != EX_OK) return report(&error);
    ex_replay_step *step = malloc(sizeof *step);
    int status = step ? STATUS_OK : report_memory();
    while (status == STATUS_OK) {
        if (ex_replay_next(replay, step, &error) != EX_OK) status = report(&error);
        else if (step->kind == EX_REPLAY_DONE) break;
        else if (!take(list, step)) status = report_memory();
    }
    free(step);
    ex_replay_close(replay);
    return status;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

typedef struct comparison {
    size_t n_common;     /* tokens before the first that differs */
    bool same;           /* all tokens are */
    size_t n_strategies; /* of the common ones, decided otherwise */
    double largest[METRICS_MAX]; /* differences of metrics there, and before the first other token */
} comparison;

static void compare_decisions(comparison *c, const taken *a, const taken *b) {
    if (!a->decided || !b->decided) return;
    c->n_strategies += strcmp(a->strategy, b->strategy) != 0;
    for (size_t i = 0; i < METRICS_MAX && ex_metric_name(i); i++) {
        const double difference = fabs(ex_metric_value(&a->metrics, i) - ex_metric_value(&b->metrics, i));
        if (difference > c->largest[i]) c->largest[i] = difference;
    }
}

static comparison compare(const answer *a, const answer *b) {
    comparison c = {0};
    const size_t shorter = a->count < b->count ? a->count : b->count;
    for (; c.n_common < shorter && a->tokens[c.n_common].token == b->tokens[c.n_common].token; c.n_common++)
        compare_decisions(&c, &a->tokens[c.n_common], &b->tokens[c.n_common]);
    c.same = c.n_common == a->count && c.n_common == b->count;
    if (c.n_common < shorter) compare_decisions(&c, &a->tokens[c.n_common], &b->tokens[c.n_common]);
    return c;
}

static void print_side(cli_painter *out, const char *name, const answer *side, size_t index) {
    paint_format(out, NULL, "  %s: ", name);
    if (index >= side->count) {
        paint_format(out, NULL, "nothing more\n");
        return;
    }
    const taken *token = &side->tokens[index];
    paint_quoted(out, NULL, (ex_string){token->text, strlen(token->text)});
    paint_format(out, NULL, " (%d) by ", token->token);
    paint_format(out, strategy_style(token->strategy, EX_ACTION_SAMPLE), "%s",
                 token->decided ? token->strategy : "an insertion");
    paint_format(out, NULL, ", entropy %.4g, varentropy %.4g; line %llu\n", token->metrics.logits_entropy,
                 token->metrics.logits_varentropy, (unsigned long long)token->line);
}

static void print_comparison(cli_painter *out, size_t index, const comparison *c, const answer *a, const answer *b) {
    paint_format(out, style_bold, "answer %zu: ", index + 1);
    if (c->same) paint_format(out, NULL, "the same %zu tokens\n", c->n_common);
    else paint_format(out, NULL, "the first %zu tokens are the same; then\n", c->n_common);
    if (!c->same) {
        print_side(out, "first", a, c->n_common);
        print_side(out, "second", b, c->n_common);
    }
    paint_format(out, NULL, "  strategies differ in %zu decisions; largest differences of metrics:", c->n_strategies);
    bool any = false;
    for (size_t i = 0; i < METRICS_MAX && ex_metric_name(i); i++) {
        if (c->largest[i] <= 0) continue;
        paint_format(out, NULL, "%s %s %.3g", any ? "," : "", ex_metric_name(i), c->largest[i]);
        any = true;
    }
    paint_format(out, NULL, "%s\n", any ? "" : " none");
}

static void emit_side(emitter *json, const char *key, const answer *side, size_t index) {
    if (index >= side->count) {
        emit_null(json, key);
        return;
    }
    const taken *token = &side->tokens[index];
    emit_object_begin(json, key);
    emit_count(json, "line", token->line);
    emit_count(json, "position", token->position);
    emit_whole(json, "token", token->token);
    emit_text(json, "text", token->text);
    emit_text(json, "strategy", token->strategy);
    emit_object_end(json);
}

static void emit_comparison(size_t index, const comparison *c, const answer *a, const answer *b) {
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_count(&json, "answer", index);
    emit_truth(&json, "same", c->same);
    emit_count(&json, "common", c->n_common);
    emit_side(&json, "first", a, c->n_common);
    emit_side(&json, "second", b, c->n_common);
    emit_count(&json, "strategies", c->n_strategies);
    emit_object_begin(&json, "metrics");
    for (size_t i = 0; i < METRICS_MAX && ex_metric_name(i); i++) emit_real(&json, ex_metric_name(i), c->largest[i]);
    emit_object_end(&json);
    emit_object_end(&json);
    emit_line_end(&json);
}

int replay_diff(const char *a, const char *b, const cli_options *options) {
    answers lists[2] = {{0}};
    cli_painter out = painter_for(stdout, option_text(options, OPTION_COLOR));
    int status = read_answers(&lists[0], a);
    if (status == STATUS_OK) status = read_answers(&lists[1], b);
    const size_t fewer = lists[0].count < lists[1].count ? lists[0].count : lists[1].count;
    bool same = lists[0].count == lists[1].count;
    for (size_t i = 0; i < fewer && status == STATUS_OK; i++) {
        const comparison c = compare(&lists[0].items[i], &lists[1].items[i]);
        same = same && c.same;
        if (option_flag(options, OPTION_JSON)) emit_comparison(i, &c, &lists[0].items[i], &lists[1].items[i]);
        else print_comparison(&out, i, &c, &lists[0].items[i], &lists[1].items[i]);
    }
    if (status == STATUS_OK && lists[0].count != lists[1].count)
        message("%s has %zu answers, %s has %zu", a, lists[0].count, b, lists[1].count);
    paint_end(&out);
    free_answers(&lists[0]);
    free_answers(&lists[1]);
    if (status == STATUS_OK && !same) status = STATUS_DIFFERS;
    return output_status(output_flush(), status);
}
