/* summary.h - all numbers of a report, made of the records alone: what the tables, the charts and summary.json show.
 *
 * * An *arm* is a policy with a vote: what is compared. A *scope* is one task or several together. A *row* is a
 *   question that at least one policy was asked; every row weighs the same. What cannot be said is NaN.
 * * A summary keeps everything that it allocates until it is closed, and reads the run for as long as it is open. */
#ifndef EVAL_SUMMARY_H
#define EVAL_SUMMARY_H

#include "record.h"
#include "signals.h"
#include "statistics.h"

enum { EVAL_COVERAGE_COUNT = 6, EVAL_RELIABILITY_BINS = 10, EVAL_HISTOGRAM_BINS = 24, EVAL_CURVE_MAX = 128 };
extern const double eval_coverages[EVAL_COVERAGE_COUNT];
extern const double eval_alpha; /* 0.05: what is called beyond chance */

typedef struct eval_rows {
    size_t n;
    size_t *tasks, *questions; /* [n] */
} eval_rows;

/* ---- accuracy ---- */

typedef struct eval_arm {
    size_t policy;
    eval_vote vote;
    char *label;
} eval_arm;

typedef struct eval_arm_score {
    size_t n_questions, n_results;
    eval_interval accuracy;    /* an answer that the policy's trap ended counts as not right */
    eval_interval tokens;      /* forwarded for a question */
    eval_interval seconds;
    eval_interval per_thousand; /* right answers for each 1,000 forwarded tokens */
    /* Abstentions (answers that ended in a trap), and what the baseline said where this arm abstained. */
    size_t n_abstained, n_wrong, n_wrong_avoided, n_right_lost;
    eval_difference difference; /* to the baseline; NaN for itself */
    eval_discordance discordance;
    double p, p_mcnemar;        /* Holm-adjusted over the arms of the scope; NaN for the baseline */
    bool is_best, is_cheapest;  /* no arm has a higher accuracy, a higher accuracy per 1,000 tokens */
} eval_arm_score;

typedef struct eval_scope {
    const char *name;
    size_t n_tasks;
    eval_rows rows;
    eval_arm_score *arms; /* [n_arms] */
} eval_scope;

/* ---- choices ---- */

typedef struct eval_choice_score {
    size_t task, n_questions;
    double chance;          /* mean share of right choices */
    eval_interval accuracy; /* the likeliest choice is right */
    eval_interval normalised; /* the likeliest for each byte is right */
    eval_interval mc1;      /* the same as accuracy,
        where exactly one choice of each question is right; otherwise NaN */
    eval_interval mc2;      /* share of the choices' probability that the right ones have */
} eval_choice_score;

/* ---- doubt ---- */

typedef enum eval_doubt_kind {
    EVAL_DOUBT_WRONG,  /* does doubt warn of wrong answers? */
    EVAL_DOUBT_ALL,    /* the same with the questions that nobody can answer: there every answer is wrong */
    EVAL_DOUBT_UNKNOWN /* does it tell those from questions with an answer? */
} eval_doubt_kind;

typedef struct eval_curve {
    size_t n;
    double x[EVAL_CURVE_MAX], y[EVAL_CURVE_MAX];
} eval_curve;

typedef struct eval_histogram { /* of a metric, in the pool that was chosen */
    double low, high;           /* of the bins; what lies beyond is in the first and last */
    size_t counts[2][EVAL_HISTOGRAM_BINS]; /* [positive] */
    size_t n[2];
} eval_histogram;

typedef struct eval_doubt {
    const char *name;
    eval_doubt_kind kind;
    size_t n, n_positive, n_questions; /* answers; wrong (unknown) ones; rows */
    eval_roc areas[EVAL_POOL_COUNT][EVAL_METRIC_COUNT];     /* over all answers */
    double calibration[EVAL_POOL_COUNT][EVAL_METRIC_COUNT]; /* expected calibration error, cross-fitted; all answers */
    /* Chosen on every other row, and everything below measured on the rest. */
    bool has_choice;
    size_t pool, metric;
    double area_choosing;
    size_t n_held_out, n_held_out_questions;
    eval_roc held_out;
    eval_calibration reliability;
    eval_bin bins[EVAL_RELIABILITY_BINS];
    eval_abstention whole;                            /* answering everything */
    eval_abstention abstentions[EVAL_COVERAGE_COUNT]; /* thresholds of the half that the metric was chosen on */
    eval_risk_curve risk;
    eval_curve roc, coverage, coverage_best;          /* x: coverage, y: risk */
    /* Of all answers again. */
    eval_curve metric_rocs[EVAL_METRIC_COUNT];
    eval_histogram histograms[EVAL_METRIC_COUNT];
} eval_doubt;

/* ---- open text ---- */

typedef enum eval_text_measure {
    EVAL_TEXT_REPETITION, /* rep-4 */
    EVAL_TEXT_LOOP,       /* tokens of the longest loop */
    EVAL_TEXT_DISTINCT,   /* distinct pairs of tokens */
    EVAL_TEXT_ENTROPY,    /* of the tokens of one text, bits */
    EVAL_TEXT_SIMILARITY, /* over seeds */
    EVAL_TEXT_LENGTH,     /* tokens */
    EVAL_TEXT_COUNT
} eval_text_measure;

typedef struct eval_text_name {
    const char *key, *label;
    int digits;
} eval_text_name;
extern const eval_text_name eval_text_names[EVAL_TEXT_COUNT];

typedef struct eval_text_score {
    eval_interval measures[EVAL_TEXT_COUNT];
    eval_interval differences[EVAL_TEXT_COUNT]; /* to the baseline's policy, paired; NaN for itself */
} eval_text_score;

typedef struct eval_text_scope {
    size_t task, n_questions;
    eval_text_score *policies; /* [n_policies] */
} eval_text_scope;

/* ---- the whole ---- */

typedef struct eval_summary {
    const eval_run *run;
    size_t n_results, n_expected; /* of expected lines of results */
    size_t n_bad;
    eval_arm *arms;
    size_t n_arms, baseline;
    eval_scope *scopes; /* a graded task each; then all together where there are several */
    size_t n_scopes;
    eval_choice_score *choices;
    size_t n_choices;
    eval_doubt **doubts; /* [n_policies] of [n_doubts], the same scopes for each policy */
    size_t n_doubts;
    char *known;         /* names of the tasks that stand against the unknown ones; NULL: there are none */
    eval_text_scope *texts;
    size_t n_texts;
    struct eval_block *blocks;
} eval_summary;

/* `n_resamples` of the bootstraps; 0: the usual number. Reads `results` only while it works. */
ex_code eval_summary_open(eval_summary **out, const eval_run *run, const eval_result *results, size_t n_results,
                          size_t n_resamples, ex_error *error);
void eval_summary_close(eval_summary *summary);

/* summary.json, in new memory. */
ex_code eval_summary_format(const eval_summary *summary, char **text, size_t *length, ex_error *error);

#endif
