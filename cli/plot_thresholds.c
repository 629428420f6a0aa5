/* plot_thresholds.c - the lines of the plane: what the rules of a policy compare entropy and varentropy with. Rules are
 * an expression language; of it, comparisons of a metric by itself with a number or a key are lines in the plane. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plot_trace.h"

enum { WORD_SIZE = 40 };

typedef struct collector {
    const plot_trace *trace;
    const char *policy;
    plot_threshold *thresholds;
    size_t count;
} collector;

static const char *skip_blanks(const char *at) {
    while (*at == ' ' || *at == '\t') at++;
    return at;
}

static const char *next_line(const char *at) {
    at += strcspn(at, "\n");
    return *at ? at + 1 : at;
}

/* The value of `key` in the line, or NULL when the line is about something else. */
static const char *value_in(const char *line, const char *key) {
    size_t length = strlen(key);
    line = skip_blanks(line);
    if (strncmp(line, key, length) != 0) return NULL;
    line = skip_blanks(line + length);
    return *line == '=' ? skip_blanks(line + 1) : NULL;
}

static const char *value_of(const char *policy, const char *key) {
    for (const char *line = policy; *line; line = next_line(line)) {
        const char *value = value_in(line, key);
        if (value) return value;
        if (*skip_blanks(line) == '[') break;
    }
    return NULL;
}

bool plot_looks_at_sequence(const char *policy) {
    const char *value = value_of(policy, "varentropy");
    return value && strncmp(value, "sequence", 8) == 0;
}

static bool same_metric(const collector *c, const char *word, plot_value *metric) {
    bool entropy = strcmp(word, "logits_entropy") == 0;
    bool varentropy = strcmp(word, "varentropy") == 0 || strcmp(word, plot_value_names[plot_varentropy(c->trace)]) == 0;
    *metric = entropy ? PLOT_ENTROPY : plot_varentropy(c->trace);
    return entropy || varentropy;
}

static void add(collector *c, plot_value metric, double value, const char *name) {
    for (size_t i = 0; i < c->count; i++) {
        plot_threshold *other = &c->thresholds[i];
        if (other->metric != metric || other->value != value) continue;
        size_t used = strlen(other->label);
        if (*name && !strstr(other->label, name))
            snprintf(other->label + used, sizeof other->label - used, "%s%s", used ? ", " : "", name);
        return;
    }
    if (c->count == PLOT_THRESHOLDS_MAX) return;
    plot_threshold *threshold = &c->thresholds[c->count++];
    *threshold = (plot_threshold){.metric = metric, .value = value};
    snprintf(threshold->label, sizeof threshold->label, "%s", name);
}

/* A number, or a key that has one. */
static bool operand(const collector *c, const char *word, double *value, const char **name) {
    bool literal = isdigit((unsigned char)word[0]) || word[0] == '.';
    const char *text = literal ? word : value_of(c->policy, word);
    char *end;
    if (!text) return false;
    *value = strtod(text, &end);
    *name = literal ? "" : word;
    return end != text && isfinite(*value);
}

static bool is_comparison(const char *word) { return word[0] == '<' || word[0] == '>'; }
static bool is_arithmetic(const char *word) { return word[0] && strchr("+-*/", word[0]) != NULL; }

/* words: what stands before the comparison's left side, left, operator, right, and what follows. */
static void compare(collector *c, char words[5][WORD_SIZE]) {
    plot_value metric;
    double value;
    const char *name;
    if (!is_comparison(words[2]) || is_arithmetic(words[0]) || is_arithmetic(words[4])) return;
    if (same_metric(c, words[1], &metric) && operand(c, words[3], &value, &name)) add(c, metric, value, name);
    else if (same_metric(c, words[3], &metric) && operand(c, words[1], &value, &name)) add(c, metric, value, name);
}

static const char *next_word(const char *at, char word[WORD_SIZE]) {
    at = skip_blanks(at);
    size_t n = 0;
    if (*at == '<' || *at == '>') n = at[1] == '=' ? 2 : 1;
    else while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == '.') n++;
    if (n == 0 && *at && !strchr("\n;#", *at)) n = 1;
    size_t kept = n < WORD_SIZE ? n : WORD_SIZE - 1;
    memcpy(word, at, kept);
    word[kept] = '\0';
    return at + n;
}

static void scan_condition(collector *c, const char *at) {
    char words[5][WORD_SIZE] = {{0}};
    int after_end = 0; /* the last comparison has nothing behind it */
    while (after_end < 2) {
        memmove(words[0], words[1], sizeof words - sizeof words[0]);
        at = next_word(at, words[4]);
        if (!words[4][0]) after_end++;
        compare(c, words);
    }
}

size_t plot_thresholds(const plot_trace *trace, plot_threshold thresholds[PLOT_THRESHOLDS_MAX]) {
    static const char *const entropies[] = {"low_entropy", "clarify_entropy", "explore_entropy", "high_entropy"};
    static const char *const varentropies[] = {"low_varentropy", "high_varentropy"};
    collector c = {.trace = trace, .policy = trace->n_runs ? trace->runs[0].policy : "", .thresholds = thresholds};
    bool in_section = false;
    for (const char *line = c.policy; *line; line = next_line(line)) {
        if (*skip_blanks(line) == '[') in_section = true;
        const char *condition = in_section ? value_in(line, "when") : NULL;
        if (condition) scan_condition(&c, condition);
    }
    const char *strategies = value_of(c.policy, "strategies");
    if (in_section || (strategies && strncmp(strategies, "false", 5) == 0)) return c.count;
    double value;
    const char *name;
    for (size_t i = 0; i < sizeof entropies / sizeof *entropies; i++)
        if (operand(&c, entropies[i], &value, &name)) add(&c, PLOT_ENTROPY, value, name);
    for (size_t i = 0; i < sizeof varentropies / sizeof *varentropies; i++)
        if (operand(&c, varentropies[i], &value, &name)) add(&c, plot_varentropy(trace), value, name);
    return c.count;
}
