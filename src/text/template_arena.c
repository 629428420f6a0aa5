/* template_arena.c - blocks that double in size up to a bound; what is larger gets a block of its own. */
#include "text/template_arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/memory.h"

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 262144, ALIGNMENT = 16 };

struct ex_template_block {
    ex_template_block *next;
    size_t size, used;
    _Alignas(ALIGNMENT) char data[];
};

/* A large piece goes behind the current block, so that the rest of that block stays in use. */
static ex_template_block *add_block(ex_template_arena *arena, size_t bytes) {
    bool alone = arena->blocks && bytes > LARGEST_BLOCK / 4;
    size_t size = arena->blocks ? arena->blocks->size * 2 : FIRST_BLOCK;
    if (size > LARGEST_BLOCK) size = LARGEST_BLOCK;
    if (alone || size < bytes) size = bytes;
    ex_template_block *block = ex_allocate(1, sizeof *block + size);
    if (!block) return NULL;
    block->size = size;
    ex_template_block **place = alone ? &arena->blocks->next : &arena->blocks;
    block->next = *place;
    *place = block;
    return block;
}

void *ex_template_take(ex_template_arena *arena, size_t count, size_t size) {
    uint64_t bytes, total;
    arena->full = !ex_multiply(count, size, &bytes) || !ex_round_up(bytes ? bytes : 1, ALIGNMENT, &bytes) ||
                  !ex_add(arena->taken, bytes, &total) || total > arena->limit;
    if (arena->full) return NULL;
    ex_template_block *block = arena->blocks;
    if (!block || block->size - block->used < bytes) block = add_block(arena, (size_t)bytes);
    if (!block) return NULL;
    void *memory = block->data + block->used;
    block->used += (size_t)bytes;
    arena->taken = (size_t)total;
    return memory;
}

void ex_template_arena_free(ex_template_arena *arena) {
    while (arena->blocks) {
        ex_template_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->taken = 0;
}
