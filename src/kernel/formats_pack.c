/* formats_pack.c - sixteen rows of a matrix in one stream. Bytes keep their values: four of each row lie behind each
 * other where a row has four, and two where it has a half precision number. So a group is as large as its rows, what a
 * row has at byte `at` begins at 16 * at, and a register that is loaded has a lane for each row. */
#include "kernel/formats.h"
#include "kernel/kernel.h"

#include <string.h>

enum { WORDS_BYTES = 16 }; /* words of a row that are moved together */

typedef struct layout { /* of a block: words of four bytes, fours of them, but for one number of two at start or end */
    size_t bytes, half;
    bool packed;
} layout;

static const layout layouts[EX_TYPE_COUNT] = {
    [EX_TYPE_Q8_0] = {sizeof(ex_block_q8_0), offsetof(ex_block_q8_0, scale), true},
    [EX_TYPE_Q4_0] = {sizeof(ex_block_q4_0), offsetof(ex_block_q4_0, scale), true},
    [EX_TYPE_Q4_K] = {sizeof(ex_block_q4_k), SIZE_MAX, true},
    [EX_TYPE_Q5_K] = {sizeof(ex_block_q5_k), SIZE_MAX, true},
    [EX_TYPE_Q6_K] = {sizeof(ex_block_q6_k), offsetof(ex_block_q6_k, scale), true},
};

/* Straight to their places: a buffer that is written word by word and read as a whole would stall each time. */
static void pack_words(const uint8_t *rows, size_t row_bytes, size_t at, uint8_t *group) {
    for (size_t r = 0; r < EX_PACK_ROWS; r++)
        for (size_t i = 0; i < WORDS_BYTES; i += 4)
            memcpy(group + EX_PACK_ROWS * (at + i) + 4 * r, rows + r * row_bytes + at + i, 4);
}

static void pack_half(const uint8_t *rows, size_t row_bytes, size_t at, uint8_t *group) {
    for (size_t r = 0; r < EX_PACK_ROWS; r++) memcpy(group + EX_PACK_ROWS * at + 2 * r, rows + r * row_bytes + at, 2);
}

static void pack_group(const layout *block, const uint8_t *rows, size_t row_bytes, uint8_t *group) {
    for (size_t start = 0; start < row_bytes; start += block->bytes)
        for (size_t at = 0; at < block->bytes;) {
            if (at == block->half) {
                pack_half(rows, row_bytes, start + at, group);
                at += 2;
            } else {
                pack_words(rows, row_bytes, start + at, group);
                at += WORDS_BYTES;
            }
        }
}

void ex_pack_rows(uint32_t type, const void *rows, size_t row_bytes, size_t n_rows, void *out) {
    const uint8_t *from = rows;
    uint8_t *to = out;
    size_t n_packed = layouts[type].packed ? n_rows - n_rows % EX_PACK_ROWS : 0;
    for (size_t first = 0; first < n_packed; first += EX_PACK_ROWS)
        pack_group(&layouts[type], from + first * row_bytes, row_bytes, to + first * row_bytes);
    memcpy(to + n_packed * row_bytes, from + n_packed * row_bytes, (n_rows - n_packed) * row_bytes);
}
