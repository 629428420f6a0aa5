/* chain.h - the stages between logits and candidates, in the order that the policy's `samplers` gives. */
#ifndef EX_SAMPLER_CHAIN_H
#define EX_SAMPLER_CHAIN_H

#include "sampler/filter.h"
#include "sampler/history.h"

enum { EX_CONTEXT_MAX = 65536 }; /* tokens that a stage looks back where the policy says all */

/* Compiled from policy->samplers and the keys of its stages, with the memory of a step: of one sampler. A stage that is
 * switched on and not listed is put where it customarily stands (docs/SAMPLER.md). */
typedef struct ex_chain ex_chain;

/* What ex_chain_open would complain about, but for tokens beyond a vocabulary: EX_ERROR_ARGUMENT names a stage that
 * there is not, and those that there are. */
ex_code ex_chain_check(const ex_policy *policy, ex_error *error);
ex_code ex_chain_open(ex_chain **out, const ex_policy *policy, size_t n_vocab, ex_error *error);
void ex_chain_close(ex_chain *chain);

/* The chain is temperature, min_p, top_k, top_p and nothing that changes logits: ex_filter does the same, faster. */
bool ex_chain_is_plain(const ex_chain *chain);
/* Tokens of context that penalties look back; 0: none. */
size_t ex_chain_context(const ex_chain *chain);

/* The stages that it runs, in order. */
size_t ex_chain_count(const ex_chain *chain);
const char *ex_chain_name(const ex_chain *chain, size_t index);

typedef struct ex_chain_step {
    const ex_history *history; /* NULL: none */
    ex_carried carried;        /* state before the step; stages that have state leave it as it is before the draw */
    ex_random_key key;         /* for stages that draw (xtc): draw indices from 128 on are theirs */
    const int32_t *excluded;   /* [n_excluded] tokens without probability */
    size_t n_excluded;
    const uint64_t *allowed;   /* one bit a token: no other has a probability; NULL: all may come */
} ex_chain_step;

/* Fills memory->candidates, likeliest first (lower id first on a tie), and returns how many there are, at least one
 * where an allowed token is above -infinity: a stage that would remove all keeps the likeliest. `probability` is after
 * all stages, `log_probability` that of the unfiltered distribution at temperature 1. With temperature 0 the likeliest
 * after penalties and bias is all. */
size_t ex_chain_filter(ex_chain *chain, const ex_filter_memory *memory, const ex_filter_input *input,
                       const ex_decision *decision, const ex_chain_step *step);
/* The likeliest of the allowed tokens, at most `limit` (EX_FOUND_MAX) of them: sets `likeliest`, which is valid until
 * the next call of the chain, and returns how many. */
size_t ex_chain_find_allowed(ex_chain *chain, const ex_filter_memory *memory, const ex_filter_input *input,
                             const uint64_t *allowed, size_t limit, const ex_survivor **likeliest);
/* The state after `token` was drawn from the candidates of the last ex_chain_filter. A token that is none of them, and
 * a step in which no stage steered, leave it as it is. */
void ex_chain_accept(const ex_chain *chain, const ex_distribution *distribution, int32_t token, ex_carried *carried);

/* Gives `to`, of the same policy, what ex_chain_accept needs of the last step of `from`, which had so many candidates.
 * False when it needs nothing. */
bool ex_chain_copy_step(ex_chain *to, const ex_chain *from, size_t n_candidates);

/* How the sampler learns what tokens are written like, for breakers of dry and for texts: `text_of` gives the bytes of
 * a token. Takes what it needs at once. Without it dry knows no breakers. */
ex_code ex_chain_set_vocabulary(ex_chain *chain, ex_text_of text_of, const void *context, ex_error *error);

#endif
