/* replay.h - what the files of the replay share. */
#ifndef EX_GENERATE_REPLAY_H
#define EX_GENERATE_REPLAY_H

#include "generate/trace_read.h"

enum {
    EX_FIRST_MAX = 64,
    EX_REPLAY_VOCABULARY_MAX = 1 << 20,
    EX_REPLAY_OPEN_MAX = 1 << 26 /* entries in the vocabularies of all answers that have begun and not ended */
};

typedef struct ex_first_tokens { /* of branches: no two begin with the same token */
    size_t position;
    size_t n_branches;
    bool seen[EX_FIRST_MAX];
    int32_t drawn[EX_FIRST_MAX], taken[EX_FIRST_MAX];
    int32_t likeliest[EX_FIRST_MAX]; /* candidates that replace what is taken already */
    size_t n_likeliest;
} ex_first_tokens;

typedef struct ex_replay_answer {
    uint32_t sequence;
    uint64_t seed;
    int32_t n_vocab;
    int32_t lookahead; /* of the policy of the trace */
    size_t start;      /* position of the first token */
    ex_sampler *sampler;
    float *logits;     /* [n_vocab] -infinity between steps */
    uint64_t *allowed; /* one bit a token, where a grammar forbade some */
    bool in_branches;
    ex_first_tokens first;
} ex_replay_answer;

struct ex_replay {
    ex_trace_reader reader;
    ex_trace_row row;
    ex_policy policy;
    bool has_policy; /* another one than the trace's */
    ex_replay_answer *answers;
    size_t n_answers;
    size_t n_open; /* entries, as above */
    ex_candidate *kept; /* [kept_capacity] of the first of two tries */
    size_t kept_capacity;
};

/* replay_decide.c: fills the step's choices and differences. The sampler is where the decision was made. */
ex_code ex_replay_decide(ex_replay *replay, ex_replay_answer *answer, const ex_trace_row *row, ex_replay_step *step,
                         ex_error *error);
/* At the line about all branches: whether each began with the token that it had to. */
void ex_replay_check_branches(ex_replay_answer *answer, ex_replay_step *step);

/* replay_texts.c: what tokens are written like, as far as the trace shows it, for stages that want to know. */
ex_code ex_replay_teach(ex_replay *replay, ex_replay_answer *answer, const ex_json *header, ex_error *error);

#endif
