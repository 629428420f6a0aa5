/* rules.c - the text of a policy's rules, section by section, and the handle that holds them compiled. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/near_name.h"
#include "sampler/policy_keys.h"
#include "sampler/rule_parse.h"

static const char *const action_names[EX_ACTION_COUNT] = {
    [EX_ACTION_SAMPLE] = "sample", [EX_ACTION_GREEDY] = "greedy",     [EX_ACTION_INSERT] = "insert",
    [EX_ACTION_BRANCH] = "branch", [EX_ACTION_RESAMPLE] = "resample", [EX_ACTION_REWIND] = "rewind",
    [EX_ACTION_TRAP] = "trap",     [EX_ACTION_STOP] = "stop",
};

static const char *const formula_names[EX_FORMULA_COUNT] = {
    [EX_FORMULA_TEMPERATURE] = "temperature", [EX_FORMULA_TOP_P] = "top_p",           [EX_FORMULA_TOP_K] = "top_k",
    [EX_FORMULA_MIN_P] = "min_p",             [EX_FORMULA_CANDIDATES] = "candidates",
};

enum { KEY_WHEN = EX_FORMULA_COUNT, KEY_ACTION, KEY_COUNT };

typedef struct rules_reader {
    ex_rules *rules;
    ex_rule *rule; /* that is being read; NULL before the first */
    ex_rule_text text;
    size_t set_on_line[KEY_COUNT];
} rules_reader;

const char *ex_action_name(ex_action action) {
    return (unsigned)action < EX_ACTION_COUNT ? action_names[action] : "unknown";
}

static const char *key_name(int key) {
    return key == KEY_WHEN ? "when" : key == KEY_ACTION ? "action" : formula_names[key];
}

/* ---- sections ---------------------------------------------------------------------------------------------------- */

static bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static ex_code check_name(const rules_reader *reader, const char *start, size_t length) {
    const ex_rule_text *text = &reader->text;
    if (length == 0) return ex_rule_fail(text, start, "expected the name of a rule: letters, digits, _ and -");
    if (length >= EX_RULE_NAME_MAX)
        return ex_rule_fail(text, start, "the name of a rule has at most %d letters", EX_RULE_NAME_MAX - 1);
    if (length == 5 && memcmp(start, "plain", 5) == 0)
        return ex_rule_fail(text, start, "\"plain\" is the strategy of steps where no rule holds: take another name");
    for (const ex_rule *rule = reader->rules->rules; rule < reader->rules->rules + reader->rules->n_rules; rule++)
        if (strlen(rule->name) == length && memcmp(rule->name, start, length) == 0)
            return ex_rule_fail(text, start, "there is a rule \"%s\" already", rule->name);
    return EX_OK;
}

static const char *skip_blanks(const ex_rule_text *text, const char *at) {
    while (at < text->end && (*at == ' ' || *at == '\t' || *at == '\r')) at++;
    return at;
}

static bool ends_here(const ex_rule_text *text, const char *at) {
    at = skip_blanks(text, at);
    return at == text->end || ex_rule_starts_comment(text, at);
}

/* `[name]`; `at` is after the bracket. */
static ex_code begin_rule(rules_reader *reader, const char *at) {
    ex_rules *rules = reader->rules;
    ex_rule_text *text = &reader->text;
    text->rule = "";
    const char *start = skip_blanks(text, at), *end = start;
    while (end < text->end && is_name_character(*end)) end++;
    size_t length = (size_t)(end - start);
    ex_code code = check_name(reader, start, length);
    if (code != EX_OK) return code;
    end = skip_blanks(text, end);
    if (end == text->end || *end != ']')
        return ex_rule_fail(text, end, "expected ] after the name: letters, digits, _ and -");
    if (!ends_here(text, end + 1)) return ex_rule_fail(text, end + 1, "unexpected text after ]");
    if (rules->n_rules == EX_RULE_COUNT_MAX)
        return ex_rule_fail(text, start, "there are more than %d rules", EX_RULE_COUNT_MAX);
    if (reader->rule && reader->rule->condition.count == 0)
        return ex_rule_fail(text, start, "this rule can never be reached: rule %s above it has no condition",
                            reader->rule->name);
    reader->rule = &rules->rules[rules->n_rules++];
    memcpy(reader->rule->name, start, length);
    reader->rule->words = "";
    text->rule = reader->rule->name;
    memset(reader->set_on_line, 0, sizeof reader->set_on_line);
    return EX_OK;
}

static ex_code fail_key(const rules_reader *reader, const char *start, size_t length) {
    ex_near_name near = {.typed = start, .length = length};
    char advice[80];
    for (int key = 0; key < KEY_COUNT; key++) ex_near_name_try(&near, key_name(key));
    for (const ex_policy_key_row *row = ex_policy_keys; row->name; row++)
        if (strlen(row->name) == length && memcmp(row->name, start, length) == 0)
            return ex_rule_fail(&reader->text, start, "%s is a key of the policy: it must come before all rules",
                                row->name);
    return ex_rule_fail(&reader->text, start, "a rule has no key \"%.*s\"%s", (int)(length < 40 ? length : 40), start,
                        near.nearest ? ex_near_name_advice(&near, advice, sizeof advice)
                                     : "; there are when, action, temperature, top_p, top_k, min_p and candidates");
}

/* The condition as written, for those who show it. */
static void keep_words(rules_reader *reader, const char *start) {
    ex_rules *rules = reader->rules;
    const char *end = start;
    while (!ends_here(&reader->text, end)) end++;
    reader->rule->words = rules->text + rules->n_text;
    memcpy(rules->text + rules->n_text, start, (size_t)(end - start));
    rules->n_text += (size_t)(end - start) + 1;
}

static ex_code read_condition(rules_reader *reader) {
    size_t n_until = reader->rules->n_until;
    const char *start = skip_blanks(&reader->text, reader->text.at);
    ex_code code = ex_rule_parse(reader->rules, &reader->text, EX_VALUE_TRUTH, &reader->rule->condition);
    if (code != EX_OK) return code;
    reader->rule->has_until = reader->rules->n_until > n_until;
    keep_words(reader, start);
    return EX_OK;
}

static ex_code read_action(rules_reader *reader) {
    ex_rule_text *text = &reader->text;
    const char *start = skip_blanks(text, text->at), *end = start;
    while (end < text->end && is_name_character(*end)) end++;
    ex_near_name near = {.typed = start, .length = (size_t)(end - start)};
    for (int i = 0; i < EX_ACTION_COUNT && ends_here(text, end); i++) {
        if (strlen(action_names[i]) == near.length && memcmp(action_names[i], start, near.length) == 0) {
            reader->rule->action = (ex_action)i;
            return EX_OK;
        }
        ex_near_name_try(&near, action_names[i]);
    }
    char advice[80];
    return ex_rule_fail(text, start,
                        "expected an action: sample, greedy, insert, branch, resample, rewind, trap or stop%s",
                        ex_near_name_advice(&near, advice, sizeof advice));
}

static ex_code read_setting(rules_reader *reader, const char *start) {
    ex_rule_text *text = &reader->text;
    const char *end = start;
    while (end < text->end && is_name_character(*end)) end++;
    size_t length = (size_t)(end - start);
    int key = 0;
    while (key < KEY_COUNT && (strlen(key_name(key)) != length || memcmp(key_name(key), start, length) != 0)) key++;
    end = skip_blanks(text, end);
    if (end == text->end || *end != '=') return ex_rule_fail(text, start, "expected `key = value` or `[rule]`");
    if (key == KEY_COUNT) return fail_key(reader, start, length);
    if (reader->set_on_line[key] > 0)
        return ex_rule_fail(text, start, "%s was set before, in line %zu", key_name(key), reader->set_on_line[key]);
    reader->set_on_line[key] = text->line;
    text->at = end + 1;
    if (key == KEY_WHEN) return read_condition(reader);
    if (key == KEY_ACTION) return read_action(reader);
    return ex_rule_parse(reader->rules, text, EX_VALUE_NUMBER, &reader->rule->formulas[key]);
}

static ex_code read_line(rules_reader *reader) {
    const ex_rule_text *text = &reader->text;
    const char *start = skip_blanks(text, text->begin);
    if (ends_here(text, start)) return EX_OK;
    if (*start == '[') return begin_rule(reader, start + 1);
    if (!reader->rule) return ex_rule_fail(text, start, "expected a section `[rule]`");
    return read_setting(reader, start);
}

ex_code ex_rules_compile(ex_rules *rules, const char *text, size_t length, const char *name, size_t line,
                         ex_error *error) {
    rules_reader reader = {.rules = rules, .text = {.name = name, .line = line, .rule = "", .error = error}};
    const char *end = text + length;
    rules->window = 1;
    for (; text < end; reader.text.line++) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        reader.text.begin = text;
        reader.text.end = line_end ? line_end : end;
        ex_code code = read_line(&reader);
        if (code != EX_OK) return code;
        text = line_end ? line_end + 1 : end;
    }
    return EX_OK;
}

/* ---- text as policies hold it ------------------------------------------------------------------------------------ */

static const char *line_end_of(const char *text, const char *end) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    return newline ? newline : end;
}

/* Comments above the first section belong to the file. Returns how many lines were skipped. */
static size_t skip_to_section(const char **text, const char *end) {
    size_t n_lines = 0;
    while (*text < end) {
        ex_rule_text line = {.begin = *text, .end = line_end_of(*text, end)};
        if (!ends_here(&line, *text)) break;
        *text = line.end < end ? line.end + 1 : end;
        n_lines++;
    }
    return n_lines;
}

ex_code ex_rules_clean(char out[EX_RULES_MAX], const char *text, size_t length, const char *name, size_t line,
                       ex_error *error) {
    const char *end = text + length;
    size_t used = 0, said = 0; /* `said`: up to the last line with anything in it */
    line += skip_to_section(&text, end);
    char *clean = ex_allocate(EX_RULES_MAX, 1);
    ex_rules *rules = ex_allocate(1, sizeof *rules);
    ex_code code = clean && rules ? EX_OK : ex_fail_memory(error, "the rules of a policy");
    while (code == EX_OK && text < end) {
        const char *line_end = line_end_of(text, end), *last = line_end;
        while (last > text && (last[-1] == ' ' || last[-1] == '\t' || last[-1] == '\r')) last--;
        size_t n = (size_t)(last - text);
        if (n > 0 && used + n + 1 >= EX_RULES_MAX)
            code = ex_fail(error, EX_ERROR_ARGUMENT, line, "%.80s: the rules have more than %d bytes", name,
                           EX_RULES_MAX - 1);
        else if (used + n + 1 < EX_RULES_MAX) {
            memcpy(clean + used, text, n);
            used += n + 1;
            clean[used - 1] = '\n';
            if (n > 0) said = used;
        }
        text = line_end < end ? line_end + 1 : end;
    }
    if (code == EX_OK) code = ex_rules_compile(rules, clean, said, name, line, error);
    if (code == EX_OK) {
        memset(out, 0, EX_RULES_MAX);
        memcpy(out, clean, said);
    }
    free(clean);
    free(rules);
    return code;
}

/* ---- the handle -------------------------------------------------------------------------------------------------- */

ex_code ex_rules_open(ex_rules **out, const ex_policy *policy, ex_error *error) {
    *out = NULL;
    ex_rules *rules = ex_allocate(1, sizeof *rules);
    if (!rules) return ex_fail_memory(error, "the rules of a policy");
    size_t length = policy->strategies ? strnlen(policy->rules, EX_RULES_MAX) : 0;
    ex_code code = ex_rules_compile(rules, policy->rules, length, "rules", 1, error);
    if (code != EX_OK) {
        free(rules);
        return code;
    }
    *out = rules;
    return EX_OK;
}

void ex_rules_close(ex_rules *rules) { free(rules); }

size_t ex_rules_count(const ex_rules *rules) { return rules->n_rules; }

const char *ex_rules_name(const ex_rules *rules, size_t index) {
    return index < rules->n_rules ? rules->rules[index].name : "plain";
}

const char *ex_rules_condition(const ex_rules *rules, size_t index) {
    return index < rules->n_rules ? rules->rules[index].words : "";
}

ex_action ex_rules_action(const ex_rules *rules, size_t index) {
    return index < rules->n_rules ? rules->rules[index].action : EX_ACTION_SAMPLE;
}

size_t ex_rules_window(const ex_rules *rules) { return rules->window; }

bool ex_rules_may(const ex_rules *rules, ex_action action) {
    for (size_t i = 0; i < rules->n_rules; i++)
        if (rules->rules[i].action == action) return true;
    return false;
}
