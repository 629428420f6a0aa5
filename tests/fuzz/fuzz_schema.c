/* JSON schemas: what is compiled always lets the text go on or end, and where it may end it is JSON. Input: a number of
 * 4 bytes that chooses the way, then the schema. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "fuzz.h"
#include "text/grammar.h"

enum { STEPS = 48 };

static void check_is_json(const char *text, size_t length) {
    json_error_t error;
    json_t *value = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    fuzz_require(value);
    json_decref(value);
}

static void walk(const ex_grammar *grammar, uint32_t way) {
    static ex_grammar_state states[2];
    char text[STEPS];
    ex_grammar_begin(grammar, &states[0]);
    for (size_t i = 0; i < STEPS; i++) {
        ex_grammar_state *from = &states[i & 1], *to = &states[~i & 1];
        bool is_complete = ex_grammar_is_complete(from), goes_on = false;
        if (is_complete) check_is_json(text, i);
        for (unsigned k = 0; k < 256 && !goes_on; k++) {
            text[i] = (char)(way / 65536 + k);
            goes_on = ex_grammar_step(grammar, from, (uint8_t)text[i], to);
        }
        fuzz_require(goes_on || is_complete);
        if (!goes_on) return;
        way = way * 1664525 + 1013904223;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input input = {data, size};
    ex_error error = {0};
    ex_grammar *grammar;
    uint32_t way = fuzz_u32(&input);
    if (ex_grammar_from_schema(&grammar, (const char *)input.data, input.left, &error) != EX_OK) {
        fuzz_require(error.message[0]);
        return 0;
    }
    for (uint32_t i = 0; i < 3; i++) walk(grammar, way + i * 77777);
    ex_grammar_close(grammar);
    return 0;
}
