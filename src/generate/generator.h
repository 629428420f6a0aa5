/* generator.h - what the files of the loop share. A step is: evaluate what is pending, measure, decide, act. Nobody in
 * the loop evaluates: who needs to says what it wants and how it goes on afterwards, so that the wants of many
 * generators share a pass. Decided tokens wait in a queue until nothing can take them back. */
#ifndef EX_GENERATE_GENERATOR_H
#define EX_GENERATE_GENERATOR_H

#include "generate/constraint.h"
#include "generate/stop_text.h"
#include "generate/text_stream.h"
#include "model/model.h"
#include "generate/trace.h"
#include "sampler/text_list.h"

enum {
    EX_ENTRY_CANDIDATES = 256, /* that a waiting entry keeps */
    EX_BRANCHES_MAX = 16,
    EX_ATTEMPTS = 64,          /* keys of one try: the main line's, then the branches' */
    EX_BACK_MAX = 256          /* times that it goes back without delivering a token */
};

typedef struct ex_entry { /* a decision, and the token that it made */
    ex_event_kind kind;
    ex_end end;
    int32_t token;
    size_t position;
    size_t n_accepted; /* tokens that the sampler had before */
    double log_probability;
    ex_choice choice;  /* its lists lie below once the entry is kept */
    ex_candidate *candidates;
    ex_layer_metrics *layers;
    ex_outlook *ahead;
    ex_candidate *likeliest;
} ex_entry;

typedef struct ex_entry_queue { /* a ring */
    ex_entry *entries;
    size_t capacity, first, count;
    void *memory; /* of all entries' lists */
} ex_entry_queue;

typedef struct ex_branch {
    ex_session *session;
    ex_sampler *sampler;
    ex_entry_queue entries;
    double sum_log_probability, sum_confidence;
    size_t n_tokens;
    bool is_live;
    ex_constrained constrained;
} ex_branch;

typedef ex_code ex_act(ex_generator *generator, ex_error *error);

typedef struct ex_wants { /* tokens that must be evaluated before the generator can go on */
    ex_session *sessions[EX_DRAWS_MAX];
    int32_t tokens[EX_DRAWS_MAX];
    ex_step steps[EX_DRAWS_MAX]; /* afterwards */
    size_t count;
    ex_act *then; /* afterwards, with `count` 0 again; NULL: it was the pending token, and a decision is next */
} ex_wants;

typedef struct ex_looking { /* the candidates that are looked beyond; the last one's timeline is the session */
    const ex_candidate *candidates[EX_DRAWS_MAX];
    size_t count;
    size_t depth; /* positions that are measured */
} ex_looking;

struct ex_generator {
    ex_session *session;
    const ex_tokenizer *tokenizer;
    ex_sampler *sampler;
    ex_generator_options options;
    ex_text_stream text;
    ex_stop_text stop;

    ex_step step;          /* of the newest evaluated token */
    ex_choice choice;      /* of the newest decision */
    size_t position;       /* of the token that is being decided */
    int32_t pending;       /* decided and not evaluated yet, or EX_TOKEN_NONE */
    int32_t last_token;    /* delivered last, or the prompt's last */
    size_t n_kept;         /* positions of the prompt and of delivered tokens */
    size_t n_generated;    /* decided and not taken back */
    size_t n_delivered;
    size_t n_to_insert;    /* tokens of the clarification that are still to come */
    bool is_inserting;     /* the next of them belongs to a decision that was made before */
    bool prompted, has_context;
    ex_end end;
    ex_entry_queue queue;  /* decided, not delivered */
    ex_wants wants;

    ex_session **forks;    /* [n_forks] for candidates that are looked at */
    size_t n_forks;
    ex_sampler *ahead_sampler;
    ex_outlook ahead[EX_DRAWS_MAX];
    ex_looking looking;
    ex_branch *branches;   /* [n_branches] */
    size_t n_branches, n_begun; /* of which some are in use */
    size_t branch_limit;   /* tokens of one */

    uint64_t fired[EX_RULES_COUNT_MAX + 1];
    ex_effort effort;
    size_t n_rewinds;
    uint32_t attempt;      /* tries so far that came to nothing: keys of draws differ with it */
    size_t retry_position; /* where the tokens below were taken back */
    int32_t retried[EX_EXCLUDED_MAX];
    size_t n_retried;
    size_t n_back;         /* times that it went back since a token was delivered */
    ex_text_list banned;   /* texts that must not come */
    ex_constraint *constraint; /* NULL: any text may come */
    ex_constrained decided;    /* the answer with all that is decided */
    ex_constrained delivered;  /* without what can be taken back */
    ex_constrained *outlooks;  /* [candidates] of lookahead over more than one position; NULL: none */
    ex_score_reducer *reducer; /* of policies that count unused places; otherwise NULL */
    ex_tracer *tracer;     /* NULL: nobody wants a trace */
};

/* queue.c */
/* n_layer, n_likeliest: what the lists of an entry have at most. */
ex_code ex_queue_open(ex_entry_queue *queue, size_t capacity, int32_t n_layer, size_t n_likeliest, ex_error *error);
void ex_queue_close(ex_entry_queue *queue);
void ex_queue_clear(ex_entry_queue *queue);
/* The entry `index` from the oldest. */
ex_entry *ex_queue_at(const ex_entry_queue *queue, size_t index);
/* Adds a copy of the entry, with the choice's lists as they are now. The queue is never full: its capacity is what may
 * be unsettled at most. */
ex_entry *ex_queue_push(ex_entry_queue *queue, const ex_entry *entry);

/* generator.c */
/* The decision just made becomes an entry and a line of the trace; `kind` other than END: the token is accepted and is
 * to be evaluated. */
ex_code ex_generator_push(ex_generator *generator, ex_event_kind kind, ex_end end, int32_t token, ex_error *error);
ex_code ex_generator_trace(ex_generator *generator, ex_trace_kind kind, int32_t token, ex_error *error);
ex_random_key ex_generator_key(const ex_generator *generator, size_t position, uint32_t branch);
/* The token ends the text, and that counts. */
bool ex_generator_ends(const ex_generator *generator, int32_t token);
/* Gives a sampler the vocabulary, as far as its policy needs it. */
ex_code ex_generator_teach(const ex_generator *generator, ex_sampler *sampler, ex_error *error);
/* Tokens that may still be decided. */
size_t ex_generator_room(const ex_generator *generator);
void ex_generator_count(ex_generator *generator, const ex_choice *choice);
/* Decides until an entry is settled, or something must be evaluated first. */
ex_code ex_generator_go_on(ex_generator *generator, ex_error *error);
/* What was wanted is evaluated: acts on it. */
ex_code ex_generator_resume(ex_generator *generator, ex_error *error);
/* The tokens that its grammar permits after a line are those that the sampler may draw in its next step. */
ex_code ex_generator_constrain(const ex_generator *generator, ex_constrained *line, ex_sampler *sampler,
                               ex_error *error);
/* The decision is to take the token that was drawn, after looking ahead where the policy does. */
ex_code ex_generator_take_token(ex_generator *generator, ex_error *error);
/* The same after looking ahead. `is_evaluated`: the session holds it already, and `step` is what follows it. */
ex_code ex_generator_take_drawn(ex_generator *generator, bool is_evaluated, ex_error *error);

/* wants.c */
void ex_generator_want(ex_generator *generator, ex_session *session, int32_t token);

/* padding.c */
ex_code ex_padding_open(ex_generator *generator, ex_error *error);
void ex_padding_close(ex_generator *generator);
/* The attention of a session's newest step as the policy wants it; valid until the next call. */
ex_code ex_generator_attention(const ex_generator *generator, const ex_session *session, const ex_step *step,
                               const ex_attention **out, ex_error *error);

/* lookahead.c */
ex_code ex_lookahead_open(ex_generator *generator, ex_error *error);
void ex_lookahead_close(ex_generator *generator);
/* Scores the drawn candidates by what comes after them, and takes the best. False: there are no two to choose from. */
bool ex_lookahead_begin(ex_generator *generator);
/* The forks hold nothing. */
void ex_lookahead_release(ex_generator *generator);

/* branch.c */
ex_code ex_branches_open(ex_generator *generator, ex_error *error);
void ex_branches_close(ex_generator *generator);
ex_code ex_branch_out(ex_generator *generator, ex_error *error);
void ex_branches_release(ex_generator *generator);

/* rewind.c */
/* Going back by a rule: to the last uncertain token, or as far as allowed. Takes the token as drawn where there is
 * nowhere to go. */
ex_code ex_resample(ex_generator *generator, ex_error *error);
ex_code ex_rewind(ex_generator *generator, ex_error *error);
/* The next decision is about `position`, after what is in the queue. Its logits are computed again from the token
 * before it, and are the same to the bit. */
ex_code ex_generator_return_to(ex_generator *generator, size_t position, ex_error *error);
/* After a token was decided: goes back if it completes a banned text. */
ex_code ex_avoid_banned(ex_generator *generator, ex_error *error);
/* Entries at the front of the queue that nothing can take back. */
size_t ex_settled_count(const ex_generator *generator);
/* Entries that may be unsettled at most. */
size_t ex_unsettled_max(const ex_generator *generator);

#endif
