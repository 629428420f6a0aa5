/* rope.h - rotary position embedding (Su et al., "RoFormer", 2021). Angles are computed in single precision, as the
 * reference implementations do: at long contexts the rounding is part of what a model was trained with. */
#ifndef EX_MODEL_ROPE_H
#define EX_MODEL_ROPE_H

#include "model/architecture.h"

/* Angle per position for each of n_rot / 2 pairs. `divisors` (rope_freqs) may be NULL. */
void ex_rope_frequencies(const ex_shape *shape, const float *divisors, float *frequencies);

/* Cosines and sines of one position, [n_rot / 2] each. */
void ex_rope_angles(const float *frequencies, int32_t n_pairs, size_t position, float *cosines, float *sines);

/* Rotates one head of head_dim values in place. */
void ex_rope_apply(ex_rope_kind kind, int32_t n_pairs, const float *cosines, const float *sines, float *head);

#endif
