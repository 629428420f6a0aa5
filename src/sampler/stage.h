/* stage.h - what the stages of a chain work on: all tokens, as long as none was dropped, or else a list of entries. */
#ifndef EX_SAMPLER_STAGE_H
#define EX_SAMPLER_STAGE_H

#include "sampler/bias.h"
#include "sampler/breaker.h"
#include "sampler/chain.h"
#include "sampler/text_list.h"

enum { EX_STAGES_MAX = 24 };

typedef struct ex_stage_run ex_stage_run;

typedef enum ex_stage_place { /* where a stage goes that is switched on and not listed */
    EX_STAGE_FIRST,  /* it wants the logits as they are: before all that are listed */
    EX_STAGE_LISTED, /* nowhere: the decision always has its number */
    EX_STAGE_AFTER,  /* after all that are listed */
    EX_STAGE_LAST    /* it steers by what is left: at the end, wherever it is listed */
} ex_stage_place;

typedef struct ex_stage {
    const char *name, *alias; /* the alias may be NULL */
    ex_stage_place place;
    bool drops;                             /* tokens: mirostat, where it is not listed, stands in its place */
    bool (*is_on)(const ex_policy *policy); /* NULL: always */
    void (*run)(ex_stage_run *run);
} ex_stage;

typedef struct ex_stage_entry {
    double weight; /* e^((logit - maximum) / divisor): its probability but for a common factor */
    float logit;
    int32_t token;
} ex_stage_entry;

struct ex_chain {
    ex_policy policy;
    size_t n_vocab;
    const ex_stage *stages[EX_STAGES_MAX];
    size_t n_stages;
    size_t context;
    ex_bias *biases;
    size_t n_biases;
    ex_breakers breakers;
    /* Of one step. */
    float *logits, *block_maxima; /* changed copies: [n_vocab] and one for each EX_LOGITS_BLOCK */
    float *scaled;                /* [n_vocab] logits / divisor */
    ex_stage_entry *entries;            /* [n_vocab] */
    ex_survivor *likeliest;       /* [EX_FOUND_MAX] */
    uint32_t *marks;              /* [n_vocab] a stage's number for each token; 0 between stages */
    int32_t *marked;              /* [n_vocab] the tokens whose mark is not 0 */
    int32_t *recent;              /* [context] tokens, newest first */
    uint32_t *repeats;            /* [context] */
    double *entering;             /* [n_vocab] of each candidate: its probability before the stage that steered */
    bool steered;                 /* one did, in the last step */
};

struct ex_stage_run {
    ex_chain *chain;
    const ex_policy *policy;
    const ex_filter_memory *memory;
    const ex_filter_input *input;
    const ex_decision *decision;
    const ex_chain_step *step;
    bool is_dense;             /* no token was dropped: the logits are what there is. Otherwise the entries */
    const float *logits;       /* [n_vocab] the input's, or the chain's changed copy */
    const float *block_maxima; /* of these logits */
    ex_stage_entry *entries;
    size_t count;
    bool is_weighed;   /* the entries' weights are right */
    bool is_sorted;    /* the entries are in order of likelihood */
    bool is_reweighed; /* weights are no longer those of the logits; nothing may follow but the end */
    float maximum;     /* of the logits that are there */
    double divisor;    /* all temperatures so far, multiplied */
    double entering;   /* total weight before the stage that steered */
};

/* ---- logits ---- */

/* Gives `token` the mark, and remembers it where it had none. */
static inline void ex_stage_mark(ex_stage_run *run, size_t *n_marked, int32_t token, uint32_t mark) {
    if (run->chain->marks[token] == 0) run->chain->marked[(*n_marked)++] = token;
    run->chain->marks[token] = mark;
}

/* Changes the logits of the marked tokens, as far as they are there, and takes the marks away. `value` is the logit
 * after the temperatures so far. */
void ex_stage_adjust(ex_stage_run *run, size_t n_marked,
                     double (*adjusted)(const ex_stage_run *run, int32_t token, uint32_t mark, double value));

/* ---- dropping tokens ---- */

/* Total weight of what is there, and its entropy in nats (may be NULL). */
double ex_stage_total(ex_stage_run *run, double *entropy);
/* Total weight of all tokens, also of those that were dropped. */
double ex_stage_whole(const ex_stage_run *run);
/* Tokens with a probability. */
size_t ex_stage_count(const ex_stage_run *run);
/* Drops what weighs less, the likeliest never. */
void ex_stage_keep_weight(ex_stage_run *run, double least);
/* Drops logits below this, the likeliest never. */
void ex_stage_keep_logit(ex_stage_run *run, double lowest);
/* Keeps the likeliest. */
void ex_stage_keep_likeliest(ex_stage_run *run, size_t limit);

/* Makes the entries and their weights right. */
void ex_stage_weigh(ex_stage_run *run);
/* ln of an entry's weight. */
static inline double ex_stage_exponent(const ex_stage_run *run, float logit) {
    return ((double)logit - (double)run->maximum) / run->divisor;
}

typedef enum ex_stage_order {
    EX_LIKELIEST_FIRST,      /* the lower id first on a tie */
    EX_LEAST_LIKELY_FIRST,   /* exactly the other way round */
    EX_MOST_TYPICAL_FIRST,   /* by the distance of the exponent to a centre, then as the first */
    EX_HEAVIEST_FIRST        /* by weight, whatever the logit; the lower id first on a tie */
} ex_stage_order;

/* Walks the weighed entries in this order while `goes_on` says to keep the next one, and drops the rest. The first is
 * always kept, though asked for. `goes_on` may be NULL: keeps and sorts all. */
void ex_stage_keep_first(ex_stage_run *run, ex_stage_order order, double centre,
                         bool (*goes_on)(void *context, const ex_stage_entry *next), void *context);

/* The same in order of likelihood, from all tokens, when it ends among the few likeliest: false when it does not, and
 * nothing is changed but the context. */
bool ex_stage_keep_head(ex_stage_run *run, bool (*goes_on)(void *context, const ex_stage_entry *next), void *context);

/* For what drops entries by itself, after it did: they are unordered, the likeliest may be gone. */
void ex_stage_dropped(ex_stage_run *run);

/* ---- the stages ---- */

void ex_stage_logit_bias(ex_stage_run *run);
void ex_stage_allow(ex_stage_run *run);
void ex_stage_exclude(ex_stage_run *run);
void ex_stage_penalties(ex_stage_run *run);
void ex_stage_dry(ex_stage_run *run);
void ex_stage_temperature(ex_stage_run *run);
void ex_stage_top_n_sigma(ex_stage_run *run);
void ex_stage_top_k(ex_stage_run *run);
void ex_stage_top_p(ex_stage_run *run);
void ex_stage_top_p_ascending(ex_stage_run *run);
void ex_stage_min_p(ex_stage_run *run);
void ex_stage_typical(ex_stage_run *run);
void ex_stage_top_h(ex_stage_run *run);
void ex_stage_eta(ex_stage_run *run);
void ex_stage_epsilon(ex_stage_run *run);
void ex_stage_xtc(ex_stage_run *run);
void ex_stage_mirostat(ex_stage_run *run);
void ex_stage_adaptive(ex_stage_run *run);

/* The state after a candidate was drawn whose probability was `entering` before the stage. */
void ex_mirostat_accept(const ex_policy *policy, double entering, ex_carried *carried);
void ex_adaptive_accept(const ex_policy *policy, double entering, ex_carried *carried);

#endif
