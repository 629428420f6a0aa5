/* grammar.c - running a grammar: one byte after the other, in time that is bounded by the size of a state. */
#include "text/grammar.h"

#include <stdlib.h>
#include <string.h>

void ex_grammar_close(ex_grammar *grammar) {
    if (!grammar) return;
    free(grammar->nodes);
    free(grammar->edges);
    free(grammar->words);
    free(grammar->objects);
    free(grammar->needs);
    free(grammar);
}

void ex_grammar_copy(ex_grammar_state *to, const ex_grammar_state *from) {
    to->n_threads = from->n_threads;
    to->n_frames = from->n_frames;
    memcpy(to->threads, from->threads, from->n_threads * sizeof *from->threads);
    memcpy(to->frames, from->frames, from->n_frames * sizeof *from->frames);
}

/* ---- names of objects -------------------------------------------------------------------------------------------- */

/* The smallest need of the properties below the node that may come at this position; EX_NEED_MAX: none may. */
static uint32_t need_of_names(const ex_grammar *grammar, const ex_grammar_node *node, uint32_t position) {
    const ex_grammar_object *object = &grammar->objects[node->object];
    const uint32_t *names = grammar->words + node->names, *starts = grammar->words + object->starts;
    const uint32_t last = grammar->words[object->required + position];
    uint32_t low = 0, high = node->n_names, least = EX_NEED_MAX;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (names[middle] < position) low = middle + 1;
        else high = middle;
    }
    for (; low < node->n_names && names[low] <= last && least > 0; low++) {
        const uint32_t need = grammar->needs[starts[names[low]]];
        if (need < least) least = need;
    }
    return least;
}

static uint32_t need_of(const ex_grammar *grammar, uint32_t node, uint32_t count) {
    const ex_grammar_node *at = &grammar->nodes[node];
    if (at->kind != EX_NODE_KEYS) return grammar->needs[node];
    return count == EX_ADDITIONAL ? grammar->needs[at->other] : need_of_names(grammar, at, count);
}

uint32_t ex_grammar_need(const ex_grammar *grammar, const ex_grammar_thread *thread) {
    return need_of(grammar, thread->node, thread->count);
}

/* ---- adding threads ---------------------------------------------------------------------------------------------- */

static bool same_thread(const ex_grammar_state *state, const ex_grammar_thread *a, const ex_grammar_thread *b) {
    if (a->node != b->node || a->count != b->count || a->depth != b->depth) return false;
    return a->first == b->first ||
           memcmp(state->frames + a->first, state->frames + b->first, a->depth * sizeof *state->frames) == 0;
}

static void add_thread(ex_grammar_state *state, const ex_grammar_thread *thread) {
    if (state->n_threads == EX_GRAMMAR_THREADS) return;
    for (size_t i = 0; i < state->n_threads; i++)
        if (same_thread(state, &state->threads[i], thread)) return;
    state->threads[state->n_threads++] = *thread;
}

/* A stack with one frame more. Frames are shared with the stack below where it lies at the end of them. */
static bool push_frame(ex_grammar_state *state, ex_grammar_thread *stack, ex_grammar_frame frame) {
    if (stack->depth == EX_GRAMMAR_DEPTH) return false;
    if (stack->first + stack->depth != state->n_frames) {
        if (state->n_frames + stack->depth + 1 > EX_GRAMMAR_FRAMES) return false;
        memcpy(state->frames + state->n_frames, state->frames + stack->first, stack->depth * sizeof frame);
        stack->first = state->n_frames;
        state->n_frames = (uint16_t)(state->n_frames + stack->depth);
    }
    if (state->n_frames == EX_GRAMMAR_FRAMES) return false;
    state->frames[state->n_frames++] = frame;
    stack->depth++;
    return true;
}

static void add(const ex_grammar *grammar, ex_grammar_state *state, ex_grammar_thread at);

static void add_call(const ex_grammar *grammar, ex_grammar_state *state, ex_grammar_thread at, uint32_t body,
                     ex_grammar_frame frame) {
    if (!push_frame(state, &at, frame)) return;
    at.node = body;
    at.count = 0;
    add(grammar, state, at);
}

/* Beyond the least, an unlimited number of repetitions is always the same state. */
static void add_repeat(const ex_grammar *grammar, ex_grammar_state *state, ex_grammar_thread at) {
    const ex_grammar_node *node = &grammar->nodes[at.node];
    if (at.count < node->max) {
        const bool counts = node->max != EX_UNLIMITED || at.count < node->min;
        add_call(grammar, state, at, node->body, (ex_grammar_frame){at.node, at.count + counts});
    }
    if (at.count < node->min) return;
    at.node = node->next;
    at.count = 0;
    add(grammar, state, at);
}

static void add_end(const ex_grammar *grammar, ex_grammar_state *state, ex_grammar_thread at) {
    if (at.depth == 0) {
        add_thread(state, &at);
        return;
    }
    const ex_grammar_frame *frame = &state->frames[at.first + --at.depth];
    at.node = frame->node;
    at.count = frame->count;
    add(grammar, state, at);
}

/* A way that needs nothing to be read is never a circle (grammar_build.c), and never long. */
static void add(const ex_grammar *grammar, ex_grammar_state *state, ex_grammar_thread at) {
    const ex_grammar_node *node = &grammar->nodes[at.node];
    if (state->n_threads == EX_GRAMMAR_THREADS) return;
    const uint32_t need = need_of(grammar, at.node, at.count);
    if (need > (uint32_t)(EX_GRAMMAR_DEPTH - at.depth)) return;
    switch ((ex_node_kind)node->kind) {
    case EX_NODE_BYTES:
    case EX_NODE_KEYS:
        add_thread(state, &at);
        return;
    case EX_NODE_FORK:
        for (uint32_t i = 0; i < node->count; i++) {
            at.node = grammar->words[node->first + i];
            add(grammar, state, at);
        }
        return;
    case EX_NODE_CALL:
        add_call(grammar, state, at, node->body, (ex_grammar_frame){node->next, 0});
        return;
    case EX_NODE_REPEAT:
        add_repeat(grammar, state, at);
        return;
    case EX_NODE_STOP:
        add_end(grammar, state, at);
        return;
    case EX_NODE_ENTER:
        at.node = node->root;
        at.count = node->position;
        add(grammar, state, at);
        return;
    }
}

void ex_grammar_add(const ex_grammar *grammar, ex_grammar_state *to, uint32_t node, uint32_t count,
                    const ex_grammar_state *from, const ex_grammar_thread *stack, uint16_t depth) {
    ex_grammar_thread at = {.node = node, .count = count, .first = to->n_frames, .depth = depth};
    if (to->n_frames + depth > EX_GRAMMAR_FRAMES) return;
    if (depth > 0) memcpy(to->frames + to->n_frames, from->frames + stack->first, depth * sizeof *to->frames);
    to->n_frames = (uint16_t)(to->n_frames + depth);
    add(grammar, to, at);
}

void ex_grammar_begin(const ex_grammar *grammar, ex_grammar_state *state) {
    state->n_threads = state->n_frames = 0;
    add(grammar, state, (ex_grammar_thread){.node = grammar->root});
}

/* ---- one byte ---------------------------------------------------------------------------------------------------- */

static uint32_t target_of(const ex_grammar *grammar, const ex_grammar_node *node, uint8_t byte) {
    const ex_grammar_edge *edges = grammar->edges + node->first;
    for (uint32_t i = 0; i < node->count && edges[i].low <= byte; i++)
        if (byte <= edges[i].high) return edges[i].target;
    return EX_NODE_DEAD;
}

/* Of an additional name, a declared one may be the beginning, but not all. */
static uint32_t target_of_additional(const ex_grammar *grammar, const ex_grammar_node *node, uint8_t byte) {
    const uint32_t target = target_of(grammar, node, byte);
    if (target == EX_NODE_DEAD) return target_of(grammar, &grammar->nodes[node->other], byte);
    return grammar->nodes[target].kind == EX_NODE_KEYS ? target : EX_NODE_DEAD;
}

/* The property whose name ends at this node may come only if the position allows it. */
static bool may_end(const ex_grammar *grammar, const ex_grammar_node *node, uint32_t start, uint32_t position) {
    const ex_grammar_object *object = &grammar->objects[node->object];
    const uint32_t *starts = grammar->words + object->starts, *names = grammar->words + node->names;
    const uint32_t last = grammar->words[object->required + position];
    for (uint32_t i = 0; i < node->n_names && names[i] <= last; i++)
        if (names[i] >= position && starts[names[i]] == start) return true;
    return false;
}

static uint32_t target_of_name(const ex_grammar *grammar, const ex_grammar_thread *thread, uint32_t *count,
                               uint8_t byte) {
    const ex_grammar_node *node = &grammar->nodes[thread->node];
    *count = thread->count;
    if (thread->count == EX_ADDITIONAL) return target_of_additional(grammar, node, byte);
    const uint32_t target = target_of(grammar, node, byte);
    if (target == EX_NODE_DEAD || grammar->nodes[target].kind == EX_NODE_KEYS) return target;
    *count = 0;
    return may_end(grammar, node, target, thread->count) ? target : EX_NODE_DEAD;
}

static uint32_t target_of_thread(const ex_grammar *grammar, const ex_grammar_thread *thread, uint32_t *count,
                                 uint8_t byte) {
    const ex_grammar_node *node = &grammar->nodes[thread->node];
    if (node->kind == EX_NODE_KEYS) {
        const uint32_t target = target_of_name(grammar, thread, count, byte);
        if (grammar->nodes[target].kind != EX_NODE_KEYS) *count = 0;
        return target;
    }
    *count = 0;
    return node->kind == EX_NODE_BYTES ? target_of(grammar, node, byte) : EX_NODE_DEAD;
}

bool ex_grammar_step(const ex_grammar *grammar, const ex_grammar_state *from, uint8_t byte, ex_grammar_state *to) {
    const ex_grammar_thread *copied = NULL; /* whose stack lies at `first` of the new state */
    uint16_t first = 0;
    to->n_threads = to->n_frames = 0;
    for (size_t i = 0; i < from->n_threads; i++) {
        const ex_grammar_thread *thread = &from->threads[i];
        uint32_t count;
        const uint32_t target = target_of_thread(grammar, thread, &count, byte);
        if (target == EX_NODE_DEAD) continue;
        const bool is_shared = copied && copied->first == thread->first && copied->depth == thread->depth;
        if (!is_shared) {
            if (to->n_frames + thread->depth > EX_GRAMMAR_FRAMES) continue;
            first = to->n_frames;
            memcpy(to->frames + first, from->frames + thread->first, thread->depth * sizeof *to->frames);
            to->n_frames = (uint16_t)(first + thread->depth);
            copied = thread;
        }
        add(grammar, to, (ex_grammar_thread){target, count, first, thread->depth});
    }
    return to->n_threads > 0;
}

bool ex_grammar_read(const ex_grammar *grammar, ex_grammar_state *state, const char *text, size_t length,
                     ex_grammar_state *scratch) {
    ex_grammar_state *from = state, *to = scratch;
    for (size_t i = 0; i < length; i++) {
        if (!ex_grammar_step(grammar, from, (uint8_t)text[i], to)) return false;
        ex_grammar_state *next = from;
        from = to;
        to = next;
    }
    if (from != state) ex_grammar_copy(state, from);
    return true;
}

bool ex_grammar_is_complete(const ex_grammar_state *state) {
    for (size_t i = 0; i < state->n_threads; i++)
        if (state->threads[i].node == EX_NODE_END) return true;
    return false;
}

static uint32_t absorbed_by(const ex_grammar *grammar, const ex_grammar_state *state, const ex_grammar_thread *thread) {
    const ex_grammar_node *node = &grammar->nodes[thread->node];
    if (node->plain == EX_PLAIN_STAY) return EX_UNLIMITED;
    if (node->plain != EX_PLAIN_END || thread->depth == 0) return 0;
    const ex_grammar_frame *frame = &state->frames[thread->first + thread->depth - 1];
    const ex_grammar_node *repeat = &grammar->nodes[frame->node];
    if (repeat->kind != EX_NODE_REPEAT || repeat->body != thread->node) return 1;
    return repeat->max == EX_UNLIMITED ? EX_UNLIMITED : repeat->max - frame->count + 1;
}

uint32_t ex_grammar_absorbs(const ex_grammar *grammar, const ex_grammar_state *state) {
    uint32_t most = 0;
    for (size_t i = 0; i < state->n_threads; i++) {
        const uint32_t one = absorbed_by(grammar, state, &state->threads[i]);
        if (one > most) most = one;
    }
    return most;
}
