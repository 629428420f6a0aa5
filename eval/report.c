/* report.c - the three files of a report. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "failure.h"
#include "memory_text.h"
#include "report_parts.h"
#include "run_folder.h"

static const eval_part parts[] = {
    {"run", "What was run", eval_has_run, eval_write_run},
    {"accuracy", "Accuracy", eval_has_accuracy, eval_write_accuracy},
    {"choices", "Choices", eval_has_choices, eval_write_choices},
    {"doubt", "Is doubt a signal?", eval_has_doubts, eval_write_doubts},
    {"texts", "Open text", eval_has_texts, eval_write_texts},
    {"tuning", "Tuning", eval_has_tuning, eval_write_tuning},
    {"bad-lines", "Lines that are no questions", eval_has_bad_lines, eval_write_bad_lines},
};
enum { N_PARTS = sizeof parts / sizeof *parts };

/* ---- the page -------------------------------------------------------------------------------------------------- */

static void write_head(eval_page *page, const char *title) {
    fputs("<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
          "<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
          "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>", page->out);
    eval_write_xml(page->out, title);
    fputs("</title>\n", page->out);
    eval_chart_write_style(page->out);
    fputs("</head>\n<body><main>\n", page->out);
}

static void write_tiles(eval_page *page, const eval_summary *summary) {
    size_t n_questions = 0;
    for (size_t i = 0; i < summary->run->n_tasks; i++) n_questions += summary->run->tasks[i].n_questions;
    const struct {
        const char *name;
        size_t value;
    } tiles[] = {{"tasks", summary->run->n_tasks}, {"questions", n_questions}, {"policies", summary->run->n_policies},
                 {"seeds", summary->run->n_seeds}, {"answered", summary->n_results}};
    fputs("<div class=\"tiles\">", page->out);
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
        fprintf(page->out, "<div><b>%zu</b><span>%s</span></div>", tiles[i].value, tiles[i].name);
    fputs("</div>\n", page->out);
}

static void write_contents(eval_page *page, const eval_summary *summary) {
    fputs("<nav aria-label=\"Parts\">", page->out);
    for (size_t i = 0; i < N_PARTS; i++)
        if (parts[i].has_content(summary))
            fprintf(page->out, "<a href=\"#%s\">%s</a>", parts[i].anchor, parts[i].title);
    fputs("</nav>\n", page->out);
}

static void write_page(eval_page *page, const eval_summary *summary) {
    const char *model = summary->run->model ? summary->run->model : "";
    const char *slash = strrchr(model, '/');
    char title[300];
    snprintf(title, sizeof title, "Evidence: %.200s", slash ? slash + 1 : model);
    if (page->is_html) write_head(page, title);
    eval_page_heading(page, 1, "top", title);
    if (page->is_html) {
        write_contents(page, summary);
        write_tiles(page, summary);
    }
    eval_write_findings(page, summary);
    for (size_t i = 0; i < N_PARTS; i++) {
        if (!parts[i].has_content(summary)) continue;
        eval_page_heading(page, 2, parts[i].anchor, parts[i].title);
        parts[i].write(page, summary);
    }
    if (page->is_html) fputs("</main></body>\n</html>\n", page->out);
}

static ex_code write_form(const eval_summary *summary, bool is_html, const char *folder, ex_error *error) {
    char *text = NULL;
    size_t length = 0;
    eval_page page = {.out = eval_memory_open(&text, &length), .is_html = is_html};
    if (!page.out) return eval_fail_memory(error, "the report");
    write_page(&page, summary);
    ex_code code = EX_OK;
    if (!eval_memory_close(page.out, &text) || page.failed) code = eval_fail_memory(error, "the report");
    if (code == EX_OK) code = eval_file_write(folder, is_html ? "report.html" : "report.md", text, length, error);
    free(text);
    return code;
}

ex_code eval_report_write_records(const eval_run *run, const eval_result *results, size_t n_results, size_t n_resamples,
                                  const char *folder, ex_error *error) {
    eval_summary *summary;
    ex_code code = eval_summary_open(&summary, run, results, n_results, n_resamples, error);
    if (code != EX_OK) return code;
    char *text = NULL;
    size_t length = 0;
    code = eval_summary_format(summary, &text, &length, error);
    if (code == EX_OK) code = eval_file_write(folder, "summary.json", text, length, error);
    if (code == EX_OK) code = write_form(summary, false, folder, error);
    if (code == EX_OK) code = write_form(summary, true, folder, error);
    free(text);
    eval_summary_close(summary);
    return code;
}

ex_code eval_report_write(const char *folder, ex_error *error) {
    eval_run *run;
    eval_result *results;
    size_t n_results;
    ex_code code = eval_records_read(&run, &results, &n_results, folder, error);
    if (code != EX_OK) return code;
    code = eval_report_write_records(run, results, n_results, 0, folder, error);
    eval_records_free(run, results, n_results);
    return code;
}
