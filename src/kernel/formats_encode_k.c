/* formats_encode_k.c - writing Q4_K and Q6_K, whose sub-blocks have scales that are quantised themselves.
 *
 * Both go the same way. For every sub-block some candidate scales around the obvious one give quants; a least-squares
 * fit to those quants gives the scale that suits them best; the candidate with the smallest squared error wins. Then
 * the scales of the super-block are quantised together, each tried with its neighbours, and the common scale is fitted
 * once more to everything that hangs on it. The error counts every weight alike. */
#include "kernel/formats.h"

#include "base/half.h"
#include "kernel/formats_round.h"

#include <math.h>
#include <string.h>

enum {
    Q4_SUB_BLOCKS = 8, Q4_SUB_BLOCK = 32, Q4_HIGHEST = 15, Q4_SCALE_HIGHEST = 63,
    Q6_SUB_BLOCKS = 16, Q6_SUB_BLOCK = 16, Q6_HIGHEST = 63, Q6_OFFSET = 32, Q6_SCALE_OFFSET = 128,
    REFITS = 2 /* of the common scale; the error hardly falls after the second */
};

/* Sum of a power of two of values, which it overwrites: halves are added onto each other, as vectors can. */
static float folded_sum(float *values, int n) {
    for (int half = n / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) values[i] += values[i + half];
    return values[0];
}

/* ---- Q4_K --------------------------------------------------------------------------------------------------- */

typedef struct affine { /* value = scale * quant - minimum, both >= 0 */
    float scale, minimum;
} affine;

static int affine_level(float value, affine fit) {
    return ex_round_level(fit.scale > 0 ? (value + fit.minimum) / fit.scale : 0, Q4_HIGHEST);
}

/* Squared error of the best quants for `fit`. */
static float affine_error(const float *values, affine fit) {
    float squares[Q4_SUB_BLOCK];
    float inverse = fit.scale > 0 ? 1 / fit.scale : 0;
    for (int i = 0; i < Q4_SUB_BLOCK; i++) {
        float level = (float)ex_round_level((values[i] + fit.minimum) * inverse, Q4_HIGHEST);
        float difference = fit.scale * level - fit.minimum - values[i];
        squares[i] = difference * difference;
    }
    return folded_sum(squares, Q4_SUB_BLOCK);
}

/* The least-squares line through the quants that `guess` gives. A minimum below 0 cannot be stored: then it is 0.
 * Gives the squared error that is left, less the sum of the squared values, which is the same for every guess. */
static affine refit_affine(const float *values, affine guess, double *error) {
    const double n = Q4_SUB_BLOCK;
    float inverse = 1 / guess.scale;
    double value_sum = 0, product_sum = 0;
    int level_sum = 0, square_sum = 0;
    int levels[Q4_SUB_BLOCK];
    for (int i = 0; i < Q4_SUB_BLOCK; i++)
        levels[i] = ex_round_level((values[i] + guess.minimum) * inverse, Q4_HIGHEST);
    for (int i = 0; i < Q4_SUB_BLOCK; i++) {
        level_sum += levels[i];
        square_sum += levels[i] * levels[i];
        value_sum += (double)values[i];
        product_sum += (double)values[i] * levels[i];
    }
    *error = INFINITY;
    double determinant = n * square_sum - (double)level_sum * level_sum;
    if (determinant <= 0) return guess;
    double scale = (n * product_sum - value_sum * level_sum) / determinant;
    double minimum = (scale * level_sum - value_sum) / n;
    if (minimum < 0) {
        minimum = 0;
        scale = product_sum / square_sum;
    }
    if (!(scale > 0)) return guess;
    *error = scale * (scale * square_sum - 2 * product_sum) + minimum * (n * minimum + 2 * value_sum) -
             2 * scale * minimum * level_sum;
    return (affine){(float)scale, (float)minimum};
}

static affine search_affine(const float *values) {
    enum { CANDIDATES = 16 };
    float low = 0, high = values[0];
    for (int i = 0; i < Q4_SUB_BLOCK; i++) {
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    if (!(high > low)) return (affine){0, -low};
    affine best = {(high - low) / Q4_HIGHEST, -low};
    double best_error = INFINITY;
    for (int candidate = 0; candidate < CANDIDATES; candidate++) {
        float levels = (float)Q4_HIGHEST - 1.2f + 0.15f * (float)candidate;
        double error;
        affine fit = refit_affine(values, (affine){(high - low) / levels, -low}, &error);
        if (error < best_error) {
            best = fit;
            best_error = error;
        }
    }
    return best;
}

typedef struct q4_block { /* a Q4_K block, unpacked */
    float scale, minimum; /* exactly as half precision stores them */
    uint8_t scales[Q4_SUB_BLOCKS], minimums[Q4_SUB_BLOCKS];
} q4_block;

static affine q4_affine(const q4_block *block, int s) {
    return (affine){block->scale * (float)block->scales[s], block->minimum * (float)block->minimums[s]};
}

/* The pair of 6-bit numbers near `ideal` that suits a sub-block best, given the common scale and minimum. */
static float choose_q4_scales(const float *values, affine ideal, q4_block *block, int s) {
    float best_error = INFINITY;
    int scale = ex_round_level(block->scale > 0 ? ideal.scale / block->scale : 0, Q4_SCALE_HIGHEST);
    int minimum = ex_round_level(block->minimum > 0 ? ideal.minimum / block->minimum : 0, Q4_SCALE_HIGHEST);
    for (int i = scale > 0 ? scale - 1 : 0; i <= scale + 1 && i <= Q4_SCALE_HIGHEST; i++) {
        for (int j = minimum > 0 ? minimum - 1 : 0; j <= minimum + 1 && j <= Q4_SCALE_HIGHEST; j++) {
            float error = affine_error(values, (affine){block->scale * (float)i, block->minimum * (float)j});
            if (!(error < best_error)) continue;
            best_error = error;
            block->scales[s] = (uint8_t)i;
            block->minimums[s] = (uint8_t)j;
        }
    }
    return best_error;
}

static float choose_all_q4_scales(const float *values, const affine *ideals, q4_block *block) {
    float error = 0;
    for (int s = 0; s < Q4_SUB_BLOCKS; s++)
        error += choose_q4_scales(values + s * Q4_SUB_BLOCK, ideals[s], block, s);
    return error;
}

static float stored_scale(float scale) {
    float inverse;
    return ex_half_to_float(ex_round_scale(scale, &inverse));
}

/* Least squares for the two common numbers with everything else fixed: values ~ scale * a - minimum * b. */
static void refit_q4_block(const float *values, q4_block *block) {
    double aa = 0, ab = 0, bb = 0, va = 0, vb = 0;
    for (int s = 0; s < Q4_SUB_BLOCKS; s++) {
        affine fit = q4_affine(block, s);
        double b = block->minimums[s];
        for (int i = 0; i < Q4_SUB_BLOCK; i++) {
            double value = (double)values[s * Q4_SUB_BLOCK + i];
            double a = block->scales[s] * affine_level(values[s * Q4_SUB_BLOCK + i], fit);
            aa += a * a;
            ab += a * b;
            bb += b * b;
            va += value * a;
            vb += value * b;
        }
    }
    double determinant = aa * bb - ab * ab;
    if (determinant > 1e-6 * aa * bb) {
        double scale = (va * bb - vb * ab) / determinant;
        double minimum = (va * ab - vb * aa) / determinant;
        if (!(scale > 0 && minimum > 0)) return;
        block->scale = stored_scale((float)scale);
        block->minimum = stored_scale((float)minimum);
    } else if (bb == 0 && va > 0) {
        block->scale = stored_scale((float)(va / aa));
    }
}

static q4_block search_q4_block(const float *values) {
    affine ideals[Q4_SUB_BLOCKS];
    affine largest = {0, 0};
    for (int s = 0; s < Q4_SUB_BLOCKS; s++) {
        ideals[s] = search_affine(values + s * Q4_SUB_BLOCK);
        largest.scale = fmaxf(largest.scale, ideals[s].scale);
        largest.minimum = fmaxf(largest.minimum, ideals[s].minimum);
    }
    q4_block best = {stored_scale(largest.scale / Q4_SCALE_HIGHEST), stored_scale(largest.minimum / Q4_SCALE_HIGHEST),
                     {0}, {0}};
    float best_error = choose_all_q4_scales(values, ideals, &best);
    q4_block block = best;
    for (int i = 0; i < REFITS; i++) {
        refit_q4_block(values, &block);
        float error = choose_all_q4_scales(values, ideals, &block);
        if (!(error < best_error)) break;
        best = block;
        best_error = error;
    }
    return best;
}

static void pack_q4_scales(const q4_block *block, uint8_t packed[EX_Q4_K_SCALE_BYTES]) {
    for (int i = 0; i < 4; i++) {
        packed[i] = (uint8_t)(block->scales[i] | (block->scales[i + 4] >> 4) << 6);
        packed[i + 4] = (uint8_t)(block->minimums[i] | (block->minimums[i + 4] >> 4) << 6);
        packed[i + 8] = (uint8_t)((block->scales[i + 4] & 15) | (block->minimums[i + 4] & 15) << 4);
    }
}

void ex_encode_q4_k(const float *values, size_t n, void *row) {
    ex_block_q4_k *out = row;
    for (size_t b = 0; b < n / EX_SUPER_BLOCK; b++, out++, values += EX_SUPER_BLOCK) {
        q4_block block = search_q4_block(values);
        memset(out, 0, sizeof *out);
        out->scale = ex_half_from_float(block.scale);
        out->minimum = ex_half_from_float(block.minimum);
        pack_q4_scales(&block, out->scales);
        for (int s = 0; s < Q4_SUB_BLOCKS; s++) {
            affine fit = q4_affine(&block, s);
            for (int i = 0; i < Q4_SUB_BLOCK; i++) {
                int level = affine_level(values[s * Q4_SUB_BLOCK + i], fit);
                out->quants[s / 2 * Q4_SUB_BLOCK + i] |= (uint8_t)(level << s % 2 * 4);
            }
        }
    }
}

/* ---- Q6_K --------------------------------------------------------------------------------------------------- */

static int q6_level(float value, float inverse) {
    return ex_round_level(value * inverse + Q6_OFFSET, Q6_HIGHEST) - Q6_OFFSET;
}

static float q6_error(const float *values, float scale) {
    float squares[Q6_SUB_BLOCK];
    float inverse = scale != 0 ? 1 / scale : 0;
    for (int i = 0; i < Q6_SUB_BLOCK; i++) {
        float difference = scale * (float)q6_level(values[i], inverse) - values[i];
        squares[i] = difference * difference;
    }
    return folded_sum(squares, Q6_SUB_BLOCK);
}

/* The scale of one sub-block. The extreme value gets a level near -32, where there is one more than above. The scale
 * that fits given quants best leaves the squared values less (sum of value * quant)² / (sum of quant²) as error. */
static float search_q6_scale(const float *values) {
    enum { CANDIDATES = 16 };
    float extreme = ex_extreme(values, Q6_SUB_BLOCK);
    if (extreme == 0) return 0;
    double best = 0, best_gain = 0;
    for (int candidate = 0; candidate < CANDIDATES; candidate++) {
        float inverse = -(30.6f + 0.125f * (float)candidate) / extreme;
        double product_sum = 0;
        int square_sum = 0;
        int levels[Q6_SUB_BLOCK];
        for (int i = 0; i < Q6_SUB_BLOCK; i++) levels[i] = q6_level(values[i], inverse);
        for (int i = 0; i < Q6_SUB_BLOCK; i++) {
            product_sum += (double)values[i] * levels[i];
            square_sum += levels[i] * levels[i];
        }
        double gain = product_sum * product_sum / square_sum;
        if (gain > best_gain) {
            best = product_sum / square_sum;
            best_gain = gain;
        }
    }
    return (float)best;
}

typedef struct q6_block { /* the scales of a Q6_K block */
    float scale; /* exactly as half precision stores it */
    int8_t scales[Q6_SUB_BLOCKS];
} q6_block;

static float choose_q6_scales(const float *values, const float *ideals, q6_block *block) {
    float total = 0;
    for (int s = 0; s < Q6_SUB_BLOCKS; s++) {
        float ratio = block->scale != 0 ? ideals[s] / block->scale : 0;
        int nearest = ex_round_level(ratio + Q6_SCALE_OFFSET, 255) - Q6_SCALE_OFFSET;
        float best_error = INFINITY;
        for (int scale = nearest - 1; scale <= nearest + 1; scale++) {
            if (scale < INT8_MIN || scale > INT8_MAX) continue;
            float error = q6_error(values + s * Q6_SUB_BLOCK, block->scale * (float)scale);
            if (!(error < best_error)) continue;
            best_error = error;
            block->scales[s] = (int8_t)scale;
        }
        total += best_error;
    }
    return total;
}

static void refit_q6_block(const float *values, q6_block *block) {
    double product_sum = 0, square_sum = 0;
    for (int i = 0; i < EX_SUPER_BLOCK; i++) {
        int sub_scale = block->scales[i / Q6_SUB_BLOCK];
        float scale = block->scale * (float)sub_scale;
        double level = sub_scale * q6_level(values[i], scale != 0 ? 1 / scale : 0);
        product_sum += (double)values[i] * level;
        square_sum += level * level;
    }
    if (square_sum > 0) block->scale = stored_scale((float)(product_sum / square_sum));
}

static q6_block search_q6_block(const float *values) {
    float ideals[Q6_SUB_BLOCKS];
    for (int s = 0; s < Q6_SUB_BLOCKS; s++) ideals[s] = search_q6_scale(values + s * Q6_SUB_BLOCK);
    q6_block best = {stored_scale(ex_extreme(ideals, Q6_SUB_BLOCKS) / INT8_MIN), {0}};
    float best_error = choose_q6_scales(values, ideals, &best);
    q6_block block = best;
    for (int i = 0; i < REFITS; i++) {
        refit_q6_block(values, &block);
        float error = choose_q6_scales(values, ideals, &block);
        if (!(error < best_error)) break;
        best = block;
        best_error = error;
    }
    return best;
}

void ex_encode_q6_k(const float *values, size_t n, void *row) {
    ex_block_q6_k *out = row;
    for (size_t b = 0; b < n / EX_SUPER_BLOCK; b++, out++, values += EX_SUPER_BLOCK) {
        q6_block block = search_q6_block(values);
        memset(out, 0, sizeof *out);
        out->scale = ex_half_from_float(block.scale);
        memcpy(out->scales, block.scales, sizeof out->scales);
        for (int i = 0; i < EX_SUPER_BLOCK; i++) {
            float scale = block.scale * (float)block.scales[i / Q6_SUB_BLOCK];
            int quant = q6_level(values[i], scale != 0 ? 1 / scale : 0) + Q6_OFFSET;
            int half = i / 128, quarter = i / 32 % 4, l = i % 32;
            out->low[half * 64 + quarter % 2 * 32 + l] |= (uint8_t)((quant & 15) << quarter / 2 * 4);
            out->high[half * 32 + l] |= (uint8_t)(quant >> 4 << quarter * 2);
        }
    }
}
