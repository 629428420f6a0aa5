#include "convert/tokenizer.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "convert/pretokeniser.h"
#include "convert/tokens.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENDS = 3 }; /* eos, eot, eom: GGUF has keys for so many */

typedef struct tokenizer {
    ex_source source, settings, generation; /* tokenizer.json, tokenizer_config.json, generation_config.json */
    const ex_source *config;
    ex_tokens tokens;
    ex_pretokeniser_steps steps;
    bool space_prefix;
    int32_t beginning, unknown, padding, ends[MAX_ENDS];
    size_t n_ends;
    int add_beginning, add_end; /* -1: not said */
    ex_map template_file;
    ex_string template;
    ex_error *error;
} tokenizer;

static ex_string text_of(const char *text) { return (ex_string){text, strlen(text)}; }

/* ---- which kind ---- */

static ex_code refuse(const tokenizer *t, const ex_json *at, const char *what, ex_string name) {
    return ex_source_fail(t->source.path, EX_ERROR_UNSUPPORTED, at ? at->offset : 0, t->error,
                          "the %s '%.*s' cannot be converted", what, EX_QUOTED(name));
}

static ex_string type_of(const ex_json *value) {
    const ex_json *type = ex_json_member(value, "type");
    return type && type->kind == EX_JSON_TEXT ? type->as.text : (ex_string){"", 0};
}

/* What SentencePiece does to a text: a space becomes U+2581, and there may be one before it. */
static ex_code read_space_step(tokenizer *t, const ex_json *step) {
    static const char mark[] = "\xE2\x96\x81";
    const ex_json *type = ex_json_member(step, "type");
    if (ex_json_is(type, "Prepend") && ex_json_is(ex_json_member(step, "prepend"), mark)) {
        t->space_prefix = true;
        return EX_OK;
    }
    const ex_json *pattern = ex_json_member(ex_json_member(step, "pattern"), "String");
    if (ex_json_is(type, "Replace") && ex_json_is(pattern, " ") && ex_json_is(ex_json_member(step, "content"), mark))
        return EX_OK;
    if (!ex_json_is(type, "Metaspace")) return refuse(t, step, "step of the tokenizer", type_of(step));
    const ex_json *scheme = ex_json_member(step, "prepend_scheme"), *old = ex_json_member(step, "add_prefix_space");
    bool old_way = !old || old->kind != EX_JSON_BOOLEAN || old->as.boolean;
    t->space_prefix = scheme ? !ex_json_is(scheme, "never") : old_way;
    return EX_OK;
}

static ex_code read_space_steps(tokenizer *t, const char *name, const char *members) {
    const ex_json *value = ex_json_member(t->source.map, name);
    if (!value) return EX_OK;
    if (!ex_json_is(ex_json_member(value, "type"), "Sequence")) return read_space_step(t, value);
    const ex_json *list = ex_json_member(value, members);
    ex_code code = EX_OK;
    for (const ex_json *step = NULL; code == EX_OK && list && (step = ex_json_next(list, step));)
        code = read_space_step(t, step);
    return code;
}

static bool is_given(const ex_json *value) {
    return value && !(value->kind == EX_JSON_TEXT && value->as.text.length == 0);
}

static ex_code find_kind(tokenizer *t) {
    const ex_json *model = ex_json_member(t->source.map, "model"), *type = ex_json_member(model, "type");
    if (!model || model->kind != EX_JSON_MAP)
        return ex_source_fail(t->source.path, EX_ERROR_FORMAT, t->source.map->offset, t->error, "there is no 'model'");
    if (type && !ex_json_is(type, "BPE")) return refuse(t, type, "kind of tokenizer", type_of(model));
    static const char *const parts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (is_given(ex_json_member(model, parts[i])))
            return refuse(t, ex_json_member(model, parts[i]), "BPE member", text_of(parts[i]));
    t->steps = ex_pretokeniser_recognise(t->source.map);
    const ex_json *words = ex_json_member(t->source.map, "pre_tokenizer");
    if (t->steps.byte_level && t->steps.space_prefix)
        return refuse(t, words, "pre-tokeniser", text_of("ByteLevel with add_prefix_space"));
    if (t->steps.byte_level) return EX_OK;
    const ex_json *fallback = ex_json_member(model, "byte_fallback");
    if (!fallback || fallback->kind != EX_JSON_BOOLEAN || !fallback->as.boolean)
        return refuse(t, model, "kind of tokenizer", text_of("BPE without ByteLevel or byte_fallback"));
    ex_code code = read_space_steps(t, "normalizer", "normalizers");
    return code == EX_OK ? read_space_steps(t, "pre_tokenizer", "pretokenizers") : code;
}

/* ---- special tokens ---- */

/* A token of the settings: a text, or a map with its content. */
static ex_code find_named(const tokenizer *t, const char *name, int32_t *id) {
    const ex_json *value = ex_json_member(t->settings.map, name);
    if (value && value->kind == EX_JSON_MAP) value = ex_json_member(value, "content");
    if (!value || value->kind != EX_JSON_TEXT) return EX_OK;
    const ex_token_entry *entry = ex_tokens_find(&t->tokens, value->as.text);
    if (!entry)
        return ex_source_fail(t->settings.path, EX_ERROR_FORMAT, value->offset, t->error,
                              "%s '%.*s' is not in the vocabulary", name, EX_QUOTED(value->as.text));
    *id = entry->id;
    return EX_OK;
}

static ex_code check_id(const tokenizer *t, const ex_source *source, const char *name, const ex_json *value) {
    if (value->kind == EX_JSON_INTEGER && value->as.integer >= 0 &&
        (uint64_t)value->as.integer < t->tokens.n_vocab)
        return EX_OK;
    return ex_source_fail(source->path, EX_ERROR_FORMAT, value->offset, t->error,
                          "'%s' is not the id of one of the %zu tokens", name, t->tokens.n_vocab);
}

/* Unless the settings name it, the id is in generation_config.json or in config.json. */
static ex_code find_id(const tokenizer *t, const char *name, const char *id_name, int32_t *id) {
    *id = EX_TOKEN_NONE;
    ex_code code = find_named(t, name, id);
    const ex_source *sources[] = {&t->generation, t->config};
    for (size_t i = 0; i < 2 && code == EX_OK && *id == EX_TOKEN_NONE; i++) {
        const ex_json *value = ex_json_member(sources[i]->map, id_name);
        if (value && value->kind == EX_JSON_LIST) value = value->count ? ex_json_next(value, NULL) : NULL;
        if (!value || (value->kind == EX_JSON_INTEGER && value->as.integer < 0)) continue; /* -1: none */
        code = check_id(t, sources[i], id_name, value);
        if (code == EX_OK) *id = (int32_t)value->as.integer;
    }
    return code;
}

static ex_code add_end(tokenizer *t, const ex_json *value) {
    ex_code code = check_id(t, &t->generation, "eos_token_id", value);
    if (code != EX_OK) return code;
    for (size_t i = 0; i < t->n_ends; i++)
        if (t->ends[i] == value->as.integer) return EX_OK;
    if (t->n_ends == MAX_ENDS)
        return ex_source_fail(t->generation.path, EX_ERROR_UNSUPPORTED, value->offset, t->error,
                              "more than %d tokens end an answer, and GGUF has keys for that many", MAX_ENDS);
    t->ends[t->n_ends++] = (int32_t)value->as.integer;
    return EX_OK;
}

/* The one that the tokenizer names, then the others that end an answer. */
static ex_code read_ends(tokenizer *t) {
    int32_t end;
    ex_code code = find_id(t, "eos_token", "eos_token_id", &end);
    if (end != EX_TOKEN_NONE) t->ends[t->n_ends++] = end;
    const ex_json *ids = ex_json_member(t->generation.map, "eos_token_id");
    if (code != EX_OK || !ids) return code;
    if (ids->kind != EX_JSON_LIST) return add_end(t, ids);
    for (const ex_json *id = NULL; code == EX_OK && (id = ex_json_next(ids, id));) code = add_end(t, id);
    return code;
}

/* Whether the template of the post-processor begins, or ends, with a special token. */
static int adds(const ex_json *processor, bool at_end) {
    const ex_json *list = ex_json_member(processor, "processors");
    int found = -1;
    for (const ex_json *item = NULL; list && list->kind == EX_JSON_LIST && (item = ex_json_next(list, item));)
        if (ex_json_is(ex_json_member(item, "type"), "TemplateProcessing")) found = adds(item, at_end);
    const ex_json *single = ex_json_member(processor, "single"), *edge = NULL;
    if (!single || single->kind != EX_JSON_LIST) return found;
    for (const ex_json *item = NULL; (item = ex_json_next(single, item));)
        if (!edge || at_end) edge = item;
    return edge && ex_json_member(edge, "SpecialToken") != NULL;
}

static int read_adds(const tokenizer *t, const char *name, bool at_end) {
    const ex_json *said = ex_json_member(t->settings.map, name);
    if (said && said->kind == EX_JSON_BOOLEAN) return said->as.boolean;
    const ex_json *processor = ex_json_member(t->source.map, "post_processor");
    return processor ? adds(processor, at_end) : t->steps.byte_level ? 0 : -1;
}

static ex_code read_specials(tokenizer *t) {
    ex_code code = read_ends(t);
    if (code == EX_OK) code = find_id(t, "bos_token", "bos_token_id", &t->beginning);
    if (code == EX_OK) code = find_id(t, "pad_token", "pad_token_id", &t->padding);
    t->unknown = EX_TOKEN_NONE;
    if (code == EX_OK && !t->steps.byte_level) code = find_named(t, "unk_token", &t->unknown);
    t->add_beginning = read_adds(t, "add_bos_token", false);
    t->add_end = read_adds(t, "add_eos_token", true);
    if (t->beginning == EX_TOKEN_NONE) t->add_beginning = 0;
    return code;
}

/* ---- chat template ---- */

/* A list of templates with names: the one that is called default. */
static const ex_json *default_template(const ex_json *value) {
    if (!value || value->kind != EX_JSON_LIST) return value;
    for (const ex_json *item = NULL; (item = ex_json_next(value, item));)
        if (ex_json_is(ex_json_member(item, "name"), "default")) return ex_json_member(item, "template");
    return NULL;
}

static ex_code read_template(tokenizer *t, const char *folder) {
    char *path = ex_source_path(folder, "chat_template.jinja");
    if (!path) return ex_fail_memory(t->error, "a file name");
    FILE *file = fopen(path, "rb");
    ex_code code = EX_OK;
    if (!file && errno != ENOENT) {
        code = ex_fail_system(t->error, path, "read the file");
    } else if (file) {
        fclose(file);
        code = ex_map_open(&t->template_file, path, t->error);
        t->template = (ex_string){(const char *)t->template_file.data, (size_t)t->template_file.size};
        if (code == EX_OK && ex_utf8_valid_prefix(t->template.data, t->template.length) != t->template.length)
            code = ex_source_fail(path, EX_ERROR_FORMAT, ex_utf8_valid_prefix(t->template.data, t->template.length),
                                  t->error, "this is not valid UTF-8");
    } else {
        const ex_json *value = default_template(ex_json_member(t->settings.map, "chat_template"));
        if (value && value->kind == EX_JSON_TEXT) t->template = value->as.text;
    }
    free(path);
    return code;
}

/* ---- writing ---- */

static ex_code write_id(const tokenizer *t, ex_writer *writer, const char *name, int32_t id) {
    return id == EX_TOKEN_NONE ? EX_OK : ex_writer_u32(writer, name, (uint32_t)id, t->error);
}

static ex_code write_flag(const tokenizer *t, ex_writer *writer, const char *name, int flag) {
    return flag < 0 ? EX_OK : ex_writer_bool(writer, name, flag, t->error);
}

/* Words that no name stands for: the parts of tokenizer.json that say how to find them. */
static ex_code write_rules(const tokenizer *t, ex_writer *writer) {
    const ex_json *words = ex_json_member(t->source.map, "pre_tokenizer");
    const ex_json *normaliser = ex_json_member(t->source.map, "normalizer");
    const ex_json *whole = ex_json_member(t->tokens.model, "ignore_merges");
    ex_string a = ex_source_bytes(&t->source, words), b = {"null", 4}, c = {"false", 5};
    if (normaliser) b = ex_source_bytes(&t->source, normaliser);
    if (whole) c = ex_source_bytes(&t->source, whole);
    char *text;
    int n = asprintf(&text,
                     "{\"normalizer\":%.*s,\"pre_tokenizer\":%.*s,\"model\":{\"type\":\"BPE\",\"ignore_merges\":%.*s}}",
                     (int)b.length, b.data, (int)a.length, a.data, (int)c.length, c.data);
    if (n < 0) return ex_fail_memory(t->error, "the pre-tokeniser");
    ex_code code = ex_writer_string(writer, "tokenizer.huggingface.json", text, (size_t)n, t->error);
    free(text);
    return code;
}

static ex_code write_kind(const tokenizer *t, ex_writer *writer) {
    const char *model = t->steps.byte_level ? "gpt2" : "llama", *pre = t->steps.name ? t->steps.name : "unknown";
    ex_code code = ex_writer_string(writer, "tokenizer.ggml.model", model, strlen(model), t->error);
    if (code != EX_OK) return code;
    if (!t->steps.byte_level)
        return ex_writer_bool(writer, "tokenizer.ggml.add_space_prefix", t->space_prefix, t->error);
    code = ex_writer_string(writer, "tokenizer.ggml.pre", pre, strlen(pre), t->error);
    return code == EX_OK && !t->steps.name ? write_rules(t, writer) : code;
}

static ex_code write_all(const tokenizer *t, ex_writer *writer) {
    static const char *const ends[MAX_ENDS] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                               "tokenizer.ggml.eom_token_id"};
    ex_code code = write_kind(t, writer);
    if (code == EX_OK) code = ex_tokens_write(&t->tokens, writer, t->error);
    if (code == EX_OK) code = write_id(t, writer, "tokenizer.ggml.bos_token_id", t->beginning);
    for (size_t i = 0; i < t->n_ends && code == EX_OK; i++) code = write_id(t, writer, ends[i], t->ends[i]);
    if (code == EX_OK) code = write_id(t, writer, "tokenizer.ggml.unknown_token_id", t->unknown);
    if (code == EX_OK) code = write_id(t, writer, "tokenizer.ggml.padding_token_id", t->padding);
    if (code == EX_OK) code = write_flag(t, writer, "tokenizer.ggml.add_bos_token", t->add_beginning);
    if (code == EX_OK) code = write_flag(t, writer, "tokenizer.ggml.add_eos_token", t->add_end);
    if (code != EX_OK || !t->template.length) return code;
    return ex_writer_string(writer, "tokenizer.chat_template", t->template.data, t->template.length, t->error);
}

static ex_code read_all(tokenizer *t, const char *folder, size_t n_vocab) {
    ex_code code = ex_source_open(&t->source, folder, "tokenizer.json", true, t->error);
    if (code == EX_OK) code = ex_source_open(&t->settings, folder, "tokenizer_config.json", false, t->error);
    if (code == EX_OK) code = ex_source_open(&t->generation, folder, "generation_config.json", false, t->error);
    if (code == EX_OK) code = find_kind(t);
    if (code == EX_OK) code = ex_tokens_read(&t->tokens, &t->source, n_vocab, !t->steps.byte_level, t->error);
    if (code == EX_OK) code = read_specials(t);
    return code == EX_OK ? read_template(t, folder) : code;
}

ex_code ex_tokenizer_convert(const char *folder, const ex_source *config, size_t n_vocab, ex_writer *writer,
                             ex_error *error) {
    tokenizer t = {.config = config, .error = error};
    ex_code code = read_all(&t, folder, n_vocab);
    if (code == EX_OK) code = write_all(&t, writer);
    ex_tokens_close(&t.tokens);
    ex_source_close(&t.source);
    ex_source_close(&t.settings);
    ex_source_close(&t.generation);
    ex_map_close(&t.template_file);
    return code;
}
