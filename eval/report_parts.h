/* report_parts.h - the parts of a report, each written once for both forms, and the sentences that say what was
 * found. */
#ifndef EVAL_REPORT_PARTS_H
#define EVAL_REPORT_PARTS_H

#include "report_page.h"
#include "summary.h"

/* ---- sentences (report_finding.c) ---- */

typedef struct eval_sentence {
    char text[1200];
    size_t n;
} eval_sentence;

/* Adds; what does not fit is cut. */
void eval_say(eval_sentence *sentence, const char *format, ...) EX_PRINTF(2, 3);
void eval_say_p(eval_sentence *sentence, double p); /* "p = 0.012", "p < 0.001" */

/* Which differences to the baseline are beyond chance and which are not. */
void eval_say_differences(eval_sentence *sentence, const eval_summary *summary, const eval_scope *scope);
/* Who is right most often, and whether that is more than luck. */
void eval_say_leader(eval_sentence *sentence, const eval_summary *summary, const eval_scope *scope);
/* How many arms differ from the baseline. */
void eval_say_count(eval_sentence *sentence, const eval_summary *summary, const eval_scope *scope);
/* The chosen signal and its area, held out. */
void eval_say_signal(eval_sentence *sentence, const eval_doubt *doubt);
/* What abstaining at a coverage avoids and loses. */
void eval_say_abstaining(eval_sentence *sentence, const eval_doubt *doubt, double coverage);
void eval_say_calibration(eval_sentence *sentence, const eval_doubt *doubt);
/* On which side of the baseline the policies are in a measure of open text. */
void eval_say_text(eval_sentence *sentence, const eval_summary *summary, const eval_text_scope *scope,
                   eval_text_measure measure);

const char *eval_baseline_name(const eval_summary *summary);
/* The scopes in the order of the report: all tasks together first. */
const eval_scope *eval_scope_shown(const eval_summary *summary, size_t index);
/* The signals of the baseline's policy. */
const eval_doubt *eval_doubt_shown(const eval_summary *summary, size_t index);

/* ---- parts ---- */

typedef struct eval_part {
    const char *anchor, *title;
    bool (*has_content)(const eval_summary *summary);
    void (*write)(eval_page *page, const eval_summary *summary);
} eval_part;

bool eval_has_run(const eval_summary *summary);
bool eval_has_accuracy(const eval_summary *summary);
bool eval_has_choices(const eval_summary *summary);
bool eval_has_doubts(const eval_summary *summary);
bool eval_has_texts(const eval_summary *summary);
bool eval_has_tuning(const eval_summary *summary);
bool eval_has_bad_lines(const eval_summary *summary);
void eval_write_findings(eval_page *page, const eval_summary *summary);
void eval_write_run(eval_page *page, const eval_summary *summary);
void eval_write_accuracy(eval_page *page, const eval_summary *summary);
void eval_write_choices(eval_page *page, const eval_summary *summary);
void eval_write_doubts(eval_page *page, const eval_summary *summary);
void eval_write_texts(eval_page *page, const eval_summary *summary);
void eval_write_tuning(eval_page *page, const eval_summary *summary);
void eval_write_bad_lines(eval_page *page, const eval_summary *summary);

#endif
