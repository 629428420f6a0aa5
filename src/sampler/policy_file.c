/* policy_file.c - policy files: `key = value` lines, comments, a first `preset = NAME`, and rules as sections at the
 * end. Every complaint names file, line and key. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "sampler/policy_keys.h"
#include "sampler/rule_program.h"

enum { FILE_MAX = 1 << 20, KEY_MAX = 64, VALUE_MAX = 512 };

typedef struct policy_reader {
    const char *name; /* of the file, for messages */
    size_t line;      /* from 1 */
    bool has_preset, has_key;
    bool is_complete; /* nothing needs to be set */
    bool is_preset;   /* the text is one of ours */
    size_t set_on_line[EX_POLICY_KEYS_MAX]; /* by index in ex_policy_keys; 0: not yet */
    ex_policy policy;
    ex_error *error;
} policy_reader;

typedef struct slice {
    const char *data;
    size_t length;
} slice;

static ex_code fail_here(const policy_reader *reader, ex_code code, const char *format, ...) EX_PRINTF(3, 4);

static ex_code fail_here(const policy_reader *reader, ex_code code, const char *format, ...) {
    char message[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return ex_fail(reader->error, code, reader->line, "%.80s:%zu: %s", reader->name, reader->line, message);
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static slice trim(slice text) {
    while (text.length > 0 && is_blank(text.data[0])) text.data++, text.length--;
    while (text.length > 0 && is_blank(text.data[text.length - 1])) text.length--;
    return text;
}

static bool starts_comment(slice text, size_t at) {
    return at < text.length && (text.data[at] == '#' || text.data[at] == ';') &&
           (at == 0 || is_blank(text.data[at - 1]));
}

static slice without_comment(slice text) {
    for (size_t i = 0; i < text.length; i++)
        if (starts_comment(text, i)) return trim((slice){text.data, i});
    return text;
}

static char unescaped(char c) {
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '"':
    case '\\':
        return c;
    default:
        return 0;
    }
}

/* A quoted value keeps blanks and comment signs; \n \t \" \\ stand for what they stand for in C. */
static ex_code read_quoted(const policy_reader *reader, const char *key, slice text, char *value) {
    size_t length = 0, i = 1;
    for (; i < text.length && text.data[i] != '"'; i++) {
        char c = text.data[i];
        if (c == '\\') {
            c = i + 1 < text.length ? unescaped(text.data[++i]) : 0;
            if (!c) return fail_here(reader, EX_ERROR_FORMAT, "%s: after \\ there must be n, t, \" or \\", key);
        }
        if (length + 1 == VALUE_MAX) return fail_here(reader, EX_ERROR_ARGUMENT, "%s: the value is too long", key);
        value[length++] = c;
    }
    value[length] = 0;
    if (i == text.length) return fail_here(reader, EX_ERROR_FORMAT, "%s: the closing quotation mark is missing", key);
    slice rest = without_comment(trim((slice){text.data + i + 1, text.length - i - 1}));
    if (rest.length > 0)
        return fail_here(reader, EX_ERROR_FORMAT, "%s: unexpected text after the closing quotation mark", key);
    return EX_OK;
}

static ex_code read_value(const policy_reader *reader, const char *key, slice text, char *value) {
    text = trim(text);
    if (text.length > 0 && text.data[0] == '"') return read_quoted(reader, key, text, value);
    text = without_comment(text);
    if (text.length == 0)
        return fail_here(reader, EX_ERROR_FORMAT, "%s: the value is missing (an empty text is written \"\")", key);
    if (text.length >= VALUE_MAX) return fail_here(reader, EX_ERROR_ARGUMENT, "%s: the value is too long", key);
    memcpy(value, text.data, text.length);
    value[text.length] = 0;
    return EX_OK;
}

static ex_code read_preset(policy_reader *reader, const char *value) {
    ex_error inner;
    if (reader->has_preset) return fail_here(reader, EX_ERROR_ARGUMENT, "preset: it is given twice");
    if (reader->has_key) return fail_here(reader, EX_ERROR_ARGUMENT, "preset: it must come before all other keys");
    ex_code code = ex_policy_preset(&reader->policy, value, &inner);
    if (code != EX_OK) return fail_here(reader, code, "preset: %s", inner.message);
    reader->has_preset = reader->is_complete = true;
    return EX_OK;
}

static ex_code read_key(policy_reader *reader, const char *key, const char *value) {
    if (strcmp(key, "preset") == 0) return read_preset(reader, value);
    reader->has_key = true;
    const ex_policy_key_row *row = ex_policy_find_key(key);
    char advice[200];
    if (!row) return fail_here(reader, EX_ERROR_ARGUMENT, "%s", ex_policy_key_advice(key, advice, sizeof advice));
    if (row->kind == EX_POLICY_RULES)
        return fail_here(reader, EX_ERROR_ARGUMENT, "rules: in a file each rule is a section, `[NAME]`");
    size_t *set_on_line = &reader->set_on_line[row - ex_policy_keys];
    if (*set_on_line > 0)
        return fail_here(reader, EX_ERROR_ARGUMENT, "%s: it was set before, in line %zu", key, *set_on_line);
    *set_on_line = reader->line;
    ex_error inner;
    ex_code code = ex_policy_set(&reader->policy, key, value, &inner);
    return code == EX_OK ? EX_OK : fail_here(reader, code, "%s", inner.message);
}

static ex_code read_line(policy_reader *reader, slice line) {
    line = trim(line);
    if (line.length == 0 || starts_comment(line, 0)) return EX_OK;
    const char *equals = memchr(line.data, '=', line.length);
    if (!equals)
        return fail_here(reader, EX_ERROR_FORMAT, "\"%.*s\": expected `key = value`",
                         (int)(line.length < 40 ? line.length : 40), line.data);
    size_t at = (size_t)(equals - line.data);
    slice name = trim((slice){line.data, at});
    if (name.length == 0) return fail_here(reader, EX_ERROR_FORMAT, "the key before `=` is missing");
    if (name.length >= KEY_MAX)
        return fail_here(reader, EX_ERROR_ARGUMENT, "there is no policy key \"%.*s…\"", 40, name.data);
    char key[KEY_MAX], value[VALUE_MAX];
    memcpy(key, name.data, name.length);
    key[name.length] = 0;
    ex_code code = read_value(reader, key, (slice){equals + 1, line.length - at - 1}, value);
    return code == EX_OK ? read_key(reader, key, value) : code;
}

static ex_code check_characters(const policy_reader *reader, slice line) {
    size_t valid = ex_utf8_valid_prefix(line.data, line.length);
    if (valid < line.length)
        return fail_here(reader, EX_ERROR_FORMAT, "byte %zu of this line is not valid UTF-8", valid + 1);
    for (size_t i = 0; i < line.length; i++)
        if ((unsigned char)line.data[i] < ' ' && !is_blank(line.data[i]))
            return fail_here(reader, EX_ERROR_FORMAT, "byte %zu of this line is a control character", i + 1);
    return EX_OK;
}

/* Both rules share one boundary unless a policy says otherwise. */
static void share_boundary(policy_reader *reader) {
    size_t *high = &reader->set_on_line[ex_policy_find_key("high_entropy") - ex_policy_keys];
    size_t *explore = &reader->set_on_line[ex_policy_find_key("explore_entropy") - ex_policy_keys];
    if (*high == 0 || *explore > 0) return;
    reader->policy.explore_entropy = reader->policy.high_entropy;
    *explore = *high;
}

static ex_code check_complete(policy_reader *reader, bool has_rules) {
    share_boundary(reader);
    for (size_t i = 0; ex_policy_keys[i].name && !reader->is_complete; i++)
        if (reader->set_on_line[i] == 0 && ex_policy_keys[i].kind != EX_POLICY_RULES)
            return fail_here(reader, EX_ERROR_ARGUMENT,
                             "%s: it is missing; set it, or begin the file with "
                             "`preset = entropixplained` for the values that the file leaves out",
                             ex_policy_keys[i].name);
    if (!reader->is_complete && reader->policy.strategies && !has_rules)
        return fail_here(reader, EX_ERROR_ARGUMENT,
                         "there are no rules: add a section `[NAME]` for each, set `strategies = false`, or begin the "
                         "file with `preset = entropixplained` for its rules");
    ex_error inner;
    ex_code code = reader->is_preset ? EX_OK : ex_policy_check(&reader->policy, &inner); /* the tests check presets */
    return code == EX_OK ? EX_OK : fail_here(reader, code, "%s", inner.message);
}

static slice without_byte_order_mark(slice text) {
    if (text.length >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) text.data += 3, text.length -= 3;
    return text;
}

static bool begins_section(slice line) {
    line = trim(line);
    return line.length > 0 && line.data[0] == '[';
}

static slice take_line(slice *rest) {
    const char *end = memchr(rest->data, '\n', rest->length);
    slice line = {rest->data, end ? (size_t)(end - rest->data) : rest->length};
    size_t used = end ? line.length + 1 : line.length;
    *rest = (slice){rest->data + used, rest->length - used};
    return line;
}

/* Up to the first section, which is left in `rest`. */
static ex_code read_keys(policy_reader *reader, slice *rest) {
    while (rest->length > 0) {
        slice after = *rest, line = take_line(&after);
        if (begins_section(line)) return EX_OK;
        *rest = after;
        reader->line++;
        ex_code code = check_characters(reader, line);
        if (code == EX_OK) code = read_line(reader, line);
        if (code != EX_OK) return code;
    }
    return EX_OK;
}

/* All sections; with one of them, those of the preset are gone. */
static ex_code read_rules(policy_reader *reader, slice text) {
    const size_t first = reader->line + 1;
    for (slice rest = text; rest.length > 0;) {
        reader->line++;
        ex_code code = check_characters(reader, take_line(&rest));
        if (code != EX_OK) return code;
    }
    return ex_rules_clean(reader->policy.rules, text.data, text.length, reader->name, first, reader->error);
}

static ex_code read_policy(policy_reader *reader, ex_policy *policy, slice text) {
    slice rest = without_byte_order_mark(text);
    ex_code code = read_keys(reader, &rest);
    if (code == EX_OK && rest.length > 0) code = read_rules(reader, rest);
    if (code == EX_OK) code = check_complete(reader, rest.length > 0);
    if (code == EX_OK) *policy = reader->policy;
    return code;
}

ex_code ex_policy_parse(ex_policy *policy, const char *text, size_t length, const char *name, ex_error *error) {
    policy_reader reader = {.name = name ? name : "policy", .error = error};
    return read_policy(&reader, policy, (slice){text, length});
}

ex_code ex_policy_parse_preset(ex_policy *policy, const char *text, size_t length, const char *name, ex_error *error) {
    policy_reader reader = {.name = name, .is_complete = true, .is_preset = true, .policy = *policy, .error = error};
    return read_policy(&reader, policy, (slice){text, length});
}

ex_code ex_policy_parse_stored(ex_policy *policy, const char *text, size_t length, const char *name, ex_error *error) {
    ex_policy values;
    ex_policy_defaults(&values);
    ex_code code = ex_policy_parse_preset(&values, text, length, name, error);
    if (code == EX_OK) code = ex_policy_check(&values, error);
    if (code == EX_OK) *policy = values;
    return code;
}

ex_code ex_policy_read(ex_policy *policy, const char *path, ex_error *error) {
    FILE *file = fopen(path, "rb");
    if (!file) return ex_fail_system(error, path, "open");
    char *text = ex_allocate(FILE_MAX + 1, 1);
    if (!text) {
        fclose(file);
        return ex_fail_memory(error, "a policy file");
    }
    size_t length = fread(text, 1, FILE_MAX + 1, file);
    ex_code code = ferror(file) ? ex_fail_system(error, path, "read") : EX_OK;
    fclose(file);
    if (code == EX_OK && length > FILE_MAX)
        code = ex_fail(error, EX_ERROR_FORMAT, 0, "%s: longer than %d bytes: this is no policy file", path, FILE_MAX);
    if (code == EX_OK) code = ex_policy_parse(policy, text, length, path, error);
    free(text);
    return code;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

typedef struct policy_writer {
    char *text;
    size_t size, length; /* `length` counts what does not fit too */
} policy_writer;

static void put(policy_writer *writer, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++, writer->length++)
        if (writer->length + 1 < writer->size) writer->text[writer->length] = text[i];
}

static void put_quoted(policy_writer *writer, const char *text) {
    put(writer, "\"", 1);
    for (; *text; text++) {
        const char *escaped = *text == '\n' ? "\\n" : *text == '\t' ? "\\t" : *text == '"' ? "\\\"" : "\\\\";
        bool plain = *text != '\n' && *text != '\t' && *text != '"' && *text != '\\';
        put(writer, plain ? text : escaped, plain ? 1 : 2);
    }
    put(writer, "\"", 1);
}

void ex_policy_format(const ex_policy *policy, char *text, size_t size, size_t *length) {
    policy_writer writer = {text, size, 0};
    for (const ex_policy_key_row *row = ex_policy_keys; row->name; row++) {
        char value[VALUE_MAX] = "";
        if (row->kind == EX_POLICY_RULES) continue;
        ex_policy_get(policy, row->name, value, sizeof value, NULL);
        put(&writer, row->name, strlen(row->name));
        put(&writer, " = ", 3);
        if (row->kind == EX_POLICY_TEXT)
            put_quoted(&writer, value);
        else
            put(&writer, value, strlen(value));
        put(&writer, "\n", 1);
    }
    size_t n_rules = strnlen(policy->rules, sizeof policy->rules);
    if (n_rules > 0) put(&writer, "\n", 1);
    put(&writer, policy->rules, n_rules);
    if (size > 0) text[writer.length < size ? writer.length : size - 1] = 0;
    *length = writer.length;
}
