/* grammar_check.c - what is known of a grammar once all its nodes are there: how deep a stack each needs to come to its
 * end, and that a state can be found in bounded work. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "text/grammar_build.h"

#define NO_NODE UINT32_MAX

/* ---- ways ------------------------------------------------------------------------------------------------------- */

/* Nodes that this one depends on; NO_NODE past the last. */
static uint32_t dependency(const ex_grammar *grammar, uint32_t at, size_t index) {
    const ex_grammar_node *node = &grammar->nodes[at];
    switch ((ex_node_kind)node->kind) {
    case EX_NODE_BYTES:
        return index < node->count ? grammar->edges[node->first + index].target : NO_NODE;
    case EX_NODE_FORK:
        return index < node->count ? grammar->words[node->first + index] : NO_NODE;
    case EX_NODE_CALL:
    case EX_NODE_REPEAT:
        return index == 0 ? node->body : index == 1 ? node->next : NO_NODE;
    case EX_NODE_ENTER: {
        const ex_grammar_object *object = &grammar->objects[node->entered];
        if (node->position == EX_ADDITIONAL) return index == 0 ? grammar->nodes[node->root].other : NO_NODE;
        const uint32_t last = grammar->words[object->required + node->position];
        const uint64_t property = (uint64_t)node->position + index;
        return property < object->n && property <= last ? grammar->words[object->starts + property] : NO_NODE;
    }
    case EX_NODE_KEYS:
    case EX_NODE_STOP:
        break;
    }
    return NO_NODE;
}

/* Nodes that are reached without a byte. */
static uint32_t silent(const ex_grammar *grammar, uint32_t at, size_t index) {
    const ex_grammar_node *node = &grammar->nodes[at];
    const bool is_silent = node->kind == EX_NODE_FORK || node->kind == EX_NODE_CALL || node->kind == EX_NODE_REPEAT;
    if (!is_silent || (node->kind == EX_NODE_CALL && index > 0)) return NO_NODE;
    if (node->kind == EX_NODE_REPEAT && index > 0 && node->min > 0) return NO_NODE;
    return dependency(grammar, at, index);
}

/* ---- needs ------------------------------------------------------------------------------------------------------- */

static uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

static uint32_t need_of_call(const ex_grammar *grammar, const ex_grammar_node *node) {
    const uint32_t next = grammar->needs[node->next], body = grammar->needs[node->body];
    if (node->kind == EX_NODE_REPEAT && node->min == 0) return next;
    return body == EX_NEED_MAX ? EX_NEED_MAX : larger(body + 1, next);
}

static uint32_t need_of(const ex_grammar *grammar, uint32_t at) {
    const ex_grammar_node *node = &grammar->nodes[at];
    if (node->kind == EX_NODE_STOP) return 0;
    uint32_t least = EX_NEED_MAX, other;
    if (node->kind == EX_NODE_CALL || node->kind == EX_NODE_REPEAT) {
        least = need_of_call(grammar, node);
    } else {
        for (size_t i = 0; (other = dependency(grammar, at, i)) != NO_NODE; i++)
            if (grammar->needs[other] < least) least = grammar->needs[other];
    }
    return least > EX_GRAMMAR_DEPTH ? EX_NEED_MAX : least;
}

typedef struct reversed { /* who depends on whom */
    uint32_t *first, *users; /* [n_nodes + 1], and [first[n_nodes]] */
    uint32_t *queue;         /* [n_nodes] */
    bool *is_queued;         /* [n_nodes] */
} reversed;

static void close_reversed(reversed *r) {
    free(r->first);
    free(r->users);
    free(r->queue);
    free(r->is_queued);
}

static bool open_reversed(const ex_grammar *grammar, reversed *r) {
    const size_t n = grammar->n_nodes;
    uint32_t other;
    *r = (reversed){0};
    r->first = ex_allocate(n + 2, sizeof *r->first);
    r->queue = ex_allocate(n, sizeof *r->queue);
    r->is_queued = ex_allocate(n, sizeof *r->is_queued);
    if (!r->first || !r->queue || !r->is_queued) return false;
    for (uint32_t at = 0; at < n; at++)
        for (size_t i = 0; (other = dependency(grammar, at, i)) != NO_NODE; i++) r->first[other + 2]++;
    for (size_t i = 2; i < n + 2; i++) r->first[i] += r->first[i - 1];
    r->users = ex_allocate(r->first[n + 1], sizeof *r->users);
    if (!r->users) return false;
    for (uint32_t at = 0; at < n; at++)
        for (size_t i = 0; (other = dependency(grammar, at, i)) != NO_NODE; i++) r->users[r->first[other + 1]++] = at;
    return true;
}

/* Needs fall from "no way" to what they are; who needs a node is looked at again when the node's own need has
 * fallen. The queue is a ring: a node waits in it at most once. */
static bool find_needs(ex_grammar *grammar) {
    const size_t n = grammar->n_nodes;
    reversed r;
    grammar->needs = ex_allocate(n, sizeof *grammar->needs);
    const bool opened = open_reversed(grammar, &r) && grammar->needs;
    size_t head = 0, count = 0;
    for (size_t i = 0; opened && i < n; i++) grammar->needs[i] = EX_NEED_MAX;
    if (opened) {
        r.queue[count++] = EX_NODE_END;
        r.is_queued[EX_NODE_END] = true;
    }
    while (count > 0) {
        const uint32_t at = r.queue[head], need = need_of(grammar, at);
        head = (head + 1) % n;
        count--;
        r.is_queued[at] = false;
        if (need >= grammar->needs[at]) continue;
        grammar->needs[at] = need;
        for (uint32_t i = r.first[at]; i < r.first[at + 1]; i++) {
            const uint32_t user = r.users[i];
            if (r.is_queued[user]) continue;
            r.queue[(head + count++) % n] = user;
            r.is_queued[user] = true;
        }
    }
    close_reversed(&r);
    return opened;
}

/* ---- silent ways ------------------------------------------------------------------------------------------------- */

enum { UNSEEN, OPEN, DONE };

typedef struct search { /* depth first, along silent ways */
    uint8_t *marks;    /* [n_nodes] */
    uint32_t *widths;  /* [n_nodes] ways that begin there */
    uint32_t *lengths; /* [n_nodes] nodes of the longest of them */
    uint32_t *path;    /* [EX_GRAMMAR_SILENT_MAX] */
    size_t *next;      /* of each node of the path, the index of what comes next */
    size_t depth;
} search;

static void finish(const ex_grammar *grammar, search *s, uint32_t at) {
    const ex_grammar_node *node = &grammar->nodes[at];
    uint64_t width = node->kind == EX_NODE_BYTES || node->kind == EX_NODE_ENTER;
    uint32_t other, length = 0;
    for (size_t i = 0; (other = silent(grammar, at, i)) != NO_NODE; i++) {
        if (grammar->needs[other] != EX_NEED_MAX) width += s->widths[other];
        length = larger(length, s->lengths[other]);
    }
    s->widths[at] = width > UINT16_MAX ? UINT16_MAX : (uint32_t)width;
    s->lengths[at] = length + 1;
    s->marks[at] = DONE;
}

static ex_grammar_fault walk(const ex_grammar *grammar, search *s, uint32_t from, uint32_t *where) {
    s->depth = 0;
    s->path[s->depth] = from;
    s->next[s->depth++] = 0;
    s->marks[from] = OPEN;
    while (s->depth > 0) {
        const uint32_t at = s->path[s->depth - 1], to = silent(grammar, at, s->next[s->depth - 1]++);
        *where = at;
        if (to == NO_NODE) {
            finish(grammar, s, at);
            s->depth--;
            if (s->widths[at] > EX_GRAMMAR_THREADS) return EX_FAULT_WIDE;
            if (s->lengths[at] > EX_GRAMMAR_SILENT_MAX) return EX_FAULT_LONG;
        } else if (s->marks[to] == OPEN) {
            return EX_FAULT_CIRCLE;
        } else if (s->marks[to] == UNSEEN) {
            if (s->depth == EX_GRAMMAR_SILENT_MAX) return EX_FAULT_LONG;
            s->marks[to] = OPEN;
            s->path[s->depth] = to;
            s->next[s->depth++] = 0;
        }
    }
    return EX_FAULT_NONE;
}

static bool find_fault(const ex_grammar *grammar, ex_grammar_fault *fault, uint32_t *where) {
    const size_t n = grammar->n_nodes;
    search s = {.marks = ex_allocate(n, 1), .widths = ex_allocate(n, sizeof *s.widths),
                .lengths = ex_allocate(n, sizeof *s.lengths),
                .path = ex_allocate(EX_GRAMMAR_SILENT_MAX, sizeof *s.path),
                .next = ex_allocate(EX_GRAMMAR_SILENT_MAX, sizeof *s.next)};
    const bool opened = s.marks && s.widths && s.lengths && s.path && s.next;
    for (uint32_t at = 0; opened && at < n && *fault == EX_FAULT_NONE; at++)
        if (s.marks[at] == UNSEEN) *fault = walk(grammar, &s, at, where);
    free(s.marks);
    free(s.widths);
    free(s.lengths);
    free(s.path);
    free(s.next);
    return opened;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static void link_rules(const ex_builder *builder) {
    for (size_t i = 0; i < builder->grammar->n_nodes; i++) {
        ex_grammar_node *node = &builder->grammar->nodes[i];
        if (node->kind != EX_NODE_CALL || node->max != EX_UNLIMITED) continue;
        node->body = builder->rules[node->body];
        node->max = 0;
    }
}

ex_code ex_grammar_check(ex_builder *builder, uint32_t root, ex_grammar_fault *fault, uint32_t *where) {
    ex_grammar *grammar = builder->grammar;
    *fault = EX_FAULT_NONE;
    if (builder->code != EX_OK) return builder->code;
    link_rules(builder);
    grammar->root = root;
    *where = root;
    if (!find_needs(grammar) || !find_fault(grammar, fault, where))
        return ex_fail_memory(builder->error, "a grammar");
    if (*fault == EX_FAULT_NONE && grammar->needs[root] == EX_NEED_MAX) {
        *fault = EX_FAULT_EMPTY;
        *where = root;
    }
    return EX_OK;
}
