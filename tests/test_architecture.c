/* test_architecture.c - every option of every architecture, on tiny random models, against a plain forward pass in
 * double precision (reference_model.h); the same bits however the work is cut; many sessions in one pass. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocations.h"
#include "kernel/kernel.h"
#include "model/model.h"
#include "reference_model.h"
#include "tiny_model.h"

enum { N_TOKENS = 80, N_CONTEXT = 100 }; /* more than a page of the cache */

enum {
    PRE = TINY_PRE_NORM, POST = TINY_POST_NORM, UNTIED = TINY_UNTIED,
    GEMMA3 = TINY_PRE_NORM | TINY_POST_NORM | TINY_HEAD_NORM,
    PHI3 = TINY_PRE_NORM | TINY_FUSED_QKV | TINY_FUSED_UP | TINY_UNTIED,
    OLMO2 = TINY_POST_NORM | TINY_PROJECTION_NORM | TINY_UNTIED,
    OPENAI = TINY_PRE_NORM | TINY_OPENAI_NORM | TINY_SINKS | TINY_QKV_BIAS | TINY_OUTPUT_BIAS | TINY_ROUTER_BIAS |
             TINY_EXPERT_BIAS | TINY_UNTIED
};

typedef struct architecture_case {
    const char *name;
    tiny_model model;
    reference_extremes reaches; /* at least: the case is about what happens beyond */
    double tolerance;           /* 0: 1e-5. Quantised weights meet activations in 8 bits; not so in the reference */
} architecture_case;

static const architecture_case cases[] = {
    {"llama", .model = {"llama", PRE | TINY_QKV_BIAS | TINY_OUTPUT_BIAS | TINY_FFN_BIAS, .gain = 2}},
    {"llama 3, divisors",
     .model = {"llama", PRE | UNTIED | TINY_ROPE_FREQS,
               .keys = {{"rope.freq_base", 'f', 500000, NULL}}}},
    {"mistral, window",
     .model = {"llama", PRE | UNTIED, .type = EX_TYPE_F16,
               .keys = {{"attention.sliding_window", 'u', 9, NULL}}}},
    {"llama, window of one", .model = {"llama", PRE, .keys = {{"attention.sliding_window", 'u', 1, NULL}}}},
    {"mixtral",
     .model = {"llama", PRE | UNTIED | TINY_EQUAL_ROUTES, .n_expert = 8, .n_used = 2, .type = EX_TYPE_F16}},
    {"llama, one expert", .model = {"llama", PRE, .n_expert = 1, .n_used = 1}},
    {"llama, all experts", .model = {"llama", PRE, .n_expert = 3, .n_used = 3}},
    {"llama, linear",
     .model = {"llama", PRE,
               .keys = {{"rope.scaling.type", 's', 0, "linear"}, {"rope.scaling.factor", 'f', 4, NULL}}}},
    {"llama, linear by the old key", .model = {"llama", PRE, .keys = {{"rope.scale_linear", 'f', 3, NULL}}}},
    {"llama, no scaling",
     .model = {"llama", PRE,
               .keys = {{"rope.scaling.type", 's', 0, "none"}, {"rope.scaling.factor", 'f', 4, NULL}}}},
    {"llama, yarn",
     .model = {"llama", PRE,
               .keys = {{"rope.scaling.type", 's', 0, "yarn"}, {"rope.scaling.factor", 'f', 8, NULL},
                        {"rope.scaling.attn_factor", 'f', 1.1, NULL},
                        {"rope.scaling.original_context_length", 'u', 4096, NULL}}}},
    {"llama, yarn, its own ramp",
     .model = {"llama", PRE,
               .keys = {{"rope.scaling.type", 's', 0, "yarn"}, {"rope.scaling.factor", 'f', 16, NULL},
                        {"rope.scaling.yarn_beta_fast", 'f', 4, NULL},
                        {"rope.scaling.yarn_beta_slow", 'f', 2, NULL},
                        {"rope.scaling.original_context_length", 'u', 32, NULL}}}},
    {"qwen2", .model = {"qwen2", PRE | TINY_QKV_BIAS, .n_layer = 2}},
    {"qwen3", .model = {"qwen3", PRE | TINY_HEAD_NORM, .type = EX_TYPE_BF16}},
    {"qwen3moe, gate and up in one",
     .model = {"qwen3moe", PRE | TINY_HEAD_NORM | UNTIED | TINY_FUSED_EXPERTS, .n_ff = 64, .n_expert = 8,
               .n_used = 3,
               .keys = {{"feed_forward_length", 'u', 200, NULL}, {"expert_feed_forward_length", 'u', 64, NULL},
                        {"expert_weights_scale", 'f', 2.5, NULL}}}},
    {"gemma", .model = {"gemma", PRE, .gain = 2}},
    {"gemma2",
     .model = {"gemma2", PRE | POST, .n_layer = 4, .gain = 2.5,
               .keys = {{"attention.sliding_window", 'u', 7, NULL}, {"attn_logit_softcapping", 'f', 8, NULL},
                        {"final_logit_softcapping", 'f', 5, NULL}}},
     .reaches = {.score = 16, .logit = 8}},
    {"gemma2, without keys", .model = {"gemma2", PRE | POST, .gain = 5}, .reaches = {.score = 50, .logit = 5}},
    {"gemma2, the size of 27B",
     .model = {"gemma2", PRE | POST, .n_layer = 46, .gain = 1,
               .keys = {{"attention.sliding_window", 'u', 30, NULL}, {"attn_logit_softcapping", 'f', 50, NULL},
                        {"final_logit_softcapping", 'f', 30, NULL}}}},
    {"gemma3",
     .model = {"gemma3", GEMMA3, .n_layer = 7,
               .keys = {{"attention.sliding_window", 'u', 7, NULL}, {"rope.freq_base", 'f', 1000000, NULL},
                        {"rope.scaling.type", 's', 0, "linear"}, {"rope.scaling.factor", 'f', 8, NULL}}}},
    {"gemma3, flags",
     .model = {"gemma3", GEMMA3, .n_layer = 4,
               .keys = {{"attention.sliding_window", 'u', 20, NULL},
                        {"attention.sliding_window_pattern", 'b', 0, "1001"},
                        {"rope.freq_base", 'f', 1000000, NULL}, {"rope.freq_base_swa", 'f', 3000, NULL}}}},
    {"gemma3, a period",
     .model = {"gemma3", GEMMA3, .n_layer = 4,
               .keys = {{"attention.sliding_window", 'u', 20, NULL},
                        {"attention.sliding_window_pattern", 'u', 2, NULL}}}},
    {"gemma3, one layer with a flag",
     .model = {"gemma3", GEMMA3, .n_layer = 1,
               .keys = {{"attention.sliding_window", 'u', 20, NULL},
                        {"attention.sliding_window_pattern", 'b', 0, "1"}}}},
    {"gemma3, the size of 27B",
     .model = {"gemma3", GEMMA3, .n_layer = 62, .gain = 1,
               .keys = {{"attention.sliding_window", 'u', 30, NULL}}}},
    {"phi3, window", .model = {"phi3", PHI3, .keys = {{"attention.sliding_window", 'u', 31, NULL}}}},
    {"phi3, biases", .model = {"phi3", PHI3 | TINY_QKV_BIAS, .type = EX_TYPE_F16}},
    {"phi3, longrope, short",
     .model = {"phi3", PHI3 | TINY_ROPE_FACTORS, .n_rot = 24,
               .keys = {{"rope.scaling.type", 's', 0, "longrope"}, {"rope.scaling.attn_factor", 'f', 1.19, NULL},
                        {"rope.scaling.original_context_length", 'u', N_CONTEXT, NULL}}}},
    {"phi3, longrope, long",
     .model = {"phi3", PHI3 | TINY_ROPE_FACTORS, .n_rot = 24,
               .keys = {{"rope.scaling.type", 's', 0, "longrope"}, {"rope.scaling.attn_factor", 'f', 1.19, NULL},
                        {"rope.scaling.original_context_length", 'u', N_CONTEXT - 1, NULL}}}},
    {"smollm3", .model = {"smollm3", PRE, .n_layer = 5}},
    {"granite",
     .model = {"granite", PRE,
               .keys = {{"embedding_scale", 'f', 12, NULL}, {"residual_scale", 'f', 0.22, NULL},
                        {"attention.scale", 'f', 0.015625, NULL}, {"logit_scale", 'f', 8, NULL}}}},
    {"granitemoe",
     .model = {"granitemoe", PRE, .n_expert = 5, .n_used = 2,
               .keys = {{"embedding_scale", 'f', 6, NULL}, {"residual_scale", 'f', 0.3, NULL},
                        {"attention.scale", 'f', 0.1, NULL}, {"logit_scale", 'f', 0.5, NULL}}}},
    {"olmo2", .model = {"olmo2", OLMO2, .n_layer = 4}},
    {"olmo3, yarn on full layers only",
     .model = {"olmo2", OLMO2, .n_layer = 4,
               .keys = {{"attention.sliding_window", 'u', 12, NULL}, {"rope.scaling.type", 's', 0, "yarn"},
                        {"rope.scaling.factor", 'f', 8, NULL}, {"rope.scaling.attn_factor", 'f', 1.2, NULL},
                        {"rope.scaling.original_context_length", 'u', 8192, NULL}}}},
    {"gpt-oss",
     .model = {"gpt-oss", OPENAI, .n_ff = 64, .n_expert = 8, .n_used = 4, .gain = 1.8,
               .keys = {{"expert_feed_forward_length", 'u', 64, NULL}, {"attention.sliding_window", 'u', 8, NULL},
                        {"rope.freq_base", 'f', 150000, NULL}, {"rope.scaling.type", 's', 0, "yarn"},
                        {"rope.scaling.factor", 'f', 32, NULL},
                        {"rope.scaling.original_context_length", 'u', 4096, NULL},
                        {"expert_gating_func", 'u', 3, NULL}}},
     .reaches = {.gate = 7, .up = 7}},
    {"gpt-oss, experts in MXFP4",
     .model = {"gpt-oss", OPENAI, .n_ff = 64, .n_expert = 4, .n_used = 2, .gain = 1, .expert_type =
               EX_TYPE_MXFP4,
               .keys = {{"attention.sliding_window", 'u', 16, NULL}}},
     .reaches = {.gate = 7, .up = 7}, .tolerance = 6e-2},
    {"llama, mixed types",
     .model = {"llama", PRE | UNTIED, .n_embd = 256, .n_ff = 512, .type = TINY_MIXED, .gain = 1},
     .tolerance = 4e-2},
    {"mixtral, mixed types",
     .model = {"llama", PRE | UNTIED, .n_embd = 256, .n_ff = 256, .type = TINY_MIXED, .gain = 1, .n_expert = 4,
               .n_used = 2},
     .tolerance = 4e-2},
};

enum { N_CASES = sizeof cases / sizeof *cases };

static void fill_tokens(int32_t *tokens, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) tokens[i] = (int32_t)random_between(&seed, 0, TINY_VOCABULARY);
}

/* ---- a model file and what the reference makes of it ----------------------------------------------------------- */

typedef struct subject {
    const architecture_case *about;
    char path[64];
    ex_file *file;
    int32_t tokens[N_TOKENS];
    double logits[N_TOKENS][TINY_VOCABULARY];
    float *scores; /* [n_layer][n_head][n_columns] of the last token */
    size_t n_scores, n_columns, n_layer;
    double tolerance;
} subject;

static void read_reference(subject *s) {
    reference_model *reference = reference_open(s->file, N_CONTEXT);
    fill_tokens(s->tokens, N_TOKENS, 3);
    for (size_t i = 0; i < N_TOKENS; i++) reference_step(reference, s->tokens[i], s->logits[i]);
    const double *scores = reference_scores(reference, &s->n_columns);
    s->n_layer = s->about->model.n_layer ? s->about->model.n_layer : 3;
    s->n_scores = s->n_layer * TINY_HEADS * s->n_columns;
    s->scores = calloc(s->n_scores, sizeof *s->scores);
    for (size_t i = 0; i < s->n_scores; i++) s->scores[i] = (float)scores[i];
    reference_extremes seen = reference_seen(reference), wanted = s->about->reaches;
    assert_true(seen.score >= wanted.score && seen.gate >= wanted.gate && seen.up >= wanted.up &&
                seen.logit >= wanted.logit);
    reference_close(reference);
}

static void open_subject(subject *s, const architecture_case *about) {
    ex_error error;
    *s = (subject){.about = about, .tolerance = about->tolerance > 0 ? about->tolerance : 1e-5};
    strcpy(s->path, "/tmp/entropix-test-XXXXXX");
    close(mkstemp(s->path));
    tiny_model_write(&about->model, s->path);
    assert_ok(ex_file_open(&s->file, s->path, &error), &error);
}

static void close_subject(subject *s) {
    ex_file_close(s->file);
    unlink(s->path);
    free(s->scores);
}

static double relative_difference(const float *ours, const double *expected, size_t n) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)ours[i] - expected[i]) * ((double)ours[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    return sqrt(difference / norm);
}

/* ---- everything that an evaluation says, to be compared ---------------------------------------------------------- */

typedef struct record {
    float logits[N_TOKENS][TINY_VOCABULARY];
    unsigned char *rest; /* statistics and scores of the last token */
    size_t n_rest;
} record;

static void append(record *r, const void *data, size_t n_bytes) {
    r->rest = realloc(r->rest, r->n_rest + n_bytes);
    memcpy(r->rest + r->n_rest, data, n_bytes);
    r->n_rest += n_bytes;
}

static void append_step(record *r, const ex_session *session, const ex_step *step) {
    const ex_attention *a = step->attention;
    size_t n_layer = (size_t)a->n_layer, n = n_layer * (size_t)a->n_head, n_columns;
    const float *scores = ex_session_scores(session, &n_columns);
    append(r, a->n_positions, n_layer * sizeof *a->n_positions);
    append(r, a->head_entropy, n * sizeof *a->head_entropy);
    append(r, a->head_maximum, n * sizeof *a->head_maximum);
    append(r, a->head_strength, n * sizeof *a->head_strength);
    append(r, a->layer_deviation, n_layer * sizeof *a->layer_deviation);
    append(r, scores, n * n_columns * sizeof *scores);
}

static bool same_record(const record *a, const record *b) {
    return memcmp(a->logits, b->logits, sizeof a->logits) == 0 && a->n_rest == b->n_rest &&
           memcmp(a->rest, b->rest, a->n_rest) == 0;
}

/* ---- one case --------------------------------------------------------------------------------------------------- */

static void check_scores(const subject *s, const ex_session *session, const char *kernels) {
    size_t n_columns;
    double difference = 0, norm = 0;
    const float *ours = ex_session_scores(session, &n_columns);
    assert_int_equal(n_columns, s->n_columns);
    for (size_t i = 0; i < s->n_scores; i++) {
        assert_int_equal(isinf(ours[i]), isinf(s->scores[i]));
        if (isinf(ours[i])) continue;
        difference += ((double)ours[i] - (double)s->scores[i]) * ((double)ours[i] - (double)s->scores[i]);
        norm += (double)s->scores[i] * (double)s->scores[i];
    }
    if (sqrt(difference / norm) > s->tolerance)
        fail_msg("%s, %s: scores differ by %g", s->about->name, kernels, sqrt(difference / norm));
}

static void check_statistics(const subject *s, const ex_attention *ours) {
    ex_error error;
    ex_score_reducer *reducer;
    const ex_attention *expected;
    double tolerance = 10 * s->tolerance;
    assert_ok(ex_score_reducer_open(&reducer, &error), &error);
    assert_ok(ex_score_reduce(reducer, s->scores, (int32_t)s->n_layer, TINY_HEADS, s->n_columns, &expected, &error),
              &error);
    for (int32_t layer = 0; layer < ours->n_layer; layer++) {
        assert_int_equal(ours->n_positions[layer], expected->n_positions[layer]);
        assert_true(is_close(ours->layer_deviation[layer], expected->layer_deviation[layer], tolerance));
        assert_true(is_close(ours->layer_entropy[layer], expected->layer_entropy[layer], tolerance));
        for (int32_t i = layer * TINY_HEADS; i < (layer + 1) * TINY_HEADS; i++) {
            assert_true(is_close(ours->head_entropy[i], expected->head_entropy[i], tolerance));
            assert_true(is_close(ours->head_maximum[i], expected->head_maximum[i], tolerance));
            assert_true(is_close(ours->head_strength[i], expected->head_strength[i], tolerance));
        }
    }
    ex_score_reducer_close(reducer);
}

static void check_against_reference(const subject *s, const record *r, const ex_session *session, const ex_step *step,
                                    const char *kernels) {
    for (size_t i = 0; i < N_TOKENS; i++) {
        double difference = relative_difference(r->logits[i], s->logits[i], TINY_VOCABULARY);
        if (!(difference <= s->tolerance))
            fail_msg("%s, %s: logits of position %zu differ by %g", s->about->name, kernels, i, difference);
    }
    check_scores(s, session, kernels);
    check_statistics(s, step->attention);
}

typedef struct way { /* to evaluate the tokens */
    int32_t n_threads;
    size_t n_batch, cut;
} way;

static void evaluate(const subject *s, const char *kernels, way w, bool compare, record *r) {
    ex_error error;
    ex_model model;
    ex_session *session;
    ex_step step;
    ex_engine_options options = {.n_threads = w.n_threads, .kernels = kernels};
    ex_session_options session_options = {.n_context = N_CONTEXT, .n_batch = w.n_batch, .kv_type = EX_KV_F32,
                                          .keep_scores = true};
    *r = (record){.n_rest = 0};
    assert_ok(ex_model_open(&model, s->file, &options, &error), &error);
    assert_ok(ex_model_session(&session, &model, &session_options, &error), &error);
    for (size_t done = 0; done < N_TOKENS; done += w.cut) {
        size_t n = N_TOKENS - done < w.cut ? N_TOKENS - done : w.cut;
        assert_ok(ex_session_evaluate(session, s->tokens + done, n, r->logits[done], &step, &error), &error);
    }
    append_step(r, session, &step);
    if (compare) check_against_reference(s, r, session, &step, kernels);
    ex_session_close(session);
    ex_model_close(&model);
}

static void check_ways(const subject *s, const char *kernels, const record *first) {
    static const way ways[] = {{2, 7, N_TOKENS}, {3, 64, 33}, {2, 1, 1}};
    static record other;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        evaluate(s, kernels, ways[i], false, &other);
        if (!same_record(first, &other)) fail_msg("%s, %s: way %zu gives other bits", s->about->name, kernels, i);
        free(other.rest);
    }
}

/* Deep models are there for one number: other ways to evaluate them are left out. */
static void check_case(const architecture_case *about) {
    static subject s;
    static record first;
    ex_cpu cpu = ex_cpu_detect();
    open_subject(&s, about);
    read_reference(&s);
    for (const ex_kernels *const *kernels = ex_kernels_all(); *kernels; kernels++) {
        if (!(*kernels)->supported(&cpu)) continue;
        evaluate(&s, (*kernels)->name, (way){1, 256, N_TOKENS}, true, &first);
        if (s.n_layer < 20) check_ways(&s, (*kernels)->name, &first);
        free(first.rest);
    }
    close_subject(&s);
}

static void test_reference(void **state) {
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) check_case(&cases[i]);
}

/* ---- many sessions in one pass ----------------------------------------------------------------------------------- */

enum { N_PROMPT = 30, N_STEPS = 4, N_FORKS = 33 };

static const architecture_case *case_of(const char *name) {
    for (size_t i = 0; i < N_CASES; i++)
        if (strcmp(cases[i].name, name) == 0) return &cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

static void check_same_step(const ex_session *session, const ex_step *step, const ex_session *other,
                            const ex_step *alone) {
    record a = {.n_rest = 0}, b = {.n_rest = 0};
    assert_int_equal(step->position, alone->position);
    append(&a, step->logits, TINY_VOCABULARY * sizeof(float));
    append(&b, alone->logits, TINY_VOCABULARY * sizeof(float));
    append_step(&a, session, step);
    append_step(&b, other, alone);
    assert_int_equal(a.n_rest, b.n_rest);
    assert_memory_equal(a.rest, b.rest, a.n_rest);
    free(a.rest);
    free(b.rest);
}

/* Forks of one prompt that go back to different positions, each with tokens of its own. */
static void open_forks(ex_session *prompt, ex_session **forks, size_t n) {
    ex_error error;
    for (size_t i = 0; i < n; i++) {
        assert_ok(ex_session_fork(&forks[i], prompt, &error), &error);
        assert_ok(ex_session_rewind(forks[i], N_PROMPT - i % 5, &error), &error);
    }
}

static void check_forks(ex_session *prompt, size_t n) {
    ex_session *together[N_FORKS], *alone[N_FORKS];
    ex_step steps[N_FORKS], step;
    int32_t tokens[N_FORKS];
    ex_error error;
    open_forks(prompt, together, n);
    open_forks(prompt, alone, n);
    for (uint64_t i = 0; i < N_STEPS; i++) {
        fill_tokens(tokens, n, 50 + i);
        long allocations = allocations_counted();
        assert_ok(ex_sessions_evaluate(together, tokens, n, steps, &error), &error);
        assert_int_equal(allocations_counted(), allocations);
        for (size_t k = 0; k < n; k++) {
            assert_ok(ex_session_evaluate(alone[k], &tokens[k], 1, NULL, &step, &error), &error);
            check_same_step(together[k], &steps[k], alone[k], &step);
        }
    }
    for (size_t k = 0; k < n; k++) {
        ex_session_close(together[k]);
        ex_session_close(alone[k]);
    }
}

typedef struct open_model {
    subject subject;
    ex_model model;
    ex_session *session; /* holds the prompt */
} open_model;

static void open_prompt(open_model *m, const char *name, ex_kv_type kv_type, int32_t n_threads) {
    ex_error error;
    open_subject(&m->subject, case_of(name));
    fill_tokens(m->subject.tokens, N_TOKENS, 3);
    ex_session_options options = {.n_context = N_CONTEXT, .kv_type = kv_type, .keep_scores = true};
    assert_ok(ex_model_open(&m->model, m->subject.file, &(ex_engine_options){.n_threads = n_threads}, &error), &error);
    assert_ok(ex_model_session(&m->session, &m->model, &options, &error), &error);
    assert_ok(ex_session_evaluate(m->session, m->subject.tokens, N_PROMPT, NULL, NULL, &error), &error);
}

static void close_prompt(open_model *m) {
    ex_session_close(m->session);
    ex_model_close(&m->model);
    close_subject(&m->subject);
}

static void test_forks_together(void **state) {
    (void)state;
    static const char *const names[] = {"gpt-oss", "gemma2", "phi3, longrope, long", "mixtral, mixed types", "olmo2"};
    static const size_t sizes[] = {1, 2, 12, N_FORKS};
    static open_model m;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (ex_kv_type type = 0; type < EX_KV_TYPE_COUNT; type++) {
            open_prompt(&m, names[i], type, 1 + (int32_t)(i % 3));
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) check_forks(m.session, sizes[k]);
            close_prompt(&m);
        }
}

static void check_refused(ex_session *const *sessions, const int32_t *tokens, size_t n, ex_code code,
                          const char *words) {
    ex_step steps[3];
    size_t before[3];
    ex_error error = {0};
    for (size_t i = 0; i < n; i++) before[i] = ex_session_position(sessions[i]);
    assert_int_equal(ex_sessions_evaluate(sessions, tokens, n, steps, &error), code);
    assert_int_equal(error.code, code);
    if (!strstr(error.message, words)) fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    for (size_t i = 0; i < n; i++) assert_int_equal(ex_session_position(sessions[i]), before[i]);
}

static void test_sessions_that_do_not_go_together(void **state) {
    (void)state;
    static open_model a, b;
    ex_error error;
    ex_session *fork, *full, *half;
    open_prompt(&a, "llama", EX_KV_F32, 1);
    open_prompt(&b, "qwen2", EX_KV_F32, 1);
    assert_ok(ex_session_fork(&fork, a.session, &error), &error);
    ex_session_options small = {.n_context = 2, .kv_type = EX_KV_F32}, other = {.n_context = 9, .kv_type = EX_KV_F16};
    assert_ok(ex_model_session(&full, &a.model, &small, &error), &error);
    assert_ok(ex_session_evaluate(full, (int32_t[]){1, 2}, 2, NULL, NULL, &error), &error);
    assert_ok(ex_model_session(&half, &a.model, &other, &error), &error);
    const int32_t tokens[] = {4, 5, 6};

    check_refused((ex_session *[]){a.session, fork, a.session}, tokens, 3, EX_ERROR_ARGUMENT, "in it once");
    check_refused((ex_session *[]){a.session, fork, full}, tokens, 3, EX_ERROR_CONTEXT, "do not fit");
    check_refused((ex_session *[]){a.session, b.session}, tokens, 2, EX_ERROR_ARGUMENT, "another engine");
    check_refused((ex_session *[]){a.session, half}, tokens, 2, EX_ERROR_ARGUMENT, "type of KV cache");
    check_refused((ex_session *[]){a.session, fork}, (int32_t[]){1, TINY_VOCABULARY}, 2, EX_ERROR_ARGUMENT,
                  "not in the vocabulary");
    check_refused((ex_session *[]){a.session, fork}, (int32_t[]){1, -1}, 2, EX_ERROR_ARGUMENT, "not in the vocabulary");
    check_refused((ex_session *[]){a.session}, tokens, 0, EX_ERROR_ARGUMENT, "no sessions");

    ex_session_close(half);
    ex_session_close(full);
    ex_session_close(fork);
    close_prompt(&b);
    close_prompt(&a);
}

/* What the pool of pages counts stays right when a fork of a session finds no memory. */
static void test_forks_without_memory(void **state) {
    (void)state;
    static open_model m;
    ex_error error;
    ex_session *fork = NULL, *other;
    open_prompt(&m, "llama", EX_KV_F32, 1);
    int n_failed = 0;
    for (long left = 0; !fork; left++) {
        allocations_limit(left);
        const ex_code code = ex_session_fork(&fork, m.session, &error);
        allocations_limit(-1);
        if (code == EX_OK) break;
        assert_int_equal(code, EX_ERROR_MEMORY);
        n_failed++;
    }
    assert_true(n_failed >= 3);
    assert_ok(ex_session_evaluate(fork, (int32_t[]){1}, 1, NULL, NULL, &error), &error);
    ex_session_close(fork);
    assert_ok(ex_session_fork(&other, m.session, &error), &error);
    assert_ok(ex_session_evaluate(m.session, (int32_t[]){2}, 1, NULL, NULL, &error), &error);
    assert_ok(ex_session_evaluate(other, (int32_t[]){1}, 1, NULL, NULL, &error), &error);
    ex_session_close(other);
    close_prompt(&m);
}

/* Nor does one that is opened touch what it has given back. */
static void test_sessions_without_memory(void **state) {
    (void)state;
    static open_model m;
    ex_error error;
    ex_session *session = NULL;
    ex_code code = EX_ERROR_MEMORY;
    open_prompt(&m, "llama", EX_KV_F32, 1);
    for (long left = 0; code != EX_OK; left++) {
        allocations_limit(left);
        code = ex_model_session(&session, &m.model, NULL, &error);
        allocations_limit(-1);
        if (code != EX_OK) assert_int_equal(code, EX_ERROR_MEMORY);
    }
    ex_session_close(session);
    close_prompt(&m);
}

/* A row of the embedding that is not finite: who has that token fails, and nobody moves. */
static void test_weight_that_is_not_finite(void **state) {
    (void)state;
    static open_model m;
    enum { BAD = 17 };
    subject *s = &m.subject;
    ex_error error;
    ex_session *fork;
    ex_step steps[2];
    open_subject(s, case_of("llama 3, divisors"));
    uint64_t at = ex_file_find_tensor(s->file, "token_embd.weight")->offset + (uint64_t)BAD * 64 * sizeof(float);
    ex_file_close(s->file);
    FILE *file = fopen(s->path, "r+b");
    fseek(file, (long)at, SEEK_SET);
    assert_int_equal(fwrite(&(float){NAN}, sizeof(float), 1, file), 1);
    fclose(file);
    assert_ok(ex_file_open(&s->file, s->path, &error), &error);
    assert_ok(ex_model_open(&m.model, s->file, &(ex_engine_options){.n_threads = 2}, &error), &error);
    assert_ok(ex_model_session(&m.session, &m.model, NULL, &error), &error);
    assert_ok(ex_session_evaluate(m.session, (int32_t[]){1, 2, 3}, 3, NULL, NULL, &error), &error);
    assert_ok(ex_session_fork(&fork, m.session, &error), &error);
    check_refused((ex_session *[]){m.session, fork}, (int32_t[]){4, BAD}, 2, EX_ERROR_NUMBER, "token_embd.weight");
    check_refused((ex_session *[]){m.session, fork}, (int32_t[]){BAD, 4}, 2, EX_ERROR_NUMBER, "token_embd.weight");
    ex_session *both[] = {m.session, fork};
    assert_ok(ex_sessions_evaluate(both, (int32_t[]){4, 5}, 2, steps, &error), &error);
    ex_session_close(fork);
    close_prompt(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_forks_together),
        cmocka_unit_test(test_sessions_that_do_not_go_together),
        cmocka_unit_test(test_forks_without_memory),
        cmocka_unit_test(test_sessions_without_memory),
        cmocka_unit_test(test_weight_that_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
