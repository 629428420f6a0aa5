/* trace_write.c - what each kind of line holds (docs/TRACE.md). */
#include "generate/trace_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static const char *const kind_names[] = {
    [EX_TRACE_TOKEN] = "token", [EX_TRACE_INSERTED] = "inserted", [EX_TRACE_END] = "end"};

const char *ex_trace_kind_name(ex_trace_kind kind) { return kind_names[kind]; }

static ex_string text_of(const ex_tracer *tracer, int32_t token) {
    if (!tracer->options.tokenizer || token == EX_TOKEN_NONE) return (ex_string){"", 0};
    return ex_token_text(tracer->options.tokenizer, token, true);
}

static void begin_line(const ex_tracer *tracer, ex_line *line, const char *kind) {
    ex_line_open(line, NULL, '{');
    ex_line_word(line, "kind", kind);
    ex_line_integer(line, "sequence", tracer->options.sequence);
}

static void end_line(ex_line *line) {
    ex_line_close(line, '}');
    ex_line_add(line, "\n", 1);
    line->comma = false;
}

/* ---- header ------------------------------------------------------------------------------------------------------ */

static ex_code add_policy(ex_line *line, const ex_policy *policy, ex_error *error) {
    size_t length;
    ex_policy_format(policy, NULL, 0, &length);
    char *text = ex_allocate(length + 1, 1);
    if (!text) return ex_fail_memory(error, "the header of a trace");
    ex_policy_format(policy, text, length + 1, &length);
    ex_line_text(line, "policy", (ex_string){text, length});
    free(text);
    return EX_OK;
}

/* Characters may lie across tokens, so the text is put together before it is written. */
static void add_prompt(ex_tracer *tracer) {
    ex_line *line = &tracer->line;
    ex_line_clear(&tracer->scratch);
    for (size_t i = 0; i < tracer->n_prompt; i++) {
        const ex_string text = text_of(tracer, tracer->prompt[i]);
        ex_line_add(&tracer->scratch, text.data, text.length);
    }
    if (tracer->scratch.failed) line->failed = true;
    ex_line_text(line, "prompt", (ex_string){tracer->scratch.text, tracer->scratch.length});
    ex_line_integers(line, "prompt_tokens", tracer->prompt, tracer->n_prompt);
    ex_line_open(line, "prompt_texts", '[');
    for (size_t i = 0; i < tracer->n_prompt; i++) ex_line_text(line, NULL, text_of(tracer, tracer->prompt[i]));
    ex_line_close(line, ']');
}

ex_code ex_trace_header(ex_tracer *tracer, const ex_sampler *sampler, size_t position, ex_error *error) {
    const ex_tracer_options *options = &tracer->options;
    ex_line *line = &tracer->line;
    size_t n_clarification;
    const int32_t *clarification = ex_sampler_clarification(sampler, &n_clarification);
    ex_line_open(line, NULL, '{');
    ex_line_integer(line, "trace", EX_TRACE_VERSION);
    ex_line_word(line, "version", EX_VERSION);
    ex_line_text(line, "model", options->model);
    ex_line_text(line, "architecture", options->architecture);
    ex_line_integer(line, "n_vocab", options->n_vocab);
    ex_line_integer(line, "n_layer", options->n_layer);
    ex_line_integer(line, "n_head", options->n_head);
    ex_line_unsigned(line, "seed", options->seed);
    ex_line_integer(line, "sequence", options->sequence);
    ex_line_unsigned(line, "position", position);
    ex_line_integers(line, "clarification", clarification, n_clarification);
    ex_code code = add_policy(line, ex_sampler_policy(sampler), error);
    add_prompt(tracer);
    end_line(line);
    return code;
}

/* ---- decisions --------------------------------------------------------------------------------------------------- */

static void add_metrics(ex_line *line, const ex_decimal_powers *powers, const ex_metrics *metrics) {
    ex_line_open(line, "metrics", '{');
    for (size_t i = 0; ex_metric_name(i); i++)
        ex_line_number(line, powers, ex_metric_name(i), ex_metric_value(metrics, i));
    ex_line_close(line, '}');
}

static void add_layers(const ex_tracer *tracer, ex_line *line, const ex_choice *choice) {
    const int32_t n_layer = tracer->options.n_layer, n_head = tracer->options.n_head;
    if (choice->n_layer != n_layer || !tracer->is_measured) return;
    ex_line_open(line, "layers", '{');
    ex_line_integers(line, "positions", tracer->n_positions, (size_t)n_layer);
    for (size_t i = 0; ex_layer_metric_name(i); i++) {
        ex_line_open(line, ex_layer_metric_name(i), '[');
        for (int32_t layer = 0; layer < n_layer; layer++)
            ex_line_number(line, &tracer->trace->powers, NULL, ex_layer_metric_value(&choice->layers[layer], i));
        ex_line_close(line, ']');
    }
    ex_line_close(line, '}');
    ex_line_open(line, "head_entropy", '[');
    for (int32_t layer = 0; layer < n_layer; layer++) {
        ex_line_open(line, NULL, '[');
        for (int32_t head = 0; head < n_head; head++) ex_line_fixed(line, tracer->heads[layer * n_head + head]);
        ex_line_close(line, ']');
    }
    ex_line_close(line, ']');
}

static void add_decision(ex_line *line, const ex_decimal_powers *powers, const ex_choice *choice) {
    const ex_decision *decision = &choice->decision;
    ex_line_truth(line, "may_insert", choice->may_insert);
    ex_line_word(line, "strategy", decision->strategy);
    ex_line_word(line, "action", ex_action_name(decision->action));
    ex_line_integer(line, "rule", decision->rule);
    ex_line_number(line, powers, "margin", decision->margin);
    ex_line_word(line, "margin_metric", decision->margin_metric);
    ex_line_number(line, powers, "temperature", decision->temperature);
    ex_line_number(line, powers, "top_p", decision->top_p);
    ex_line_integer(line, "top_k", decision->top_k);
    ex_line_number(line, powers, "min_p", decision->min_p);
    ex_line_integer(line, "candidates_wanted", decision->candidates);
}

typedef struct candidate_list {
    const ex_candidate *kept;
    const ex_survivor *likeliest, *permitted; /* of all tokens; of those that a grammar permits */
    size_t n_kept, n_likeliest, n_permitted;
    double zero; /* maximum + log_sum: what a logit is above its log probability */
} candidate_list;

static const ex_survivor *find_survivor(const ex_survivor *survivors, size_t count, int32_t token) {
    for (size_t i = 0; i < count; i++)
        if (survivors[i].token == token) return &survivors[i];
    return NULL;
}

static bool is_kept(const candidate_list *list, const ex_survivor *survivors, size_t index) {
    const int32_t token = survivors[index].token;
    if (index < list->n_kept && list->kept[index].token == token) return true;
    for (size_t i = 0; i < list->n_kept; i++)
        if (list->kept[i].token == token) return true;
    return false;
}

/* Exact for all but those that stages brought up from far below. */
static float logit_of(const candidate_list *list, size_t index) {
    const int32_t token = list->kept[index].token;
    if (index < list->n_likeliest && list->likeliest[index].token == token) return list->likeliest[index].logit;
    const ex_survivor *found = find_survivor(list->likeliest, list->n_likeliest, token);
    if (!found) found = find_survivor(list->permitted, list->n_permitted, token);
    if (found) return found->logit;
    return (float)(list->kept[index].log_probability + list->zero);
}

static void begin_candidate(const ex_tracer *tracer, ex_line *line, int32_t token, float logit) {
    ex_line_open(line, NULL, '[');
    ex_line_integer(line, NULL, token);
    ex_line_text(line, NULL, text_of(tracer, token));
    ex_line_float(line, &tracer->trace->powers, NULL, logit);
}

static void add_kept(const ex_tracer *tracer, ex_line *line, const candidate_list *list, size_t index) {
    begin_candidate(tracer, line, list->kept[index].token, logit_of(list, index));
    ex_line_number(line, &tracer->trace->powers, NULL, list->kept[index].probability);
    ex_line_number(line, &tracer->trace->powers, NULL, list->kept[index].score);
    ex_line_close(line, ']');
}

static void add_dropped(const ex_tracer *tracer, ex_line *line, const ex_survivor *survivor) {
    begin_candidate(tracer, line, survivor->token, survivor->logit);
    ex_line_null(line, NULL);
    ex_line_null(line, NULL);
    ex_line_close(line, ']');
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t count_bits(const uint64_t *bits, size_t n_bits) {
    size_t count = 0;
    for (size_t i = 0; i < (n_bits + 63) / 64; i++) count += (size_t)__builtin_popcountll(bits[i]);
    return count;
}

/* Listed tokens that it forbids, and what is known of those that are not listed. */
static void add_grammar(const ex_tracer *tracer, ex_line *line, const candidate_list *list, const uint64_t *allowed) {
    const size_t n_permitted = count_bits(allowed, (size_t)tracer->options.n_vocab);
    ex_line_unsigned(line, "permitted", n_permitted);
    if (list->n_permitted > 0 && list->n_permitted < n_permitted)
        ex_line_float(line, &tracer->trace->powers, "permitted_at_most",
                      list->permitted[list->n_permitted - 1].logit);
    ex_line_open(line, "forbidden", '[');
    for (size_t i = 0; i < list->n_likeliest; i++) {
        const int32_t token = list->likeliest[i].token;
        if (!(allowed[token / 64] >> (token % 64) & 1)) ex_line_integer(line, NULL, token);
    }
    ex_line_close(line, ']');
}

static void add_candidates(const ex_tracer *tracer, ex_line *line, const ex_traced *traced) {
    const ex_choice *choice = traced->choice;
    const ex_decimal_powers *powers = &tracer->trace->powers;
    candidate_list list = {.kept = choice->distribution.candidates,
                           .n_kept = choice->distribution.count,
                           .zero = choice->maximum + choice->log_sum};
    list.likeliest = ex_sampler_likeliest(traced->sampler, &list.n_likeliest);
    list.n_likeliest = smaller(list.n_likeliest, EX_TRACED_MAX);
    const uint64_t *allowed = ex_sampler_allowed(traced->sampler, &list.permitted, &list.n_permitted);
    ex_line_number(line, powers, "maximum", choice->maximum);
    ex_line_number(line, powers, "log_sum", choice->log_sum);
    ex_line_unsigned(line, "kept", list.n_kept);
    const bool has_all = list.n_likeliest == (size_t)tracer->options.n_vocab;
    if (list.n_likeliest > 0 && !has_all)
        ex_line_float(line, powers, "others_at_most", list.likeliest[list.n_likeliest - 1].logit);
    list.n_kept = smaller(list.n_kept, EX_TRACE_CANDIDATES_MAX);
    ex_line_open(line, "candidates", '[');
    for (size_t i = 0; i < list.n_kept; i++) add_kept(tracer, line, &list, i);
    for (size_t i = 0; i < list.n_likeliest; i++)
        if (!is_kept(&list, list.likeliest, i)) add_dropped(tracer, line, &list.likeliest[i]);
    for (size_t i = 0; i < list.n_permitted; i++)
        if (!is_kept(&list, list.permitted, i) &&
            !find_survivor(list.likeliest, list.n_likeliest, list.permitted[i].token))
            add_dropped(tracer, line, &list.permitted[i]);
    ex_line_close(line, ']');
    if (allowed) add_grammar(tracer, line, &list, allowed);
}

static void add_draw(ex_line *line, const ex_decimal_powers *powers, const ex_draw *draw) {
    ex_line_open(line, "uniform", '[');
    for (int32_t i = 0; i < draw->n_draws; i++) ex_line_number(line, powers, NULL, draw->uniform[i]);
    ex_line_close(line, ']');
    ex_line_integers(line, "drawn", draw->drawn, (size_t)draw->n_draws);
}

static void add_ahead(ex_line *line, const ex_decimal_powers *powers, const ex_choice *choice) {
    if (choice->n_ahead == 0) return;
    ex_line_open(line, "ahead", '[');
    for (size_t i = 0; i < choice->n_ahead; i++) {
        ex_line_open(line, NULL, '{');
        ex_line_integer(line, "token", choice->ahead[i].token);
        ex_line_number(line, powers, "score", choice->ahead[i].score);
        add_metrics(line, powers, &choice->ahead[i].metrics);
        ex_line_close(line, '}');
    }
    ex_line_close(line, ']');
}

/* It depends on all tokens of every step before, and a line has some. */
static void add_steering(ex_line *line, const ex_decimal_powers *powers, const ex_sampler *sampler) {
    const ex_carried carried = ex_sampler_carried(sampler);
    const double state[EX_STEERING_COUNT] = {carried.mirostat_surprise, carried.adaptive_sum, carried.adaptive_weight};
    if (state[0] == 0 && state[1] == 0 && state[2] == 0) return;
    ex_line_open(line, "steering", '[');
    for (size_t i = 0; i < EX_STEERING_COUNT; i++) ex_line_number(line, powers, NULL, state[i]);
    ex_line_close(line, ']');
}

static void add_excluded(ex_line *line, const ex_sampler *sampler) {
    size_t count;
    const int32_t *excluded = ex_sampler_excluded(sampler, &count);
    if (count > 0) ex_line_integers(line, "excluded", excluded, count);
}

void ex_trace_decision_line(ex_tracer *tracer, ex_line *line, const ex_traced *traced) {
    const ex_decimal_powers *powers = &tracer->trace->powers;
    begin_line(tracer, line, kind_names[traced->kind]);
    ex_line_unsigned(line, "position", traced->position);
    if (traced->attempt > 0) ex_line_integer(line, "attempt", traced->attempt);
    if (tracer->n_branches > 0) ex_line_integer(line, "branch", traced->branch);
    if (traced->token == EX_TOKEN_NONE) ex_line_null(line, "token");
    else ex_line_integer(line, "token", traced->token);
    ex_line_text(line, "text", text_of(tracer, traced->token));
    if (traced->choice) {
        add_metrics(line, powers, &traced->choice->metrics);
        add_layers(tracer, line, traced->choice);
        add_decision(line, powers, traced->choice);
        add_candidates(tracer, line, traced);
        add_draw(line, powers, &traced->choice->draw);
        add_ahead(line, powers, traced->choice);
        add_excluded(line, traced->sampler);
        add_steering(line, powers, traced->sampler);
    }
    end_line(line);
}

/* ---- branches, going back, the end ------------------------------------------------------------------------------- */

void ex_trace_branch_line(ex_tracer *tracer, size_t position, const ex_traced_branch *branches, size_t winner) {
    ex_line *line = &tracer->line;
    begin_line(tracer, line, "branch");
    ex_line_unsigned(line, "position", position);
    ex_line_open(line, "branches", '[');
    for (size_t i = 0; i < tracer->n_branches; i++) {
        ex_line_open(line, NULL, '{');
        ex_line_unsigned(line, "branch", i);
        ex_line_unsigned(line, "tokens", branches[i].n_tokens);
        ex_line_number(line, &tracer->trace->powers, "score", branches[i].score);
        ex_line_number(line, &tracer->trace->powers, "mean_log_probability", branches[i].mean_log_probability);
        ex_line_truth(line, "kept", i == winner);
        ex_line_close(line, '}');
    }
    ex_line_close(line, ']');
    end_line(line);
}

void ex_trace_rewind_line(ex_tracer *tracer, const ex_traced_rewind *rewind) {
    ex_line *line = &tracer->line;
    begin_line(tracer, line, "rewind");
    ex_line_unsigned(line, "position", rewind->position);
    ex_line_unsigned(line, "from", rewind->from);
    if (rewind->excluded != EX_TOKEN_NONE) ex_line_integer(line, "excluded", rewind->excluded);
    ex_line_word(line, "reason", rewind->reason);
    end_line(line);
}

static const char *const end_names[] = {
    [EX_END_NONE] = "none", [EX_END_TOKEN] = "token", [EX_END_LENGTH] = "length", [EX_END_CONTEXT] = "context",
    [EX_END_STOP] = "stop", [EX_END_TRAP] = "trap",   [EX_END_RULE] = "rule"};

void ex_trace_summary_line(ex_tracer *tracer, const ex_sampler *sampler, ex_end end, size_t n_tokens) {
    ex_line *line = &tracer->line;
    const ex_rules *rules = ex_sampler_rules(sampler);
    const uint64_t *fired = ex_sampler_fired(sampler);
    begin_line(tracer, line, "summary");
    ex_line_word(line, "end", end_names[end]);
    ex_line_unsigned(line, "tokens", n_tokens);
    ex_line_open(line, "rules", '[');
    for (size_t i = 0; i <= ex_rules_count(rules); i++) {
        ex_line_open(line, NULL, '{');
        ex_line_word(line, "name", ex_rules_name(rules, i));
        ex_line_unsigned(line, "fired", fired[i]);
        ex_line_close(line, '}');
    }
    ex_line_close(line, ']');
    end_line(line);
}
