/* Traces: every line is a step or an error, by the trace's own policy and by another. The first byte says which. */
#include <stdlib.h>
#include <string.h>

#include "entropix.h"
#include "fuzz.h"

static void touch_choice(const ex_choice *choice, const ex_replay_step *step) {
    fuzz_require(choice->decision.strategy);
    fuzz_touch(choice->decision.strategy, strlen(choice->decision.strategy));
    if (choice->distribution.count)
        fuzz_touch(choice->distribution.candidates,
                   choice->distribution.count * sizeof *choice->distribution.candidates);
    fuzz_require(choice->draw.n_draws >= 0 && choice->draw.n_draws <= EX_DRAWS_MAX && step->line > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ex_policy policy;
    ex_error error = {0};
    ex_replay *replay;
    ex_replay_step step;
    if (!size) return 0;
    bool is_other = data[0] & 1;
    if (is_other) fuzz_require(ex_policy_preset(&policy, ex_policy_preset_name(data[0] / 2 % 2), &error) == EX_OK);
    if (ex_replay_open_text(&replay, (const char *)data + 1, size - 1, is_other ? &policy : NULL, &error) != EX_OK) {
        fuzz_require(error.message[0]);
        return 0;
    }
    while (ex_replay_next(replay, &step, &error) == EX_OK && step.kind != EX_REPLAY_DONE) {
        fuzz_touch(step.text.data, step.text.length);
        fuzz_touch(step.replayed_text.data, step.replayed_text.length);
        if (!step.decided) continue;
        touch_choice(&step.recorded, &step);
        touch_choice(&step.replayed, &step);
    }
    ex_replay_close(replay);
    return 0;
}
