/* entropix_sampler.h - the sampler alone: measure -> decide -> distribution -> draw. It needs no engine: another
 * program brings its own logits and attention scores. entropix.h includes this file.
 *
 * Conventions. Functions that can fail return an ex_code (0 is success) and fill `error` when it is not NULL.
 * The library never prints, exits or aborts, and keeps no global state. Free functions accept NULL. Pointers inside
 * results are borrowed: read-only, valid until the next call on the handle that gave them. A handle belongs to one
 * thread at a time, except where it says otherwise.
 * Entropies are in bits, varentropies in bits squared, sizes in bytes, positions count tokens from 0. */
#ifndef ENTROPIX_SAMPLER_H
#define ENTROPIX_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define EX_API __attribute__((visibility("default")))
#define EX_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define EX_API
#define EX_PRINTF(format_index, first)
#endif

/* ---- errors ------------------------------------------------------------------------------------------------ */
typedef enum ex_code {
    EX_OK = 0,
    EX_ERROR_ARGUMENT = -1,    /* the caller's value is outside its documented range */
    EX_ERROR_IO = -2,          /* the operating system refused a read, write or map */
    EX_ERROR_FORMAT = -3,      /* bytes that do not follow their format; position is the file offset or line */
    EX_ERROR_UNSUPPORTED = -4, /* well-formed, but something that this build does not run; the message names it */
    EX_ERROR_MEMORY = -5,      /* an allocation failed */
    EX_ERROR_CONTEXT = -6,     /* more positions than the context holds */
    EX_ERROR_NUMBER = -7       /* NaN, +infinity or nothing finite where a number is needed */
} ex_code;

typedef struct ex_error {
    ex_code code;
    uint64_t position; /* byte offset in a file, line in a text, token position; 0 when it has none */
    char message[400]; /* one line for a person, complete with file name and the fix where there is one */
} ex_error;

enum { EX_TOKEN_NONE = -1 };

/* Attention of the query that produced the logits, reduced to what the metrics need. Only positions that the query may
 * attend to are counted. Definitions: docs/SAMPLER.md. */
typedef struct ex_attention {
    int32_t n_layer, n_head;
    const int32_t *n_positions;    /* [n_layer] live positions */
    const double *head_entropy;    /* [n_layer][n_head] bits */
    const double *head_maximum;    /* [n_layer][n_head] largest probability */
    const double *head_strength;   /* [n_layer][n_head] mean |score| */
    const double *layer_deviation; /* [n_layer] mean over heads and positions of |P - mean over heads of P| */
    const double *layer_entropy;   /* [n_layer] entropy of the mean over heads of P, bits; NULL: not known */
} ex_attention;

/* ---- sampler: metrics --------------------------------------------------------------------------------------- */
typedef struct ex_metrics {
    double logits_entropy;       /* bits */
    double logits_varentropy;    /* bits^2, variance of the information content of this distribution */
    double top_probability;      /* of the likeliest token */
    double probability_margin;   /* by which it leads the second */
    double tail_mass;            /* of all tokens but the policy's top_k likeliest; 0 without a limit */
    double effective_choices;    /* 2^logits_entropy */
    double fork;                 /* p2/p1 (p1 + p2): 1 when two tokens share all mass alike, near 0 without a fork */
    double attn_entropy;         /* mean over heads, bits */
    double attn_entropy_normalized; /* the same of entropy / log2(positions), in [0,1]: comparable at any length */
    double attn_varentropy;      /* mean over layers of the variance over heads, bits^2 */
    double agreement;            /* the document's: 0 when all heads are identical, larger when they differ */
    double head_consensus;       /* 1 when all heads are identical, in [0,1] */
    double head_disagreement;    /* Jensen-Shannon divergence of the heads of a layer, mean over layers, bits */
    double interaction_strength; /* mean |score| */
    double sequence_varentropy;  /* variance of logits_entropy over the positions generated so far, bits^2 */
    double sequence_varentropy_window; /* the same over the policy's sequence_window last positions */
} ex_metrics;

typedef struct ex_layer_metrics { /* of one layer; meaning and names as in ex_metrics */
    double attn_entropy, attn_entropy_normalized, attn_varentropy, agreement, head_consensus, head_disagreement,
        interaction_strength;
} ex_layer_metrics;

enum { EX_LAYERS_MAX = 256 };

/* Names and values in the order of the struct; the name is NULL past the last. Static storage. Thread-safe. */
EX_API const char *ex_metric_name(size_t index);
EX_API double ex_metric_value(const ex_metrics *metrics, size_t index);
EX_API const char *ex_layer_metric_name(size_t index);
EX_API double ex_layer_metric_value(const ex_layer_metrics *metrics, size_t index);

typedef enum ex_scope { EX_SCOPE_ALL, EX_SCOPE_LAST } ex_scope; /* layers that count */

/* The metrics of one row of logits, up to `fork`; tail_mass for this top_k. The others are left as they are.
 * EX_ERROR_NUMBER for NaN, +infinity or no finite entry. Thread-safe. */
EX_API ex_code ex_measure_logits(const float *logits, size_t n_vocab, int32_t top_k, ex_metrics *metrics,
                                 ex_error *error);
/* The metrics of attention. `attention` may be NULL: all zero, consensus 1. `layers` (may be NULL) receives those of
 * each layer, [n_layer]. Thread-safe. */
EX_API void ex_measure_attention(const ex_attention *attention, ex_scope scope, ex_metrics *metrics,
                                 ex_layer_metrics *layers);

/* Reduces raw scores [n_layer][n_head][n_positions] from another engine. Masked positions are -infinity and do not
 * count. The result belongs to the reducer and is overwritten by the next call. */
typedef struct ex_score_reducer ex_score_reducer;
EX_API ex_code ex_score_reducer_open(ex_score_reducer **out, ex_error *error);
EX_API void ex_score_reducer_close(ex_score_reducer *reducer);
EX_API ex_code ex_score_reduce(ex_score_reducer *reducer, const float *scores, int32_t n_layer, int32_t n_head,
                               size_t n_positions, const ex_attention **out, ex_error *error);
/* From now on each layer is filled up to `slots` positions with unused ones of score 0, as if a cache of that size took
 * part whole: what policies with `attention_padding` want. 0 (as opened): live positions only. */
EX_API ex_code ex_score_reducer_set_padding(ex_score_reducer *reducer, int32_t slots, ex_error *error);

/* ---- sampler: policy ---------------------------------------------------------------------------------------- */
enum { EX_RULES_MAX = 8192 }; /* bytes of the text of a policy's rules */

typedef enum ex_varentropy_source { EX_VARENTROPY_TOKEN, EX_VARENTROPY_SEQUENCE } ex_varentropy_source;

typedef enum ex_drawing { /* how a token is drawn; noise: the largest of probability / noise, one number a candidate */
    EX_DRAWING_INVERSE,           /* one uniform number, where it falls in the cumulated probabilities */
    EX_DRAWING_EXPONENTIAL_NOISE, /* the same distribution by a race */
    EX_DRAWING_UNIFORM_NOISE      /* a known fault: another distribution, in favour of the likely */
} ex_drawing;

/* Everything that a decision uses. Formulas: docs/SAMPLER.md. Field names are also the keys of policy files and of
 * `entropix decide`. helv: high entropy, low varentropy; lehv, hehv alike; ada: adaptive. A plain value: copy it. */
typedef struct ex_policy {
    double temperature, top_p, min_p; /* base parameters; temperature 0 means the likeliest token */
    int32_t top_k;                    /* 0: no limit */
    double low_entropy, low_varentropy, clarify_entropy, explore_entropy, high_entropy, high_varentropy;
    double helv_offset, helv_coef, helv_max_temp;
    double lehv_offset, lehv_coef, lehv_max_temp, lehv_top_k_coef;
    int32_t lehv_min_top_k;
    double hehv_offset, hehv_coef, hehv_min_temp, hehv_top_p_coef, hehv_min_top_p;
    int32_t candidates;   /* drawn by the adaptive strategy, of which the best is taken */
    bool candidate_draws; /* really draw them, instead of once from the distribution of the best (the same by law) */
    int32_t lookahead;    /* positions that each drawn candidate is fed before it is scored; 0: none */
    int32_t branches, branch_tokens; /* continuations of the action `branch`, and their length at most */
    int32_t rewind, rewind_limit;    /* tokens that may be taken back at once; how often in an answer */
    double uncertain_entropy;        /* from here on a token counts as uncertain for the action `resample` */
    double ada_temp_logits, ada_temp_attn, ada_temp_agree, ada_top_p, ada_top_k_int, ada_top_k_agree, ada_min_p;
    double ada_min_top_p, ada_max_top_p, ada_min_min_p, ada_max_min_p; /* bounds of the adaptive formulas */
    int32_t ada_min_top_k, ada_max_top_k;
    double score_logits_entropy, score_attn_entropy, score_logits_varentropy, score_attn_varentropy, score_agreement,
        score_interaction;
    ex_scope scope;
    ex_varentropy_source varentropy; /* which varentropy the conditions look at */
    int32_t sequence_window;         /* positions of sequence_varentropy_window */
    int32_t attention_padding;       /* places of a cache that count for attention, used or not; 0: live ones */
    ex_drawing draw;
    bool fixed_key;                  /* the same random numbers at every position */
    int32_t clarify_token;           /* inserted by the clarify strategy; EX_TOKEN_NONE: clarify_text instead */
    int32_t clarify_cooldown;        /* generated tokens before it may be inserted again */
    int32_t clarify_limit;           /* insertions per answer */
    bool strategies;                 /* false: no rules, plain sampling with the base parameters */
    char clarify_text[128];          /* UTF-8 */
    double dynatemp_range, dynatemp_exponent;  /* temperature within T -/+ range, by how flat the distribution is */
    double repeat_penalty, frequency_penalty, presence_penalty; /* of tokens that the context has */
    int32_t repeat_last_n;                     /* tokens of it that they look back; -1: all */
    double dry_multiplier, dry_base;           /* of tokens that would prolong a repetition */
    int32_t dry_allowed_length, dry_penalty_last_n;
    double xtc_probability, xtc_threshold, typical_p, top_n_sigma, top_h, eta_cutoff, epsilon_cutoff;
    int32_t mirostat;                          /* 0: off, or version 1 or 2 */
    double mirostat_tau, mirostat_eta;
    double adaptive_target, adaptive_decay;
    char logit_bias[512];                      /* "15043+1,29871-0.5,13=false" */
    char dry_sequence_breakers[256], banned_strings[512]; /* lists of texts as JSON: ["\n", ":"] */
    char samplers[128];              /* the stages that filter, in order, with semicolons between them */
    char rules[EX_RULES_MAX];        /* sections of a policy file */
} ex_policy;

/* NULL: the first name. EX_ERROR_ARGUMENT names those there are. */
EX_API ex_code ex_policy_preset(ex_policy *policy, const char *name, ex_error *error);
EX_API const char *ex_policy_preset_name(size_t index); /* NULL past the last */
/* Reads a policy file (INI, docs/SAMPLER.md). A first line `preset = NAME` gives the values that the file leaves out;
 * without one every key must be there. Errors name line and key. */
EX_API ex_code ex_policy_read(ex_policy *policy, const char *path, ex_error *error);
EX_API ex_code ex_policy_parse(ex_policy *policy, const char *text, size_t length, const char *name, ex_error *error);
/* One value by key, as text; ranges are checked. */
EX_API ex_code ex_policy_set(ex_policy *policy, const char *key, const char *value, ex_error *error);
/* Key by index (NULL past the last) and its value as text, at most `size` bytes with the terminator. */
EX_API const char *ex_policy_key(size_t index);
EX_API ex_code ex_policy_get(const ex_policy *policy, const char *key, char *value, size_t size, ex_error *error);
/* The whole policy as the text of a policy file, that ex_policy_parse reads back as the same values. Writes at most
 * `size` bytes with the terminator; *length is that of the whole text. */
EX_API void ex_policy_format(const ex_policy *policy, char *text, size_t size, size_t *length);
/* Ranges, relations between keys, and the rules. */
EX_API ex_code ex_policy_check(const ex_policy *policy, ex_error *error);

/* ---- sampler: decision, distribution, draw -------------------------------------------------------------------- */
typedef enum ex_action { /* what a rule does */
    EX_ACTION_SAMPLE,   /* draw with the decision's parameters */
    EX_ACTION_GREEDY,   /* take the likeliest token */
    EX_ACTION_INSERT,   /* insert the clarification */
    EX_ACTION_BRANCH,   /* try several continuations and keep the best */
    EX_ACTION_RESAMPLE, /* go back to the last token that was itself uncertain, and take another one there */
    EX_ACTION_REWIND,   /* go back `rewind` tokens, and take another one there */
    EX_ACTION_TRAP,     /* stop and report to the caller that the model is uncertain */
    EX_ACTION_STOP,     /* end the answer */
    EX_ACTION_COUNT
} ex_action;

EX_API const char *ex_action_name(ex_action action); /* "sample"; static storage */

/* The rules of a policy, in order; the first that holds decides. Without rules, or where none holds, the strategy is
 * "plain": base parameters. docs/SAMPLER.md has their language. Immutable once open: any thread may read. */
enum { EX_RULES_COUNT_MAX = 32 };
typedef struct ex_rules ex_rules;
EX_API ex_code ex_rules_open(ex_rules **out, const ex_policy *policy, ex_error *error);
EX_API void ex_rules_close(ex_rules *rules);
EX_API size_t ex_rules_count(const ex_rules *rules);
EX_API const char *ex_rules_name(const ex_rules *rules, size_t index);      /* the strategy; "plain" past the last */
EX_API const char *ex_rules_condition(const ex_rules *rules, size_t index); /* as written; "" past the last */
EX_API ex_action ex_rules_action(const ex_rules *rules, size_t index);      /* EX_ACTION_SAMPLE past the last */

typedef struct ex_decision {
    int32_t rule;         /* that held; ex_rules_count when none did */
    const char *strategy; /* its name, which lives as long as the rules do */
    ex_action action;
    double temperature, top_p, min_p;
    int32_t top_k;
    int32_t candidates;        /* of which the best is taken */
    const char *margin_metric; /* the metric that is closest to changing the strategy; "" when none can */
    double margin;             /* how far it is from its threshold, in the metric's unit */
} ex_decision;

typedef struct ex_candidate {
    int32_t token;
    double probability;  /* after the filters */
    double log_probability; /* natural logarithm, of the unfiltered distribution at temperature 1 */
    double score;        /* log_probability plus the confidence terms */
} ex_candidate;

typedef struct ex_distribution {
    const ex_candidate *candidates; /* likeliest first, lower id first on a tie */
    size_t count;
} ex_distribution;

enum { EX_DRAWS_MAX = 64 };

typedef struct ex_draw {
    int32_t token;
    int32_t n_draws;              /* 0 when there was nothing to draw */
    double uniform[EX_DRAWS_MAX]; /* the random numbers, in [0,1) */
    int32_t drawn[EX_DRAWS_MAX];  /* the token that each chose */
} ex_draw;

/* A draw is a function of these five and nothing else (Philox4x32-10). */
typedef struct ex_random_key {
    uint64_t seed;
    uint32_t sequence, position; /* the draw index is counted by the sampler */
    uint32_t attempt;            /* below 2^20: tells apart branches, and tries at one position */
} ex_random_key;

typedef struct ex_sampler ex_sampler;

typedef struct ex_outlook { /* a candidate that was looked at further */
    int32_t token;
    ex_metrics metrics; /* after it: means over the policy's `lookahead` positions */
    double score;
} ex_outlook;

enum { EX_LIKELIEST_MAX = 20 };

typedef struct ex_choice { /* everything about one step, enough to explain and to replay it */
    ex_metrics metrics;
    const ex_layer_metrics *layers; /* [n_layer] */
    int32_t n_layer;                /* 0 without attention statistics */
    bool may_insert;                /* what the rules see as may_insert */
    ex_decision decision;
    ex_distribution distribution; /* borrowed from the sampler */
    double maximum, log_sum;      /* log p of a token before filters is its logit - maximum - log_sum */
    ex_draw draw;                 /* token is EX_TOKEN_NONE when the clarification is to be inserted */
    const ex_outlook *ahead;        /* [n_ahead] */
    size_t n_ahead;
    const ex_candidate *likeliest;  /* [n_likeliest] of the unfiltered distribution, likeliest first, lower id first on
                                       a tie; probability 0: not among the candidates */
    size_t n_likeliest;             /* what ex_generator_options asks for; 0 without a generator */
} ex_choice;

/* Takes all memory for n_vocab entries. */
EX_API ex_code ex_sampler_open(ex_sampler **out, const ex_policy *policy, int32_t n_vocab, ex_error *error);
EX_API void ex_sampler_close(ex_sampler *sampler);
EX_API const ex_policy *ex_sampler_policy(const ex_sampler *sampler);
/* The clarification as tokens (copied, at most 64), for "just emitted". Without it, clarify never inserts. */
EX_API ex_code ex_sampler_set_clarification(ex_sampler *sampler, const int32_t *tokens, size_t count, ex_error *error);
EX_API const int32_t *ex_sampler_clarification(const ex_sampler *sampler, size_t *count);
/* How tokens are written, for the sequence breakers of dry: without it there are none. `text_of` gives the bytes of a
 * token and sets their number. All are asked for at once. */
typedef const char *(*ex_text_of)(const void *context, int32_t token, size_t *length);
EX_API ex_code ex_sampler_set_vocabulary(ex_sampler *sampler, ex_text_of text_of, const void *context, ex_error *error);
/* Forgets what was generated. */
EX_API void ex_sampler_reset(ex_sampler *sampler);

/* The stages, each pure given the sampler's policy (they use its memory, not its history). */
EX_API void ex_sampler_decide(ex_sampler *sampler, const ex_metrics *metrics, bool may_insert, ex_decision *decision);
EX_API ex_code ex_sampler_distribution(ex_sampler *sampler, const float *logits, const ex_metrics *metrics,
                                       const ex_decision *decision, ex_distribution *out, ex_error *error);
EX_API void ex_sampler_draw(ex_sampler *sampler, const ex_distribution *distribution, const ex_decision *decision,
                            ex_random_key key, ex_draw *out);
/* All stages at once, with the history (windows of metrics, penalties, clarification). Call ex_sampler_accept with what
 * was really appended, inserted tokens too. */
EX_API ex_code ex_sampler_step(ex_sampler *sampler, const float *logits, const ex_attention *attention,
                               ex_random_key key, ex_choice *out, ex_error *error);
EX_API void ex_sampler_accept(ex_sampler *sampler, int32_t token, bool inserted);
/* Tokens of the prompt, for penalties: they count as context, not as generated. */
EX_API void ex_sampler_prompt(ex_sampler *sampler, const int32_t *tokens, size_t n_tokens);
/* The token has no probability in steps until the next accept or rewind; at most EX_EXCLUDED_MAX, false past them. */
enum { EX_EXCLUDED_MAX = 64 };
EX_API bool ex_sampler_exclude(ex_sampler *sampler, int32_t token);
/* Generated tokens that the sampler remembers, and forgetting all but the first `count` of them: what follows is as if
 * they had never been. At most EX_REWIND_MAX can be taken back. */
enum { EX_REWIND_MAX = 512 };
EX_API size_t ex_sampler_count(const ex_sampler *sampler);
EX_API ex_code ex_sampler_rewind(ex_sampler *sampler, size_t count, ex_error *error);
/* Gives `to`, of the same policy and vocabulary, the history of `from`. */
EX_API void ex_sampler_copy_history(ex_sampler *to, const ex_sampler *from);
/* The rules, and how often each held in accepted steps of this answer ([ex_rules_count] + 1, the last for "plain"). */
EX_API const ex_rules *ex_sampler_rules(const ex_sampler *sampler);
EX_API const uint64_t *ex_sampler_fired(const ex_sampler *sampler);

#ifdef __cplusplus
}
#endif
#endif
