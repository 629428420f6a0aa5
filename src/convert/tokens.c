#include "convert/tokens.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    ex_tokens *tokens;
    const ex_source *source;
    ex_string unknown; /* the text of the unknown token, empty when there is none */
    bool has_bytes;    /* tokens like <0x0A> stand for bytes */
    ex_error *error;
} reader;

static ex_code fail(const reader *r, uint64_t offset, const char *what, ex_string text) {
    return ex_source_fail(r->source->path, EX_ERROR_FORMAT, offset, r->error, "token '%.*s' %s", EX_QUOTED(text), what);
}

/* ---- tokens ---- */

static bool is_byte_name(ex_string text) {
    static const char digits[] = "0123456789ABCDEFabcdef";
    return text.length == 6 && memcmp(text.data, "<0x", 3) == 0 && text.data[5] == '>' && text.data[3] &&
           text.data[4] && strchr(digits, text.data[3]) && strchr(digits, text.data[4]);
}

static bool is_same(ex_string a, ex_string b) { return a.length == b.length && memcmp(a.data, b.data, a.length) == 0; }

static ex_code add(reader *r, ex_string text, const ex_json *id, ex_token_kind kind) {
    char what[100];
    if (!id || id->kind != EX_JSON_INTEGER) return fail(r, id ? id->offset : 0, "has no id", text);
    if (id->as.integer < 0 || (uint64_t)id->as.integer >= r->tokens->n_vocab) {
        snprintf(what, sizeof what, "has the id %" PRId64 ", but the embedding has %zu rows", id->as.integer,
                 r->tokens->n_vocab);
        return fail(r, id->offset, what, text);
    }
    if (r->unknown.length && is_same(text, r->unknown)) kind = EX_KIND_UNKNOWN;
    else if (r->has_bytes && is_byte_name(text)) kind = EX_KIND_BYTE;
    r->tokens->entries[r->tokens->n_entries++] = (ex_token_entry){text, (int32_t)id->as.integer, kind, id->offset};
    return EX_OK;
}

static ex_code add_added(reader *r, const ex_json *token) {
    ex_fields fields = {r->source->path, token, r->error, EX_OK};
    ex_string content = ex_field_text(&fields, "content");
    bool is_special = ex_field_boolean(&fields, "special", false);
    if (!content.length) ex_field_fail(&fields, EX_ERROR_FORMAT, token, "an added token has no 'content'");
    if (fields.code != EX_OK) return fields.code;
    const ex_json *id = ex_json_member(token, "id");
    if (!id) return fail(r, token->offset, "has no id", content);
    return add(r, content, id, is_special ? EX_KIND_CONTROL : EX_KIND_USER_DEFINED);
}

/* Of two tokens with one text the later one, which was added, comes last. */
static int compare_entries(const void *a, const void *b) {
    const ex_token_entry *x = a, *y = b;
    size_t common = x->text.length < y->text.length ? x->text.length : y->text.length;
    int order = common ? memcmp(x->text.data, y->text.data, common) : 0;
    if (order == 0) order = (x->text.length > y->text.length) - (x->text.length < y->text.length);
    bool x_is_added = x->kind != EX_KIND_NORMAL, y_is_added = y->kind != EX_KIND_NORMAL;
    return order ? order : (x_is_added > y_is_added) - (x_is_added < y_is_added);
}

static ex_code drop_repeated(reader *r) {
    ex_token_entry *entries = r->tokens->entries;
    size_t kept = 0;
    for (size_t i = 0; i < r->tokens->n_entries; i++) {
        bool again = kept > 0 && is_same(entries[kept - 1].text, entries[i].text);
        if (again && entries[kept - 1].id != entries[i].id)
            return fail(r, entries[i].offset, "has two ids", entries[i].text);
        entries[kept - again] = entries[i];
        kept += !again;
    }
    r->tokens->n_entries = kept;
    return EX_OK;
}

static ex_code index_ids(reader *r) {
    ex_tokens *tokens = r->tokens;
    tokens->by_id = ex_allocate(tokens->n_vocab, sizeof *tokens->by_id);
    if (!tokens->by_id) return ex_fail_memory(r->error, "the vocabulary");
    for (size_t i = 0; i < tokens->n_entries; i++) {
        const ex_token_entry *entry = &tokens->entries[i], **place = &tokens->by_id[entry->id];
        if (*place)
            return ex_source_fail(r->source->path, EX_ERROR_FORMAT, entry->offset, r->error,
                                  "tokens '%.*s' and '%.*s' have the same id %" PRId32, EX_QUOTED((*place)->text),
                                  EX_QUOTED(entry->text), entry->id);
        *place = entry;
    }
    return EX_OK;
}

static ex_code read_vocabulary(reader *r) {
    const ex_json *vocabulary = ex_json_member(r->tokens->model, "vocab");
    const ex_json *added = ex_json_member(r->source->map, "added_tokens"), *item = NULL;
    if (!vocabulary || vocabulary->kind != EX_JSON_MAP || vocabulary->count == 0)
        return ex_source_fail(r->source->path, EX_ERROR_FORMAT, r->tokens->model->offset, r->error,
                              "there is no map 'vocab' of tokens");
    size_t n_added = added && added->kind == EX_JSON_LIST ? added->count : 0;
    r->tokens->entries = ex_allocate(vocabulary->count + n_added, sizeof *r->tokens->entries);
    if (!r->tokens->entries) return ex_fail_memory(r->error, "the vocabulary");
    ex_code code = EX_OK;
    while (code == EX_OK && (item = ex_json_next(vocabulary, item))) code = add(r, item->name, item, EX_KIND_NORMAL);
    item = NULL;
    while (code == EX_OK && n_added && (item = ex_json_next(added, item))) code = add_added(r, item);
    if (code != EX_OK) return code;
    qsort(r->tokens->entries, r->tokens->n_entries, sizeof *r->tokens->entries, compare_entries);
    code = drop_repeated(r);
    return code == EX_OK ? index_ids(r) : code;
}

const ex_token_entry *ex_tokens_find(const ex_tokens *tokens, ex_string text) {
    size_t low = 0, high = tokens->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        ex_string at = tokens->entries[middle].text;
        size_t common = at.length < text.length ? at.length : text.length;
        int order = common ? memcmp(text.data, at.data, common) : 0;
        if (order == 0) order = (text.length > at.length) - (text.length < at.length);
        if (order == 0) return &tokens->entries[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* ---- merges ---- */

static ex_code fail_merge(const reader *r, const ex_json *merge, const char *what) {
    return ex_source_fail(r->source->path, EX_ERROR_FORMAT, merge->offset, r->error, "merge %zu %s",
                          r->tokens->n_merges, what);
}

/* Where the second half begins: behind the first space that is not itself the first half. */
static size_t second_half(ex_string merge) {
    const char *space = merge.length > 2 ? memchr(merge.data + 1, ' ', merge.length - 1) : NULL;
    size_t at = space ? (size_t)(space - merge.data) + 1 : 0;
    return at < merge.length ? at : 0;
}

/* "left right" from a text or from a pair; `room` moves on behind what is put there. */
static ex_code read_merge(const reader *r, const ex_json *merge, char **room, ex_string *out) {
    if (merge->kind == EX_JSON_TEXT) {
        *out = merge->as.text;
        return second_half(*out) ? EX_OK : fail_merge(r, merge, "is not two tokens with a space between");
    }
    const ex_json *left = merge->kind == EX_JSON_LIST && merge->count == 2 ? ex_json_next(merge, NULL) : NULL;
    const ex_json *right = left ? ex_json_next(merge, left) : NULL;
    if (!right || left->kind != EX_JSON_TEXT || right->kind != EX_JSON_TEXT || !left->as.text.length ||
        !right->as.text.length)
        return fail_merge(r, merge, "is neither a text nor a pair of texts");
    size_t n_left = left->as.text.length, n_right = right->as.text.length;
    *out = (ex_string){*room, n_left + 1 + n_right};
    memcpy(*room, left->as.text.data, n_left);
    (*room)[n_left] = ' ';
    memcpy(*room + n_left + 1, right->as.text.data, n_right);
    *room += out->length;
    return second_half(*out) == n_left + 1 ? EX_OK : fail_merge(r, merge, "has a space in its first token");
}

/* The token that a merge makes. */
static ex_code find_product(const reader *r, const ex_json *merge, ex_string text, char *buffer,
                            const ex_token_entry **out) {
    size_t second = second_half(text);
    memcpy(buffer, text.data, second - 1);
    memcpy(buffer + second - 1, text.data + second, text.length - second);
    *out = ex_tokens_find(r->tokens, (ex_string){buffer, text.length - 1});
    return *out ? EX_OK : fail_merge(r, merge, "makes a token that is not in the vocabulary");
}

/* Bytes that pairs take as "left right", and of the longest merge. */
static void measure_merges(const ex_json *merges, size_t *total, size_t *longest) {
    *total = *longest = 0;
    for (const ex_json *merge = NULL; (merge = ex_json_next(merges, merge));) {
        size_t n = merge->kind == EX_JSON_TEXT ? merge->as.text.length : 1;
        for (const ex_json *half = NULL; merge->kind == EX_JSON_LIST && (half = ex_json_next(merge, half));)
            if (half->kind == EX_JSON_TEXT) n += half->as.text.length;
        if (merge->kind == EX_JSON_LIST) *total += n;
        if (n > *longest) *longest = n;
    }
}

/* SentencePiece merges what makes the best token: the earlier its merge, the better it is. What no merge makes comes
 * after all of them. */
static void note_score(ex_tokens *tokens, const ex_token_entry *product) {
    float *score = &tokens->scores[product->id], here = -(float)tokens->n_merges;
    if (*score < here) *score = here;
}

static ex_code take_scores(reader *r, size_t n_merges) {
    ex_tokens *tokens = r->tokens;
    tokens->scores = ex_allocate(tokens->n_vocab, sizeof *tokens->scores);
    if (!tokens->scores) return ex_fail_memory(r->error, "the vocabulary's scores");
    for (size_t id = 0; id < tokens->n_vocab; id++) {
        bool is_plain = tokens->by_id[id] && tokens->by_id[id]->kind == EX_KIND_NORMAL;
        tokens->scores[id] = is_plain ? -(float)(n_merges + id) : 0;
    }
    return EX_OK;
}

static ex_code read_merges(reader *r, bool with_scores) {
    ex_tokens *tokens = r->tokens;
    const ex_json *merges = ex_json_member(tokens->model, "merges");
    if (!merges || merges->kind != EX_JSON_LIST)
        return ex_source_fail(r->source->path, EX_ERROR_FORMAT, tokens->model->offset, r->error,
                              "there is no list 'merges'");
    size_t total, longest;
    measure_merges(merges, &total, &longest);
    tokens->merges = ex_allocate(merges->count, sizeof *tokens->merges);
    tokens->joined = ex_allocate(total, 1);
    char *buffer = ex_allocate(longest, 1), *room = tokens->joined;
    ex_code code = tokens->merges && tokens->joined && buffer ? EX_OK : ex_fail_memory(r->error, "the merges");
    if (code == EX_OK && with_scores) code = take_scores(r, merges->count);
    for (const ex_json *merge = NULL; code == EX_OK && (merge = ex_json_next(merges, merge)); tokens->n_merges++) {
        const ex_token_entry *product = NULL;
        ex_string *text = &tokens->merges[tokens->n_merges];
        code = read_merge(r, merge, &room, text);
        if (code == EX_OK) code = find_product(r, merge, *text, buffer, &product);
        if (code == EX_OK && with_scores) note_score(tokens, product);
    }
    free(buffer);
    return code;
}

/* ---- all ---- */

ex_code ex_tokens_read(ex_tokens *tokens, const ex_source *source, size_t n_vocab, bool escaped_space,
                       ex_error *error) {
    reader r = {.tokens = tokens, .source = source, .has_bytes = escaped_space, .error = error};
    tokens->n_vocab = n_vocab;
    tokens->model = ex_json_member(source->map, "model");
    const ex_json *unknown = ex_json_member(tokens->model, "unk_token");
    if (escaped_space && unknown && unknown->kind == EX_JSON_TEXT) r.unknown = unknown->as.text;
    ex_code code = read_vocabulary(&r);
    return code == EX_OK ? read_merges(&r, escaped_space) : code;
}

void ex_tokens_close(ex_tokens *tokens) {
    free(tokens->entries);
    free(tokens->by_id);
    free(tokens->merges);
    free(tokens->joined);
    free(tokens->scores);
    *tokens = (ex_tokens){0};
}

/* ---- writing ---- */

enum { PAD_BYTES = 24 }; /* "[PAD4294967295]" */

/* Ids that no token has are rows of the embedding that no text reaches. */
static void fill(const ex_tokens *tokens, ex_string *texts, int32_t *kinds, char *pads) {
    for (size_t id = 0; id < tokens->n_vocab; id++) {
        const ex_token_entry *entry = tokens->by_id[id];
        char *pad = pads + id * PAD_BYTES;
        kinds[id] = entry ? (int32_t)entry->kind : EX_KIND_UNUSED;
        if (entry) texts[id] = entry->text;
        else texts[id] = (ex_string){pad, (size_t)snprintf(pad, PAD_BYTES, "[PAD%zu]", id)};
    }
}

ex_code ex_tokens_write(const ex_tokens *tokens, ex_writer *writer, ex_error *error) {
    size_t n = tokens->n_vocab;
    ex_string *texts = ex_allocate(n, sizeof *texts);
    int32_t *kinds = ex_allocate(n, sizeof *kinds);
    char *pads = ex_allocate(n, PAD_BYTES);
    ex_code code = texts && kinds && pads ? EX_OK : ex_fail_memory(error, "the vocabulary");
    if (code == EX_OK) {
        fill(tokens, texts, kinds, pads);
        code = ex_writer_string_array(writer, "tokenizer.ggml.tokens", texts, n, error);
    }
    if (code == EX_OK) code = ex_writer_i32_array(writer, "tokenizer.ggml.token_type", kinds, n, error);
    free(texts);
    free(kinds);
    free(pads);
    if (code != EX_OK) return code;
    if (tokens->scores) return ex_writer_f32_array(writer, "tokenizer.ggml.scores", tokens->scores, n, error);
    return ex_writer_string_array(writer, "tokenizer.ggml.merges", tokens->merges, tokens->n_merges, error);
}
