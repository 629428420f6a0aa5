/* manual.c - man pages (roff) and bash completion. */
#include "help.h"

#include <ctype.h>
#include <string.h>

#include "entropix.h"

/* Hyphens become real minus signs, and a leading dot or quote no request. */
static void roff_text(FILE *out, const char *text, size_t length) {
    if (length && (text[0] == '.' || text[0] == '\'')) fputs("\\&", out);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '-')
            fputs("\\-", out);
        else if (text[i] == '\\')
            fputs("\\e", out);
        else
            fputc(text[i], out);
    }
}

static void roff_string(FILE *out, const char *text) { roff_text(out, text, strlen(text)); }

static void roff_lines(FILE *out, const char *text, const char *between) {
    while (*text) {
        size_t length = strcspn(text, "\n");
        roff_text(out, text, length);
        fputc('\n', out);
        text += length;
        if (*text && *++text) fputs(between, out);
    }
}

static void roff_option(FILE *out, const cli_option *option) {
    const char *otherwise = option_default(option);
    char help[OPTION_HELP_SIZE];
    option_help(option, help, sizeof help);
    fputs(".TP\n\\fB", out);
    if (option->letter) fprintf(out, "\\-%c\\fR, \\fB", option->letter);
    if (option->habit) fprintf(out, "\\-%s\\fR, \\fB", option->habit);
    fputs("\\-\\-", out);
    roff_string(out, option->name);
    fputs("\\fR", out);
    if (option->argument) fprintf(out, " \\fI%s\\fR", option->argument);
    fputc('\n', out);
    roff_string(out, help);
    if (*otherwise) {
        fputs(" (default: ", out);
        roff_string(out, otherwise);
        fputc(')', out);
    }
    fputc('\n', out);
}

static void title(FILE *out, const cli_command *command) {
    fputs(".TH ENTROPIX", out);
    if (command) fputs("\\-", out);
    for (const char *at = command ? command->name : ""; *at; at++) fputc(toupper((unsigned char)*at), out);
    fprintf(out, " 1 \"\" \"entropix %s\" \"Entropix\"\n.SH NAME\nentropix", EX_VERSION);
    if (command) fprintf(out, "\\-%s", command->name);
    fputs(" \\- ", out);
    roff_string(out, command ? command->summary : "generate text and decide token by token, from the model's doubt");
    fputs("\n.SH SYNOPSIS\n.B entropix\n", out);
}

static void closing(FILE *out, const cli_command *self) {
    fputs(".SH EXIT STATUS\n", out);
    roff_string(out, help_exit_status);
    fputs("\n.SH ENVIRONMENT\n", out);
    roff_string(out, help_environment);
    fputs("\n.SH SEE ALSO\n", out);
    const char *before = "";
    if (self) fputs("\\fBentropix\\fR(1)", out), before = ", ";
    for (const cli_command *row = command_table; row->name; row++) {
        if (row == self || row->id == COMMAND_HELPER) continue;
        fprintf(out, "%s\\fBentropix\\-%s\\fR(1)", before, row->name);
        before = ", ";
    }
    fputc('\n', out);
}

static void overview_page(FILE *out) {
    title(out, NULL);
    fputs("\\fICOMMAND\\fR [options]\n.SH COMMANDS\n", out);
    for (const cli_command *row = command_table; row->name; row++) {
        if (row->id == COMMAND_HELPER) continue;
        fprintf(out, ".TP\n\\fB%s\\fR\n", row->name);
        roff_string(out, row->summary);
        fputc('\n', out);
    }
    closing(out, NULL);
}

void manual_page(FILE *out, const cli_command *command) {
    if (!command) {
        overview_page(out);
        return;
    }
    title(out, command);
    fprintf(out, "\\fB%s\\fR [options]", command->name);
    if (command->operands[0]) fprintf(out, " \\fI%s\\fR", command->operands);
    fputs("\n.SH DESCRIPTION\n", out);
    roff_lines(out, command->description, ".PP\n");
    fputs(".SH OPTIONS\n", out);
    const char *group = "";
    for (int i = 0; i < OPTION_COUNT; i++) {
        const cli_option *row = &option_table[i];
        if (!(row->commands & command->id)) continue;
        if (strcmp(group, row->group) != 0) fprintf(out, ".SS %s\n", row->group);
        group = row->group;
        roff_option(out, row);
    }
    if (*command->examples) {
        fputs(".SH EXAMPLES\n.nf\n", out);
        roff_lines(out, command->examples, "");
        fputs(".fi\n", out);
    }
    closing(out, command);
}

static void completion_words(FILE *out, const cli_command *command) {
    const char *before = "";
    for (int i = 0; i < OPTION_COUNT; i++) {
        const cli_option *row = &option_table[i];
        if (!(row->commands & command->id)) continue;
        if (row->letter) fprintf(out, "%s-%c", before, row->letter), before = " ";
        fprintf(out, "%s--%s", before, row->name);
        before = " ";
    }
}

/* The cases of one kind, as a pattern of the shell: "run:--model|run:-m|…". */
static void completion_pattern(FILE *out, const cli_option *option) {
    const char *before = "";
    for (const cli_command *command = command_table; command->name; command++) {
        if (!(option->commands & command->id)) continue;
        fprintf(out, "%s%s:--%s", before, command->name, option->name);
        if (option->letter) fprintf(out, "|%s:-%c", command->name, option->letter);
        before = "|";
    }
}

static void completion_names(FILE *out, const cli_option *option) {
    fputs("$(compgen -W '", out);
    for (size_t i = 0; option->names(i); i++) fprintf(out, "%s%s", i ? " " : "", option->names(i));
    fputs("' -- \"$word\") ", out);
}

static void completion_values(FILE *out) {
    for (int i = 0; i < OPTION_COUNT; i++) {
        const cli_option *row = &option_table[i];
        if (row->kind == KIND_FLAG) continue;
        fputs("    ", out);
        completion_pattern(out, row);
        if (row->kind == KIND_FILE) {
            fputs(") COMPREPLY=(", out);
            if (row->names) completion_names(out, row);
            fputs("$(compgen -f -- \"$word\")); return ;;\n", out);
        } else if (row->kind != KIND_CHOICE) {
            fputs(") return ;;\n", out);
        } else {
            fputs(") COMPREPLY=($(compgen -W '", out);
            for (const char *at = row->argument; *at; at++) fputc(*at == '|' ? ' ' : *at, out);
            fputs("' -- \"$word\")); return ;;\n", out);
        }
    }
}

void completion_bash(FILE *out) {
    fputs("# Completion for entropix; made by `entropix completion bash`.\n"
          "_entropix() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '",
          out);
    for (const cli_command *row = command_table; row->name; row++) fprintf(out, "%s ", row->name);
    fputs("--help --version' -- \"$word\"))\n        return\n    fi\n    case $command:$before in\n", out);
    completion_values(out);
    fputs("    esac\n    case $command:$word in\n", out);
    for (const cli_command *row = command_table; row->name; row++) {
        fprintf(out, "    %s:-*) COMPREPLY=($(compgen -W '", row->name);
        completion_words(out, row);
        fputs("' -- \"$word\")) ;;\n", out);
    }
    fputs("    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n    esac\n}\n"
          "complete -o filenames -F _entropix entropix\n",
          out);
}
