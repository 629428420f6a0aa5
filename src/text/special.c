#include "text/special.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/keys.h"

#include <stdlib.h>
#include <string.h>

/* ---- ends of generation ---- */

static const char *const end_texts[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
    "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>",
    /* fill in the middle: padding, repository, file separator */
    "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>",
    "<reponame>", "<|file_sep|>",
};

static const char *const end_keys[] = {
    "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id",
};

static ex_token *find_text(ex_vocabulary *vocabulary, const char *text) {
    int32_t id = ex_vocabulary_find_any(vocabulary, text, strlen(text));
    return id == EX_TOKEN_NONE ? NULL : &vocabulary->tokens[id];
}

static void mark_end(ex_token *token) {
    token->ends_generation = true;
    token->kind = EX_KIND_CONTROL;
}

static void show(ex_vocabulary *vocabulary, const char *text) {
    ex_token *token = find_text(vocabulary, text);
    if (!token) return;
    token->kind = EX_KIND_CONTROL;
    token->shown = true;
    token->ends_generation = false;
}

/* The "harmony" format uses <|end|> between the parts of one answer, and its marks are part of what is shown. */
static void apply_harmony_rule(ex_vocabulary *vocabulary) {
    bool harmony = (find_text(vocabulary, "<|return|>") && find_text(vocabulary, "<|call|>")) ||
                   (find_text(vocabulary, "<|calls|>") && find_text(vocabulary, "<|flush|>"));
    if (!harmony) return;
    static const char *const marks[] = {"<|end|>", "<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) show(vocabulary, marks[i]);
}

ex_code ex_special_mark_ends(ex_vocabulary *vocabulary, const ex_file *file, ex_error *error) {
    for (size_t i = 0; i < sizeof end_texts / sizeof *end_texts; i++) {
        ex_token *token = find_text(vocabulary, end_texts[i]);
        if (token) mark_end(token);
    }
    for (size_t i = 0; i < sizeof end_keys / sizeof *end_keys; i++) {
        int32_t id = EX_TOKEN_NONE;
        ex_code code = ex_keys_token(file, end_keys[i], vocabulary->size, &id, error);
        if (code != EX_OK) return code;
        if (id != EX_TOKEN_NONE) vocabulary->tokens[id].ends_generation = true;
    }
    if (vocabulary->end != EX_TOKEN_NONE) vocabulary->tokens[vocabulary->end].ends_generation = true;
    apply_harmony_rule(vocabulary);
    ex_token *tool_response = find_text(vocabulary, "<|tool_response>"), *sentence_end = find_text(vocabulary, "</s>");
    if (tool_response && sentence_end) sentence_end->ends_generation = false; /* of a model that has <turn|> for it */
    return EX_OK;
}

/* ---- search ---- */

static int compare_text(const ex_token *a, const ex_token *b) {
    size_t n = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->text, b->text, n);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_ids(const void *a, const void *b, void *context) {
    const ex_vocabulary *vocabulary = context;
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    int order = compare_text(&vocabulary->tokens[i], &vocabulary->tokens[j]);
    return order ? order : (i > j) - (i < j);
}

/* Only whole characters: a match must not cut one in the text. */
static bool is_special(const ex_token *token) {
    bool kind = token->kind == EX_KIND_CONTROL || token->kind == EX_KIND_USER_DEFINED || token->kind == EX_KIND_UNKNOWN;
    return kind && token->length > 0 && token->length <= EX_MAX_SPECIAL_LENGTH &&
           ex_utf8_valid_prefix(token->text, token->length) == token->length;
}

static void drop_duplicates(ex_special *special, const ex_vocabulary *vocabulary) {
    size_t kept = 0;
    for (size_t i = 0; i < special->count; i++) {
        const ex_token *tokens = vocabulary->tokens;
        if (kept && compare_text(&tokens[special->ids[kept - 1]], &tokens[special->ids[i]]) == 0) continue;
        special->ids[kept++] = special->ids[i];
    }
    special->count = kept;
}

ex_code ex_special_open(ex_special *special, const ex_vocabulary *vocabulary, ex_error *error) {
    size_t n = 0;
    for (int32_t id = 0; id < vocabulary->size; id++) n += is_special(&vocabulary->tokens[id]);
    special->ids = ex_allocate(n, sizeof *special->ids);
    if (!special->ids) return ex_fail_memory(error, "the special tokens");
    for (int32_t id = 0; id < vocabulary->size; id++)
        if (is_special(&vocabulary->tokens[id])) special->ids[special->count++] = id;
    qsort_r(special->ids, special->count, sizeof *special->ids, compare_ids, (void *)(uintptr_t)vocabulary);
    drop_duplicates(special, vocabulary);
    for (size_t i = 0; i < special->count; i++)
        special->first[1 + (unsigned char)vocabulary->tokens[special->ids[i]].text[0]]++;
    for (size_t byte = 0; byte < 256; byte++) special->first[byte + 1] += special->first[byte];
    return EX_OK;
}

void ex_special_close(ex_special *special) { free(special->ids); }

/* Narrows [low, high), whose texts agree up to `depth`, to those that have `byte` there. Texts that end at `depth` have
 * been passed before. */
static void narrow(const ex_special *special, const ex_token *tokens, size_t depth, unsigned char byte, size_t *low,
                   size_t *high) {
    size_t bounds[2];
    for (unsigned i = 0; i < 2; i++) { /* the first text with at least byte, then with more than byte */
        size_t first = *low, last = *high;
        while (first < last) {
            size_t middle = (first + last) / 2;
            if ((unsigned char)tokens[special->ids[middle]].text[depth] < byte + i) first = middle + 1;
            else last = middle;
        }
        bounds[i] = first;
    }
    *low = bounds[0];
    *high = bounds[1];
}

int32_t ex_special_match(const ex_special *special, const ex_vocabulary *vocabulary, const char *text, size_t length,
                         size_t n_trusted) {
    int32_t found = EX_TOKEN_NONE;
    unsigned char byte = (unsigned char)text[0];
    size_t low = special->first[byte], high = special->first[byte + 1];
    for (size_t depth = 1; low < high; depth++) {
        const ex_token *token = &vocabulary->tokens[special->ids[low]];
        if (token->length == depth) { /* sorted first of those that begin alike */
            if (token->kind == EX_KIND_USER_DEFINED || depth <= n_trusted) found = special->ids[low];
            low++;
        }
        if (depth == length) break;
        if (low < high) narrow(special, vocabulary->tokens, depth, (unsigned char)text[depth], &low, &high);
    }
    return found;
}
