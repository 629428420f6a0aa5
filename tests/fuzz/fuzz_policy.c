/* Policy files and rules: a policy that is read can be written and read again as the same, and decides whatever the
 * metrics are. Input: the file, a line "====", the metrics as numbers of 8 bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "entropix_sampler.h"
#include "fuzz.h"

enum { TEXT_MAX = 1 << 16 };

static void check_text(const ex_policy *policy) {
    static char first[TEXT_MAX], second[TEXT_MAX];
    static ex_policy again;
    size_t n_first, n_second;
    ex_error error;
    ex_policy_format(policy, first, sizeof first, &n_first);
    fuzz_require(n_first < sizeof first);
    fuzz_require(ex_policy_parse(&again, first, n_first, "again", &error) == EX_OK);
    ex_policy_format(&again, second, sizeof second, &n_second);
    fuzz_require(n_first == n_second && memcmp(first, second, n_first) == 0);
    for (size_t i = 0; ex_policy_key(i); i++)
        fuzz_require(ex_policy_get(policy, ex_policy_key(i), second, sizeof second, &error) == EX_OK);
}

static void check_decisions(const ex_policy *policy, fuzz_input *input) {
    ex_sampler *sampler;
    ex_error error;
    if (ex_sampler_open(&sampler, policy, 8, &error) != EX_OK) return;
    const ex_rules *rules = ex_sampler_rules(sampler);
    for (int step = 0; step < 4; step++) {
        ex_metrics metrics;
        ex_decision decision;
        double *values = (double *)&metrics;
        for (size_t i = 0; i < sizeof metrics / sizeof *values; i++) values[i] = fuzz_double(input);
        ex_sampler_decide(sampler, &metrics, step & 1, &decision);
        fuzz_require(decision.rule >= 0 && (size_t)decision.rule <= ex_rules_count(rules));
        fuzz_require(decision.action < EX_ACTION_COUNT && decision.strategy && decision.margin_metric);
        fuzz_require(!isnan(decision.temperature) && !isnan(decision.top_p) && !isnan(decision.min_p));
        fuzz_require(decision.candidates >= 0 && decision.candidates <= EX_DRAWS_MAX && decision.top_k >= 0);
    }
    ex_sampler_close(sampler);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ex_policy policy;
    fuzz_input input = {data, size};
    ex_error error = {0};
    size_t length;
    char *text = fuzz_piece(&input, &length);
    if (ex_policy_parse(&policy, text, length, "fuzz", &error) == EX_OK) {
        fuzz_require(ex_policy_check(&policy, &error) == EX_OK);
        check_text(&policy);
        check_decisions(&policy, &input);
    } else {
        fuzz_require(error.message[0] && memchr(error.message, 0, sizeof error.message));
    }
    free(text);
    return 0;
}
