/* tokenizer.c - the public tokenizer: which kind a file asks for, special tokens, and the way back to text. */
#include "text/tokenizer.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "base/text.h"
#include "text/keys.h"
#include "text/unicode_classes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- kinds ---- */

typedef struct ordinary_text {
    const char *text;
    size_t length;
    uint64_t offset; /* in the caller's text */
    bool begins;     /* nothing or a special token is before it */
} ordinary_text;

struct ex_tokenizer_kind {
    const char *model; /* value of tokenizer.ggml.model */
    const char *pre;   /* … and of tokenizer.ggml.pre; NULL: any */
    ex_text_form form;
    ex_agreed_ids agreed;
    bool add_beginning, add_end; /* unless the file says otherwise */
    ex_code (*open)(ex_tokenizer *tokenizer, const ex_file *file, ex_error *error);
    void (*close)(ex_tokenizer *tokenizer);
    ex_code (*run)(const ex_tokenizer *tokenizer, const ordinary_text *ordinary, ex_merger *merger, ex_token_list *out,
                   ex_error *error);
};

static ex_code open_bpe(ex_tokenizer *tokenizer, const ex_file *file, ex_error *error) {
    const char *pre = tokenizer->kind->form == EX_FORM_BYTE_LEVEL ? NULL : "gemma4";
    ex_code code = ex_bpe_open(&tokenizer->bpe, &tokenizer->vocabulary, file, pre, error);
    if (code == EX_OK) tokenizer->add_beginning = (tokenizer->bpe.flags & EX_PRE_ADD_BEGINNING) != 0;
    return code;
}

static void close_bpe(ex_tokenizer *tokenizer) { ex_bpe_close(&tokenizer->bpe); }

static ex_code run_bpe(const ex_tokenizer *tokenizer, const ordinary_text *ordinary, ex_merger *merger,
                       ex_token_list *out, ex_error *error) {
    return ex_bpe_run(&tokenizer->bpe, ordinary->text, ordinary->length, ordinary->offset, merger, out, error);
}

static ex_code open_sentencepiece(ex_tokenizer *tokenizer, const ex_file *file, ex_error *error) {
    return ex_sentencepiece_open(&tokenizer->sentencepiece, &tokenizer->vocabulary, file, error);
}

static void close_sentencepiece(ex_tokenizer *tokenizer) { (void)tokenizer; }

static ex_code run_sentencepiece(const ex_tokenizer *tokenizer, const ordinary_text *ordinary, ex_merger *merger,
                                 ex_token_list *out, ex_error *error) {
    return ex_sentencepiece_run(&tokenizer->sentencepiece, ordinary->text, ordinary->length, ordinary->offset,
                                ordinary->begins, merger, out, error);
}

static ex_code open_unigram(ex_tokenizer *tokenizer, const ex_file *file, ex_error *error) {
    return ex_unigram_open(&tokenizer->unigram, &tokenizer->vocabulary, file, error);
}

static void close_unigram(ex_tokenizer *tokenizer) { ex_unigram_close(&tokenizer->unigram); }

static ex_code run_unigram(const ex_tokenizer *tokenizer, const ordinary_text *ordinary, ex_merger *merger,
                           ex_token_list *out, ex_error *error) {
    (void)merger;
    return ex_unigram_run(&tokenizer->unigram, ordinary->text, ordinary->length, ordinary->offset, ordinary->begins,
                          out, error);
}

#define NONE EX_TOKEN_NONE

/* The first row that fits counts. */
static const ex_tokenizer_kind kinds[] = {
    {"gemma4", NULL, EX_FORM_ESCAPED_SPACE, {2, 1, 3}, true, false, open_bpe, close_bpe, run_bpe},
    {"gpt2", "gemma4", EX_FORM_ESCAPED_SPACE, {2, 1, 3}, true, false, open_bpe, close_bpe, run_bpe},
    {"gpt2", NULL, EX_FORM_BYTE_LEVEL, {NONE, NONE, NONE}, false, false, open_bpe, close_bpe, run_bpe},
    {"llama", NULL, EX_FORM_ESCAPED_SPACE, {1, 2, 0}, true, false, open_sentencepiece, close_sentencepiece,
     run_sentencepiece},
    {"t5", NULL, EX_FORM_ESCAPED_SPACE, {NONE, 1, 2}, false, true, open_unigram, close_unigram, run_unigram},
};

/* Kinds that exist and are left out. */
static const struct {
    const char *model, *what;
} others[] = {
    {"bert", "WordPiece"},
    {"rwkv", "the RWKV world tokenizer"},
    {"plamo2", "the PLaMo-2 tokenizer"},
    {"none", "no vocabulary at all"},
    {"no_vocab", "no vocabulary at all"},
};

static ex_code refuse_kind(const ex_key *key, ex_string model, ex_error *error) {
    const char *what = "a kind of tokenizer that this version does not know";
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (ex_string_is(model, others[i].model)) what = others[i].what;
    return ex_fail(error, EX_ERROR_UNSUPPORTED, key->offset,
                   "tokenizer.ggml.model is \"%.*s\": %s; supported are gpt2, llama, t5 and gemma4",
                   model.length < 40 ? (int)model.length : 40, model.data, what);
}

static ex_code find_kind(const ex_tokenizer_kind **out, const ex_file *file, ex_error *error) {
    const char *name = "tokenizer.ggml.model";
    ex_string model = {"", 0}, pre = {"", 0};
    ex_code code = ex_keys_text(file, name, &model, error);
    if (code == EX_OK) code = ex_keys_text(file, "tokenizer.ggml.pre", &pre, error);
    if (code != EX_OK) return code;
    const ex_key *key = ex_file_find_key(file, name);
    if (!key)
        return ex_fail(error, EX_ERROR_UNSUPPORTED, 0, "%s has no vocabulary (no key %s)", ex_file_path(file), name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        *out = &kinds[i];
        if (ex_string_is(model, (*out)->model) && (!(*out)->pre || ex_string_is(pre, (*out)->pre))) return EX_OK;
    }
    return refuse_kind(key, model, error);
}

/* ---- opening ---- */

static ex_code copy_chat_template(ex_tokenizer *tokenizer, const ex_file *file, ex_error *error) {
    ex_string source = {0};
    ex_code code = ex_keys_text(file, "tokenizer.chat_template", &source, error);
    if (code != EX_OK || !source.length) return code;
    tokenizer->chat_template = ex_allocate(source.length, 1);
    if (!tokenizer->chat_template) return ex_fail_memory(error, "the chat template");
    memcpy(tokenizer->chat_template, source.data, source.length);
    tokenizer->chat_template_length = source.length;
    return EX_OK;
}

static ex_code open_parts(ex_tokenizer *tokenizer, const ex_file *file, ex_error *error) {
    ex_vocabulary *vocabulary = &tokenizer->vocabulary;
    ex_code code = ex_vocabulary_open(vocabulary, file, tokenizer->kind->form, tokenizer->kind->agreed, error);
    if (code == EX_OK) code = ex_special_mark_ends(vocabulary, file, error);
    if (code == EX_OK) code = ex_special_mark_strips(vocabulary, file, error);
    if (code == EX_OK) code = ex_special_open(&tokenizer->special, vocabulary, error);
    tokenizer->add_beginning = tokenizer->kind->add_beginning;
    tokenizer->add_end = tokenizer->kind->add_end;
    if (code == EX_OK) code = tokenizer->kind->open(tokenizer, file, error);
    if (code == EX_OK)
        code = ex_keys_boolean(file, "tokenizer.ggml.add_bos_token", &tokenizer->add_beginning, error);
    if (code == EX_OK) code = ex_keys_boolean(file, "tokenizer.ggml.add_eos_token", &tokenizer->add_end, error);
    return code == EX_OK ? copy_chat_template(tokenizer, file, error) : code;
}

ex_code ex_tokenizer_open(ex_tokenizer **out, const ex_file *file, ex_error *error) {
    *out = NULL;
    const ex_tokenizer_kind *kind;
    ex_code code = find_kind(&kind, file, error);
    if (code != EX_OK) return code;
    ex_tokenizer *tokenizer = ex_allocate(1, sizeof *tokenizer);
    if (!tokenizer) return ex_fail_memory(error, "the tokenizer");
    tokenizer->kind = kind;
    tokenizer->trie = ex_allocate(1, sizeof *tokenizer->trie);
    code = tokenizer->trie ? open_parts(tokenizer, file, error) : ex_fail_memory(error, "the tokenizer");
    if (code == EX_OK) *out = tokenizer;
    else ex_tokenizer_close(tokenizer);
    return code;
}

void ex_tokenizer_close(ex_tokenizer *tokenizer) {
    if (!tokenizer) return;
    tokenizer->kind->close(tokenizer);
    ex_special_close(&tokenizer->special);
    ex_vocabulary_close(&tokenizer->vocabulary);
    free(tokenizer->chat_template);
    if (tokenizer->trie) ex_token_trie_close(atomic_load(&tokenizer->trie->built));
    free(tokenizer->trie);
    free(tokenizer);
}

/* ---- text to tokens ---- */

typedef struct trust { /* walks along the spans, adjacent ones of the same trust taken together */
    const ex_span *spans;
    size_t n_spans, next;
    size_t end; /* of the run */
    bool trusted;
} trust;

/* How many bytes from `at` on are trusted, without a gap. Positions only ever grow. */
static size_t trusted_bytes(trust *t, size_t at) {
    while (at >= t->end && t->next < t->n_spans) {
        t->trusted = t->spans[t->next].trusted;
        while (t->next < t->n_spans && t->spans[t->next].trusted == t->trusted) {
            t->end = t->spans[t->next].first + t->spans[t->next].length;
            t->next++;
        }
    }
    return t->trusted && at < t->end ? t->end - at : 0;
}

/* White space at the beginning or the end of a text, bytes. */
static size_t space_after(const char *text, size_t length) {
    size_t at = 0;
    for (uint32_t codepoint; at < length;) {
        size_t n = ex_utf8_decode(text + at, length - at, &codepoint);
        if (ex_unicode_class_of(codepoint) != EX_CLASS_SPACE) break;
        at += n;
    }
    return at;
}

static size_t space_before(const char *text, size_t length) {
    size_t left = length;
    for (uint32_t codepoint; left > 0;) {
        size_t first = left - 1;
        while (first > 0 && (text[first] & 0xC0) == 0x80) first--;
        ex_utf8_decode(text + first, left - first, &codepoint);
        if (ex_unicode_class_of(codepoint) != EX_CLASS_SPACE) break;
        left = first;
    }
    return length - left;
}

static ex_code partition(const ex_tokenizer *tokenizer, const char *text, size_t length, trust *t, ex_merger *merger,
                         ex_token_list *out, ex_error *error) {
    const ex_vocabulary *vocabulary = &tokenizer->vocabulary;
    ordinary_text ordinary = {.text = text, .begins = true};
    for (size_t at = 0; at < length;) {
        int32_t id = ex_special_match(&tokenizer->special, vocabulary, text + at, length - at, trusted_bytes(t, at));
        if (id == EX_TOKEN_NONE) {
            at++;
            ordinary.length++;
            continue;
        }
        const ex_token *token = &vocabulary->tokens[id];
        if (token->strips_left) ordinary.length -= space_before(ordinary.text, ordinary.length);
        ex_code code = tokenizer->kind->run(tokenizer, &ordinary, merger, out, error);
        if (code != EX_OK) return code;
        ex_token_push(out, id);
        at += token->length;
        if (token->strips_right) at += space_after(text + at, length - at);
        ordinary = (ordinary_text){.text = text + at, .offset = at, .begins = true};
    }
    return tokenizer->kind->run(tokenizer, &ordinary, merger, out, error);
}

static bool begins_with(const ex_tokenizer *tokenizer, int32_t token, const char *text, size_t length, trust t) {
    if (length == 0) return false;
    return ex_special_match(&tokenizer->special, &tokenizer->vocabulary, text, length, trusted_bytes(&t, 0)) == token;
}

ex_code ex_tokenize_spans(const ex_tokenizer *tokenizer, const char *text, size_t length, const ex_span *spans,
                          size_t n_spans, bool add_beginning, ex_token_list *out, ex_error *error) {
    if (length == 0) text = ""; /* which may have been NULL */
    if (length > INT32_MAX) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "a text of 2 GiB or more cannot be tokenised");
    size_t valid = ex_utf8_valid_prefix(text, length);
    if (valid < length)
        return ex_fail(error, EX_ERROR_FORMAT, valid, "the text is not valid UTF-8 at byte %zu (0x%02X)", valid,
                       (unsigned char)text[valid]);
    trust t = {.spans = spans, .n_spans = n_spans};
    int32_t beginning = tokenizer->vocabulary.beginning;
    if (add_beginning && tokenizer->add_beginning && beginning != EX_TOKEN_NONE &&
        !begins_with(tokenizer, beginning, text, length, t))
        ex_token_push(out, beginning);
    ex_merger merger = {0};
    ex_code code = partition(tokenizer, text, length, &t, &merger, out, error);
    ex_merger_close(&merger);
    return code;
}

ex_code ex_tokenize(const ex_tokenizer *tokenizer, const char *text, size_t length, uint32_t flags, int32_t *tokens,
                    size_t capacity, size_t *count, ex_error *error) {
    ex_token_list out = {tokens, tokens ? capacity : 0, 0};
    ex_span all = {0, length, (flags & EX_TOKENIZE_SPECIAL) != 0};
    ex_code code = ex_tokenize_spans(tokenizer, text, length, &all, 1, flags & EX_TOKENIZE_ADD_BEGINNING, &out, error);
    int32_t end = tokenizer->vocabulary.end;
    if (flags & EX_TOKENIZE_ADD_END && tokenizer->add_end && end != EX_TOKEN_NONE) ex_token_push(&out, end);
    *count = code == EX_OK ? out.count : 0;
    return code;
}

/* ---- tokens to text ---- */

static const ex_token *find_token(const ex_tokenizer *tokenizer, int32_t id) {
    return id >= 0 && id < tokenizer->vocabulary.size ? &tokenizer->vocabulary.tokens[id] : NULL;
}

static bool is_control(const ex_token *token) {
    return (token->kind == EX_KIND_CONTROL || token->kind == EX_KIND_UNKNOWN) && !token->shown;
}

int32_t ex_tokenizer_size(const ex_tokenizer *tokenizer) { return tokenizer->vocabulary.size; }

ex_string ex_token_text(const ex_tokenizer *tokenizer, int32_t token, bool special) {
    const ex_token *found = find_token(tokenizer, token);
    if (!found || (is_control(found) && !special)) return (ex_string){"", 0};
    return (ex_string){found->text, found->length};
}

bool ex_token_is_control(const ex_tokenizer *tokenizer, int32_t token) {
    const ex_token *found = find_token(tokenizer, token);
    return found && is_control(found);
}

bool ex_token_ends_generation(const ex_tokenizer *tokenizer, int32_t token) {
    const ex_token *found = find_token(tokenizer, token);
    return found && found->ends_generation;
}

int32_t ex_token_beginning(const ex_tokenizer *tokenizer) { return tokenizer->vocabulary.beginning; }

ex_string ex_tokenizer_chat_template(const ex_tokenizer *tokenizer) {
    if (!tokenizer->chat_template) return (ex_string){"", 0};
    return (ex_string){tokenizer->chat_template, tokenizer->chat_template_length};
}
