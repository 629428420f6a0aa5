/* What a trace holds is enough to make every decision again, to the bit; and what is wrong in one is found. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/rng.h"
#include "generate/trace.h"
#include "sampler_support.h"

enum { N_VOCAB = 2000, N_LAYER = 3, N_HEAD = 4, N_TOKENS = 1000, N_PROMPT = 9, SEED = 77 };

/* ---- an answer of a model that is none ---- */

typedef struct synthetic {
    float logits[N_VOCAB];
    int32_t n_positions[N_LAYER];
    double entropy[N_LAYER * N_HEAD], maximum[N_LAYER * N_HEAD], strength[N_LAYER * N_HEAD];
    double deviation[N_LAYER], layer_entropy[N_LAYER];
    ex_attention attention;
} synthetic;

static double chance(size_t position, uint32_t index) { return ex_uniform(5, 9, (uint32_t)position, 1, index); }

/* From sure to lost, so that every rule has its turn. */
static void make_step(synthetic *s, size_t position) {
    const double scale = 1 + 14 * chance(position, N_VOCAB + 1);
    for (uint32_t i = 0; i < N_VOCAB; i++)
        s->logits[i] = (float)(scale * (chance(position, i) - 0.3) * chance(position, i));
    s->logits[position * 31 % N_VOCAB] += (float)(12 * chance(position, N_VOCAB + 2));
    for (uint32_t i = 0; i < N_LAYER * N_HEAD; i++) {
        s->entropy[i] = 6 * chance(position, 3000 + i);
        s->maximum[i] = chance(position, 3100 + i);
        s->strength[i] = 2 * chance(position, 3200 + i);
    }
    for (uint32_t layer = 0; layer < N_LAYER; layer++) {
        s->n_positions[layer] = layer == 1 && position > 64 ? 64 : (int32_t)position;
        s->deviation[layer] = chance(position, 3300 + layer) / (double)position;
        s->layer_entropy[layer] = 7 * chance(position, 3400 + layer);
    }
    s->attention = (ex_attention){N_LAYER,     N_HEAD,       s->n_positions, s->entropy,
                                  s->maximum,  s->strength,  s->deviation,   s->layer_entropy};
}

static const char *temporary(void) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/entropix-trace-%ld.jsonl", (long)getpid());
    return path;
}

typedef struct writer {
    ex_trace *trace;
    ex_tracer *tracer;
    ex_sampler *sampler;
} writer;

/* On w->trace, which is open. */
static void begin_writing(writer *w, const ex_policy *policy) {
    const int32_t clarification[] = {5, 6};
    ex_error error;
    const ex_tracer_options options = {.trace = w->trace, .model = {"synthetic", 9}, .architecture = {"none", 4},
                                       .n_vocab = N_VOCAB, .n_layer = N_LAYER, .n_head = N_HEAD, .seed = SEED};
    assert_ok(ex_tracer_open(&w->tracer, &options, &error), &error);
    w->sampler = open_sampler(policy, N_VOCAB);
    assert_ok(ex_sampler_set_clarification(w->sampler, clarification, 2, &error), &error);
    ex_sampler_keep_likeliest(w->sampler, true);
    for (int32_t token = 0; token < N_PROMPT; token++) {
        ex_sampler_prompt(w->sampler, &token, 1);
        assert_ok(ex_tracer_prompt(w->tracer, &token, 1, &error), &error);
    }
    assert_ok(ex_tracer_begin(w->tracer, w->sampler, N_PROMPT, &error), &error);
}

static void open_writer(writer *w, const ex_policy *policy) {
    ex_error error;
    assert_ok(ex_trace_open(&w->trace, temporary(), &error), &error);
    begin_writing(w, policy);
}

static void close_writer(writer *w) {
    ex_error error;
    assert_ok(ex_tracer_summary(w->tracer, w->sampler, EX_END_LENGTH, N_TOKENS, &error), &error);
    ex_tracer_close(w->tracer);
    ex_sampler_close(w->sampler);
    assert_ok(ex_trace_close(w->trace, &error), &error);
}

static void append(writer *w, ex_trace_kind kind, size_t position, uint32_t attempt, int32_t token,
                   const ex_choice *choice) {
    ex_error error;
    const ex_traced traced = {.kind = kind, .position = position, .attempt = attempt, .token = token,
                              .choice = choice, .sampler = w->sampler};
    assert_ok(ex_tracer_decision(w->tracer, &traced, &error), &error);
    ex_sampler_accept(w->sampler, token, kind == EX_TRACE_INSERTED);
}

static void step_at(writer *w, synthetic *s, size_t position, uint32_t attempt, ex_choice *choice) {
    ex_error error;
    const ex_random_key key = {SEED, 0, (uint32_t)position, attempt};
    make_step(s, position);
    assert_ok(ex_sampler_step(w->sampler, s->logits, &s->attention, key, choice, &error), &error);
    ex_tracer_measured(w->tracer, &s->attention);
}

/* Every 50 tokens the last three are taken back, and the third may not come again. */
static void write_answer(writer *w, size_t n_tokens) {
    synthetic s;
    ex_choice choice;
    ex_error error;
    uint32_t attempt = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        const size_t position = N_PROMPT + ex_sampler_count(w->sampler);
        step_at(w, &s, position, attempt, &choice);
        if (choice.decision.action == EX_ACTION_INSERT) {
            append(w, EX_TRACE_INSERTED, position, attempt, 5, &choice);
            append(w, EX_TRACE_INSERTED, position + 1, attempt, 6, NULL);
            continue;
        }
        append(w, EX_TRACE_TOKEN, position, attempt, choice.draw.token, &choice);
        if (i % 50 != 49) continue;
        const ex_traced_rewind rewind = {position - 2, position + 1, 8, "rewind"};
        assert_ok(ex_tracer_rewind(w->tracer, &rewind, &error), &error);
        assert_ok(ex_sampler_rewind(w->sampler, position - 2 - N_PROMPT, &error), &error);
        assert_true(ex_sampler_exclude(w->sampler, 8));
        attempt++;
    }
}

static void write_trace(const ex_policy *policy, size_t n_tokens) {
    writer w;
    open_writer(&w, policy);
    write_answer(&w, n_tokens);
    close_writer(&w);
}

/* ---- replaying ---- */

typedef struct tally {
    size_t n_decisions, n_undecidable, n_rewinds, n_lines;
    size_t by_difference[6];
    uint64_t first_line; /* that differs; 0: none */
    size_t n_strategies; /* at most 8 are told apart */
    char strategies[8][40];
} tally;

static void tally_step(tally *t, const ex_replay_step *step) {
    t->n_lines++;
    t->n_rewinds += step->kind == EX_REPLAY_REWIND;
    if (step->differences && t->first_line == 0) t->first_line = step->line;
    if (!step->decided) return;
    t->n_decisions++;
    t->n_undecidable += !step->decidable;
    for (int i = 0; i < 6; i++) t->by_difference[i] += step->differences >> i & 1;
    for (size_t i = 0; i < t->n_strategies; i++)
        if (strcmp(t->strategies[i], step->recorded.decision.strategy) == 0) return;
    if (t->n_strategies < 8) snprintf(t->strategies[t->n_strategies++], 40, "%s", step->recorded.decision.strategy);
}

static ex_code tally_all(ex_replay *replay, tally *t, ex_error *error) {
    ex_replay_step step = {0};
    ex_code code = EX_OK;
    *t = (tally){0};
    while (code == EX_OK) {
        code = ex_replay_next(replay, &step, error);
        if (code != EX_OK || step.kind == EX_REPLAY_DONE) break;
        tally_step(t, &step);
    }
    ex_replay_close(replay);
    return code;
}

static ex_code replay_all(const char *path, const ex_policy *policy, tally *t, ex_error *error) {
    ex_replay *replay;
    ex_code code = ex_replay_open(&replay, path, policy, error);
    return code == EX_OK ? tally_all(replay, t, error) : code;
}

static void assert_identical(const tally *t) {
    for (int i = 0; i < 6; i++)
        if (t->by_difference[i] > 0)
            fail_msg("difference %d in %zu of %zu decisions, first in line %llu", 1 << i, t->by_difference[i],
                     t->n_decisions, (unsigned long long)t->first_line);
    assert_int_equal(t->first_line, 0);
}

/* Windows, hysteresis, layers, penalties, and mirostat behind the other filters. */
static ex_policy rich_policy(void) {
    static const char text[] =
        "preset = entropixplained\n"
        "repeat_penalty = 1.2\nrepeat_last_n = 40\nfrequency_penalty = 0.1\n"
        "samplers = penalties;temperature;min_p;top_k;top_p;mirostat\nmirostat = 2\nsequence_window = 9\n"
        "[calm]\nwhen = mean(logits_entropy, 12) < 4.5 and logits_entropy < 3\naction = greedy\n"
        "[ask]\nwhen = logits_entropy > 9 and may_insert\naction = insert\n"
        "[storm]\nwhen = logits_entropy > 6 until highest(logits_entropy, 3) < 5.5\n"
        "temperature = 0.9 + 0.01 * attn_entropy[-1]\ntop_k = 60\ntop_p = 0.95\n"
        "[layers]\nwhen = head_disagreement > 1\ntemperature = 0.8\nmin_p = 0.01\ncandidates = 4\n";
    ex_policy policy;
    ex_error error;
    assert_ok(ex_policy_parse(&policy, text, strlen(text), "rich", &error), &error);
    return policy;
}

static void rich_policy_replays(void **state) {
    (void)state;
    const ex_policy policy = rich_policy();
    tally t;
    ex_error error;
    write_trace(&policy, N_TOKENS);
    assert_ok(replay_all(temporary(), NULL, &t, &error), &error);
    assert_identical(&t);
    assert_int_equal(t.n_undecidable, 0);
    assert_in_range(t.n_decisions, N_TOKENS, N_TOKENS);
    assert_in_range(t.n_rewinds, 15, 20);
    assert_true(t.n_strategies >= 4);
}

/* It keeps more tokens than a line has, so the draw is from those that were kept. */
static void mirostat_alone_replays(void **state) {
    (void)state;
    tally t;
    ex_error error;
    for (int32_t version = 1; version <= 2; version++) {
        ex_policy policy = preset("plain");
        policy.mirostat = version;
        write_trace(&policy, 300);
        assert_ok(replay_all(temporary(), NULL, &t, &error), &error);
        assert_identical(&t);
        assert_in_range(t.n_undecidable, 1, 299);
    }
}

static void presets_replay(void **state) {
    (void)state;
    tally t;
    ex_error error;
    for (size_t i = 0; ex_policy_preset_name(i); i++) {
        ex_policy policy = preset(ex_policy_preset_name(i));
        policy.lookahead = 0; /* nobody looks ahead here, or pads */
        ex_policy_set(&policy, "attention_padding", "0", NULL);
        write_trace(&policy, 200);
        assert_ok(replay_all(temporary(), NULL, &t, &error), &error);
        assert_identical(&t);
        assert_int_equal(t.n_undecidable, 0);
    }
}

/* Filters over the whole vocabulary: what is not listed is known well enough. */
static void unlimited_filters_replay(void **state) {
    (void)state;
    ex_policy policy = preset("plain");
    tally t;
    ex_error error;
    policy.top_k = 0;
    policy.top_p = 0.3;
    policy.temperature = 1;
    write_trace(&policy, 200);
    assert_ok(replay_all(temporary(), NULL, &t, &error), &error);
    assert_identical(&t);
    assert_in_range(t.n_undecidable, 0, 190); /* where more are kept than a line lists */
}

static void other_policies_differ(void **state) {
    (void)state;
    const ex_policy policy = preset(NULL);
    ex_policy other = policy;
    tally t;
    ex_error error;
    write_trace(&policy, 200);
    assert_ok(replay_all(temporary(), &policy, &t, &error), &error);
    assert_identical(&t);
    other.low_entropy = 2.9;
    other.low_varentropy = 4.9;
    assert_ok(replay_all(temporary(), &other, &t, &error), &error);
    assert_in_range(t.by_difference[1], 10, 200); /* decisions */
    assert_int_equal(t.by_difference[0], 0);      /* no metrics */
    other = policy;
    other.top_k = 1500;
    other.strategies = false;
    other.temperature = 3;
    assert_ok(replay_all(temporary(), &other, &t, &error), &error);
    assert_in_range(t.n_undecidable, 100, 200);
}

/* ---- what is wrong ---- */

static char *read_trace(size_t *length) {
    FILE *file = fopen(temporary(), "rb");
    assert_non_null(file);
    char *text = malloc(1 << 24);
    *length = fread(text, 1, 1 << 24, file);
    fclose(file);
    text[*length] = '\0';
    return text;
}

static void rewrite(const char *text, size_t length) {
    FILE *file = fopen(temporary(), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
}

static char *line_at(char *text, size_t line) {
    for (size_t i = 1; i < line; i++) text = strchr(text, '\n') + 1;
    return text;
}

/* One digit of one number in line 30. */
static void changed_digits_are_found(void **state) {
    (void)state;
    static const char *const keys[] = {"\"logits_entropy\":", "\"top_probability\":", "\"fork\":", "\"attn_entropy\":",
                                       "\"head_disagreement\":", "\"sequence_varentropy_window\":", "\"margin\":",
                                       "\"temperature\":", "\"log_sum\":", "\"uniform\":["};
    const ex_policy policy = preset(NULL);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        tally t;
        ex_error error;
        size_t length;
        write_trace(&policy, 60);
        char *text = read_trace(&length), *digit = strstr(line_at(text, 30), keys[i]);
        assert_true(digit && digit < line_at(text, 31));
        digit += strlen(keys[i]);
        digit += strcspn(digit, "."); /* the second decimal */
        digit += 2;
        *digit = *digit == '7' ? '3' : '7';
        rewrite(text, length);
        assert_ok(replay_all(temporary(), NULL, &t, &error), &error);
        if (t.first_line != 30) fail_msg("%s: line %llu", keys[i], (unsigned long long)t.first_line);
        free(text);
    }
}

static void broken_lines_are_errors(void **state) {
    (void)state;
    static const struct {
        const char *found, *put, *message;
    } cases[] = {{"\"metrics\":{", "\"metrics\":[", ""},
                 {"\"may_insert\":", "\"may_Insert\":", "there is no may_insert"},
                 {"\"top_k\":", "\"top_k\":-", "top_k"},
                 {"\"action\":\"", "\"action\":\"z", "there is no action"},
                 {"\"kind\":\"token\"", "\"kind\":5      ", "kind is not a text"},
                 {"\"sequence\":0", "\"sequence\":3", "there is no header of sequence 3"},
                 {"\"candidates\":[[", "\"candidates\":[0,[", "candidate 0"},
                 {"\"position\":", "\"position\":9", "does not follow"}};
    const ex_policy policy = preset("plain");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tally t;
        ex_error error = {0};
        size_t length;
        write_trace(&policy, 40);
        char *text = read_trace(&length), *changed = malloc(length + 100);
        char *at = strstr(line_at(text, 20), cases[i].found);
        assert_non_null(at);
        const int n = snprintf(changed, length + 100, "%.*s%s%s", (int)(at - text), text, cases[i].put,
                               at + strlen(cases[i].found));
        rewrite(changed, (size_t)n);
        assert_int_equal(replay_all(temporary(), NULL, &t, &error), EX_ERROR_FORMAT);
        assert_int_equal(error.position, 20);
        assert_non_null(strstr(error.message, ":20: "));
        assert_non_null(strstr(error.message, cases[i].message));
        free(text);
        free(changed);
    }
}

static void unknown_keys_and_broken_ends_are_ignored(void **state) {
    (void)state;
    const ex_policy policy = preset("plain");
    tally t;
    ex_error error;
    size_t length;
    write_trace(&policy, 40);
    char *text = read_trace(&length), *changed = malloc(length + 100), *at = line_at(text, 20);
    const int n = snprintf(changed, length + 100, "%.*s{\"new\":[{}],%s", (int)(at - text), text, at + 1);
    rewrite(changed, (size_t)n);
    assert_ok(replay_all(temporary(), NULL, &t, &error), &error);
    assert_identical(&t);
    rewrite(text, (size_t)(line_at(text, 31) - text) + 200); /* as a run leaves it that is killed while it writes */
    assert_ok(replay_all(temporary(), NULL, &t, &error), &error);
    assert_int_equal(t.n_lines, 30);
    free(text);
    free(changed);
}

static void bad_files_are_errors(void **state) {
    (void)state;
    tally t;
    ex_error error;
    ex_trace *trace;
    assert_int_equal(replay_all("/tmp/there/is/no/such/trace", NULL, &t, &error), EX_ERROR_IO);
    assert_int_equal(ex_trace_open(&trace, "/tmp/there/is/no/such/trace", &error), EX_ERROR_IO);
    rewrite("", 0);
    assert_int_equal(replay_all(temporary(), NULL, &t, &error), EX_ERROR_FORMAT);
    rewrite("{\"kind\":\"token\"}\n", 17);
    assert_int_equal(replay_all(temporary(), NULL, &t, &error), EX_ERROR_FORMAT);
    assert_int_equal(error.position, 1);
    rewrite("{\"trace\":2}\n", 12);
    assert_int_equal(replay_all(temporary(), NULL, &t, &error), EX_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "version 2"));
    rewrite("nonsense\n", 9);
    assert_int_equal(replay_all(temporary(), NULL, &t, &error), EX_ERROR_FORMAT);
    assert_int_equal(error.position, 1);
}

static void write_errors_stay(void **state) {
    (void)state;
    const ex_policy policy = preset("plain");
    ex_error error;
    ex_trace *trace;
    ex_tracer *tracer;
    if (access("/dev/full", W_OK) != 0) test_skip("no /dev/full here");
    assert_ok(ex_trace_open(&trace, "/dev/full", &error), &error);
    const ex_tracer_options options = {.trace = trace, .n_vocab = N_VOCAB, .n_layer = 1, .n_head = 1};
    assert_ok(ex_tracer_open(&tracer, &options, &error), &error);
    ex_sampler *sampler = open_sampler(&policy, N_VOCAB);
    assert_int_equal(ex_tracer_begin(tracer, sampler, 0, &error), EX_ERROR_IO);
    assert_int_equal(ex_tracer_summary(tracer, sampler, EX_END_LENGTH, 0, &error), EX_ERROR_IO);
    ex_tracer_close(tracer);
    ex_sampler_close(sampler);
    assert_int_equal(ex_trace_close(trace, &error), EX_ERROR_IO);
    assert_non_null(strstr(error.message, "/dev/full"));
}

/* ---- branches ---- */

enum { BRANCHES = 3, LENGTH = 4, WINNER = 1 };

/* Four lines of each of three branches, mixed as they are made; the second wins. */
static void write_branches(writer *w) {
    const ex_policy policy = preset("plain");
    synthetic s;
    ex_choice choice;
    ex_error error;
    ex_sampler *samplers[BRANCHES];
    ex_traced_branch about[BRANCHES];
    ex_tracer_branch(w->tracer, BRANCHES);
    for (int b = 0; b < BRANCHES; b++) {
        samplers[b] = open_sampler(&policy, N_VOCAB);
        ex_sampler_keep_likeliest(samplers[b], true);
        assert_ok(ex_sampler_set_clarification(samplers[b], (int32_t[]){5, 6}, 2, &error), &error);
        for (int32_t token = 0; token < N_PROMPT; token++) ex_sampler_prompt(samplers[b], &token, 1);
        about[b] = (ex_traced_branch){LENGTH, b, -1};
    }
    for (size_t i = 0; i < LENGTH; i++)
        for (int b = 0; b < BRANCHES; b++) {
            writer branch = {w->trace, w->tracer, samplers[b]};
            step_at(&branch, &s, N_PROMPT + i, (uint32_t)b, &choice);
            const ex_traced traced = {.kind = EX_TRACE_TOKEN, .position = N_PROMPT + i, .attempt = (uint32_t)b,
                                      .branch = b, .token = choice.draw.token, .choice = &choice,
                                      .sampler = samplers[b]};
            assert_ok(ex_tracer_decision(w->tracer, &traced, &error), &error);
            ex_sampler_accept(samplers[b], choice.draw.token, false);
        }
    assert_ok(ex_tracer_branched(w->tracer, N_PROMPT, about, WINNER, &error), &error);
    for (int b = 0; b < BRANCHES; b++) ex_sampler_close(samplers[b]);
}

static void branches_are_in_order(void **state) {
    (void)state;
    const ex_policy policy = preset("plain");
    ex_error error;
    writer w;
    open_writer(&w, &policy);
    write_branches(&w);
    close_writer(&w);
    ex_replay *replay;
    ex_replay_step step;
    assert_ok(ex_replay_open(&replay, temporary(), NULL, &error), &error);
    assert_ok(ex_replay_next(replay, &step, &error), &error);
    static const int order[BRANCHES] = {0, 2, WINNER};
    for (int b = 0; b < BRANCHES; b++)
        for (size_t i = 0; i < LENGTH; i++) {
            assert_ok(ex_replay_next(replay, &step, &error), &error);
            assert_int_equal(step.branch, order[b]);
            assert_int_equal(step.position, N_PROMPT + i);
            assert_int_equal(step.differences, 0);
        }
    assert_ok(ex_replay_next(replay, &step, &error), &error);
    assert_int_equal(step.kind, EX_REPLAY_BRANCHES);
    ex_replay_close(replay);
}

/* ---- traces in memory ---- */

typedef struct heap { /* what a callback was given */
    char *text; /* [1 << 24] */
    size_t length, n_lines, refused_from; /* lines from this one on are refused; 0: none */
    bool whole;
} heap;

static bool take_line(void *context, const char *line, size_t length) {
    heap *h = context;
    h->n_lines++;
    if (h->refused_from > 0 && h->n_lines >= h->refused_from) return false;
    h->whole &= length > 1 && memchr(line, '\n', length) == line + length - 1;
    memcpy(h->text + h->length, line, length);
    h->length += length;
    return true;
}

/* A callback gets, line by line, what a file would have; and from memory it is replayed like the file. */
static void traces_need_no_file(void **state) {
    (void)state;
    const ex_policy policy = rich_policy(), other = preset("entropix");
    heap h = {.text = malloc(1 << 24), .whole = true};
    tally in_file, in_memory;
    size_t length;
    ex_error error;
    for (int branches = 0; branches < 2; branches++) {
        writer w;
        h.length = h.n_lines = 0;
        assert_ok(ex_trace_open_callback(&w.trace, take_line, &h, &error), &error);
        begin_writing(&w, &policy);
        if (branches) write_branches(&w);
        else write_answer(&w, 200);
        close_writer(&w);
        open_writer(&w, &policy);
        if (branches) write_branches(&w);
        else write_answer(&w, 200);
        close_writer(&w);
        char *text = read_trace(&length);
        assert_true(h.whole);
        assert_int_equal(h.length, length);
        assert_memory_equal(h.text, text, length);
        size_t n_lines = 0;
        for (size_t i = 0; i < length; i++) n_lines += text[i] == '\n';
        assert_int_equal(h.n_lines, n_lines);
        free(text);
    }
    write_trace(&policy, 200);
    char *text = read_trace(&length), *exact = malloc(length);
    memcpy(exact, text, length); /* so that a byte behind it is not there */
    for (int i = 0; i < 2; i++) {
        ex_replay *replay;
        assert_ok(replay_all(temporary(), i ? &other : NULL, &in_file, &error), &error);
        assert_ok(ex_replay_open_text(&replay, exact, length, i ? &other : NULL, &error), &error);
        assert_ok(tally_all(replay, &in_memory, &error), &error);
        assert_memory_equal(&in_memory, &in_file, sizeof in_file);
    }
    free(text);
    free(exact);
    free(h.text);
}

static void lines_that_are_refused_are_errors(void **state) {
    (void)state;
    const ex_policy policy = preset("plain");
    heap h = {.text = malloc(1 << 24), .refused_from = 4};
    ex_error error;
    writer w;
    synthetic s;
    ex_choice choice;
    assert_ok(ex_trace_open_callback(&w.trace, take_line, &h, &error), &error);
    begin_writing(&w, &policy);
    for (size_t i = 0; i < 6; i++) {
        step_at(&w, &s, N_PROMPT + i, 0, &choice);
        const ex_traced traced = {.kind = EX_TRACE_TOKEN, .position = N_PROMPT + i, .token = choice.draw.token,
                                  .choice = &choice, .sampler = w.sampler};
        assert_int_equal(ex_tracer_decision(w.tracer, &traced, &error), i < 2 ? EX_OK : EX_ERROR_IO);
        ex_sampler_accept(w.sampler, choice.draw.token, false);
    }
    assert_int_equal(h.n_lines, 4); /* after the first refusal there is no other try */
    ex_tracer_close(w.tracer);
    ex_sampler_close(w.sampler);
    assert_int_equal(ex_trace_close(w.trace, &error), EX_ERROR_IO);
    free(h.text);
}

static ex_code replay_text(const char *text, size_t length, ex_error *error) {
    ex_replay *replay;
    tally t;
    ex_code code = ex_replay_open_text(&replay, text, length, NULL, error);
    return code == EX_OK ? tally_all(replay, &t, error) : code;
}

static void bad_texts_are_errors(void **state) {
    (void)state;
    const ex_policy policy = preset("plain");
    ex_error error;
    size_t length;
    assert_int_equal(replay_text(NULL, 0, &error), EX_ERROR_FORMAT);
    assert_int_equal(replay_text("{\"trace\":1", 10, &error), EX_ERROR_FORMAT); /* no line end: no line */
    assert_int_equal(replay_text("{}\n[]\n", 6, &error), EX_ERROR_FORMAT);
    assert_int_equal(error.position, 1);
    assert_non_null(strstr(error.message, "the trace:1: "));
    write_trace(&policy, 3);
    char *text = read_trace(&length), *many = malloc(100 * length);
    const char *end = line_at(text, 2), *sequence = strstr(text, "\"sequence\":0");
    char *vocabulary = strstr(text, "\"n_vocab\":2000");
    memcpy(vocabulary, "\"n_vocab\":9999", 14);
    assert_int_equal(replay_text(text, length, &error), EX_OK);
    size_t n = 0; /* headers alone, each of a sequence that is not there yet, ask for more and more memory */
    for (int i = 0; i < 80; i++)
        n += (size_t)sprintf(many + n, "%.*s\"n_vocab\":1048576%.*s\"sequence\":%d%.*s", (int)(vocabulary - text), text,
                             (int)(sequence - vocabulary - 14), vocabulary + 14, i, (int)(end - sequence - 12),
                             sequence + 12);
    assert_int_equal(replay_text(many, n, &error), EX_ERROR_FORMAT);
    assert_int_equal(error.position, 65);
    free(text);
    free(many);
}

/* ---- decimals ---- */

static void decimals_read_back(void **state) {
    (void)state;
    static ex_decimal_powers powers;
    char text[EX_DECIMAL_LENGTH + 1];
    ex_decimal_prepare(&powers);
    for (uint32_t i = 0; i < 200000; i++) {
        const double u = ex_uniform(1, 2, i, 0, 0);
        const double values[] = {u, -40 * u, exp(-80 * u), exp(300 * u), ldexp(1, (int)(u * 200) - 100)};
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            text[ex_decimal_write(&powers, values[j], text)] = '\0';
            if (strtod(text, NULL) != values[j]) fail_msg("%.17g became %s", values[j], text);
            const float single = (float)values[j];
            text[ex_decimal_write_float(&powers, single, text)] = '\0';
            if (isfinite(single) && strtof(text, NULL) != single) fail_msg("%.9g became %s", (double)single, text);
        }
    }
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},   {1, "1"},     {100, "100"},   {-0.0, "-0.0"},
                 {1e-7, "1e-7"}, {0.3, "0.3"}, {1e17, "1e17"}, {0.1 + 0.2, "0.30000000000000004"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text[ex_decimal_write(&powers, cases[i].value, text)] = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

static int remove_trace(void **state) {
    (void)state;
    unlink(temporary());
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rich_policy_replays),
                                       cmocka_unit_test(mirostat_alone_replays),
                                       cmocka_unit_test(presets_replay),
                                       cmocka_unit_test(unlimited_filters_replay),
                                       cmocka_unit_test(other_policies_differ),
                                       cmocka_unit_test(changed_digits_are_found),
                                       cmocka_unit_test(broken_lines_are_errors),
                                       cmocka_unit_test(unknown_keys_and_broken_ends_are_ignored),
                                       cmocka_unit_test(bad_files_are_errors),
                                       cmocka_unit_test(write_errors_stay),
                                       cmocka_unit_test(branches_are_in_order),
                                       cmocka_unit_test(traces_need_no_file),
                                       cmocka_unit_test(lines_that_are_refused_are_errors),
                                       cmocka_unit_test(bad_texts_are_errors),
                                       cmocka_unit_test(decimals_read_back)};
    return cmocka_run_group_tests(tests, NULL, remove_trace);
}
