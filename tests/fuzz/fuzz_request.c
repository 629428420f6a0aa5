/* Bodies of the completion requests of `entropix serve`: a request within all limits, or a problem with a status and a
 * message. The first byte says whether it is a chat. */
#include <stdlib.h>

#include "fuzz.h"
#include "server/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ex_engine *engine;
    static ex_policy policy;
    static completion_request request;
    request_problem problem = {0};
    if (!size) return 0;
    if (!engine) {
        ex_engine_options options = ex_engine_options_default();
        options.n_threads = 1;
        const char *path = EX_SOURCE_DIR "/tests/data/models/llama2-f16.gguf";
        fuzz_require(ex_engine_open(&engine, path, &options, NULL) == EX_OK);
        fuzz_require(ex_policy_preset(&policy, NULL, NULL) == EX_OK);
    }
    const request_limits limits = request_limits_default();
    if (!completion_read(&request, engine, data[0] & 1, (const char *)data + 1, size - 1, &policy, &limits, &problem)) {
        fuzz_require(problem.status >= 400 && problem.status < 600 && problem.message[0]);
        return 0;
    }
    fuzz_touch(request.tokens, request.n_tokens * sizeof *request.tokens);
    for (size_t i = 0; i < request.n_tokens; i++)
        fuzz_require(request.tokens[i] >= 0 && request.tokens[i] < ex_engine_get_info(engine).n_vocab);
    fuzz_require(request.n_answers >= 1 && request.n_answers <= limits.n_answers && request.n_stop <= limits.n_stop);
    fuzz_require(request.n_likeliest <= EX_LIKELIEST_MAX);
    fuzz_require(ex_policy_check(&request.policy, NULL) == EX_OK);
    completion_free(&request);
    return 0;
}
