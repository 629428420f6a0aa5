/* bad_shapes.c - hyper-parameters that no forward pass may meet. */
#include "bad_file.h"

#include <math.h>

#define HEADS "llama.attention.head_count"
#define HEADS_KV "llama.attention.head_count_kv"
#define BASE "llama.rope.freq_base"
#define EPSILON "llama.attention.layer_norm_rms_epsilon"
#define WINDOW "llama.attention.sliding_window"

static void experts(bad_file *file, const bad_row *row) {
    bad_edit_u32(file, &(bad_row){.target = "llama.expert_count", .number = row->count});
    bad_edit_u32(file, &(bad_row){.target = "llama.expert_used_count", .number = row->number});
}

/* `number` wide, so that heads or the key length do not come out even. */
static void scaled(bad_file *file, const bad_row *row) {
    bad_edit_string(file, &(bad_row){.target = "llama.rope.scaling.type", .text = row->text});
    bad_edit_f32(file, row);
}

static const bad_row rows[] = {
    {"no layers", "block_count", BY_RUN, bad_edit_u32, .target = "llama.block_count", .number = 0},
    {"513 layers", "missing", BY_RUN, bad_edit_u32, .target = "llama.block_count", .number = 513},
    {"2^32-1 layers", "block_count", BY_RUN, bad_edit_u32, .target = "llama.block_count", .number = UINT32_MAX},
    {"2^63 layers", "block_count", BY_RUN, bad_edit_u64, .target = "llama.block_count", .number = UINT64_C(1) << 63},
    {"one layer fewer than tensors", "not one that", BY_RUN, bad_edit_u32, .target = "llama.block_count", .number = 1},
    {"layers as text", "no integer", BY_RUN, bad_edit_string, .target = "llama.block_count", .text = "2"},
    {"layers as a fraction", "no integer", BY_RUN, bad_edit_f32, .target = "llama.block_count", .real = 2},
    {"layers missing", "missing", BY_RUN, bad_edit_drop, .target = "llama.block_count"},
    {"no heads", "head_count", BY_RUN, bad_edit_u32, .target = HEADS, .number = 0},
    {"3 heads in 32 dimensions", "", BY_RUN, bad_edit_u32, .target = HEADS, .number = 3},
    {"64 heads in 32 dimensions", "", BY_RUN, bad_edit_u32, .target = HEADS, .number = 64},
    {"2^32-1 heads", "head_count", BY_RUN, bad_edit_u32, .target = HEADS, .number = UINT32_MAX},
    {"no key-value heads", "head_count_kv", BY_RUN, bad_edit_u32, .target = HEADS_KV, .number = 0},
    {"key-value heads that do not divide", "share", BY_RUN, bad_edit_u32, .target = HEADS_KV, .number = 3},
    {"key-value heads for each layer", NULL, 0, bad_edit_array, .target = HEADS_KV, .number = 1, .count = 2},
    {"key-value heads for fewer layers", "head_count_kv", BY_RUN, bad_edit_array, .target = HEADS_KV, .number = 1,
     .count = 1},
    {"key-value heads for no layer", "head_count_kv", BY_RUN, bad_edit_array, .target = HEADS_KV, .count = 0},
    {"key-value heads as texts", "head_count_kv", BY_RUN, bad_edit_strings, .target = HEADS_KV, .text = "1",
     .count = 2},
    {"key-value heads as fractions", "head_count_kv", BY_RUN, bad_edit_floats, .target = HEADS_KV, .real = 1,
     .count = 2},
    {"no width", "embedding_length", BY_RUN, bad_edit_u32, .target = "llama.embedding_length", .number = 0},
    {"2^32-1 wide", "embedding_length", BY_RUN, bad_edit_u32, .target = "llama.embedding_length",
     .number = UINT32_MAX},
    {"1 head of 2^20", "", BY_RUN, bad_edit_u32, .target = "llama.embedding_length", .number = 1 << 20},
    {"odd rotation", "even", BY_RUN, bad_edit_u32, .target = "llama.rope.dimension_count", .number = 15},
    {"rotation wider than a head", "rope.dimension_count", BY_RUN, bad_edit_u32,
     .target = "llama.rope.dimension_count", .number = 18},
    {"no rotation", "rope.dimension_count", BY_RUN, bad_edit_u32, .target = "llama.rope.dimension_count", .number = 0},
    {"a base of 0", "finite", BY_RUN, bad_edit_f32, .target = BASE, .real = 0},
    {"a base below 0", "finite", BY_RUN, bad_edit_f32, .target = BASE, .real = -10000},
    {"a base of NaN", "finite", BY_RUN, bad_edit_f32, .target = BASE, .real = NAN},
    {"a base of infinity", "finite", BY_RUN, bad_edit_f32, .target = BASE, .real = INFINITY},
    {"a base that is denormal", "finite", BY_RUN, bad_edit_f32, .target = BASE, .real = 1e-45},
    {"a base as an array", "no number", BY_RUN, bad_edit_floats, .target = BASE, .real = 10000, .count = 2},
    {"a base as text", "no number", BY_RUN, bad_edit_string, .target = BASE, .text = "10000"},
    {"an epsilon of 0", "finite", BY_RUN, bad_edit_f32, .target = EPSILON, .real = 0},
    {"an epsilon of NaN", "finite", BY_RUN, bad_edit_f32, .target = EPSILON, .real = NAN},
    {"an epsilon below 0", "finite", BY_RUN, bad_edit_f32, .target = EPSILON, .real = -1},
    {"an epsilon that is missing", "missing", BY_RUN, bad_edit_drop, .target = EPSILON},
    {"more experts used than there are", "expert_used_count", BY_RUN, experts, .number = 5, .count = 4},
    {"experts without tensors", "missing", BY_RUN, experts, .number = 2, .count = 4},
    {"2^32-1 experts", "expert_count", BY_RUN, experts, .number = 2, .count = UINT32_MAX},
    {"no window", NULL, 0, bad_edit_u32, .target = WINDOW, .number = 0},
    {"a window of 2^32-1", "sliding_window", BY_RUN, bad_edit_u32, .target = WINDOW, .number = UINT32_MAX},
    {"a context of 0", "context_length", BY_RUN, bad_edit_u32, .target = "llama.context_length", .number = 0},
    {"a context of 2^40", "context_length", BY_RUN, bad_edit_u64, .target = "llama.context_length",
     .number = UINT64_C(1) << 40},
    {"feed-forward of 0", "feed_forward_length", BY_RUN, bad_edit_u32, .target = "llama.feed_forward_length"},
    {"feed-forward wider than its tensors", "shape", BY_RUN, bad_edit_u32, .target = "llama.feed_forward_length",
     .number = 64},
    {"a cap of NaN", "finite", BY_RUN, bad_edit_f32, .target = "llama.final_logit_softcapping", .real = NAN},
    {"a cap of 0", NULL, 0, bad_edit_f32, .target = "llama.final_logit_softcapping", .real = 0},
    {"logits divided by a denormal", "finite", BY_RUN, bad_edit_f32, .target = "llama.logit_scale", .real = 1e-45},
    {"an unknown scaling", "scaling", BY_RUN, bad_edit_string, .target = "llama.rope.scaling.type", .text = "a\nb"},
    {"scaling by NaN", "finite", BY_RUN, scaled, .target = "llama.rope.scaling.factor", .text = "yarn", .real = NAN},
    {"scaling by less than nothing", "finite", BY_RUN, scaled, .target = "llama.rope.scaling.factor", .text = "linear",
     .real = -4},
    {"scaling by tables that are missing", "longrope", BY_RUN, scaled, .target = "llama.rope.scaling.factor",
     .text = "longrope", .real = 4},
};

const bad_table bad_shapes = {"hyper-parameters", rows, sizeof rows / sizeof *rows};
