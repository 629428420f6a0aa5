/* chain_support.h - a chain with the memory that a sampler would give it, and policies by a few settings. */
#ifndef EX_TESTS_CHAIN_SUPPORT_H
#define EX_TESTS_CHAIN_SUPPORT_H

#include <math.h>

#include "base/rng.h"
#include "sampler/chain.h"
#include "sampler_support.h"
#include "support.h"

enum { VOCABULARY_MAX = 5000 };

typedef struct chain_bench {
    ex_chain *chain;
    size_t n_vocab;
    ex_filter_memory memory;
    ex_filter_input input;
    ex_distribution distribution;
} chain_bench;

static inline void open_bench(chain_bench *bench, const ex_policy *policy, size_t n_vocab) {
    static ex_survivor survivors[VOCABULARY_MAX + EX_FOUND_MAX], likeliest[EX_FOUND_MAX];
    static ex_candidate candidates[VOCABULARY_MAX];
    static float block_maxima[VOCABULARY_MAX];
    static int selected[EX_LOGITS_BLOCK];
    ex_error error;
    *bench = (struct chain_bench){.n_vocab = n_vocab,
                                  .memory = {survivors, likeliest, candidates, block_maxima, selected}};
    assert_ok(ex_chain_open(&bench->chain, policy, n_vocab, &error), &error);
}

static inline void prepare(chain_bench *bench, const float *logits, bool find_likeliest, int32_t top_k) {
    ex_error error;
    bench->input = (ex_filter_input){
        .math = &ex_vector_math_portable, .logits = logits, .n_vocab = bench->n_vocab, .confidence = 0.25};
    assert_ok(ex_summarise_logits(&ex_vector_math_portable, logits, bench->n_vocab, bench->memory.block_maxima,
                                  &bench->input.summary, &error), &error);
    size_t needed = ex_likeliest_needed(top_k);
    if (needed > bench->n_vocab) needed = bench->n_vocab;
    if (find_likeliest) bench->input.n_likeliest = ex_find_likeliest(&bench->memory, &bench->input, needed);
}

static inline size_t run_bench(chain_bench *bench, const float *logits, const ex_decision *decision,
                               const ex_chain_step *step) {
    prepare(bench, logits, true, decision->top_k);
    size_t count = ex_chain_filter(bench->chain, &bench->memory, &bench->input, decision, step);
    bench->distribution = (ex_distribution){bench->memory.candidates, count};
    return count;
}

static inline ex_policy policy_with(const char *const *settings) {
    ex_policy policy = preset("plain");
    ex_error error;
    for (; *settings; settings += 2)
        assert_ok(ex_policy_set(&policy, settings[0], settings[1], &error), &error);
    return policy;
}

#define POLICY(...) policy_with((const char *const[]){__VA_ARGS__, NULL})

static inline ex_decision open_decision(void) { return (ex_decision){.temperature = 1, .top_p = 1, .candidates = 1}; }

static inline void random_logits(uint64_t *random, float *logits, size_t n) {
    double spread = random_between(random, 0.2, 4), step = random_between(random, 0, 1) < 0.3 ? 0.25 : 0;
    for (size_t i = 0; i < n; i++) {
        double value = 0;
        for (int j = 0; j < 3; j++) value += random_between(random, -spread, spread);
        if (step > 0) value = round(value / step) * step; /* many ties */
        logits[i] = random_between(random, 0, 1) < 0.05 ? -INFINITY : (float)value;
    }
    logits[n / 2] = 1; /* something is finite */
}

#endif
