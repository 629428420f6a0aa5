/* template_arena.h - memory of one parsed template, one set of values or one rendering: taken piece by piece, given
 * back at once, and bounded, because templates are programs that nobody has read. */
#ifndef EX_TEXT_TEMPLATE_ARENA_H
#define EX_TEXT_TEMPLATE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ex_template_block ex_template_block;

typedef struct ex_template_arena {
    ex_template_block *blocks;
    size_t taken, limit; /* bytes */
    bool full;           /* the last refusal was the limit's, not the system's */
} ex_template_arena;

/* Zeroed memory for count × size bytes, aligned for any type; NULL when there is no more. */
void *ex_template_take(ex_template_arena *arena, size_t count, size_t size);
void ex_template_arena_free(ex_template_arena *arena);

#endif
