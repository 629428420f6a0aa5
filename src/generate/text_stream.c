#include "generate/text_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

static const char replacement[3] = {'\xEF', '\xBF', '\xBD'}; /* U+FFFD */

ex_code ex_text_stream_open(ex_text_stream *stream, size_t longest, ex_error *error) {
    *stream = (ex_text_stream){0};
    /* every byte may turn into a replacement character; the tail of the buffer holds the bytes as they come */
    stream->capacity = (longest + sizeof stream->pending) * (sizeof replacement + 1);
    stream->text = ex_allocate(stream->capacity, 1);
    return stream->text ? EX_OK : ex_fail_memory(error, "the text of tokens");
}

void ex_text_stream_close(ex_text_stream *stream) {
    free(stream->text);
    *stream = (ex_text_stream){0};
}

ex_string ex_text_stream_add(ex_text_stream *stream, ex_string bytes, bool last) {
    size_t n_in = stream->n_pending + bytes.length;
    char *in = stream->text + stream->capacity - n_in;
    memcpy(in, stream->pending, stream->n_pending);
    if (bytes.length) memcpy(in + stream->n_pending, bytes.data, bytes.length);
    size_t keep = ex_utf8_incomplete_suffix(in, n_in);
    stream->n_pending = last ? 0 : keep;
    memcpy(stream->pending, in + n_in - keep, keep);

    size_t n_out = 0;
    for (size_t at = 0; at < n_in - keep;) {
        uint32_t codepoint;
        size_t n = ex_utf8_decode(in + at, n_in - keep - at, &codepoint);
        memmove(stream->text + n_out, n ? in + at : replacement, n ? n : sizeof replacement);
        n_out += n ? n : sizeof replacement;
        at += n ? n : 1;
    }
    if (last && keep) {
        memcpy(stream->text + n_out, replacement, sizeof replacement);
        n_out += sizeof replacement;
    }
    return (ex_string){stream->text, n_out};
}
