/* help.c - help on three levels, none wider than 100 columns. */
#include "help.h"

#include <string.h>

#include "entropix.h"

enum { COLUMNS = 100, OPTION_COLUMN = 32, COMMAND_COLUMN = 13 };

const char help_exit_status[] =
    "0 when all went well, 1 when the program itself failed (memory), 2 for bad input or usage and for output that "
    "could not be written, 3 when a rule with the action `trap` found the model too uncertain to go on (run), 130 "
    "after Ctrl-C.";
const char help_environment[] =
    "ENTROPIX_MODEL names the model to use without -m. NO_COLOR switches colours off. XDG_STATE_HOME says where chat "
    "keeps its history.";

/* Prints words from column `at` on, breaking lines before COLUMNS; the following lines are indented by `indent`. */
static void wrap(FILE *out, const char *text, int at, int indent) {
    bool fresh = true;
    while (*text) {
        int length = (int)strcspn(text, " \n");
        if (!fresh && at + 1 + length > COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
            fresh = true;
        }
        at += fprintf(out, "%s%.*s", fresh ? "" : " ", length, text);
        fresh = false;
        text += length;
        if (*text == '\n') {
            fprintf(out, "\n\n%*s", text[1] ? indent : 0, "");
            at = indent;
            fresh = true;
        }
        if (*text) text++;
    }
    fputc('\n', out);
}

void option_help(const cli_option *option, char *text, size_t size) {
    size_t length = (size_t)snprintf(text, size, "%s", option->help);
    for (size_t i = 0; option->names && option->names(i) && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i == 0 ? ": " : ", ", option->names(i));
}

const char *option_default(const cli_option *option) { return option->value ? option->value : option->otherwise; }

static int option_head(char *buffer, size_t size, const cli_option *option) {
    char letter[16] = "    ";
    if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    if (option->habit) snprintf(letter, sizeof letter, "-%s, ", option->habit);
    return snprintf(buffer, size, "  %s--%s%s%s", letter, option->name, option->argument ? " " : "",
                    option->argument ? option->argument : "");
}

static void help_option(FILE *out, const cli_option *option) {
    char head[80], help[OPTION_HELP_SIZE], text[OPTION_HELP_SIZE + 120];
    int width = option_head(head, sizeof head, option);
    const char *otherwise = option_default(option);
    fputs(head, out);
    if (width + 1 >= OPTION_COLUMN)
        fprintf(out, "\n%*s", OPTION_COLUMN, "");
    else
        fprintf(out, "%*s", OPTION_COLUMN - width, "");
    option_help(option, help, sizeof help);
    snprintf(text, sizeof text, *otherwise ? "%s (default: %s)" : "%s", help, otherwise);
    wrap(out, text, OPTION_COLUMN, OPTION_COLUMN);
}

static void usage_line(FILE *out, const cli_command *command) {
    fprintf(out, "usage: entropix %s [options]%s%s\n", command->name, *command->operands ? " " : "", command->operands);
}

/* "[-m FILE]", by the letter where there is one. */
static int usage_entry(char *buffer, size_t size, const cli_option *option) {
    char name[64];
    if (option->letter) snprintf(name, sizeof name, "-%c", option->letter);
    else snprintf(name, sizeof name, "--%s", option->name);
    return snprintf(buffer, size, " [%s%s%s]", name, option->argument ? " " : "",
                    option->argument ? option->argument : "");
}

void help_usage(FILE *out, const cli_command *command) {
    static const char margin[] = "      ";
    usage_line(out, command);
    int at = 0;
    for (int i = 0; i < OPTION_COUNT; i++) {
        char entry[100];
        if (!(option_table[i].commands & command->id)) continue;
        int width = usage_entry(entry, sizeof entry, &option_table[i]);
        bool full = at + width > COLUMNS;
        if (full) fputc('\n', out);
        if (full || at == 0) at = fprintf(out, "%s", margin);
        at += fprintf(out, "%s", entry);
    }
    fputs("\n\n", out);
    wrap(out, command->summary, 0, 0);
    fprintf(out, "`entropix %s --help` explains every option\n", command->name);
}

void help_command(FILE *out, const cli_command *command) {
    usage_line(out, command);
    fputc('\n', out);
    wrap(out, command->description, 0, 0);
    const char *group = "";
    for (int i = 0; i < OPTION_COUNT; i++) {
        const cli_option *row = &option_table[i];
        if (!(row->commands & command->id)) continue;
        if (strcmp(group, row->group) != 0) fprintf(out, "\n%s\n", row->group);
        group = row->group;
        help_option(out, row);
    }
    if (*command->examples) {
        fputs("\nExamples\n", out);
        for (const char *line = command->examples; *line;) {
            int length = (int)strcspn(line, "\n");
            fprintf(out, "  %.*s\n", length, line);
            line += length + (line[length] == '\n');
        }
    }
    fputs("\nExit status\n  ", out);
    wrap(out, help_exit_status, 2, 2);
}

void help_overview(FILE *out) {
    fputs("entropix generates text with a language model and decides token by token, from the model's own\n"
          "doubt, how to choose the next one.\n\nusage: entropix COMMAND [options]\n\nCommands\n",
          out);
    for (const cli_command *row = command_table; row->name; row++) {
        if (row->id == COMMAND_HELPER) continue;
        fprintf(out, "  %-*s", COMMAND_COLUMN - 2, row->name);
        wrap(out, row->summary, COMMAND_COLUMN, COMMAND_COLUMN);
    }
    fputs("\n`entropix COMMAND -h` shows a command's options in short, `entropix COMMAND --help` in full.\n"
          "`entropix help`, `entropix --version`, `entropix man [COMMAND]` (roff), `entropix completion bash`.\n"
          "\nExit status\n  ",
          out);
    wrap(out, help_exit_status, 2, 2);
    fputs("\nEnvironment\n  ", out);
    wrap(out, help_environment, 2, 2);
}
