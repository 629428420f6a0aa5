#include "text/special.h"

#include "base/text.h"
#include "base/utf8.h"
#include "text/keys.h"

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
    "tokenizer.ggml.eos_token_id",     "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id", "tokenizer.ggml.fim_sep_token_id",
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

/* ---- white space beside tokens ---- */

enum { LEFT = 1, RIGHT = 2 };

typedef struct strip_rule {
    const char *key, *value;  /* a file whose key has this value */
    const char *model;        /* … and whose tokenizer is of this model */
    uint32_t sides;
    const char *const *texts; /* of these tokens, or of all special ones but these; ends at NULL */
    bool except;
} strip_rule;

static const char *const mask[] = {"<mask>", NULL};
static const char *const phi3_plain[] = {"<unk>", "<s>", "<|endoftext|>", NULL};

static const strip_rule strip_rules[] = {
    {"general.architecture", "phi3", "llama", RIGHT, phi3_plain, true}, /* Phi-4-mini has another tokenizer */
    {"tokenizer.ggml.pre", "jina-v2-de", "gpt2", LEFT, mask, false},
    {"tokenizer.ggml.pre", "jina-v2-es", "gpt2", LEFT, mask, false},
    {"tokenizer.ggml.pre", "jina-v2-code", "gpt2", LEFT, mask, false},
};

static bool is_kind_special(const ex_token *token) {
    return token->kind == EX_KIND_CONTROL || token->kind == EX_KIND_USER_DEFINED || token->kind == EX_KIND_UNKNOWN;
}

static bool is_listed(const strip_rule *rule, const ex_token *token) {
    for (const char *const *text = rule->texts; *text; text++)
        if (ex_string_is((ex_string){token->text, token->length}, *text)) return true;
    return false;
}

static void apply_strip_rule(ex_vocabulary *vocabulary, const strip_rule *rule) {
    for (int32_t id = 0; id < vocabulary->size; id++) {
        ex_token *token = &vocabulary->tokens[id];
        if (!is_kind_special(token) || is_listed(rule, token) == rule->except) continue;
        token->strips_left = token->strips_left || (rule->sides & LEFT);
        token->strips_right = token->strips_right || (rule->sides & RIGHT);
    }
}

ex_code ex_special_mark_strips(ex_vocabulary *vocabulary, const ex_file *file, ex_error *error) {
    ex_string model = {"", 0};
    ex_code code = ex_keys_text(file, "tokenizer.ggml.model", &model, error);
    for (size_t i = 0; code == EX_OK && i < sizeof strip_rules / sizeof *strip_rules; i++) {
        ex_string value = {"", 0};
        code = ex_keys_text(file, strip_rules[i].key, &value, error);
        if (code == EX_OK && ex_string_is(value, strip_rules[i].value) && ex_string_is(model, strip_rules[i].model))
            apply_strip_rule(vocabulary, &strip_rules[i]);
    }
    return code;
}

/* ---- search ---- */

/* Only whole characters: a match must not cut one in the text. */
static bool is_special(const ex_vocabulary *vocabulary, int32_t id) {
    const ex_token *token = &vocabulary->tokens[id];
    return is_kind_special(token) && token->length <= EX_MAX_SPECIAL_LENGTH &&
           ex_utf8_valid_prefix(token->text, token->length) == token->length;
}

ex_code ex_special_open(ex_special *special, const ex_vocabulary *vocabulary, ex_error *error) {
    return ex_prefix_open(&special->tokens, vocabulary, is_special, error);
}

void ex_special_close(ex_special *special) { ex_prefix_close(&special->tokens); }

int32_t ex_special_match(const ex_special *special, const ex_vocabulary *vocabulary, const char *text, size_t length,
                         size_t n_trusted) {
    int32_t found = EX_TOKEN_NONE;
    ex_prefix_walk walk = ex_prefix_begin(&special->tokens, vocabulary, text, length);
    for (int32_t id; (id = ex_prefix_next(&walk)) != EX_TOKEN_NONE;) {
        const ex_token *token = &vocabulary->tokens[id];
        if (token->kind == EX_KIND_USER_DEFINED || token->length <= n_trusted) found = id;
    }
    return found;
}
