/* sampler_only.c - the sampler without a model: logits and attention scores come from somewhere else.
 * Here they are made up: five tokens, one layer with two heads that look at three positions. */
#include <stdio.h>
#include <stdlib.h>

#include <entropix_sampler.h>

enum { N_VOCAB = 5, N_LAYER = 1, N_HEAD = 2, N_POSITIONS = 3 };

static const char *const words[N_VOCAB] = {"red", "green", "blue", "grey", "mauve"};
static const float logits[N_VOCAB] = {2.0f, 1.6f, 1.5f, -0.5f, -3.0f};
static const float scores[N_LAYER * N_HEAD * N_POSITIONS] = {0.5f, 1.5f, -1.0f, 2.0f, 0.0f, 0.3f};

static void check(ex_code code, const ex_error *error) {
    if (code == EX_OK) return;
    fprintf(stderr, "sampler_only: %s\n", error->message);
    exit(1);
}

int main(void) {
    ex_error error;
    ex_policy policy;
    ex_sampler *sampler;
    ex_score_reducer *reducer;
    const ex_attention *attention;
    check(ex_policy_preset(&policy, NULL, &error), &error);
    check(ex_sampler_open(&sampler, &policy, N_VOCAB, &error), &error);
    check(ex_score_reducer_open(&reducer, &error), &error);

    /* measure */
    ex_metrics metrics = {0};
    check(ex_score_reduce(reducer, scores, N_LAYER, N_HEAD, N_POSITIONS, &attention, &error), &error);
    ex_measure_attention(attention, policy.scope, &metrics, NULL);
    check(ex_measure_logits(logits, N_VOCAB, policy.top_k, &metrics, &error), &error);
    printf("entropy %.3f bits, varentropy %.3f, attention entropy %.3f bits\n", metrics.logits_entropy,
           metrics.logits_varentropy, metrics.attn_entropy);

    /* decide */
    ex_decision decision;
    ex_sampler_decide(sampler, &metrics, true, &decision);
    printf("%s: temperature %.3f, top_p %.3f, top_k %d, min_p %.3f\n", decision.strategy,
           decision.temperature, decision.top_p, (int)decision.top_k, decision.min_p);

    /* distribution */
    ex_distribution distribution;
    check(ex_sampler_distribution(sampler, logits, &metrics, &decision, &distribution, &error), &error);
    for (size_t i = 0; i < distribution.count; i++)
        printf("  %-6s %.4f\n", words[distribution.candidates[i].token], distribution.candidates[i].probability);

    /* draw: the same key gives the same token */
    for (uint32_t position = 0; position < 4; position++) {
        ex_draw draw;
        ex_sampler_draw(sampler, &distribution, &decision, (ex_random_key){.seed = 7, .position = position}, &draw);
        printf("position %u: %s\n", (unsigned)position, words[draw.token]);
    }
    ex_score_reducer_close(reducer);
    ex_sampler_close(sampler);
    return 0;
}
