/* rope.h - rotary position embedding (Su et al., "RoFormer", 2021). Angles are computed in single precision, as the
 * reference implementations do: at long contexts the rounding is part of what a model was trained with. */
#ifndef EX_MODEL_ROPE_H
#define EX_MODEL_ROPE_H

#include "model/weights.h"

enum { EX_ROPE_GLOBAL, EX_ROPE_LOCAL, EX_ROPE_COUNT }; /* layers without and with a sliding window */

/* Most models have no layer of the second kind. */
static inline int ex_rope_kinds(const ex_shape *shape) { return shape->window > 0 ? EX_ROPE_COUNT : EX_ROPE_LOCAL; }

/* Angle per position for each of n_rot / 2 pairs, in layers of one kind, for a session of n_context positions. */
void ex_rope_frequencies(const ex_shape *shape, const ex_weights *weights, int kind, size_t n_context,
                         float *frequencies);

/* Cosines and sines of one position, [n_rot / 2] each, times `magnitude`. */
void ex_rope_angles(const float *frequencies, int32_t n_pairs, size_t position, float magnitude, float *cosines,
                    float *sines);

/* Rotates one head of head_dim values in place. */
void ex_rope_apply(ex_rope_kind kind, int32_t n_pairs, const float *cosines, const float *sines, float *head);

#endif
