/* allocations.h - the library's allocations, counted and made to fail. Tests that ask for it (tests/CMakeLists.txt:
 * entropix_test_allocations) have the linker send malloc, calloc, realloc and aligned_alloc here. */
#ifndef EX_TESTS_ALLOCATIONS_H
#define EX_TESTS_ALLOCATIONS_H

/* How many there were since the program began. */
long allocations_counted(void);

/* After `left` more, every one fails; negative: none does. */
void allocations_limit(long left);

#endif
