/* bad_container.c - headers, keys and values that no file may have. */
#include "bad_file.h"

#include <stdlib.h>
#include <string.h>

/* ---- after writing ---- */

static void cut(bad_bytes *bytes, const bad_row *row) { bytes->length = row->number; }

static void poke_u32(bad_bytes *bytes, const bad_row *row) {
    uint32_t value = (uint32_t)row->number;
    memcpy(bytes->data + row->count, &value, sizeof value);
}

static void poke_u64(bad_bytes *bytes, const bad_row *row) {
    memcpy(bytes->data + row->count, &row->number, sizeof row->number);
}

/* In the middle of the array of strings. */
static void cut_strings(bad_bytes *bytes, const bad_row *row) {
    const unsigned char *found = memmem(bytes->data, bytes->length, row->text, strlen(row->text));
    bytes->length = (size_t)(found - bytes->data) + row->number;
}

/* ---- keys ---- */

static void name_length(bad_file *file, const bad_row *row) {
    bad_find_key(file, row->target)->name_length = row->number;
}

static void long_name(bad_file *file, const bad_row *row) {
    bad_key *key = bad_find_key(file, row->target);
    while (key->name.length < row->number) bad_put(&key->name, "x", 1);
    key->name_length = row->number;
}

static void rename_key(bad_file *file, const bad_row *row) {
    bad_key *key = bad_find_key(file, row->target);
    key->name.length = 0;
    bad_put(&key->name, row->text, strlen(row->text));
    key->name_length = strlen(row->text);
}

static void value_type(bad_file *file, const bad_row *row) {
    bad_find_key(file, row->target)->type = (uint32_t)row->number;
}

static void boolean(bad_file *file, const bad_row *row) {
    unsigned char value = (unsigned char)row->number;
    bad_put(&bad_renew_key(file, row->target, BAD_BOOL)->value, &value, 1);
}

static void nested(bad_file *file, const bad_row *row) {
    bad_bytes *value = &bad_renew_key(file, row->target, BAD_ARRAY)->value;
    for (uint64_t i = 0; i < row->count; i++) {
        bad_put_u32(value, BAD_ARRAY);
        bad_put_u64(value, 1);
    }
}

static void array_count(bad_file *file, const bad_row *row) {
    bad_begin_array(file, row->target, (uint32_t)row->count, row->number);
}

static void string_length(bad_file *file, const bad_row *row) {
    bad_put_u64(&bad_renew_key(file, row->target, BAD_STRING)->value, row->number);
}

static const bad_row rows[] = {
    {"the file is empty", "empty", BY_ALL, .spoil = cut},
    {"a file of 3 bytes", "does not begin", BY_ALL, .spoil = cut, .number = 3},
    {"a file of 4 bytes", "ends inside", BY_ALL, .spoil = cut, .number = 4},
    {"a file of 23 bytes", "ends inside", BY_ALL, .spoil = cut, .number = 23},
    {"header alone", "can hold", BY_ALL, .spoil = cut, .number = 24},
    {"wrong magic", "not a GGUF", BY_ALL, .spoil = poke_u32, .number = 0x21212121},
    {"version 0", "version 0", BY_ALL, .spoil = poke_u32, .number = 0, .count = 4},
    {"version 1", "version 1", BY_ALL, .spoil = poke_u32, .number = 1, .count = 4},
    {"version 4", "version 4", BY_ALL, .spoil = poke_u32, .number = 4, .count = 4},
    {"version of the other byte order", "big-endian", BY_ALL, .spoil = poke_u32, .number = 0x03000000, .count = 4},
    {"2^63 tensors", "tensors, more than", BY_ALL, .spoil = poke_u64, .number = UINT64_C(1) << 63, .count = 8},
    {"2^64-1 tensors", "tensors, more than", BY_ALL, .spoil = poke_u64, .number = UINT64_MAX, .count = 8},
    {"10^9 tensors", "tensors, more than", BY_ALL, .spoil = poke_u64, .number = 1000000000, .count = 8},
    {"one tensor too many", "", BY_ALL, .spoil = poke_u64, .number = 21, .count = 8},
    {"2^63 keys", "keys, more than", BY_ALL, .spoil = poke_u64, .number = UINT64_C(1) << 63, .count = 16},
    {"2^64-1 keys", "keys, more than", BY_ALL, .spoil = poke_u64, .number = UINT64_MAX, .count = 16},
    {"10^9 keys", "keys, more than", BY_ALL, .spoil = poke_u64, .number = 1000000000, .count = 16},
    {"a key of length 0", "empty", BY_ALL, name_length, .target = "a", .number = 0},
    {"an empty key", "empty", BY_ALL, rename_key, .target = "llama.context_length", .text = ""},
    {"a key of 65536 bytes", "at most", BY_ALL, long_name, .target = "a", .number = 65536},
    {"a key of 2^64-1 bytes", "at most", BY_ALL, name_length, .target = "a", .number = UINT64_MAX},
    {"a key twice", "twice", BY_ALL, rename_key, .target = "llama.rope.freq_base", .text = "general.architecture"},
    {"a key that is not UTF-8", "UTF-8", BY_ALL, rename_key, .target = "llama.rope.freq_base", .text = "a\xFF\xFE"},
    {"a key with a new line", "control", BY_ALL, rename_key, .target = "llama.rope.freq_base", .text = "a\nb"},
    {"value type 13", "does not exist", BY_ALL, value_type, .target = "llama.rope.freq_base", .number = 13},
    {"value type 255", "does not exist", BY_ALL, value_type, .target = "llama.rope.freq_base", .number = 255},
    {"a bool of 2", "bool", BY_ALL, boolean, .target = "b", .number = 2},
    {"arrays in arrays, 10000 deep", "array of arrays", BY_ALL, nested, .target = "n", .count = 10000},
    {"an array of 2^62 u32", "more than", BY_ALL, array_count, .target = "n", .number = UINT64_C(1) << 62,
     .count = BAD_U32},
    {"an array of 2^64-1 bytes", "more than", BY_ALL, array_count, .target = "n", .number = UINT64_MAX,
     .count = BAD_U8},
    {"an array of 2^61 strings", "more than", BY_ALL, array_count, .target = "n", .number = UINT64_C(1) << 61,
     .count = BAD_STRING},
    {"strings that end half-way", "string", BY_ALL, .spoil = cut_strings, .text = "tokenizer.ggml.tokens",
     .number = 2300},
    {"a string of 2^31+1 bytes", "the file ends", BY_ALL, string_length, .target = "s",
     .number = (UINT64_C(1) << 31) + 1},
    {"a string of 2^64-1 bytes", "the file ends", BY_ALL, string_length, .target = "s", .number = UINT64_MAX},
    {"alignment 0", "power of two", BY_ALL, bad_edit_u32, .target = "general.alignment", .number = 0},
    {"alignment 1", "power of two", BY_ALL, bad_edit_u32, .target = "general.alignment", .number = 1},
    {"alignment 13", "power of two", BY_ALL, bad_edit_u32, .target = "general.alignment", .number = 13},
    {"alignment 2^31", "power of two", BY_ALL, bad_edit_u32, .target = "general.alignment",
     .number = UINT64_C(1) << 31},
    {"alignment of type u64", "u32", BY_ALL, bad_edit_u64, .target = "general.alignment", .number = 32},
    {"alignment of type string", "u32", BY_ALL, bad_edit_string, .target = "general.alignment", .text = "32"},
    {"architecture missing", "architecture", BY_RUN, bad_edit_drop, .target = "general.architecture"},
    {"architecture a number", "architecture", BY_RUN, bad_edit_u32, .target = "general.architecture", .number = 7},
    {"architecture unknown", "not supported", BY_RUN, bad_edit_string, .target = "general.architecture", .text = "abc"},
    {"architecture with new lines", "not supported", BY_RUN, bad_edit_string, .target = "general.architecture",
     .text = "a\nb\nc"},
    {"architecture of 1 MB", "architecture", BY_RUN, bad_edit_string, .target = "general.architecture", .text = "a",
     .count = 1 << 20},
};

const bad_table bad_container = {"container", rows, sizeof rows / sizeof *rows};
