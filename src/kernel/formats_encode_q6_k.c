/* formats_encode_q6_k.c - writing Q6_K: sub-blocks of 16 weights, each with a signed scale of 8 bits and no minimum.
 *
 * It goes the way of Q4_K (formats_encode_k.c): some scales around the obvious one for each sub-block, least squares on
 * the levels that they give, then the scales of the block rounded together and what they share fitted once more. The
 * sub-blocks of two blocks lie side by side, one in each lane. */
#include "kernel/formats.h"

#include "kernel/formats_round.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    SUB_BLOCKS = 16, SUB_BLOCK = 16, LOWEST = -32, HIGHEST = 31,
    BLOCKS = 2, LANES = BLOCKS * SUB_BLOCKS,
    CANDIDATES = 8, /* scales for each sub-block */
    REFITS = 2      /* of the shared scale; the error hardly falls after the second */
};

typedef struct columns {
    float values[SUB_BLOCK][LANES];
    float extreme[LANES], squares[LANES];
} columns;

typedef struct moments { /* sums of level², level * value */
    float squared[LANES], product[LANES];
} moments;

typedef struct choice {
    float scale[BLOCKS]; /* exactly as half precision stores it */
    float scales[LANES]; /* -128 to 127 */
    float error[LANES];
} choice;

static void take_columns(const float *restrict weights, columns *restrict out) {
    memset(out, 0, sizeof *out);
    for (int i = 0; i < SUB_BLOCK; i++)
        for (int s = 0; s < LANES; s++) out->values[i][s] = weights[s * SUB_BLOCK + i];
    for (int i = 0; i < SUB_BLOCK; i++) {
        for (int s = 0; s < LANES; s++) {
            float value = out->values[i][s], extreme = out->extreme[s];
            out->extreme[s] = fabsf(value) > fabsf(extreme) ? value : extreme;
            out->squares[s] += value * value;
        }
    }
}

static void measure(const columns *restrict c, const float *restrict inverse, moments *restrict out) {
    float lowest[LANES], highest[LANES]; /* with constants as bounds, gcc makes branches instead of vectors */
    for (int s = 0; s < LANES; s++) {
        lowest[s] = LOWEST;
        highest[s] = HIGHEST;
    }
    moments m = {{0}, {0}};
    for (int i = 0; i < SUB_BLOCK; i++) {
        for (int s = 0; s < LANES; s++) {
            float value = c->values[i][s];
            float level = ex_round_level(value * inverse[s], lowest[s], highest[s]);
            m.squared[s] += level * level;
            m.product[s] += level * value;
        }
    }
    *out = m;
}

/* The least-squares scale for given levels leaves the squared values less product² / squared as error. */
static void keep_better_scales(const moments *restrict m, float *restrict best, float *restrict best_gain) {
    for (int s = 0; s < LANES; s++) {
        float scale = m->product[s] * ex_inverse_of(m->squared[s]);
        float gain = scale * m->product[s], old_gain = best_gain[s], old_scale = best[s];
        best[s] = gain > old_gain ? scale : old_scale;
        best_gain[s] = gain > old_gain ? gain : old_gain;
    }
}

/* The extreme value gets a level near -32, where there is one more than above. */
static void search_scales(const columns *c, float *best) {
    const float fewest = 30.6f, step = 0.25f;
    float inverse[LANES], gain[LANES] = {0};
    moments m;
    memset(best, 0, LANES * sizeof *best);
    for (int candidate = 0; candidate < CANDIDATES; candidate++) {
        float levels = -(fewest + step * (float)candidate);
        for (int s = 0; s < LANES; s++) inverse[s] = levels * ex_inverse_of(c->extreme[s]);
        measure(c, inverse, &m);
        keep_better_scales(&m, best, gain);
    }
    for (int s = 0; s < LANES; s++) inverse[s] = ex_inverse_of(best[s]);
    measure(c, inverse, &m);
    keep_better_scales(&m, best, gain);
}

static void measure_choice(const columns *restrict c, choice *restrict x, moments *restrict m) {
    float scale[LANES], inverse[LANES];
    for (int s = 0; s < LANES; s++) {
        scale[s] = x->scale[s / SUB_BLOCKS] * x->scales[s];
        inverse[s] = ex_inverse_of(scale[s]);
    }
    measure(c, inverse, m);
    for (int s = 0; s < LANES; s++)
        x->error[s] = c->squares[s] + scale[s] * (scale[s] * m->squared[s] - 2 * m->product[s]);
}

/* The scales `step` from the ones nearest to the ideal. */
static void propose(const float *restrict ideal, float step, choice *restrict x) {
    float lowest[LANES], highest[LANES], inverse[LANES];
    for (int s = 0; s < LANES; s++) {
        lowest[s] = INT8_MIN;
        highest[s] = INT8_MAX;
        inverse[s] = ex_inverse_of(x->scale[s / SUB_BLOCKS]);
    }
    for (int s = 0; s < LANES; s++) {
        float nearest = ex_round_level(ideal[s] * inverse[s], lowest[s], highest[s]);
        x->scales[s] = ex_round_level(nearest + step, lowest[s], highest[s]);
    }
}

static void keep_better_lanes(const choice *restrict trial, choice *restrict best) {
    for (int s = 0; s < LANES; s++) {
        float error = trial->error[s], old_error = best->error[s];
        float scale = trial->scales[s], old_scale = best->scales[s];
        best->scales[s] = error < old_error ? scale : old_scale;
        best->error[s] = error < old_error ? error : old_error;
    }
}

/* The 8-bit scales near the ideal ones that suit the sub-blocks best, given the shared scales. */
static void choose_scales(const columns *c, const float *ideal, choice *best) {
    static const float steps[] = {0, -1, 1};
    choice trial = *best;
    moments m;
    for (int step = 0; step < 3; step++) {
        propose(ideal, steps[step], &trial);
        measure_choice(c, &trial, &m);
        if (step == 0)
            *best = trial;
        else
            keep_better_lanes(&trial, best);
    }
}

static void refit_blocks(const columns *c, choice *x) {
    moments m;
    measure_choice(c, x, &m);
    for (int block = 0; block < BLOCKS; block++) {
        double product = 0, squared = 0;
        for (int s = block * SUB_BLOCKS; s < (block + 1) * SUB_BLOCKS; s++) {
            double scale = (double)x->scales[s];
            product += scale * (double)m.product[s];
            squared += scale * scale * (double)m.squared[s];
        }
        if (squared > 0) x->scale[block] = ex_stored_scale((float)(product / squared));
    }
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
        memcpy(best->scales + first, trial->scales + first, SUB_BLOCKS * sizeof(float));
        memcpy(best->error + first, trial->error + first, SUB_BLOCKS * sizeof(float));
    }
}

static void search_blocks(const float *weights, choice *best) {
    columns c;
    float ideal[LANES];
    take_columns(weights, &c);
    search_scales(&c, ideal);
    memset(best, 0, sizeof *best);
    for (int block = 0; block < BLOCKS; block++)
        best->scale[block] = ex_stored_scale(ex_extreme(ideal + block * SUB_BLOCKS, SUB_BLOCKS) / INT8_MIN);
    choose_scales(&c, ideal, best);
    choice trial = *best;
    for (int i = 0; i < REFITS; i++) {
        refit_blocks(&c, &trial);
        choose_scales(&c, ideal, &trial);
        keep_better_blocks(&trial, best);
    }
}

/* ---- bytes ---- */

static void pack_block(const float *weights, float scale, const float *scales, ex_block_q6_k *out) {
    uint8_t levels[EX_SUPER_BLOCK];
    out->scale = ex_half_from_float(scale);
    for (int s = 0; s < SUB_BLOCKS; s++) {
        float inverse = ex_inverse_of(scale * scales[s]);
        out->scales[s] = (int8_t)(int)scales[s];
        for (int i = s * SUB_BLOCK; i < (s + 1) * SUB_BLOCK; i++)
            levels[i] = (uint8_t)((int)ex_round_level(weights[i] * inverse, LOWEST, HIGHEST) - LOWEST);
    }
    for (int half = 0; half < 2; half++) {
        const uint8_t *own = levels + half * 128;
        uint8_t *low = out->low + half * 64, *high = out->high + half * 32;
        for (int l = 0; l < 64; l++) low[l] = (uint8_t)((own[l] & 15) | own[l + 64] << 4);
        for (int l = 0; l < 32; l++)
            high[l] = (uint8_t)(own[l] >> 4 | own[l + 32] >> 4 << 2 | own[l + 64] >> 4 << 4 | own[l + 96] >> 4 << 6);
    }
}

void ex_encode_q6_k(const float *values, size_t n, void *row) {
    ex_block_q6_k *out = row;
    float padded[BLOCKS * EX_SUPER_BLOCK] = {0};
    for (size_t n_left = n / EX_SUPER_BLOCK; n_left > 0;) {
        size_t n_blocks = n_left < BLOCKS ? n_left : BLOCKS;
        const float *weights = values;
        if (n_blocks < BLOCKS) weights = memcpy(padded, values, n_blocks * EX_SUPER_BLOCK * sizeof *padded);
        choice x;
        search_blocks(weights, &x);
        for (size_t block = 0; block < n_blocks; block++, out++, values += EX_SUPER_BLOCK)
            pack_block(values, x.scale[block], x.scales + block * SUB_BLOCKS, out);
        n_left -= n_blocks;
    }
}
