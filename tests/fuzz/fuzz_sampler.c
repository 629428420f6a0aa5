/* The sampler on any numbers: a token of the vocabulary and probabilities that are numbers, or an error. Input: preset
 * and size of the vocabulary, keys of the policy with their new values, then logits and attention scores as they lie
 * in memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "entropix_sampler.h"
#include "fuzz.h"

enum { VOCABULARY_MAX = 40, HEADS = 2, POSITIONS = 3, STEPS = 6 };

/* Most values in a range where policies live; any otherwise. */
static void change_policy(ex_policy *policy, fuzz_input *input) {
    size_t n_keys = 0;
    while (ex_policy_key(n_keys)) n_keys++;
    for (unsigned n = fuzz_byte(input) % 8; n; n--) {
        const char *key = ex_policy_key(fuzz_byte(input) % n_keys);
        uint8_t form = fuzz_byte(input);
        char value[64];
        if (form < 128) snprintf(value, sizeof value, "%d", form % 16);
        else if (form < 224) snprintf(value, sizeof value, "%g", (form - 128) / 48.0);
        else if (form < 240) snprintf(value, sizeof value, "%g", fuzz_double(input));
        else snprintf(value, sizeof value, "%s", form & 1 ? "true" : "last");
        ex_policy_set(policy, key, value, NULL);
    }
}

static float any_logit(fuzz_input *input) {
    static const float special[] = {0, -0.0f, 1, -1, 1e-40f, -1e-40f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, NAN, 20};
    uint8_t form = fuzz_byte(input);
    if (form < 96) return special[form % (sizeof special / sizeof *special)];
    if (form < 208) return (float)(form - 150) / 4;
    return fuzz_float(input);
}

static void check_choice(const ex_choice *choice, int32_t n_vocab) {
    double sum = 0;
    for (size_t i = 0; ex_metric_name(i); i++) fuzz_require(isfinite(ex_metric_value(&choice->metrics, i)));
    for (size_t i = 0; i < choice->distribution.count; i++) {
        const ex_candidate *candidate = &choice->distribution.candidates[i];
        fuzz_require(candidate->token >= 0 && candidate->token < n_vocab);
        fuzz_require(candidate->probability >= 0 && candidate->probability <= 1);
        fuzz_require(!isnan(candidate->log_probability) && !isnan(candidate->score));
        sum += candidate->probability;
    }
    if (choice->distribution.count) fuzz_require(fabs(sum - 1) < 1e-6);
    if (choice->draw.token == EX_TOKEN_NONE) fuzz_require(choice->decision.action != EX_ACTION_SAMPLE);
    else fuzz_require(choice->draw.token >= 0 && choice->draw.token < n_vocab);
    for (int32_t i = 0; i < choice->draw.n_draws; i++) {
        fuzz_require(choice->draw.uniform[i] >= 0 && choice->draw.uniform[i] < 1);
        fuzz_require(choice->draw.drawn[i] >= 0 && choice->draw.drawn[i] < n_vocab);
    }
}

static void run(ex_sampler *sampler, ex_score_reducer *reducer, int32_t n_vocab, fuzz_input *input) {
    for (uint32_t position = 0; position < STEPS; position++) {
        float logits[VOCABULARY_MAX], scores[HEADS * POSITIONS];
        const ex_attention *attention = NULL;
        ex_choice choice;
        ex_error error = {0};
        uint8_t form = fuzz_byte(input);
        for (int32_t i = 0; i < n_vocab; i++) logits[i] = any_logit(input);
        for (int i = 0; i < HEADS * POSITIONS && form & 1; i++) scores[i] = any_logit(input);
        if (form & 1 && ex_score_reduce(reducer, scores, 1, HEADS, POSITIONS, &attention, &error) != EX_OK)
            attention = NULL;
        if (form & 2) ex_sampler_exclude(sampler, form / 4 % n_vocab);
        ex_random_key key = {form, 0, position, 0};
        if (ex_sampler_step(sampler, logits, attention, key, &choice, &error) != EX_OK) {
            fuzz_require(error.message[0]);
            continue;
        }
        check_choice(&choice, n_vocab);
        ex_sampler_accept(sampler, choice.draw.token < 0 ? 0 : choice.draw.token, choice.draw.token < 0);
        if (form >= 240) fuzz_require(ex_sampler_rewind(sampler, ex_sampler_count(sampler) / 2, &error) == EX_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ex_policy policy;
    static ex_score_reducer *reducer;
    fuzz_input input = {data, size};
    ex_sampler *sampler;
    size_t n_presets = 0;
    const int32_t clarification[] = {0};
    while (ex_policy_preset_name(n_presets)) n_presets++;
    if (!reducer) fuzz_require(ex_score_reducer_open(&reducer, NULL) == EX_OK);
    fuzz_require(ex_policy_preset(&policy, ex_policy_preset_name(fuzz_byte(&input) % n_presets), NULL) == EX_OK);
    int32_t n_vocab = 1 + fuzz_byte(&input) % VOCABULARY_MAX;
    change_policy(&policy, &input);
    if (ex_sampler_open(&sampler, &policy, n_vocab, NULL) != EX_OK) return 0;
    fuzz_require(ex_sampler_set_clarification(sampler, clarification, 1, NULL) == EX_OK);
    run(sampler, reducer, n_vocab, &input);
    ex_sampler_close(sampler);
    return 0;
}
