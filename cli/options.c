/* options.c - reads arguments by the table: unknown options and values out of range are errors that say what is meant.
 */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

enum { WORD_MAX = 64 };

static int least(int a, int b) { return a < b ? a : b; }

int edit_distance(const char *a, const char *b) {
    size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a >= WORD_MAX || n_b >= WORD_MAX) return WORD_MAX;
    int row[WORD_MAX];
    for (size_t j = 0; j <= n_b; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n_a; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n_b; j++) {
            int substitute = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(substitute, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[n_b];
}

/* Nearer means fewer edits, and at most a third of the word plus one. A shared beginning counts as near. */
static int nearness(const char *typed, const char *name) {
    int distance = edit_distance(typed, name);
    size_t length = strlen(typed);
    if (length >= 3 && strncmp(typed, name, length) == 0) return 1;
    return distance <= (int)(length / 3 + 1) ? distance : WORD_MAX;
}

const cli_command *command_find(const char *name) {
    for (const cli_command *row = command_table; row->name; row++)
        if (strcmp(row->name, name) == 0) return row;
    return NULL;
}

const char *command_nearest(const char *name) {
    const char *nearest = NULL;
    int best = WORD_MAX;
    for (const cli_command *row = command_table; row->name; row++) {
        int distance = nearness(name, row->name);
        if (distance >= best) continue;
        best = distance;
        nearest = row->name;
    }
    return nearest;
}

static const cli_option *find_by_name(const char *name, size_t length, unsigned commands) {
    for (int i = 0; i < OPTION_COUNT; i++) {
        const cli_option *row = &option_table[i];
        if ((row->commands & commands) && strlen(row->name) == length && strncmp(row->name, name, length) == 0)
            return row;
    }
    return NULL;
}

static const cli_option *find_by_letter(char letter, unsigned commands) {
    for (int i = 0; i < OPTION_COUNT; i++)
        if ((option_table[i].commands & commands) && option_table[i].letter == letter) return &option_table[i];
    return NULL;
}

static const cli_option *find_by_habit(const char *name, unsigned commands) {
    for (int i = 0; i < OPTION_COUNT; i++) {
        const cli_option *row = &option_table[i];
        if ((row->commands & commands) && row->habit && strcmp(row->habit, name) == 0) return row;
    }
    return NULL;
}

static const char *first_command_with(unsigned commands) {
    for (const cli_command *row = command_table; row->name; row++)
        if (row->id & commands) return row->name;
    return "";
}

static const char *nearest_option(const char *name, unsigned commands) {
    const char *nearest = NULL;
    int best = WORD_MAX;
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (!(option_table[i].commands & commands)) continue;
        int distance = nearness(name, option_table[i].name);
        if (distance >= best) continue;
        best = distance;
        nearest = option_table[i].name;
    }
    return nearest;
}

static bool refuse_unknown(const cli_command *command, const char *argument) {
    char name[WORD_MAX];
    size_t dashes = strspn(argument, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument + dashes, "="), argument + dashes);
    int shown = (int)strcspn(argument, "=");
    const cli_option *elsewhere = dashes == 1 && strlen(name) == 1 ? find_by_letter(name[0], COMMAND_ANY)
                                                                   : find_by_name(name, strlen(name), COMMAND_ANY);
    const char *nearest = nearest_option(name, command->id);
    if (elsewhere)
        message("%s has no option %.*s (%s has); `entropix %s --help` lists what there is", command->name, shown,
                argument, first_command_with(elsewhere->commands), command->name);
    else if (nearest)
        message("%s has no option %.*s; did you mean --%s?", command->name, shown, argument, nearest);
    else
        message("%s has no option %.*s; `entropix %s --help` lists what there is", command->name, shown, argument,
                command->name);
    return false;
}

static bool has_choice(const char *choices, const char *word) {
    size_t length = strlen(word);
    for (const char *at = choices; *at;) {
        size_t n = strcspn(at, "|");
        if (n == length && strncmp(at, word, n) == 0) return true;
        at += n + (at[n] == '|');
    }
    return false;
}

static bool set_number(option_value *value, const cli_option *row, const char *text) {
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (end == text || *end || isnan(number)) {
        message("--%s needs a number, not '%s'", row->name, text);
        return false;
    }
    if (row->kind == KIND_INTEGER && number != floor(number)) {
        message("--%s needs a whole number, not '%s'", row->name, text);
        return false;
    }
    if (number < row->minimum || number > row->maximum) {
        message("--%s is %s, but must be from %.16g to %.16g", row->name, text, row->minimum, row->maximum);
        return false;
    }
    value->number = number;
    value->integer = row->kind == KIND_INTEGER ? (int64_t)number : 0;
    return true;
}

static bool set_value(option_value *value, const cli_option *row, const char *text) {
    if (row->kind == KIND_CHOICE && !has_choice(row->argument, text)) {
        message("--%s is '%s', but must be one of %s", row->name, text, row->argument);
        return false;
    }
    if ((row->kind == KIND_INTEGER || row->kind == KIND_NUMBER) && !set_number(value, row, text)) return false;
    value->text = text;
    if (!row->repeats) return true;
    if (value->n_texts == REPEATS_MAX) {
        message("--%s can be given %d times at most", row->name, REPEATS_MAX);
        return false;
    }
    value->texts[value->n_texts++] = text;
    return true;
}

/* What concerns the policy is kept in order, so that of two that set one key the later wins. */
static bool record_setting(cli_options *out, const cli_option *row, const char *text) {
    if (!row->policy_key && row != &option_table[OPTION_SET]) return true;
    if (out->n_settings == SETTINGS_MAX) {
        message("more than %d options that set a key of the policy; put them into a policy file", SETTINGS_MAX);
        return false;
    }
    out->settings[out->n_settings++] = (policy_setting){row, text};
    return true;
}

static bool set_defaults(cli_options *out, command_id command) {
    for (int i = 0; i < OPTION_COUNT; i++) {
        const cli_option *row = &option_table[i];
        if (!(row->commands & command) || !row->value) continue;
        if (!set_value(&out->values[i], row, row->value)) return false;
    }
    return true;
}

/* Reads the option at arguments[*at] and moves *at past its value. */
static bool parse_option(cli_options *out, const cli_command *command, int n_arguments, char **arguments, int *at) {
    const char *argument = arguments[*at];
    const char *attached = NULL;
    const cli_option *row;
    if (argument[1] == '-') {
        size_t length = strcspn(argument + 2, "=");
        row = find_by_name(argument + 2, length, command->id);
        if (argument[2 + length] == '=') attached = argument + 3 + length;
    } else if (!(row = find_by_habit(argument + 1, command->id))) {
        row = find_by_letter(argument[1], command->id);
        if (argument[2]) attached = argument + 2;
        if (row && row->kind == KIND_FLAG && attached) row = NULL;
    }
    if (!row) return refuse_unknown(command, argument);
    option_value *value = &out->values[row - option_table];
    value->given = true;
    if (row->kind == KIND_FLAG) {
        if (attached) message("--%s takes no value", row->name);
        return !attached;
    }
    if (!attached && *at + 1 >= n_arguments) {
        message("--%s needs a value: %s", row->name, row->argument);
        return false;
    }
    const char *text = attached ? attached : arguments[++*at];
    return set_value(value, row, text) && record_setting(out, row, text);
}

static bool wants_help(const cli_options *out) {
    return option_flag(out, OPTION_HELP) || option_flag(out, OPTION_USAGE);
}

bool options_parse(cli_options *out, const cli_command *command, int n_arguments, char **arguments) {
    memset(out, 0, sizeof *out);
    if (!set_defaults(out, command->id)) return false;
    bool only_operands = false;
    for (int at = 0; at < n_arguments; at++) {
        const char *argument = arguments[at];
        if (!only_operands && strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argument[0] == '-' && argument[1]) {
            if (!parse_option(out, command, n_arguments, arguments, &at)) return false;
        } else if (out->n_operands < command->maximum_operands) {
            out->operands[out->n_operands++] = argument;
        } else {
            message("%s takes no argument '%s'; `entropix %s --help` shows the usage", command->name, argument,
                    command->name);
            return false;
        }
    }
    if (out->n_operands < command->minimum_operands && !wants_help(out)) {
        message("%s needs %s; `entropix %s --help` shows the usage", command->name, command->operands, command->name);
        return false;
    }
    return true;
}
