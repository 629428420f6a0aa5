/* report_table.c - tables are collected before they are written: a column without a value is left out. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report_page.h"

static bool grow(eval_table *table) {
    if (table->n_cells < table->capacity) return true;
    const size_t capacity = table->capacity ? 2 * table->capacity : 64;
    char **cells = realloc(table->cells, capacity * sizeof *cells);
    if (!cells) return false;
    table->cells = cells;
    bool *bold = realloc(table->bold, capacity * sizeof *bold);
    if (!bold) return false;
    table->bold = bold;
    table->capacity = capacity;
    return true;
}

static void add(eval_table *table, bool bold, const char *format, va_list arguments) EX_PRINTF(3, 0);

static void add(eval_table *table, bool bold, const char *format, va_list arguments) {
    char *text = NULL;
    if (table->failed || !grow(table) || vasprintf(&text, format, arguments) < 0) {
        table->failed = true;
        return;
    }
    table->cells[table->n_cells] = text;
    table->bold[table->n_cells++] = bold;
}

void eval_table_cell(eval_table *table, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(table, false, format, arguments);
    va_end(arguments);
}

void eval_table_bold_cell(eval_table *table, bool bold, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(table, bold, format, arguments);
    va_end(arguments);
}

double eval_round(double value, int digits) {
    return fabs(value) < 0.5 * pow(10, -digits) ? 0 : value;
}

const char *eval_format_interval(char buffer[EVAL_INTERVAL_SIZE], eval_interval of, double scale, int digits,
                                 bool sign) {
    const double value = eval_round(scale * of.value, digits), low = eval_round(scale * of.low, digits);
    const double high = eval_round(scale * of.high, digits);
    if (isnan(of.value)) snprintf(buffer, EVAL_INTERVAL_SIZE, "-");
    else if (isnan(low + high))
        snprintf(buffer, EVAL_INTERVAL_SIZE, sign ? "%+.*f" : "%.*f", digits, value);
    else
        snprintf(buffer, EVAL_INTERVAL_SIZE, sign ? "%+.*f [%+.*f, %+.*f]" : "%.*f [%.*f, %.*f]", digits,
                 value, digits, low, digits, high);
    return buffer;
}

void eval_table_interval(eval_table *table, bool bold, eval_interval of, double scale, int digits, bool sign) {
    char text[EVAL_INTERVAL_SIZE];
    eval_format_interval(text, of, scale, digits, sign);
    eval_table_bold_cell(table, bold && !isnan(of.value), "%s", text);
}

void eval_table_number(eval_table *table, double value, double scale, int digits) {
    if (isnan(value)) eval_table_cell(table, "-");
    else eval_table_cell(table, "%.*f", digits, scale * value);
}

static bool has_values(const eval_table *table, size_t column) {
    for (size_t i = column; i < table->n_cells; i += table->n_columns)
        if (strcmp(table->cells[i], "-") != 0) return true;
    return column == 0;
}

static void write_header(const eval_page *page, const eval_table *table, const bool *shown) {
    FILE *out = page->out;
    fputs(page->is_html ? "<div class=\"table\"><table>\n<thead><tr>" : "|", out);
    for (size_t i = 0; i < table->n_columns; i++) {
        if (!shown[i]) continue;
        if (page->is_html) fprintf(out, "<th scope=\"col\"%s>", table->columns[i].is_number ? " class=\"n\"" : "");
        else fputc(' ', out);
        (page->is_html ? eval_write_xml : eval_write_markdown)(out, table->columns[i].name);
        fputs(page->is_html ? "</th>" : " |", out);
    }
    fputs(page->is_html ? "</tr></thead>\n<tbody>\n" : "\n|", out);
    for (size_t i = 0; !page->is_html && i < table->n_columns; i++)
        if (shown[i]) fputs(table->columns[i].is_number ? "---:|" : "---|", out);
    if (!page->is_html) fputc('\n', out);
}

/* Numbers are ours, and read better without the backslashes that texts of others need. */
static void write_markdown_cell(FILE *out, const char *text, bool bold, bool is_number) {
    fputs(bold ? " **" : " ", out);
    if (is_number) fputs(text, out);
    else eval_write_markdown(out, text);
    fputs(bold ? "** |" : " |", out);
}

static void write_html_cell(FILE *out, const char *text, bool bold, bool is_number) {
    const char *open = strchr(text, '[');
    fprintf(out, "<td%s>%s", is_number ? " class=\"n\"" : "", bold ? "<b>" : "");
    if (is_number && open && open > text) {
        fprintf(out, "%.*s%s<span class=\"ci\">", (int)(open - text), text, bold ? "</b>" : "");
        eval_write_xml(out, open);
        fputs("</span></td>", out);
        return;
    }
    eval_write_xml(out, text);
    fputs(bold ? "</b></td>" : "</td>", out);
}

static void write_row(const eval_page *page, const eval_table *table, size_t first, const bool *shown) {
    fputs(page->is_html ? "<tr>" : "|", page->out);
    for (size_t i = 0; i < table->n_columns && first + i < table->n_cells; i++) {
        if (!shown[i]) continue;
        const char *text = table->cells[first + i];
        if (page->is_html) write_html_cell(page->out, text, table->bold[first + i], table->columns[i].is_number);
        else write_markdown_cell(page->out, text, table->bold[first + i], table->columns[i].is_number);
    }
    fputs(page->is_html ? "</tr>\n" : "\n", page->out);
}

void eval_page_table(eval_page *page, eval_table *table) {
    bool shown[EVAL_COLUMNS_MAX];
    for (size_t i = 0; i < table->n_columns; i++) shown[i] = has_values(table, i);
    if (!table->failed && table->n_cells) {
        write_header(page, table, shown);
        for (size_t i = 0; i < table->n_cells; i += table->n_columns) write_row(page, table, i, shown);
        fputs(page->is_html ? "</tbody></table></div>\n" : "\n", page->out);
    }
    page->failed |= table->failed;
    for (size_t i = 0; i < table->n_cells; i++) free(table->cells[i]);
    free(table->cells);
    free(table->bold);
    *table = (eval_table){0};
}
