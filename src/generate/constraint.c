#include "generate/constraint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum {
    PLACES = 32,         /* inside strings, whose results are kept */
    EXITS_MAX = 8192,    /* of a place */
    FRAMES_MAX = 4       /* that belong to it: counts of characters */
};

typedef struct place { /* what a thread inside a string permits, whatever is below its own frames */
    uint32_t node, count, n_frames;
    ex_grammar_frame frames[FRAMES_MAX];
    uint64_t *allowed; /* tokens that stay inside, or end with it */
    uint32_t *exits;   /* nodes of the trie at which it ends and tokens go on */
    size_t n_exits;
    uint32_t reach;    /* frames that the tokens which stay inside need at most */
    uint64_t used;     /* when it was last of use; 0: it is free */
    bool is_whole;     /* all exits had room */
} place;

struct ex_constraint {
    const ex_grammar *grammar;
    const ex_tokenizer *tokenizer;
    const ex_token_trie *trie;
    size_t n_words; /* of a mask */
    ex_grammar_state *states; /* [EX_TRIE_DEPTH + 1] after so many bytes of a token */
    ex_grammar_state *around; /* what comes behind a string; also scratch */
    ex_grammar_state *rest;
    place places[PLACES];
    uint64_t clock;
    uint64_t *masks;
    uint32_t *exits;
};

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static ex_code open_memory(ex_constraint *constraint, ex_error *error) {
    constraint->n_words = (constraint->trie->n_vocab + 63) / 64;
    constraint->states = ex_allocate(EX_TRIE_DEPTH + 3, sizeof *constraint->states);
    constraint->masks = ex_allocate(PLACES * constraint->n_words, sizeof *constraint->masks);
    constraint->exits = ex_allocate((size_t)PLACES * EXITS_MAX, sizeof *constraint->exits);
    if (!constraint->states || !constraint->masks || !constraint->exits) return ex_fail_memory(error, "a grammar");
    constraint->around = constraint->states + EX_TRIE_DEPTH + 1;
    constraint->rest = constraint->around + 1;
    for (size_t i = 0; i < PLACES; i++) {
        constraint->places[i].allowed = constraint->masks + i * constraint->n_words;
        constraint->places[i].exits = constraint->exits + i * EXITS_MAX;
    }
    return EX_OK;
}

ex_code ex_constraint_open(ex_constraint **out, const ex_grammar *grammar, const ex_tokenizer *tokenizer,
                           ex_error *error) {
    *out = NULL;
    if (!grammar) return EX_OK;
    ex_constraint *constraint = ex_allocate(1, sizeof *constraint);
    if (!constraint) return ex_fail_memory(error, "a grammar");
    constraint->grammar = grammar;
    constraint->tokenizer = tokenizer;
    ex_code code = ex_tokenizer_trie(&constraint->trie, tokenizer, error);
    if (code == EX_OK && constraint->trie->n_ends == 0)
        code = ex_fail(error, EX_ERROR_UNSUPPORTED, 0,
                       "the vocabulary has no token that ends generation, so no answer could end under a grammar");
    if (code == EX_OK) code = open_memory(constraint, error);
    if (code != EX_OK) {
        ex_constraint_close(constraint);
        return code;
    }
    *out = constraint;
    return EX_OK;
}

void ex_constraint_close(ex_constraint *constraint) {
    if (!constraint) return;
    free(constraint->states);
    free(constraint->masks);
    free(constraint->exits);
    free(constraint);
}

ex_code ex_constrained_open(ex_constrained *line, const ex_constraint *constraint, ex_error *error) {
    *line = (ex_constrained){0};
    if (!constraint) return EX_OK;
    line->state = ex_allocate(1, sizeof *line->state);
    line->allowed = ex_allocate(constraint->n_words, sizeof *line->allowed);
    return line->state && line->allowed ? EX_OK : ex_fail_memory(error, "a grammar");
}

void ex_constrained_close(ex_constrained *line) {
    free(line->state);
    free(line->allowed);
    *line = (ex_constrained){0};
}

/* ---- following a text -------------------------------------------------------------------------------------------- */

void ex_constraint_begin(const ex_constraint *constraint, ex_constrained *line) {
    if (constraint) ex_grammar_begin(constraint->grammar, line->state);
}

void ex_constraint_copy(const ex_constraint *constraint, ex_constrained *to, const ex_constrained *from) {
    if (constraint) ex_grammar_copy(to->state, from->state);
}

void ex_constraint_accept(ex_constraint *constraint, ex_constrained *line, int32_t token) {
    if (!constraint || ex_token_ends_generation(constraint->tokenizer, token)) return;
    const ex_string text = ex_token_text(constraint->tokenizer, token, false);
    if (!ex_grammar_read(constraint->grammar, line->state, text.data, text.length, constraint->around))
        line->state->n_threads = 0;
}

/* ---- walking ----------------------------------------------------------------------------------------------------- */

static void permit(uint64_t *allowed, int32_t token) { allowed[token / 64] |= (uint64_t)1 << (token % 64); }

static void permit_node(const ex_token_trie *trie, size_t at, uint64_t *allowed) {
    for (uint32_t i = trie->nodes[at].tokens; i < trie->nodes[at + 1].tokens; i++) permit(allowed, trie->tokens[i]);
}

/* The node's tokens, and those behind it that have at most `n_more` bytes more. */
static void permit_plain(const ex_token_trie *trie, size_t at, uint32_t n_more, uint64_t *allowed) {
    const ex_trie_node *node = &trie->nodes[at], *end = &trie->nodes[node->next];
    if (node->height <= n_more) {
        for (uint32_t i = node->tokens; i < end->tokens; i++) permit(allowed, trie->tokens[i]);
        return;
    }
    while (at < node->next) {
        const bool fits = (uint32_t)(trie->nodes[at].depth - node->depth) <= n_more;
        if (fits) permit_node(trie, at, allowed);
        at = fits ? at + 1 : trie->nodes[at].next;
    }
}

/* Nodes from `first` up to `end`; the state of the depth above is there. */
static void walk(const ex_constraint *constraint, size_t first, size_t end, uint64_t *allowed) {
    const ex_token_trie *trie = constraint->trie;
    for (size_t at = first; at < end;) {
        const ex_trie_node *node = &trie->nodes[at];
        ex_grammar_state *states = constraint->states + node->depth;
        if (ex_grammar_step(constraint->grammar, states - 1, node->byte, states)) {
            permit_node(trie, at, allowed);
            at++;
        } else {
            at = node->next;
        }
    }
}

/* ---- places inside strings --------------------------------------------------------------------------------------- */

static bool is_inside(const ex_grammar *grammar, const ex_grammar_thread *thread) {
    const ex_grammar_node *node = &grammar->nodes[thread->node];
    return node->is_lexical || (node->kind == EX_NODE_KEYS && thread->count == EX_ADDITIONAL);
}

/* Counts that no token comes near to the limits of are as good as each other. */
static uint32_t typical_count(const ex_grammar_node *node, uint32_t count) {
    if (count < node->min) return node->min - count > EX_TRIE_DEPTH ? node->min - EX_TRIE_DEPTH - 1 : count;
    return node->max - count > EX_TRIE_DEPTH ? node->min : count;
}

/* The thread's own frames; false when there are too many of them. */
static bool describe(const ex_grammar *grammar, const ex_grammar_state *state, const ex_grammar_thread *thread,
                     place *out) {
    *out = (place){.node = thread->node, .count = thread->count};
    const ex_grammar_frame *top = state->frames + thread->first + thread->depth;
    for (size_t i = 1; i <= thread->depth; i++) {
        const ex_grammar_node *node = &grammar->nodes[top[-(ptrdiff_t)i].node];
        if (node->kind != EX_NODE_REPEAT || !node->is_lexical) break;
        if (out->n_frames == FRAMES_MAX) return false;
        const ex_grammar_frame frame = top[-(ptrdiff_t)i];
        out->frames[out->n_frames++] = (ex_grammar_frame){frame.node, typical_count(node, frame.count)};
    }
    return true;
}

static bool is_same(const place *a, const place *b) {
    return a->node == b->node && a->count == b->count && a->n_frames == b->n_frames &&
           memcmp(a->frames, b->frames, a->n_frames * sizeof *a->frames) == 0;
}

static void note_reach(const ex_grammar *grammar, const ex_grammar_state *state, place *found) {
    for (size_t i = 0; i < state->n_threads; i++) {
        const uint32_t reach = state->threads[i].depth + ex_grammar_need(grammar, &state->threads[i]);
        if (reach > found->reach) found->reach = reach;
    }
}

/* All that the place permits, with nothing below its own frames: where it ends, the walk has come to an exit. */
static void explore(const ex_constraint *constraint, place *found) {
    const ex_token_trie *trie = constraint->trie;
    memset(found->allowed, 0, constraint->n_words * sizeof *found->allowed);
    for (size_t at = 0; at < trie->n_nodes;) {
        const ex_trie_node *node = &trie->nodes[at];
        ex_grammar_state *state = constraint->states + node->depth;
        if (!ex_grammar_step(constraint->grammar, state - 1, node->byte, state)) {
            at = node->next;
            continue;
        }
        note_reach(constraint->grammar, state, found);
        const uint32_t n_more = node->is_plain ? ex_grammar_absorbs(constraint->grammar, state) : 0;
        if (n_more > 0) {
            permit_plain(trie, at, n_more, found->allowed);
            at = node->next;
            continue;
        }
        permit_node(trie, at, found->allowed);
        const bool ends = ex_grammar_is_complete(state), goes_on = node->next > at + 1;
        if (ends && goes_on) {
            if (found->n_exits < EXITS_MAX) found->exits[found->n_exits++] = (uint32_t)at;
            else found->is_whole = false;
        }
        at = ends && state->n_threads == 1 ? node->next : at + 1;
    }
}

static void set_start(const ex_constraint *constraint, const place *found) {
    ex_grammar_state *below = constraint->around, *start = constraint->states;
    const ex_grammar_thread stack = {.depth = (uint16_t)found->n_frames};
    for (size_t i = 0; i < found->n_frames; i++) below->frames[i] = found->frames[found->n_frames - 1 - i];
    start->n_threads = start->n_frames = 0;
    ex_grammar_add(constraint->grammar, start, found->node, found->count, below, &stack, stack.depth);
}

static place *find_place(ex_constraint *constraint, const place *wanted) {
    place *oldest = &constraint->places[0];
    for (size_t i = 0; i < PLACES; i++) {
        place *candidate = &constraint->places[i];
        if (candidate->used > 0 && is_same(candidate, wanted)) {
            candidate->used = ++constraint->clock;
            return candidate;
        }
        if (candidate->used < oldest->used) oldest = candidate;
    }
    uint64_t *allowed = oldest->allowed;
    uint32_t *exits = oldest->exits;
    *oldest = *wanted;
    oldest->allowed = allowed;
    oldest->exits = exits;
    oldest->is_whole = true;
    oldest->used = ++constraint->clock;
    set_start(constraint, oldest);
    explore(constraint, oldest);
    return oldest;
}

/* Tokens that leave the place at one of its exits go on with what is around it. */
static void walk_exits(const ex_constraint *constraint, const ex_grammar_state *state, const ex_grammar_thread *thread,
                       const place *found, uint64_t *allowed) {
    const uint16_t below = (uint16_t)(thread->depth - found->n_frames);
    if (below == 0 || found->n_exits == 0) return;
    const ex_grammar_frame *frame = &state->frames[thread->first + below - 1];
    ex_grammar_state *around = constraint->around;
    around->n_threads = around->n_frames = 0;
    ex_grammar_add(constraint->grammar, around, frame->node, frame->count, state, thread, (uint16_t)(below - 1));
    for (size_t i = 0; i < found->n_exits; i++) {
        const size_t at = found->exits[i];
        const ex_trie_node *node = &constraint->trie->nodes[at];
        ex_grammar_copy(constraint->states + node->depth, around);
        walk(constraint, at + 1, node->next, allowed);
    }
}

static bool use_place(ex_constraint *constraint, const ex_grammar_state *state, const ex_grammar_thread *thread,
                      uint64_t *allowed) {
    place wanted;
    if (!is_inside(constraint->grammar, thread)) return false;
    if (!describe(constraint->grammar, state, thread, &wanted)) return false;
    const place *found = find_place(constraint, &wanted);
    if (!found->is_whole || thread->depth - found->n_frames + found->reach > EX_GRAMMAR_DEPTH) return false;
    for (size_t i = 0; i < constraint->n_words; i++) allowed[i] |= found->allowed[i];
    walk_exits(constraint, state, thread, found, allowed);
    return true;
}

/* ---- masks ------------------------------------------------------------------------------------------------------- */

ex_code ex_constraint_mask(ex_constraint *constraint, ex_constrained *line, ex_error *error) {
    if (!constraint) return EX_OK;
    const ex_grammar_state *state = line->state;
    ex_grammar_state *rest = constraint->rest;
    uint64_t any = 0;
    memset(line->allowed, 0, constraint->n_words * sizeof *line->allowed);
    ex_grammar_copy(rest, state);
    rest->n_threads = 0;
    for (size_t i = 0; i < state->n_threads; i++)
        if (!use_place(constraint, state, &state->threads[i], line->allowed))
            rest->threads[rest->n_threads++] = state->threads[i];
    if (rest->n_threads > 0) {
        ex_grammar_copy(constraint->states, rest);
        walk(constraint, 0, constraint->trie->n_nodes, line->allowed);
    }
    for (size_t i = 0; ex_grammar_is_complete(state) && i < constraint->trie->n_ends; i++)
        permit(line->allowed, constraint->trie->ends[i]);
    for (size_t i = 0; i < constraint->n_words; i++) any |= line->allowed[i];
    if (any) return EX_OK;
    return ex_fail(error, EX_ERROR_UNSUPPORTED, 0,
                   "no token of the vocabulary can go on with the answer under its grammar");
}

int32_t ex_constraint_likeliest(const ex_constraint *constraint, const ex_constrained *line, const float *logits) {
    int32_t best = EX_TOKEN_NONE;
    for (size_t i = 0; i < constraint->n_words; i++)
        for (uint64_t left = line->allowed[i]; left != 0; left &= left - 1) {
            const int32_t token = (int32_t)(64 * i) + __builtin_ctzll(left);
            if (best == EX_TOKEN_NONE || logits[token] > logits[best]) best = token;
        }
    return best;
}
