#include "text/merge.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

ex_code ex_merger_reserve(ex_merger *merger, size_t n_symbols, ex_error *error) {
    if (n_symbols <= merger->capacity) return EX_OK;
    size_t capacity = n_symbols < 64 ? 64 : n_symbols + n_symbols / 2;
    ex_merger_close(merger);
    *merger = (ex_merger){0};
    merger->symbols = ex_allocate(capacity, sizeof *merger->symbols);
    /* n - 1 candidates at first; each of at most n - 1 merges takes one away and adds two at most. */
    merger->heap = ex_allocate(capacity, 2 * sizeof *merger->heap);
    if (!merger->symbols || !merger->heap) return ex_fail_memory(error, "the tokenizer");
    merger->capacity = capacity;
    return EX_OK;
}

void ex_merger_close(ex_merger *merger) {
    free(merger->symbols);
    free(merger->heap);
}

static void heap_push(ex_merger *merger, uint64_t value) {
    uint64_t *heap = merger->heap;
    size_t at = merger->n_heap++;
    for (; at > 0 && heap[(at - 1) / 2] > value; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = value;
}

static uint64_t heap_pop(ex_merger *merger) {
    uint64_t *heap = merger->heap, smallest = heap[0], value = heap[--merger->n_heap];
    size_t at = 0, n = merger->n_heap;
    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
    return smallest;
}

typedef struct merging {
    ex_merger *merger;
    const char *word;
    ex_merge_pair pair;
    const void *context;
} merging;

static void consider(const merging *m, uint32_t index) {
    ex_symbol *left = &m->merger->symbols[index];
    left->merged = EX_TOKEN_NONE;
    if (left->next == EX_NO_SYMBOL) return;
    left->merged = m->pair(m->context, m->word, left, &m->merger->symbols[left->next], &left->rank);
    if (left->merged != EX_TOKEN_NONE) heap_push(m->merger, (uint64_t)left->rank << 32 | index);
}

static void merge_with_next(const merging *m, uint32_t index) {
    ex_symbol *symbols = m->merger->symbols, *left = &symbols[index], *right = &symbols[left->next];
    left->token = left->merged;
    left->length += right->length;
    right->merged = EX_TOKEN_NONE; /* its candidate in the heap is stale now */
    left->next = right->next;
    if (left->next != EX_NO_SYMBOL) symbols[left->next].previous = index;
    consider(m, index);
    if (left->previous != EX_NO_SYMBOL) consider(m, left->previous);
}

void ex_merger_run(ex_merger *merger, size_t n_symbols, const char *word, ex_merge_pair pair, const void *context) {
    merging m = {merger, word, pair, context};
    uint32_t n = (uint32_t)n_symbols;
    for (uint32_t i = 0; i < n; i++) {
        merger->symbols[i].previous = i ? i - 1 : EX_NO_SYMBOL;
        merger->symbols[i].next = i + 1 < n ? i + 1 : EX_NO_SYMBOL;
    }
    merger->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) consider(&m, i);
    while (merger->n_heap) {
        uint64_t best = heap_pop(merger);
        uint32_t index = (uint32_t)best;
        const ex_symbol *left = &merger->symbols[index];
        if (left->merged != EX_TOKEN_NONE && left->rank == best >> 32) merge_with_next(&m, index);
    }
}
