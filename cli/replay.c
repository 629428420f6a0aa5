/* replay.c - entropix replay: the decisions of a trace, made again. */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "interrupt.h"
#include "json_output.h"
#include "policy.h"
#include "terminal.h"

enum { STRATEGIES_MAX = 2 * (EX_RULES_COUNT_MAX + 1), NAME_MAX = 80 };

typedef struct strategy_names {
    char names[STRATEGIES_MAX][NAME_MAX];
    size_t count;
} strategy_names;

typedef struct replay_state {
    const cli_options *options;
    cli_painter out;
    bool json, other; /* policy: another than the trace's */
    size_t n_answers, n_decisions, n_identical, n_undecidable;
    size_t n_strategies, n_tokens; /* decisions where they differ */
    size_t n_branch_errors;
    strategy_names recorded, replayed;
    size_t counts[STRATEGIES_MAX][STRATEGIES_MAX]; /* [recorded][replayed] */
} replay_state;

static const struct {
    uint32_t bit;
    const char *name;
} differences[] = {{EX_DIFFERS_METRICS, "metrics"}, {EX_DIFFERS_DECISION, "decision"},
                   {EX_DIFFERS_PARAMETERS, "parameters"}, {EX_DIFFERS_KEPT, "kept tokens"},
                   {EX_DIFFERS_DRAW, "draw"}, {EX_DIFFERS_TOKEN, "token"}};

static size_t index_of(strategy_names *list, const char *name) {
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->names[i], name) == 0) return i;
    if (list->count == STRATEGIES_MAX) return STRATEGIES_MAX - 1;
    snprintf(list->names[list->count], NAME_MAX, "%s", name);
    return list->count++;
}

/* ---- one line ---------------------------------------------------------------------------------------------------- */

static void print_decision(cli_painter *out, const ex_decision *decision) {
    paint_format(out, strategy_style(decision->strategy, decision->action), "%s", decision->strategy);
    paint_format(out, NULL, " T %.4g top_p %.4g top_k %d min_p %.4g", decision->temperature, decision->top_p,
                 decision->top_k, decision->min_p);
}

static void print_names(cli_painter *out, uint32_t found) {
    for (size_t i = 0; i < sizeof differences / sizeof *differences; i++)
        if (found & differences[i].bit) paint_format(out, NULL, " %s%s", found & (differences[i].bit - 1) ? "+ " : "",
                                                     differences[i].name);
}

static void print_difference(replay_state *replay, const ex_replay_step *step) {
    cli_painter *out = &replay->out;
    paint_format(out, NULL, "%6zu ", step->position);
    paint_quoted(out, NULL, step->text);
    paint_format(out, NULL, "  ");
    print_decision(out, &step->recorded.decision);
    paint_format(out, NULL, "  ->  ");
    print_decision(out, &step->replayed.decision);
    if (!step->decidable) {
        paint_format(out, style_dim, "  token not decidable");
    } else if (step->differences & EX_DIFFERS_TOKEN && step->replayed.draw.token != EX_TOKEN_NONE) {
        paint_format(out, NULL, "  takes ");
        paint_quoted(out, style_bold, step->replayed_text);
    }
    if (!replay->other) {
        paint_format(out, NULL, "  line %llu:", (unsigned long long)step->line);
        print_names(out, step->differences);
    }
    paint_format(out, NULL, "\n");
}

static void emit_decision(emitter *json, const char *key, const ex_choice *choice, ex_string text) {
    const ex_decision *decision = &choice->decision;
    emit_object_begin(json, key);
    emit_text(json, "strategy", decision->strategy);
    emit_text(json, "action", ex_action_name(decision->action));
    emit_real(json, "margin", decision->margin);
    emit_real(json, "temperature", decision->temperature);
    emit_real(json, "top_p", decision->top_p);
    emit_whole(json, "top_k", decision->top_k);
    emit_real(json, "min_p", decision->min_p);
    if (choice->draw.token == EX_TOKEN_NONE) emit_null(json, "token");
    else emit_whole(json, "token", choice->draw.token);
    emit_bytes(json, "text", text);
    emit_object_end(json);
}

static void emit_difference(const ex_replay_step *step) {
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_count(&json, "line", step->line);
    emit_count(&json, "sequence", step->sequence);
    emit_count(&json, "position", step->position);
    emit_truth(&json, "decidable", step->decidable);
    emit_array_begin(&json, "differences");
    for (size_t i = 0; i < sizeof differences / sizeof *differences; i++)
        if (step->differences & differences[i].bit) emit_text(&json, NULL, differences[i].name);
    emit_array_end(&json);
    emit_decision(&json, "recorded", &step->recorded, step->text);
    emit_decision(&json, "replayed", &step->replayed, step->replayed_text);
    emit_object_end(&json);
    emit_line_end(&json);
}

static void take_step(replay_state *replay, const ex_replay_step *step) {
    replay->n_answers += step->kind == EX_REPLAY_ANSWER;
    if (step->kind == EX_REPLAY_BRANCHES && !replay->other && step->differences) {
        replay->n_branch_errors++;
        if (!replay->json)
            paint_format(&replay->out, NULL, "line %llu: branches begin with other tokens\n",
                         (unsigned long long)step->line);
    }
    if (!step->decided) return;
    const char *before = step->recorded.decision.strategy, *after = step->replayed.decision.strategy;
    replay->n_decisions++;
    replay->n_identical += step->differences == 0;
    replay->n_undecidable += !step->decidable;
    replay->n_strategies += strcmp(before, after) != 0;
    replay->n_tokens += step->decidable && (step->differences & EX_DIFFERS_TOKEN) != 0;
    replay->counts[index_of(&replay->recorded, before)][index_of(&replay->replayed, after)]++;
    const uint32_t shown = EX_DIFFERS_DECISION | EX_DIFFERS_PARAMETERS | EX_DIFFERS_TOKEN;
    const bool margin_alone = strcmp(before, after) == 0 && !(step->differences & (shown & ~2u));
    if (step->differences == 0 || (replay->other && (margin_alone || !(step->differences & shown)))) return;
    if (replay->json) emit_difference(step);
    else print_difference(replay, step);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void print_table(replay_state *replay) {
    cli_painter *out = &replay->out;
    size_t width = 10;
    for (size_t i = 0; i < replay->recorded.count; i++)
        if (strlen(replay->recorded.names[i]) > width) width = strlen(replay->recorded.names[i]);
    paint_format(out, NULL, "\n%*s", -(int)width, "recorded");
    for (size_t j = 0; j < replay->replayed.count; j++)
        paint_format(out, strategy_style(replay->replayed.names[j], EX_ACTION_SAMPLE), "  %10s",
                     replay->replayed.names[j]);
    paint_format(out, NULL, "  <- replayed\n");
    for (size_t i = 0; i < replay->recorded.count; i++) {
        paint_format(out, strategy_style(replay->recorded.names[i], EX_ACTION_SAMPLE), "%*s", -(int)width,
                     replay->recorded.names[i]);
        for (size_t j = 0; j < replay->replayed.count; j++) {
            const int column = strlen(replay->replayed.names[j]) > 10 ? (int)strlen(replay->replayed.names[j]) : 10;
            paint_format(out, NULL, "  %*zu", column, replay->counts[i][j]);
        }
        paint_format(out, NULL, "\n");
    }
}

static void print_summary(replay_state *replay) {
    cli_painter *out = &replay->out;
    const size_t n = replay->n_decisions;
    print_table(replay);
    paint_format(out, NULL, "\n%zu decisions: %zu identical, %zu differ", n, replay->n_identical,
                 n - replay->n_identical);
    if (replay->n_undecidable > 0)
        paint_format(out, NULL, "; %zu not decidable beyond the stored candidates", replay->n_undecidable);
    if (replay->other)
        paint_format(out, NULL, "\n%zu have another strategy; with the same random numbers %zu of %zu tokens would be "
                                "others",
                     replay->n_strategies, replay->n_tokens, n - replay->n_undecidable);
    paint_format(out, NULL, "\n");
    paint_end(out);
}

static void emit_summary(replay_state *replay) {
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_object_begin(&json, "summary");
    emit_count(&json, "answers", replay->n_answers);
    emit_count(&json, "decisions", replay->n_decisions);
    emit_count(&json, "identical", replay->n_identical);
    emit_count(&json, "differing", replay->n_decisions - replay->n_identical);
    emit_count(&json, "undecidable", replay->n_undecidable);
    emit_count(&json, "other_strategies", replay->n_strategies);
    emit_count(&json, "other_tokens", replay->n_tokens);
    emit_object_begin(&json, "strategies");
    for (size_t i = 0; i < replay->recorded.count; i++) {
        emit_object_begin(&json, replay->recorded.names[i]);
        for (size_t j = 0; j < replay->replayed.count; j++)
            if (replay->counts[i][j] > 0) emit_count(&json, replay->replayed.names[j], replay->counts[i][j]);
        emit_object_end(&json);
    }
    emit_object_end(&json);
    emit_object_end(&json);
    emit_object_end(&json);
    emit_line_end(&json);
}

static int replay_lines(replay_state *replay, ex_replay *trace) {
    ex_replay_step *step = malloc(sizeof *step);
    ex_error error;
    if (!step) return report_memory();
    int status = STATUS_OK;
    do {
        if (interrupt_seen()) status = STATUS_INTERRUPTED;
        else if (ex_replay_next(trace, step, &error) != EX_OK) status = report(&error);
        else take_step(replay, step);
    } while (status == STATUS_OK && step->kind != EX_REPLAY_DONE);
    free(step);
    return status;
}

static int replay_trace(replay_state *replay, const char *path, const ex_policy *policy) {
    ex_replay *trace;
    ex_error error;
    if (ex_replay_open(&trace, path, policy, &error) != EX_OK) return report(&error);
    int status = replay_lines(replay, trace);
    ex_replay_close(trace);
    if (status != STATUS_OK) return status;
    if (replay->json) emit_summary(replay);
    else print_summary(replay);
    const bool differs = replay->n_identical < replay->n_decisions || replay->n_branch_errors > 0;
    return differs && !replay->other ? STATUS_DIFFERS : STATUS_OK;
}

int command_replay(const cli_options *options) {
    const char *name = option_text(options, OPTION_REPLAY_POLICY);
    const bool diff = option_flag(options, OPTION_DIFF);
    if (diff != (options->n_operands == 2) || (diff && name)) {
        message(diff ? "--diff compares two traces, and no policy" : "one trace is replayed; --diff compares two");
        return STATUS_INPUT;
    }
    if (diff) return replay_diff(options->operands[0], options->operands[1], options);
    replay_state *replay = calloc(1, sizeof *replay);
    ex_policy *policy = name ? malloc(sizeof *policy) : NULL;
    int status = !replay || (name && !policy) ? report_memory() : STATUS_OK;
    if (status == STATUS_OK && name) status = policy_named(policy, name);
    if (status == STATUS_OK) {
        replay->options = options;
        replay->out = painter_for(stdout, option_text(options, OPTION_COLOR));
        replay->json = option_flag(options, OPTION_JSON);
        replay->other = name != NULL;
        status = replay_trace(replay, options->operands[0], policy);
    }
    free(policy);
    free(replay);
    return output_status(output_flush(), status);
}
