/* formats_encode_k.c - writing Q4_K and Q5_K: sub-blocks of 32 weights, each with a scale and a minimum of 6 bits.
 *
 * For every sub-block some lines around the obvious one give levels; the least-squares line through those levels suits
 * them best; the one with the smallest squared error wins. Then the scales and minimums of a block are rounded, each
 * tried with its neighbours, and the two numbers that they share are fitted once more to everything that hangs on them.
 * The error counts every weight alike.
 *
 * Sixteen sub-blocks lie side by side, one in each lane, and every step is a loop over the lanes: compilers make
 * vectors of that without changing the order of any sum, so a sub-block gets the same bytes whatever is beside it. */
#include "kernel/formats.h"

#include "kernel/formats_round.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    SUB_BLOCKS = 8, SUB_BLOCK = 32, SCALE_HIGHEST = 63,
    BLOCKS = 2, LANES = BLOCKS * SUB_BLOCKS,
    CANDIDATES = 8, /* lines for each sub-block */
    REFITS = 2      /* of the shared numbers; the error hardly falls after the second */
};

typedef struct columns { /* weights less the lowest of their lane, or less 0 where that is smaller */
    float values[SUB_BLOCK][LANES];
    float low[LANES], range[LANES];
    float sum[LANES], squares[LANES]; /* of values */
} columns;

typedef struct lines { /* values[i] ~ scale * level - shift, so the minimum of the format is shift - low */
    float scale[LANES], shift[LANES];
} lines;

typedef struct moments { /* of the levels that lines give */
    float level[LANES], squared[LANES], product[LANES]; /* sums of level, level², level * value */
} moments;

static void take_columns(const float *restrict weights, columns *restrict out) {
    memset(out, 0, sizeof *out);
    for (int i = 0; i < SUB_BLOCK; i++)
        for (int s = 0; s < LANES; s++) out->values[i][s] = weights[s * SUB_BLOCK + i];
    float high[LANES];
    memcpy(high, out->values[0], sizeof high);
    for (int i = 0; i < SUB_BLOCK; i++) {
        for (int s = 0; s < LANES; s++) {
            float value = out->values[i][s];
            out->low[s] = value < out->low[s] ? value : out->low[s];
            high[s] = value > high[s] ? value : high[s];
        }
    }
    for (int s = 0; s < LANES; s++) out->range[s] = high[s] - out->low[s];
    for (int i = 0; i < SUB_BLOCK; i++) {
        for (int s = 0; s < LANES; s++) {
            float value = out->values[i][s] - out->low[s];
            out->values[i][s] = value;
            out->sum[s] += value;
            out->squares[s] += value * value;
        }
    }
}

static void measure(const columns *restrict c, const lines *restrict fit, float highest, moments *restrict out) {
    float inverse[LANES], offset[LANES];
    for (int s = 0; s < LANES; s++) {
        inverse[s] = ex_inverse_of(fit->scale[s]);
        offset[s] = fit->shift[s] * inverse[s];
    }
    moments m = {{0}, {0}, {0}};
    for (int i = 0; i < SUB_BLOCK; i++) {
        for (int s = 0; s < LANES; s++) {
            float value = c->values[i][s];
            float level = ex_round_level(value * inverse[s] + offset[s], 0, highest);
            m.level[s] += level;
            m.squared[s] += level * level;
            m.product[s] += level * value;
        }
    }
    *out = m;
}

/* The squared error of lane `s` with a line and the moments of some levels, not only of the line's own. */
static inline float line_error(const columns *c, const moments *m, int s, float scale, float shift) {
    return c->squares[s] + shift * (2 * c->sum[s] + SUB_BLOCK * shift) +
           scale * (scale * m->squared[s] - 2 * (m->product[s] + shift * m->level[s]));
}

/* Replaces `best` where the least-squares line through the levels of `m` leaves a smaller error. A minimum below 0
 * cannot be stored: then it is 0. */
static void keep_better_lines(const columns *restrict c, const moments *restrict m, lines *restrict best,
                              float *restrict best_error) {
    const float n = SUB_BLOCK;
    for (int s = 0; s < LANES; s++) {
        float low = c->low[s], sum = c->sum[s], level = m->level[s], product = m->product[s];
        float scale = (n * product - sum * level) / (n * m->squared[s] - level * level);
        float shift = (scale * level - sum) / n;
        bool negative = shift < low;
        shift = negative ? low : shift;
        float scale_at_0 = (product + low * level) * ex_inverse_of(m->squared[s]);
        scale = negative ? scale_at_0 : scale;
        scale = scale > 0 ? scale : 0;
        float error = line_error(c, m, s, scale, shift);
        float old_scale = best->scale[s], old_shift = best->shift[s], old_error = best_error[s];
        best->scale[s] = error < old_error ? scale : old_scale;
        best->shift[s] = error < old_error ? shift : old_shift;
        best_error[s] = error < old_error ? error : old_error;
    }
}

static void search_lines(const columns *c, float highest, lines *best) {
    const float fewest = highest - 2.2f, step = 0.4f; /* levels that the range is spread over */
    float error[LANES];
    moments m;
    for (int s = 0; s < LANES; s++) {
        best->scale[s] = c->range[s] / highest;
        best->shift[s] = 0;
        error[s] = INFINITY;
    }
    for (int candidate = 0; candidate < CANDIDATES; candidate++) {
        lines guess = {{0}, {0}};
        float inverse = 1 / (fewest + step * (float)candidate);
        for (int s = 0; s < LANES; s++) guess.scale[s] = c->range[s] * inverse;
        measure(c, &guess, highest, &m);
        keep_better_lines(c, &m, best, error);
    }
    measure(c, best, highest, &m);
    keep_better_lines(c, &m, best, error);
}

/* ---- the numbers that a block stores ---- */

typedef struct choice {
    float scale[BLOCKS], minimum[BLOCKS];     /* exactly as half precision stores them */
    float scales[LANES], minimums[LANES];     /* 0 to 63 */
    float error[LANES];
} choice;

static void chosen_lines(const columns *c, const choice *x, lines *out) {
    for (int s = 0; s < LANES; s++) {
        out->scale[s] = x->scale[s / SUB_BLOCKS] * x->scales[s];
        out->shift[s] = x->minimum[s / SUB_BLOCKS] * x->minimums[s] + c->low[s];
    }
}

/* Puts a scale near the ideal one, `step` from the nearest, and the minimum that then suits the ideal levels best. */
static void propose(const columns *restrict c, const lines *restrict ideal, float step, choice *restrict x) {
    float scale[LANES], minimum[LANES];
    for (int s = 0; s < LANES; s++) {
        scale[s] = x->scale[s / SUB_BLOCKS];
        minimum[s] = x->minimum[s / SUB_BLOCKS];
    }
    for (int s = 0; s < LANES; s++) {
        float nearest = ex_round_level(ideal->scale[s] * ex_inverse_of(scale[s]), 0, SCALE_HIGHEST);
        x->scales[s] = ex_round_level(nearest + step, 0, SCALE_HIGHEST);
        float mean_level = (c->sum[s] / SUB_BLOCK + ideal->shift[s]) * ex_inverse_of(ideal->scale[s]);
        float shift = ideal->shift[s] + (scale[s] * x->scales[s] - ideal->scale[s]) * mean_level;
        x->minimums[s] = ex_round_level((shift - c->low[s]) * ex_inverse_of(minimum[s]), 0, SCALE_HIGHEST);
    }
}

static void measure_choice(const columns *restrict c, float highest, choice *restrict x) {
    lines fit;
    moments m;
    chosen_lines(c, x, &fit);
    measure(c, &fit, highest, &m);
    for (int s = 0; s < LANES; s++) x->error[s] = line_error(c, &m, s, fit.scale[s], fit.shift[s]);
}

static void keep_better_pairs(const choice *restrict trial, choice *restrict best) {
    for (int s = 0; s < LANES; s++) {
        float error = trial->error[s], old_error = best->error[s];
        float scale = trial->scales[s], old_scale = best->scales[s];
        float minimum = trial->minimums[s], old_minimum = best->minimums[s];
        best->scales[s] = error < old_error ? scale : old_scale;
        best->minimums[s] = error < old_error ? minimum : old_minimum;
        best->error[s] = error < old_error ? error : old_error;
    }
}

/* The pairs of 6-bit numbers that suit the sub-blocks best, given the shared scale and minimum. */
static void choose_pairs(const columns *c, const lines *ideal, float highest, choice *best) {
    choice trial = *best;
    for (int step = 0; step < 3; step++) {
        static const float steps[] = {0, -1, 1};
        propose(c, ideal, steps[step], &trial);
        measure_choice(c, highest, &trial);
        if (step == 0)
            *best = trial;
        else
            keep_better_pairs(&trial, best);
    }
}

/* Least squares for the two shared numbers with everything else fixed: weight ~ scale * a - minimum * b. */
static void refit_block(const columns *c, const moments *m, int block, choice *x) {
    double aa = 0, ab = 0, bb = 0, va = 0, vb = 0;
    for (int s = block * SUB_BLOCKS; s < (block + 1) * SUB_BLOCKS; s++) {
        double a = (double)x->scales[s], b = (double)x->minimums[s], low = (double)c->low[s];
        aa += a * a * (double)m->squared[s];
        ab += a * b * (double)m->level[s];
        bb += b * b * SUB_BLOCK;
        va += a * ((double)m->product[s] + low * (double)m->level[s]);
        vb += b * ((double)c->sum[s] + low * SUB_BLOCK);
    }
    double determinant = aa * bb - ab * ab;
    if (determinant > 1e-6 * aa * bb) {
        double scale = (va * bb - vb * ab) / determinant;
        double minimum = (va * ab - vb * aa) / determinant;
        if (!(scale > 0 && minimum > 0)) return;
        x->scale[block] = ex_stored_scale((float)scale);
        x->minimum[block] = ex_stored_scale((float)minimum);
    } else if (bb == 0 && va > 0) {
        x->scale[block] = ex_stored_scale((float)(va / aa));
    }
}

static void refit_blocks(const columns *c, float highest, choice *x) {
    lines fit;
    moments m;
    chosen_lines(c, x, &fit);
    measure(c, &fit, highest, &m);
    for (int block = 0; block < BLOCKS; block++) refit_block(c, &m, block, x);
}

static void keep_better_blocks(const choice *trial, choice *best) {
    for (int block = 0; block < BLOCKS; block++) {
        int first = block * SUB_BLOCKS;
        float error = 0, best_error = 0;
        for (int s = first; s < first + SUB_BLOCKS; s++) {
            error += trial->error[s];
            best_error += best->error[s];
        }
        if (!(error < best_error)) continue;
        best->scale[block] = trial->scale[block];
        best->minimum[block] = trial->minimum[block];
        memcpy(best->scales + first, trial->scales + first, SUB_BLOCKS * sizeof(float));
        memcpy(best->minimums + first, trial->minimums + first, SUB_BLOCKS * sizeof(float));
        memcpy(best->error + first, trial->error + first, SUB_BLOCKS * sizeof(float));
    }
}

static void search_blocks(const float *weights, float highest, choice *best) {
    columns c;
    lines ideal;
    take_columns(weights, &c);
    search_lines(&c, highest, &ideal);
    memset(best, 0, sizeof *best);
    for (int s = 0; s < LANES; s++) {
        best->scale[s / SUB_BLOCKS] = fmaxf(best->scale[s / SUB_BLOCKS], ideal.scale[s]);
        best->minimum[s / SUB_BLOCKS] = fmaxf(best->minimum[s / SUB_BLOCKS], ideal.shift[s] - c.low[s]);
    }
    for (int block = 0; block < BLOCKS; block++) {
        best->scale[block] = ex_stored_scale(best->scale[block] / SCALE_HIGHEST);
        best->minimum[block] = ex_stored_scale(best->minimum[block] / SCALE_HIGHEST);
    }
    choose_pairs(&c, &ideal, highest, best);
    choice trial = *best;
    for (int i = 0; i < REFITS; i++) {
        refit_blocks(&c, highest, &trial);
        choose_pairs(&c, &ideal, highest, &trial);
        keep_better_blocks(&trial, best);
    }
}

/* ---- bytes ---- */

typedef struct packed_block { /* what the two formats have in common, and a byte for each level */
    uint16_t scale, minimum;
    uint8_t scales[EX_Q4_K_SCALE_BYTES];
    uint8_t levels[EX_SUPER_BLOCK];
} packed_block;

static void pack_scales(const float *scales, const float *minimums, uint8_t packed[EX_Q4_K_SCALE_BYTES]) {
    for (int i = 0; i < 4; i++) {
        int scale = (int)scales[i + 4], minimum = (int)minimums[i + 4];
        packed[i] = (uint8_t)((int)scales[i] | (scale >> 4) << 6);
        packed[i + 4] = (uint8_t)((int)minimums[i] | (minimum >> 4) << 6);
        packed[i + 8] = (uint8_t)((scale & 15) | (minimum & 15) << 4);
    }
}

static void pack_block(const float *weights, const choice *x, int block, float highest, packed_block *out) {
    const float *scales = x->scales + block * SUB_BLOCKS, *minimums = x->minimums + block * SUB_BLOCKS;
    out->scale = ex_half_from_float(x->scale[block]);
    out->minimum = ex_half_from_float(x->minimum[block]);
    pack_scales(scales, minimums, out->scales);
    for (int s = 0; s < SUB_BLOCKS; s++) {
        float scale = x->scale[block] * scales[s], minimum = x->minimum[block] * minimums[s];
        float inverse = ex_inverse_of(scale);
        for (int i = s * SUB_BLOCK; i < (s + 1) * SUB_BLOCK; i++)
            out->levels[i] = (uint8_t)(int)ex_round_level((weights[i] + minimum) * inverse, 0, highest);
    }
}

static void join_nibbles(const uint8_t *levels, uint8_t *quants) {
    for (int s = 0; s < SUB_BLOCKS; s += 2)
        for (int i = 0; i < SUB_BLOCK; i++)
            *quants++ = (uint8_t)((levels[s * SUB_BLOCK + i] & 15) | levels[(s + 1) * SUB_BLOCK + i] << 4);
}

/* Packs the two blocks at `at`; the second one of an odd number is a block of zeros. Returns how many are real. */
static size_t encode_pair(const float *values, size_t n, size_t at, float highest, packed_block out[BLOCKS]) {
    float padded[BLOCKS * EX_SUPER_BLOCK] = {0};
    const float *weights = values + at;
    size_t n_real = (n - at) / EX_SUPER_BLOCK;
    if (n_real < BLOCKS) {
        memcpy(padded, weights, n_real * EX_SUPER_BLOCK * sizeof *padded);
        weights = padded;
    } else {
        n_real = BLOCKS;
    }
    choice x;
    search_blocks(weights, highest, &x);
    for (int block = 0; block < (int)n_real; block++)
        pack_block(weights + block * EX_SUPER_BLOCK, &x, block, highest, &out[block]);
    return n_real;
}

void ex_encode_q4_k(const float *values, size_t n, void *row) {
    ex_block_q4_k *out = row;
    packed_block packed[BLOCKS];
    for (size_t at = 0; at + EX_SUPER_BLOCK <= n; at += BLOCKS * EX_SUPER_BLOCK) {
        size_t n_real = encode_pair(values, n, at, 15, packed);
        for (size_t block = 0; block < n_real; block++, out++) {
            out->scale = packed[block].scale;
            out->minimum = packed[block].minimum;
            memcpy(out->scales, packed[block].scales, sizeof out->scales);
            join_nibbles(packed[block].levels, out->quants);
        }
    }
}

void ex_encode_q5_k(const float *values, size_t n, void *row) {
    ex_block_q5_k *out = row;
    packed_block packed[BLOCKS];
    for (size_t at = 0; at + EX_SUPER_BLOCK <= n; at += BLOCKS * EX_SUPER_BLOCK) {
        size_t n_real = encode_pair(values, n, at, 31, packed);
        for (size_t block = 0; block < n_real; block++, out++) {
            const uint8_t *levels = packed[block].levels;
            out->scale = packed[block].scale;
            out->minimum = packed[block].minimum;
            memcpy(out->scales, packed[block].scales, sizeof out->scales);
            join_nibbles(levels, out->quants);
            memset(out->high, 0, sizeof out->high);
            for (int i = 0; i < EX_SUPER_BLOCK; i++)
                out->high[i % SUB_BLOCK] |= (uint8_t)(levels[i] >> 4 << i / SUB_BLOCK);
        }
    }
}
