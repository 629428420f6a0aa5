/* bench_options.c - bench --options: what each option of a policy costs. Answers of one length are generated with plain
 * sampling and with the option in turns, and each is compared with the plain ones just before and after it: what else
 * the machine does meets both alike. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "generation.h"
#include "interrupt.h"
#include "json_output.h"
#include "model.h"
#include "terminal.h"

enum { KEYS_MAX = 4, SLACK = 32, REPEATS = 1000 };

typedef struct cost_key {
    const char *key, *value;
} cost_key;

typedef struct cost_row {
    const char *name, *preset;
    cost_key keys[KEYS_MAX];
    bool no_statistics, traced;
} cost_row;

#define ALWAYS_CANDIDATES "[candidates]\ncandidates = candidates\n"
#define RULES_THAT_CHANGE_NOTHING                                                              \
    "[a]\nwhen = logits_entropy < 0 and varentropy < 0\naction = greedy\n"                     \
    "[b]\nwhen = mean(logits_entropy, 16) > 1000 until logits_entropy < 0\naction = trap\n"    \
    "[c]\nwhen = logits_entropy > 1000 and varentropy > low_varentropy and may_insert\n"       \
    "[d]\nwhen = attn_entropy[-1] < 0 or head_disagreement < 0\n"                              \
    "[else]\ntemperature = temperature * (1 + 0 * logits_entropy)\ntop_k = max(top_k, 1)\n"

static const cost_row cost_rows[] = {
    {.name = "preset entropixplained", .preset = "entropixplained"},
    {.name = "preset entropix", .preset = "entropix"},
    {.name = "preset entropix, lookahead 0", .preset = "entropix", .keys = {{"lookahead", "0"}}},
    {.name = "no attention statistics", .preset = "plain", .no_statistics = true},
    {.name = "rules", .preset = "plain", .keys = {{"strategies", "true"}, {"rules", RULES_THAT_CHANGE_NOTHING}}},
    {.name = "candidates 12, in one draw", .preset = "plain",
     .keys = {{"strategies", "true"}, {"candidate_draws", "false"}, {"rules", ALWAYS_CANDIDATES}}},
    {.name = "candidates 12, drawn", .preset = "plain",
     .keys = {{"strategies", "true"}, {"candidate_draws", "true"}, {"rules", ALWAYS_CANDIDATES}}},
    {.name = "lookahead 1, candidates 4", .preset = "plain",
     .keys = {{"strategies", "true"}, {"lookahead", "1"}, {"candidates", "4"}, {"rules", ALWAYS_CANDIDATES}}},
    {.name = "lookahead 1, candidates 12", .preset = "plain",
     .keys = {{"strategies", "true"}, {"lookahead", "1"}, {"candidates", "12"}, {"rules", ALWAYS_CANDIDATES}}},
    {.name = "branches 3, above 3 bits", .preset = "plain",
     .keys = {{"strategies", "true"}, {"rules", "[b]\nwhen = logits_entropy > 3\naction = branch\n"}}},
    {.name = "resampling, above 5 bits", .preset = "plain",
     .keys = {{"strategies", "true"}, {"rules", "[r]\nwhen = logits_entropy > 5\naction = resample\n"}}},
    {.name = "penalties", .preset = "plain",
     .keys = {{"repeat_penalty", "1.1"}, {"frequency_penalty", "0.1"}, {"presence_penalty", "0.1"}}},
    {.name = "dry", .preset = "plain", .keys = {{"dry_multiplier", "0.8"}}},
    {.name = "dynamic temperature", .preset = "plain", .keys = {{"dynatemp_range", "0.3"}}},
    {.name = "typ_p", .preset = "plain", .keys = {{"typical_p", "0.9"}}},
    {.name = "top_n_sigma", .preset = "plain", .keys = {{"top_n_sigma", "1.5"}}},
    {.name = "top_h", .preset = "plain", .keys = {{"top_h", "0.4"}}},
    {.name = "epsilon, eta", .preset = "plain", .keys = {{"epsilon_cutoff", "0.0005"}, {"eta_cutoff", "0.002"}}},
    {.name = "xtc", .preset = "plain", .keys = {{"xtc_probability", "0.5"}}},
    {.name = "mirostat 2", .preset = "plain", .keys = {{"mirostat", "2"}}},
    {.name = "adaptive_p", .preset = "plain", .keys = {{"adaptive_target", "0.5"}}},
    {.name = "logit_bias", .preset = "plain", .keys = {{"logit_bias", "5+1,6-1,7=false"}}},
    {.name = "banned texts", .preset = "plain", .keys = {{"banned_strings", "[\" the\"]"}}},
    {.name = "trace", .preset = "plain", .traced = true},
};
static const cost_row plain_row = {.name = "plain", .preset = "plain"};

enum { COUNT = sizeof cost_rows / sizeof *cost_rows };

/* One answer in a round each, so that sure and doubtful texts count alike. */
static const char *const prompts[] = {"The capital of France is", "Once upon a time",
                                      "The best programming language for", "It was a bright cold day"};

typedef struct cost_state {
    const cli_options *options;
    ex_engine *engine;
    ex_session *session;
    ex_trace *trace;
    size_t n_generate;
    int n_repeat;
    double *ratios;         /* [COUNT][n_repeat] */
    double plain[REPEATS];  /* seconds, median of a round */
    cli_progress bar;
} cost_state;

static ex_code policy_of(ex_policy *policy, const cost_row *row, ex_error *error) {
    ex_code code = ex_policy_preset(policy, row->preset, error);
    for (size_t i = 0; i < KEYS_MAX && row->keys[i].key && code == EX_OK; i++)
        code = ex_policy_set(policy, row->keys[i].key, row->keys[i].value, error);
    return code;
}

static ex_code time_tokens(cost_state *cost, ex_generator *generator, const int32_t *tokens, size_t n_tokens,
                           double *seconds, ex_error *error) {
    ex_event event = {.kind = EX_EVENT_TOKEN};
    ex_code code = ex_session_rewind(cost->session, 0, error);
    if (code == EX_OK) code = ex_generator_prompt(generator, tokens, n_tokens, error);
    const double start = seconds_now();
    while (code == EX_OK && event.kind != EX_EVENT_END) code = ex_generator_next(generator, &event, error);
    *seconds = seconds_now() - start;
    return code;
}

/* Seconds that an answer takes. */
static int time_answer(cost_state *cost, const cost_row *row, int round, double *seconds) {
    ex_error error;
    ex_policy policy;
    ex_generator *generator = NULL;
    const char *prompt = prompts[(size_t)round % (sizeof prompts / sizeof *prompts)];
    size_t n_tokens;
    int32_t *tokens = tokens_of(ex_engine_tokenizer(cost->engine), prompt, strlen(prompt), EX_TOKENIZE_ADD_BEGINNING,
                                &n_tokens);
    if (!tokens) return STATUS_INPUT;
    ex_generator_options options = {.policy = &policy, .seed = (uint64_t)round + 1, .n_predict = cost->n_generate,
                                    .ignore_end = true, .trace = row->traced ? cost->trace : NULL};
    ex_session_set_statistics(cost->session, !row->no_statistics);
    ex_code code = policy_of(&policy, row, &error);
    if (code == EX_OK) code = ex_generator_open(&generator, cost->session, &options, &error);
    if (code == EX_OK) code = time_tokens(cost, generator, tokens, n_tokens, seconds, &error);
    ex_generator_close(generator);
    free(tokens);
    return code == EX_OK ? STATUS_OK : report(&error);
}

/* Plain sampling before each option and after the last. */
static int measure_round(cost_state *cost, int round) {
    double plain[COUNT + 1], seconds;
    int status = time_answer(cost, &plain_row, round, &plain[0]);
    for (size_t i = 0; i < COUNT && status == STATUS_OK; i++) {
        status = time_answer(cost, &cost_rows[i], round, &seconds);
        if (status == STATUS_OK) status = time_answer(cost, &plain_row, round, &plain[i + 1]);
        cost->ratios[i * (size_t)cost->n_repeat + (size_t)round] = 2 * seconds / (plain[i] + plain[i + 1]);
        progress_show(&cost->bar, seconds_now(), (uint64_t)round * COUNT + i + 1, (uint64_t)cost->n_repeat * COUNT,
                      cost_rows[i].name);
        if (status == STATUS_OK && interrupt_seen()) status = STATUS_INTERRUPTED;
    }
    if (status == STATUS_OK) cost->plain[round] = bench_median(plain, COUNT + 1);
    return status;
}

static int measure_all(cost_state *cost) {
    double seconds;
    int status = time_answer(cost, &plain_row, 0, &seconds); /* brings the weights into memory */
    for (int round = 0; round < cost->n_repeat && status == STATUS_OK; round++) status = measure_round(cost, round);
    return status;
}

static int open_all(cost_state *cost) {
    ex_error error;
    ex_session_options session_options = ex_session_options_default();
    session_options.n_context = cost->n_generate + SLACK;
    session_options.kv_type = cache_type(cost->options, EX_KV_F16);
    cost->ratios = malloc((size_t)COUNT * (size_t)cost->n_repeat * sizeof *cost->ratios);
    if (!cost->ratios) return report_memory();
    int status = model_open(&cost->engine, cost->options);
    if (status != STATUS_OK) return status;
    ex_code code = ex_session_open(&cost->session, cost->engine, &session_options, &error);
    if (code == EX_OK) code = ex_trace_open(&cost->trace, "/dev/null", &error);
    return code == EX_OK ? STATUS_OK : report(&error);
}

static void show(cost_state *cost) {
    const size_t n = (size_t)cost->n_repeat;
    const double plain = bench_median(cost->plain, n);
    printf("%zu tokens in %.3f s with plain sampling (%.1f tokens/s), medians of %zu; time of the others to it\n\n",
           cost->n_generate, plain, (double)cost->n_generate / plain, n);
    printf("| option                        |  ratio | lowest | highest |\n"
           "| ----------------------------- | -----: | -----: | ------: |\n");
    for (size_t i = 0; i < COUNT; i++) {
        double *ratios = cost->ratios + i * n, median = bench_median(ratios, n);
        printf("| %-29s | %6.3f | %6.3f | %7.3f |\n", cost_rows[i].name, median, ratios[0], ratios[n - 1]);
    }
}

static void show_csv(cost_state *cost) {
    const size_t n = (size_t)cost->n_repeat;
    printf("option,ratio,lowest,highest\nplain,1,1,1\n");
    for (size_t i = 0; i < COUNT; i++) {
        double *ratios = cost->ratios + i * n, median = bench_median(ratios, n);
        printf("\"%s\",%.4f,%.4f,%.4f\n", cost_rows[i].name, median, ratios[0], ratios[n - 1]);
    }
}

static void show_json(cost_state *cost) {
    const size_t n = (size_t)cost->n_repeat;
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_count(&json, "tokens", cost->n_generate);
    emit_count(&json, "repeat", n);
    emit_real(&json, "plain_seconds", bench_median(cost->plain, n));
    emit_array_begin(&json, "options");
    for (size_t i = 0; i < COUNT; i++) {
        double *ratios = cost->ratios + i * n;
        emit_object_begin(&json, NULL);
        emit_text(&json, "option", cost_rows[i].name);
        emit_real(&json, "ratio", bench_median(ratios, n));
        emit_real(&json, "lowest", ratios[0]);
        emit_real(&json, "highest", ratios[n - 1]);
        emit_object_end(&json);
    }
    emit_array_end(&json);
    emit_object_end(&json);
    emit_line_end(&json);
}

int bench_options(const cli_options *options) {
    cost_state cost = {.options = options, .bar = progress_begin()};
    cost.n_generate = (size_t)option_integer(options, OPTION_BENCH_GENERATE);
    cost.n_repeat = (int)option_integer(options, OPTION_REPEAT);
    int status = open_all(&cost);
    if (status == STATUS_OK) status = measure_all(&cost);
    progress_end(&cost.bar);
    if (status == STATUS_INTERRUPTED) message("stopped by Ctrl-C before all was measured");
    if (status == STATUS_OK)
        (option_flag(options, OPTION_JSON) ? show_json : option_flag(options, OPTION_CSV) ? show_csv : show)(&cost);
    ex_trace_close(cost.trace, NULL);
    ex_session_close(cost.session);
    ex_engine_close(cost.engine);
    free(cost.ratios);
    return status;
}
