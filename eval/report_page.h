/* report_page.h - a report as headings, paragraphs, tables and lists,
    written once and read as Markdown or as HTML. HTML is
 * well-formed XML, and no text that is given can become a tag or a table's end. */
#ifndef EVAL_REPORT_PAGE_H
#define EVAL_REPORT_PAGE_H

#include <stdio.h>

#include "statistics.h"
#include "entropix.h"

typedef struct eval_page {
    FILE *out;
    bool is_html;
    bool failed;        /* memory was out */
    size_t n_charts;    /* so far: their elements have numbers */
} eval_page;

/* Text as it can stand in XML: markup escaped, control characters and broken UTF-8 replaced. Blanks for line ends. */
void eval_write_xml(FILE *out, const char *text);
/* The same for a paragraph or a cell of GitHub's Markdown. */
void eval_write_markdown(FILE *out, const char *text);

void eval_page_heading(eval_page *page, int level, const char *anchor, const char *text);
void eval_page_paragraph(eval_page *page, const char *format, ...) EX_PRINTF(2, 3);
void eval_page_note(eval_page *page, const char *format, ...) EX_PRINTF(2, 3); /* smaller: how numbers were made */
/* A list of sentences. */
void eval_page_list_begin(eval_page *page);
void eval_page_item(eval_page *page, const char *format, ...) EX_PRINTF(2, 3);
void eval_page_list_end(eval_page *page);
/* What follows is folded away in HTML, below a heading otherwise. */
void eval_page_fold_begin(eval_page *page, const char *title);
void eval_page_fold_end(eval_page *page);

/* As it is, but 0 where that many digits would show "-0". */
double eval_round(double value, int digits);

enum { EVAL_INTERVAL_SIZE = 96 };
/* "12.3 [10.1, 14.2]", of `scale` times the interval; "-" for what is not known, no brackets where it has no ends. */
const char *eval_format_interval(char buffer[EVAL_INTERVAL_SIZE], eval_interval interval, double scale, int digits,
                                 bool sign);

/* ---- tables ---- */

enum { EVAL_COLUMNS_MAX = 12 };

typedef struct eval_column {
    const char *name;
    bool is_number; /* set to the right */
} eval_column;

typedef struct eval_table {
    const eval_column *columns;
    size_t n_columns;
    char **cells; /* row after row */
    bool *bold;
    size_t n_cells, capacity;
    bool failed;
} eval_table;

/* The next cell; rows fill up from the left. */
void eval_table_cell(eval_table *table, const char *format, ...) EX_PRINTF(2, 3);
void eval_table_bold_cell(eval_table *table, bool bold, const char *format, ...) EX_PRINTF(3, 4);
void eval_table_interval(eval_table *table, bool bold, eval_interval interval, double scale, int digits, bool sign);
void eval_table_number(eval_table *table, double value, double scale, int digits);
/* Writes the table, without columns that hold nothing but "-", and frees it. */
void eval_page_table(eval_page *page, eval_table *table);

#endif
