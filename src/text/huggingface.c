#include "text/huggingface.h"

#include "base/error.h"
#include "base/json.h"
#include "text/keys.h"

#include <inttypes.h>
#include <string.h>

static ex_string type_of(const ex_json *value) {
    const ex_json *type = ex_json_member(value, "type");
    return type && type->kind == EX_JSON_TEXT ? type->as.text : (ex_string){"", 0};
}

static bool is_true(const ex_json *value, bool otherwise) {
    return value && value->kind == EX_JSON_BOOLEAN ? value->as.boolean : otherwise;
}

static ex_code not_known(const ex_json *value, const char *what, ex_string name, ex_error *error) {
    return ex_fail(error, EX_ERROR_UNSUPPORTED, value->offset,
                   "tokenizer.huggingface.json: the %s \"%.*s\" is not known to this version", what,
                   name.length < 40 ? (int)name.length : 40, name.data);
}

static ex_code add_expression(ex_huggingface *out, const ex_json *value, const char *expression, ex_error *error) {
    return ex_pattern_add(out->pattern, (ex_string){expression, strlen(expression)}, value->offset, error);
}

/* ---- pre-tokenisers ---- */

/* Matches and gaps are pieces alike when both are kept ("Isolated"), or when an expression is written so that there are
 * no gaps and what it does not match would be removed. */
static ex_code check_behavior(const ex_json *value, ex_error *error) {
    const ex_json *behavior = ex_json_member(value, "behavior");
    bool inverted = is_true(ex_json_member(value, "invert"), false);
    if (!behavior || ex_json_is(behavior, "Isolated") || (inverted && ex_json_is(behavior, "Removed"))) return EX_OK;
    return not_known(value, "behavior", behavior->kind == EX_JSON_TEXT ? behavior->as.text : (ex_string){"", 0}, error);
}

static ex_code add_split(ex_huggingface *out, const ex_json *value, ex_error *error) {
    const ex_json *pattern = ex_json_member(value, "pattern");
    ex_code code = check_behavior(value, error);
    if (code != EX_OK) return code;
    const ex_json *expression = ex_json_member(pattern, "Regex"), *literal = ex_json_member(pattern, "String");
    if (expression && expression->kind == EX_JSON_TEXT)
        return ex_pattern_add(out->pattern, expression->as.text, expression->offset, error);
    if (literal && literal->kind == EX_JSON_TEXT)
        return ex_pattern_add_literal(out->pattern, literal->as.text, literal->offset, error);
    return ex_fail(error, EX_ERROR_FORMAT, value->offset, "tokenizer.huggingface.json: a Split without a pattern");
}

static ex_code add_digits(ex_huggingface *out, const ex_json *value, ex_error *error) {
    bool each = is_true(ex_json_member(value, "individual_digits"), false);
    return add_expression(out, value, each ? "\\p{N}" : "\\p{N}+", error);
}

static ex_code add_punctuation(ex_huggingface *out, const ex_json *value, ex_error *error) {
    ex_code code = check_behavior(value, error);
    return code != EX_OK ? code : add_expression(out, value, "[\\p{P}!-/:-@\\[-`{-~]", error);
}

static ex_code add_byte_level(ex_huggingface *out, const ex_json *value, ex_error *error) {
    if (!is_true(ex_json_member(value, "use_regex"), true)) return EX_OK;
    return add_expression(out, value,
                          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", error);
}

static const struct {
    const char *type;
    ex_code (*add)(ex_huggingface *out, const ex_json *value, ex_error *error);
} pretokenisers[] = {
    {"Split", add_split}, {"Digits", add_digits}, {"Punctuation", add_punctuation}, {"ByteLevel", add_byte_level},
};

static ex_code add_one(ex_huggingface *out, const ex_json *value, ex_error *error) {
    for (size_t i = 0; i < sizeof pretokenisers / sizeof *pretokenisers; i++)
        if (ex_json_is(ex_json_member(value, "type"), pretokenisers[i].type))
            return pretokenisers[i].add(out, value, error);
    return not_known(value, "pre-tokeniser", type_of(value), error);
}

static ex_code add_normaliser(ex_huggingface *out, const ex_json *value, ex_error *error) {
    if (!ex_json_is(ex_json_member(value, "type"), "NFC"))
        return not_known(value, "normaliser", type_of(value), error);
    out->flags |= EX_PRE_NFC;
    return EX_OK;
}

/* One step, or a Sequence of them in the member `steps`. */
static ex_code add_steps(ex_huggingface *out, const ex_json *value, const char *steps,
                         ex_code (*add)(ex_huggingface *out, const ex_json *value, ex_error *error), ex_error *error) {
    if (!value) return EX_OK;
    if (!ex_json_is(ex_json_member(value, "type"), "Sequence")) return add(out, value, error);
    const ex_json *list = ex_json_member(value, steps);
    ex_code code = EX_OK;
    for (const ex_json *step = NULL; code == EX_OK && list && (step = ex_json_next(list, step));)
        code = add(out, step, error);
    return code;
}

/* ---- reading ---- */

ex_code ex_huggingface_read(ex_huggingface *out, const ex_file *file, const ex_key *key, ex_error *error) {
    *out = (ex_huggingface){0};
    ex_string text = {0};
    ex_code code = ex_keys_text(file, "tokenizer.huggingface.json", &text, error);
    if (code != EX_OK) return code;
    ex_json_document document;
    code = ex_json_read(&document, text.data, text.length, ex_file_path(file), ex_keys_offset(key, text), error);
    if (code != EX_OK) return code;
    const ex_json *root = document.nodes;
    code = ex_pattern_open(&out->pattern, error);
    if (code == EX_OK)
        code = add_steps(out, ex_json_member(root, "pre_tokenizer"), "pretokenizers", add_one, error);
    if (code == EX_OK)
        code = add_steps(out, ex_json_member(root, "normalizer"), "normalizers", add_normaliser, error);
    if (is_true(ex_json_member(ex_json_member(root, "model"), "ignore_merges"), false))
        out->flags |= EX_PRE_WHOLE_WORDS;
    ex_json_free(&document);
    if (code == EX_OK) return EX_OK;
    ex_pattern_close(out->pattern);
    out->pattern = NULL;
    return code;
}
