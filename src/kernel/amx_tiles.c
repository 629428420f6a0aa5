/* amx_tiles.c - the shapes of the tile registers, and the most byte products that they can make. */
#include "kernel/amx.h"

#include <string.h>

typedef struct tile_configuration { /* as LDTILECFG reads it */
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_configuration;

_Static_assert(sizeof(tile_configuration) == 64, "a tile configuration has 64 bytes");

/* Constants in memory: to GCC 12 _tile_loadconfig reads eight bytes, and it leaves out stores to the others. */
static const tile_configuration block_shapes = {
    .palette = 1,
    .row_bytes = {[AMX_RESULT] = AMX_ROWS * sizeof(int32_t),
                  [AMX_TOKENS_BLOCK] = EX_QUANT_BLOCK,
                  [AMX_WEIGHTS_BLOCK] = AMX_ROWS * 4,
                  [AMX_TOKENS_HALF] = EX_SUM_BLOCK,
                  [AMX_WEIGHTS_HALF] = AMX_ROWS * 4},
    .rows = {[AMX_RESULT] = AMX_TOKENS,
             [AMX_TOKENS_BLOCK] = AMX_TOKENS,
             [AMX_WEIGHTS_BLOCK] = EX_QUANT_BLOCK / 4,
             [AMX_TOKENS_HALF] = AMX_TOKENS,
             [AMX_WEIGHTS_HALF] = EX_SUM_BLOCK / 4},
};

enum { FULL_ROWS = 16, FULL_ROW_BYTES = 64 };

static const tile_configuration full_shapes = {
    .palette = 1,
    .row_bytes = {FULL_ROW_BYTES, FULL_ROW_BYTES, FULL_ROW_BYTES, FULL_ROW_BYTES, FULL_ROW_BYTES, FULL_ROW_BYTES},
    .rows = {FULL_ROWS, FULL_ROWS, FULL_ROWS, FULL_ROWS, FULL_ROWS, FULL_ROWS},
};

void ex_amx_configure(void) { _tile_loadconfig(&block_shapes); }

uint64_t ex_amx_integer_peak(int32_t state[EX_PEAK_STATE], size_t n_rounds) {
    enum { CHAINS = 4 };
    int32_t result[FULL_ROWS][EX_PEAK_STATE];
    _tile_loadconfig(&full_shapes);
    _tile_loadd(4, state, 0); /* the same row sixteen times */
    _tile_loadd(5, state, 0);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t i = 0; i < n_rounds; i++) {
        _tile_dpbssd(0, 4, 5);
        _tile_dpbssd(1, 4, 5);
        _tile_dpbssd(2, 4, 5);
        _tile_dpbssd(3, 4, 5);
    }
    _tile_stored(0, result, FULL_ROW_BYTES);
    _tile_release();
    memcpy(state, result, EX_PEAK_STATE * sizeof *state);
    return (uint64_t)n_rounds * CHAINS * FULL_ROWS * FULL_ROWS * FULL_ROW_BYTES * 2;
}
