/* bad_tensors.c - descriptions of tensors and places of their data. */
#include "bad_file.h"

#include <math.h>
#include <string.h>

#define EMBEDDING "token_embd.weight"
#define QUERY "blk.0.attn_q.weight"

static void dims(bad_file *file, const bad_row *row) {
    bad_find_tensor(file, row->target)->n_dims = (uint32_t)row->number;
}

static void first(bad_file *file, const bad_row *row) { bad_find_tensor(file, row->target)->ne[0] = row->number; }

static void second(bad_file *file, const bad_row *row) { bad_find_tensor(file, row->target)->ne[1] = row->number; }

static void both(bad_file *file, const bad_row *row) {
    first(file, row);
    bad_find_tensor(file, row->target)->ne[1] = row->count;
}

static void type(bad_file *file, const bad_row *row) {
    bad_find_tensor(file, row->target)->type = (uint32_t)row->number;
}

static void offset(bad_file *file, const bad_row *row) { bad_find_tensor(file, row->target)->offset = row->number; }

static void rename_tensor(bad_file *file, const bad_row *row) {
    bad_tensor *tensor = bad_find_tensor(file, row->target);
    size_t length = row->count ? row->count : strlen(row->text);
    tensor->name.length = 0;
    bad_put(&tensor->name, row->text, length);
    tensor->name_length = length;
}

/* A name that is long and there. */
static void long_name(bad_file *file, const bad_row *row) {
    bad_tensor *tensor = bad_find_tensor(file, row->target);
    while (tensor->name.length < row->number) bad_put(&tensor->name, "x", 1);
    tensor->name_length = row->number;
}

static void name_length(bad_file *file, const bad_row *row) {
    bad_find_tensor(file, row->target)->name_length = row->number;
}

/* Two tensors whose sizes together are more than 64 bits. */
static void two_large(bad_file *file, const bad_row *row) {
    const uint32_t i8 = 24;
    bad_tensor *one = bad_find_tensor(file, EMBEDDING), *two = bad_find_tensor(file, "blk.0.attn_norm.weight");
    one->type = two->type = i8;
    one->n_dims = two->n_dims = 1;
    one->ne[0] = two->ne[0] = row->number;
    two->offset = row->number;
}

static void fill(bad_file *file, const bad_row *row) { bad_find_tensor(file, row->target)->mean = (float)row->real; }

static void cut_end(bad_bytes *bytes, const bad_row *row) { bytes->length -= row->number; }

static void add(bad_file *file, const bad_row *row) { bad_add_tensor(file, row->target, 32, 32); }

static void aligned_otherwise(bad_file *file, const bad_row *row) {
    file->alignment = row->number;
    bad_edit_u32(file, row);
}

static void none(bad_file *file, const bad_row *row) { (void)row, file->n_tensors = 0; }

static const bad_row rows[] = {
    {"no dimensions", "dimensions", BY_ALL, dims, .target = QUERY, .number = 0},
    {"5 dimensions", "dimensions", BY_ALL, dims, .target = QUERY, .number = 5},
    {"2^32-1 dimensions", "dimensions", BY_ALL, dims, .target = QUERY, .number = UINT32_MAX},
    {"a first dimension of 0", "dimension 0 is 0", BY_ALL, first, .target = QUERY, .number = 0},
    {"a second dimension of 0", "dimension 1 is 0", BY_ALL, second, .target = QUERY, .number = 0},
    {"a dimension of -1", "dimension 0", BY_ALL, first, .target = QUERY, .number = UINT64_MAX},
    {"a dimension of -2^63", "dimension 1", BY_ALL, second, .target = QUERY, .number = UINT64_C(1) << 63},
    {"2^32 x 2^32", "64 bits", BY_ALL, both, .target = QUERY, .number = UINT64_C(1) << 32, .count = UINT64_C(1) << 32},
    {"2^62 F32", "64 bits", BY_ALL, first, .target = QUERY, .number = UINT64_C(1) << 62},
    {"2^31 x 2^31 F32", "64 bits", BY_ALL, both, .target = QUERY, .number = UINT64_C(1) << 31,
     .count = UINT64_C(1) << 31},
    {"a row that is no whole number of blocks", "no whole number", BY_ALL, type, .target = QUERY, .number = 12},
    {"removed type 4", "removed", BY_RUN, type, .target = "output_norm.weight", .number = 4},
    {"removed type 31", "removed", BY_RUN, type, .target = "output_norm.weight", .number = 31},
    {"removed type 36", "removed", BY_RUN, type, .target = "output_norm.weight", .number = 36},
    {"type 43", "unknown", BY_RUN, type, .target = "output_norm.weight", .number = 43},
    {"type 2^31", "unknown", BY_RUN, type, .target = "output_norm.weight", .number = UINT64_C(1) << 31},
    {"type 2^32-1", "unknown", BY_RUN, type, .target = "output_norm.weight", .number = UINT32_MAX},
    {"an offset that is not aligned", "multiple", BY_ALL, offset, .target = "blk.0.attn_norm.weight", .number = 33},
    {"an offset past the end", "gap", BY_ALL, offset, .target = "output_norm.weight", .number = UINT64_C(1) << 40},
    {"an offset of 2^64-32", "gap", BY_ALL, offset, .target = "output_norm.weight", .number = UINT64_MAX - 31},
    {"a first offset past the end", "gap", BY_ALL, offset, .target = EMBEDDING, .number = UINT64_C(1) << 40},
    {"tensors that overlap", "overlaps", BY_ALL, offset, .target = "blk.0.attn_norm.weight", .number = 32},
    {"offsets that go back", "overlaps", BY_ALL, offset, .target = "output_norm.weight", .number = 0},
    {"two tensors of 0x7FFFFFFFFFFFFFC0 bytes", "", BY_ALL, two_large, .number = UINT64_C(0x7FFFFFFFFFFFFFC0)},
    {"a name twice", "twice", BY_ALL, rename_tensor, .target = QUERY, .text = "blk.1.attn_q.weight"},
    {"an empty name", "empty", BY_ALL, rename_tensor, .target = QUERY, .text = ""},
    {"a name of 63 bytes", "missing", BY_RUN, long_name, .target = QUERY, .number = 63},
    {"a name of 64 bytes", "", BY_RUN, long_name, .target = QUERY, .number = 64},
    {"a name of 65 bytes", "at most", BY_ALL, long_name, .target = QUERY, .number = 65},
    {"a name of 2^20 bytes", "at most", BY_ALL, long_name, .target = QUERY, .number = 1 << 20},
    {"a name of 2^64-1 bytes", "at most", BY_ALL, name_length, .target = QUERY, .number = UINT64_MAX},
    {"a name with a zero byte", "control", BY_ALL, rename_tensor, .target = QUERY, .text = "blk.0.attn_q\0weight",
     .count = 19},
    {"a name that is not UTF-8", "UTF-8", BY_ALL, rename_tensor, .target = QUERY, .text = "blk.\xC3\x28"},
    {"data that is one byte short", "", BY_ALL, .spoil = cut_end, .number = 1},
    {"data that is not there", "", BY_ALL, .spoil = cut_end, .number = 60000},
    {"another alignment, kept to", NULL, 0, aligned_otherwise, .target = "general.alignment", .number = 64},
    {"another alignment, not kept to", "", BY_ALL, bad_edit_u32, .target = "general.alignment", .number = 1024},
    {"no tensors at all", "no weights", BY_RUN, none, .number = 0},
    {"a tensor too many", "not one that", BY_RUN, add, .target = "blk.0.extra.weight"},
    {"experts where there are none", "not one that", BY_RUN, add, .target = "blk.0.ffn_gate_exps.weight"},
    {"a layer too many", "not one that", BY_RUN, add, .target = "blk.2.attn_q.weight"},
    {"layer -1", "not one that", BY_RUN, add, .target = "blk.-1.attn_q.weight"},
    {"layer 2^64", "not one that", BY_RUN, add, .target = "blk.18446744073709551616.attn_q.weight"},
    {"an expert's rows, one too few", "", BY_ALL, second, .target = QUERY, .number = 31},
    {"a matrix turned over", "shape", BY_RUN, both, .target = "blk.0.attn_k.weight", .number = 16, .count = 32},
    {"a norm in F16", "", BY_RUN, type, .target = "output_norm.weight", .number = 1},
    {"a matrix in I32", "", BY_RUN, type, .target = QUERY, .number = 26},
    {"a norm of NaN", "not finite", BY_RUN, fill, .target = "blk.0.attn_norm.weight", .real = NAN},
    {"a norm of infinity", "not finite", BY_RUN, fill, .target = "blk.1.ffn_norm.weight", .real = INFINITY},
    {"a matrix of NaN", "not finite", BY_EVALUATION, fill, .target = "blk.1.ffn_up.weight", .real = NAN},
    {"a matrix of infinity", "not finite", BY_EVALUATION, fill, .target = EMBEDDING, .real = INFINITY},
};

const bad_table bad_tensors = {"tensors", rows, sizeof rows / sizeof *rows};
