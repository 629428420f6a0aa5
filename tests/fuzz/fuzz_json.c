/* JSON: a document is refused with a place in the text, or every value of it lies in the text. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "fuzz.h"

static size_t walk(const ex_json *value, size_t size) {
    size_t n = 1;
    fuzz_require(value->offset <= size && value->n_bytes <= size - value->offset);
    fuzz_touch(value->name.data, value->name.length);
    if (value->kind == EX_JSON_TEXT) fuzz_touch(value->as.text.data, value->as.text.length);
    for (const ex_json *item = ex_json_next(value, NULL); item; item = ex_json_next(value, item)) n += walk(item, size);
    fuzz_require(n == value->n_nodes);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ex_json_document document;
    ex_error error = {0};
    if (ex_json_read(&document, (const char *)data, size, "fuzz", 0, &error) != EX_OK) {
        fuzz_require(error.position <= size && error.message[0]);
        return 0;
    }
    fuzz_require(walk(document.nodes, size) == document.n_nodes);
    ex_json_member(document.nodes, "a");
    ex_json_free(&document);
    return 0;
}
