/* Requests of `entropix decide`: an answer in JSON to anything. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "server/decide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static ex_score_reducer *reducer;
    char reason[DECIDE_REASON_BYTES] = "";
    if (!reducer) fuzz_require(ex_score_reducer_open(&reducer, NULL) == EX_OK);
    json_t *answer = decide((const char *)data, size, reducer, reason);
    fuzz_require(answer);
    fuzz_require(!json_object_get(answer, "error") == !reason[0]);
    char *text = json_dumps(answer, JSON_COMPACT);
    fuzz_require(text);
    free(text);
    json_decref(answer);
    return 0;
}
