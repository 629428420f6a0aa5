/* record.h - what a run leaves behind, in its folder:
 *   run.json       what was asked: model, tasks, policies, seeds, budget, votes, lines that were no questions
 *   results.jsonl  one line for each question, policy and seed, in that order; the same bytes however often the run was
 *                  broken off, and without times
 *   times.jsonl    what each line of results took: {"line": its number from 0, "seconds": s}; of two the later counts
 * EVAL_CHOOSE does not depend on policy or seed: a question has one line, of policy 0 and seed 0, whose only answer has
 * the text of the likeliest choice (not length-normalised) and no tokens.
 * The report is made of these alone. */
#ifndef EVAL_RECORD_H
#define EVAL_RECORD_H

#include "entropix.h"
#include "task.h"

/* Doubt of an answer: each metric, pooled over its tokens in each way. */
enum { EVAL_METRIC_COUNT = 9, EVAL_POOL_COUNT = 4 };
typedef enum eval_pool { EVAL_POOL_FIRST, EVAL_POOL_MEAN, EVAL_POOL_MAXIMUM, EVAL_POOL_LAST } eval_pool;
typedef struct eval_metric {
    const char *name;  /* as in ex_metric_name, and "surprise": -log2 p of the token that was taken */
    const char *label; /* for people */
    double sign;       /* +1: more of it is more doubt; -1: less of it. Its "maximum" is the most doubtful token's */
} eval_metric;
extern const eval_metric eval_metrics[EVAL_METRIC_COUNT];
extern const char *const eval_pool_names[EVAL_POOL_COUNT]; /* "first", "mean", "maximum", "last" (window of 8) */

typedef struct eval_signals {
    double values[EVAL_POOL_COUNT][EVAL_METRIC_COUNT]; /* NaN: the answer has no tokens */
} eval_signals;

typedef struct eval_answer {
    char *text;
    char *answer;       /* as eval_answer_of has it */
    bool is_right;
    int32_t *tokens;    /* of EVAL_CONTINUE, for statistics of texts; otherwise NULL */
    size_t n_tokens;    /* delivered */
    size_t n_forwarded; /* evaluated for it, also in branches, looking ahead and taken back; not the prompt */
    ex_end end;
    eval_signals signals;
} eval_answer;

/* How one answer comes out of several. */
typedef enum eval_vote {
    EVAL_VOTE_FIRST,      /* the first alone */
    EVAL_VOTE_MAJORITY,   /* what most of them say; of equals, what was said first */
    EVAL_VOTE_CERTAIN,    /* the same, each weighted by how sure the model was of it */
    EVAL_VOTE_CONSISTENT, /* the one that has most in common with the others (as entropix run --chains) */
    EVAL_VOTE_ENTROPY,    /* the one of the lowest mean entropy */
    EVAL_VOTE_TAIL,       /* of the lowest entropy over its last window */
    EVAL_VOTE_COUNT
} eval_vote;
extern const char *const eval_vote_names[EVAL_VOTE_COUNT];
/* Index of the answer that the vote takes, and the share of votes (weights) that it got. */
size_t eval_vote_take(eval_vote vote, const eval_answer *answers, size_t n_answers, double *share);

typedef struct eval_result { /* a line of results.jsonl */
    size_t task, question, policy, seed; /* indices into the run's lists */
    eval_answer *answers;   /* [n_answers] one, or as many as the budget allowed */
    size_t n_answers;
    double *choice_scores;  /* EVAL_CHOOSE: log-likelihood of each, nats; otherwise NULL */
    double *choice_lengths; /* bytes of each */
    size_t n_choices;
    double seconds;         /* from times.jsonl: its share of the passes that it took part in; NaN: not known */
} eval_result;

typedef struct eval_run_task { /* as run.json has it: enough to report without the files of questions */
    char *name;
    eval_kind kind;
    bool is_unknown;
    uint64_t digest;
    size_t n_questions;
    size_t *lines;         /* [n_questions] */
    char **ids, **prompts, **right; /* [n_questions] shortened for people; `right` may hold NULL */
    size_t *n_choices;     /* [n_questions] 0: none */
    bool **choices_right;  /* [n_questions][n_choices] which choices are right, or NULL */
    eval_bad_line *bad;
    size_t n_bad;
} eval_run_task;

typedef struct eval_run_policy {
    char *name;            /* as given on the command line */
    char *text;            /* whole policy file, before tuning */
    double price;          /* EVAL_BUDGET_TIME: time of one of its tokens, in those of a greedy answer; otherwise 1 */
} eval_run_policy;

typedef enum eval_half { EVAL_HALF_ALL, EVAL_HALF_EVEN, EVAL_HALF_ODD } eval_half; /* which questions were asked */

typedef enum eval_budget { EVAL_BUDGET_NONE, EVAL_BUDGET_TOKENS, EVAL_BUDGET_TIME } eval_budget;

typedef struct eval_run {
    char *model, *version, *kernels;
    uint64_t model_bytes;
    eval_run_task *tasks;
    size_t n_tasks;
    eval_run_policy *policies;
    size_t n_policies;
    size_t n_seeds;
    uint64_t first_seed;
    eval_budget budget;
    double budget_times;   /* what a question may cost, in greedy answers to it */
    eval_vote votes[EVAL_VOTE_COUNT];
    size_t n_votes;
    size_t shard, n_shards; /* 0 of 1 when it is not a part */
    eval_half half;        /* with tuning the odd ones; the even ones were for choosing (folder DIR/tuning) */
    size_t n_trials;       /* of --tune; 0: none */
    char *tuning;          /* JSON text: for each policy the trials and what was chosen; NULL */
} eval_run;

/* Reads run.json and every whole line of results.jsonl (and times.jsonl where it is there). Results are in file order.
 * A last line without its end is passed over. */
ex_code eval_records_read(eval_run **run, eval_result **results, size_t *n_results, const char *folder,
                          ex_error *error);
void eval_records_free(eval_run *run, eval_result *results, size_t n_results);
/* run.json alone; EX_ERROR_IO when there is none. */
ex_code eval_run_read(eval_run **run, const char *folder, ex_error *error);
void eval_result_clear(eval_result *result); /* frees what it holds */

/* The text of run.json, in new memory: the same run gives the same bytes. */
ex_code eval_run_format(const eval_run *run, char **text, size_t *length, ex_error *error);
/* One result as a line of JSON with its line end, in new memory. Numbers of signals have six significant digits. */
ex_code eval_result_format(const eval_result *result, char **line, size_t *length, ex_error *error);

#endif
