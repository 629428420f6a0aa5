/* test_gguf.c - what the writer writes the reader reads, and nothing that a file holds can do more than fail. */
#include "support.h"

#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tensor_type.h"
#include "file/gguf.h"

/* ---- files made for the tests ---- */

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_gguf.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder); /* fails, and so does the group, when a test left anything behind */
}

static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* Bytes from a line of words: "GGUF" literally, then T:N (N a number of 1, 2, 4 or 8 bytes for T = b, h, u, U),
 * s:TEXT (a string with its length, %XX for any byte), r:N (a string of N letters), z:N (N zeros), p (pad to 32). */
typedef struct bytes {
    unsigned char data[1 << 17];
    size_t n;
} bytes;

static void put_number(bytes *out, const char *text, size_t size) {
    uint64_t value = *text == '-' ? (uint64_t)strtoll(text, NULL, 0) : strtoull(text, NULL, 0);
    memcpy(out->data + out->n, &value, size);
    out->n += size;
}

static void put_text(bytes *out, const char *text) {
    size_t start = out->n;
    out->n += 8;
    for (; *text; text++) {
        unsigned byte = (unsigned char)*text;
        if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1) text += 2;
        out->data[out->n++] = (unsigned char)byte;
    }
    uint64_t length = out->n - start - 8;
    memcpy(out->data + start, &length, sizeof length);
}

static void put_letters(bytes *out, size_t n) {
    uint64_t length = n;
    memcpy(out->data + out->n, &length, sizeof length);
    memset(out->data + out->n + 8, 'x', n);
    out->n += 8 + n;
}

static void put_word(bytes *out, const char *word) {
    const char *argument = word + 2;
    switch (word[0]) {
    case 'G':
        memcpy(out->data + out->n, word, 4), out->n += 4;
        break;
    case 'b':
        put_number(out, argument, 1);
        break;
    case 'h':
        put_number(out, argument, 2);
        break;
    case 'u':
        put_number(out, argument, 4);
        break;
    case 'U':
        put_number(out, argument, 8);
        break;
    case 's':
        put_text(out, argument);
        break;
    case 'r':
        put_letters(out, strtoul(argument, NULL, 0));
        break;
    case 'z':
        out->n += strtoul(argument, NULL, 0);
        break;
    case 'p':
        out->n = (out->n + 31) / 32 * 32;
        break;
    default:
        fail_msg("unknown word '%s'", word);
    }
}

static void put_line(bytes *out, const char *line) {
    char *copy = strdup(line), *rest = copy;
    memset(out, 0, sizeof *out);
    for (char *word; (word = strsep(&rest, " "));)
        if (*word) put_word(out, word);
    free(copy);
}

#define HEAD(n_tensors, n_keys)       "GGUF u:3 U:" #n_tensors " U:" #n_keys " "
#define TENSOR(name, n, type, offset) "s:" #name " u:1 U:" #n " u:" #type " U:" #offset " "

/* One key of every type, arrays of every type, two tensors. */
static const char every_kind[] = HEAD(
    2, 26) "s:general.architecture u:8 s:test "
           "s:k.u8 u:0 b:200 s:k.i8 u:1 b:-100 s:k.u16 u:2 h:60000 s:k.i16 u:3 h:-30000 s:k.u32 u:4 u:4000000000 "
           "s:k.i32 u:5 u:-2000000000 s:k.f32 u:6 u:0x3FC00000 s:k.yes u:7 b:1 s:k.no u:7 b:0 s:k.text u:8 "
           "s:gr%C3%BC%C3%9F "
           "s:k.u64 u:10 U:9000000000 s:k.huge u:10 U:-1 s:k.i64 u:11 U:-9000000000 s:k.f64 u:12 U:0xC004000000000000 "
           "s:a.u8 u:9 u:0 U:2 b:1 b:2 s:a.i8 u:9 u:1 U:1 b:-1 s:a.u16 u:9 u:2 U:1 h:7 s:a.i16 u:9 u:3 U:1 h:-7 "
           "s:a.u32 u:9 u:4 U:0 s:a.i32 u:9 u:5 U:3 u:1 u:-2 u:3 s:a.f32 u:9 u:6 U:1 u:0xBF800000 "
           "s:a.bool u:9 u:7 U:3 b:1 b:0 b:1 s:a.text u:9 u:8 U:3 s:one s: s:three s:a.u64 u:9 u:10 U:1 U:5 "
           "s:a.f64 u:9 u:12 U:1 U:0x3FF0000000000000 " TENSOR(first, 3, 0,
                                                               0) "s:second u:2 U:32 U:2 u:8 U:32 p z:32 z:68";

static const char *bytes_file(const char *line) {
    static bytes made;
    put_line(&made, line);
    const char *path = in_folder("in.gguf");
    write_bytes(path, made.data, made.n);
    return path;
}

/* ---- reading ---- */

static void assert_integer(const ex_file *file, const char *name, uint64_t index, int64_t expected) {
    int64_t value = ~expected;
    if (!ex_key_integer(ex_file_find_key(file, name), index, &value)) fail_msg("%s is no integer", name);
    assert_int_equal(value, expected);
}

static void assert_number(const ex_file *file, const char *name, uint64_t index, double expected) {
    double value = 0;
    if (!ex_key_number(ex_file_find_key(file, name), index, &value)) fail_msg("%s is no number", name);
    assert_true(value == expected);
}

static void assert_text(const ex_file *file, const char *name, uint64_t index, const char *expected) {
    ex_string value = {0};
    if (!ex_key_string(ex_file_find_key(file, name), index, &value)) fail_msg("%s is no string", name);
    assert_int_equal(value.length, strlen(expected));
    assert_memory_equal(value.data, expected, value.length);
}

static void check_every_kind(const ex_file *file) {
    assert_int_equal(ex_file_key_count(file), 26);
    assert_integer(file, "k.u8", 0, 200);
    assert_integer(file, "k.i8", 0, -100);
    assert_integer(file, "k.u16", 0, 60000);
    assert_integer(file, "k.i16", 0, -30000);
    assert_integer(file, "k.u32", 0, 4000000000);
    assert_integer(file, "k.i32", 0, -2000000000);
    assert_number(file, "k.i32", 0, -2000000000);
    assert_number(file, "k.f32", 0, 1.5);
    assert_integer(file, "k.yes", 0, 1);
    assert_integer(file, "k.no", 0, 0);
    assert_text(file, "k.text", 0, "gr\xC3\xBC\xC3\x9F");
    assert_integer(file, "k.u64", 0, 9000000000);
    assert_integer(file, "k.i64", 0, -9000000000);
    assert_number(file, "k.f64", 0, -2.5);
    assert_integer(file, "a.u8", 1, 2);
    assert_integer(file, "a.i8", 0, -1);
    assert_integer(file, "a.u16", 0, 7);
    assert_integer(file, "a.i16", 0, -7);
    assert_integer(file, "a.i32", 1, -2);
    assert_number(file, "a.f32", 0, -1);
    assert_integer(file, "a.bool", 1, 0);
    assert_text(file, "a.text", 2, "three");
    assert_integer(file, "a.u64", 0, 5);
    assert_number(file, "a.f64", 0, 1);
    const ex_tensor *second = ex_file_find_tensor(file, "second");
    assert_non_null(second);
    assert_true(second == ex_file_tensor(file, 1) && second->type == EX_TYPE_Q8_0 && second->n_dims == 2);
    assert_true(second->ne[0] == 32 && second->ne[1] == 2 && second->ne[2] == 1 && second->ne[3] == 1);
    assert_int_equal(second->n_bytes, 68);
    assert_int_equal((uintptr_t)second->data % 32, 0);
}

static void test_reads_every_kind_of_value(void **state) {
    (void)state;
    ex_error error;
    ex_file *file;
    assert_ok(ex_file_open(&file, bytes_file(every_kind), &error), &error);
    assert_int_equal(ex_file_version(file), 3);
    assert_string_equal(ex_file_path(file), in_folder("in.gguf"));
    check_every_kind(file);
    ex_file_close(file);
    unlink(in_folder("in.gguf"));
}

static void test_values_that_do_not_convert(void **state) {
    (void)state;
    ex_error error;
    ex_file *file;
    assert_ok(ex_file_open(&file, bytes_file(every_kind), &error), &error);
    int64_t integer;
    double number;
    ex_string text;
    assert_false(ex_key_integer(ex_file_find_key(file, "k.huge"), 0, &integer)); /* above INT64_MAX */
    assert_false(ex_key_number(ex_file_find_key(file, "k.huge"), 0, &number));
    assert_false(ex_key_integer(ex_file_find_key(file, "k.f32"), 0, &integer));
    assert_false(ex_key_integer(ex_file_find_key(file, "k.text"), 0, &integer));
    assert_false(ex_key_number(ex_file_find_key(file, "k.text"), 0, &number));
    assert_false(ex_key_integer(ex_file_find_key(file, "k.u8"), 1, &integer)); /* past the end */
    assert_false(ex_key_integer(ex_file_find_key(file, "a.u32"), 0, &integer));
    assert_false(ex_key_string(ex_file_find_key(file, "k.u8"), 0, &text));
    assert_false(ex_key_string(ex_file_find_key(file, "a.text"), 3, &text));
    assert_null(ex_file_find_key(file, "k.absent"));
    assert_null(ex_file_find_key(file, ""));
    assert_null(ex_file_find_tensor(file, "firs"));
    assert_null(ex_file_key(file, 26));
    assert_null(ex_file_tensor(file, 2));
    assert_false(ex_key_integer(NULL, 0, &integer));
    ex_file_close(file);
    ex_file_close(NULL);
    unlink(in_folder("in.gguf"));
}

static void test_walks_an_array_of_strings(void **state) {
    (void)state;
    ex_error error;
    ex_file *file;
    assert_ok(ex_file_open(&file, bytes_file(every_kind), &error), &error);
    const ex_key *key = ex_file_find_key(file, "a.text");
    const void *cursor = NULL;
    ex_string text;
    size_t lengths[] = {3, 0, 5}, n = 0;
    while (ex_key_next_string(key, &cursor, &text)) {
        assert_true(n < 3);
        assert_int_equal(text.length, lengths[n++]);
    }
    assert_int_equal(n, 3);
    ex_file_close(file);
    unlink(in_folder("in.gguf"));
}

/* ---- hostile files ---- */

typedef struct hostile {
    const char *what, *line, *words; /* `words` must be in the message */
} hostile;

static const hostile headers[] = {
    {"wrong magic", "u:0x46554748 u:3 U:0 U:0", "byte 0: this is not a GGUF file"},
    {"three bytes", "b:71 b:71 b:85", "does not begin with the letters GGUF"},
    {"magic alone", "GGUF", "byte 4: the file ends inside the header (4 bytes needed, 0 left)"},
    {"23 bytes", "GGUF u:3 U:0 u:0 h:0 b:0", "byte 16: the file ends inside the header"},
    {"version 0", "GGUF u:0 U:0 U:0", "byte 4: GGUF version 0 does not exist"},
    {"version 1", "GGUF u:1 u:0 u:0", "GGUF version 1 is obsolete"},
    {"version 4", "GGUF u:4 U:0 U:0", "GGUF version 4 is newer"},
    {"big-endian", "GGUF u:0x03000000 U:0 U:0", "big-endian"},
    {"safetensors", "U:100 b:123 b:34 z:90", "a safetensors file"},
    {"2^63 tensors", HEAD(0x8000000000000000, 0), "byte 8: the header announces 9223372036854775808 tensors"},
    {"2^64-1 tensors", HEAD(-1, 0), "announces 18446744073709551615 tensors"},
    {"10^9 tensors", HEAD(1000000000, 0) "z:500", "announces 1000000000 tensors"},
    {"2^63 keys", HEAD(0, 0x8000000000000000), "byte 16: the header announces 9223372036854775808 keys"},
    {"2^64-1 keys", HEAD(0, -1), "announces 18446744073709551615 keys"},
    {"10^9 keys", HEAD(0, 1000000000) "z:500", "announces 1000000000 keys"},
    {"keys eat the room for tensors", HEAD(3, 1) "s:k u:9 u:0 U:100 z:100", "announces 3 tensors"},
};

static const hostile keys[] = {
    {"empty key", HEAD(0, 1) "s: u:0 b:1 z:9", "byte 24: the name of a key is empty"},
    {"key of 65536 bytes", HEAD(0, 1) "r:65536 u:0 b:1", "65536 bytes long, at most 65535"},
    {"key of 2^64-1 bytes", HEAD(0, 1) "U:-1 z:20", "18446744073709551615 bytes long"},
    {"key past the end", HEAD(0, 1) "U:500 z:20", "the file ends inside the name of a key"},
    {"key is no UTF-8", HEAD(0, 1) "s:k%FF u:0 b:1 z:9", "byte 24: the name of a key is not valid UTF-8"},
    {"key with NUL", HEAD(0, 1) "s:k%00k u:0 b:1 z:9", "contains a control character"},
    {"key with an escape code", HEAD(0, 1) "s:k%1B[2J u:0 b:1 z:9", "contains a control character"},
    {"duplicate key", HEAD(0, 3) "s:k u:0 b:1 s:l u:0 b:1 s:k u:0 b:1", "byte 60: key 'k' occurs twice"},
    {"value type 13", HEAD(0, 1) "s:k u:13 U:0", "byte 33: key 'k' has value type 13, which does not exist"},
    {"value type 255", HEAD(0, 1) "s:k u:255 U:0", "has value type 255"},
    {"bool of 2", HEAD(0, 1) "s:k u:7 b:2 z:9", "byte 37: key 'k' is a bool with the value 2"},
    {"array of bool with 255", HEAD(0, 1) "s:k u:9 u:7 U:3 b:0 b:1 b:255",
     "byte 51: key 'k' is a bool with the value 255"},
    {"array of arrays", HEAD(0, 1) "s:k u:9 u:9 U:10000 u:9 U:10000 z:99", "byte 37: key 'k' is an array of arrays"},
    {"array element type", HEAD(0, 1) "s:k u:9 u:77 U:1 z:9", "value type 77"},
    {"array of 2^61 u64", HEAD(0, 1) "s:k u:9 u:10 U:0x2000000000000000 z:64",
     "announces 2305843009213693952 values of type u64"},
    {"array of 2^64-1 u8", HEAD(0, 1) "s:k u:9 u:0 U:-1 z:64", "announces 18446744073709551615 values"},
    {"array of strings cut short", HEAD(0, 1) "s:k u:9 u:8 U:3 s:a s:b U:9 b:1", "string 2 of key 'k' is 9 bytes long"},
    {"array of too many strings", HEAD(0, 1) "s:k u:9 u:8 U:1000000 s:a", "announces 1000000 values of type string"},
    {"string of 2^31+1 bytes", HEAD(0, 1) "s:k u:8 U:0x80000001 z:99", "string 0 of key 'k' is 2147483649 bytes long"},
    {"value cut short", HEAD(0, 1) "s:key u:10 u:1", "the file ends inside a value"},
    {"alignment 0", HEAD(0, 1) "s:general.alignment u:4 u:0", "general.alignment is 0"},
    {"alignment 1", HEAD(0, 1) "s:general.alignment u:4 u:1", "general.alignment is 1"},
    {"alignment 13", HEAD(0, 1) "s:general.alignment u:4 u:13", "must be a power of two from 8"},
    {"alignment 2^31", HEAD(0, 1) "s:general.alignment u:4 u:0x80000000", "general.alignment is 2147483648"},
    {"alignment of type u64", HEAD(0, 1) "s:general.alignment u:10 U:32", "byte 53: general.alignment has type u64"},
    {"alignment as a string", HEAD(0, 1) "s:general.alignment u:8 s:32", "general.alignment has type string"},
    {"alignment as an array", HEAD(0, 1) "s:general.alignment u:9 u:4 U:1 u:32", "general.alignment has type array"},
};

static const hostile tensors[] = {
    {"no dimensions", HEAD(1, 0) "s:t u:0 U:8 u:0 U:0 p z:32", "byte 33: tensor 't' has 0 dimensions"},
    {"5 dimensions", HEAD(1, 0) "s:t u:5 U:1 U:1 U:1 U:1 U:1 u:0 U:0 p z:32", "has 5 dimensions"},
    {"2^32-1 dimensions", HEAD(1, 0) "s:t u:-1 U:1 u:0 U:0 p z:32", "has 4294967295 dimensions"},
    {"dimension 0", HEAD(1, 0) TENSOR(t, 0, 0, 0) "p z:32", "byte 37: tensor 't': dimension 0 is 0"},
    {"negative dimension", HEAD(1, 0) TENSOR(t, -8, 0, 0) "p z:32", "dimension 0 is 18446744073709551608"},
    {"too many weights", HEAD(1, 0) "s:t u:3 U:0x100000000 U:0x100000000 U:4 u:24 U:0 p z:32",
     "more than 64 bits can count"},
    {"too many bytes", HEAD(1, 0) "s:t u:1 U:0x3000000000000000 u:28 U:0 p z:32", "more than 64 bits can count"},
    {"block cut", HEAD(1, 0) TENSOR(t, 33, 8, 0) "p z:96",
     "byte 45: tensor 't': rows of 33 weights are no whole number of Q8_0 blocks of 32"},
    {"too many weights of an unknown type", HEAD(1, 0) "s:t u:2 U:0x100000000 U:0x80000000 u:43 U:0 p z:32",
     "more than 64 bits can count"},
    {"an unknown type without data", HEAD(1, 0) TENSOR(t, 8, 43, 0), "past the end of the file"},
    {"an unknown type behind the end", HEAD(1, 0) TENSOR(t, 8, 43, 64) "p z:32", "leaves a gap"},
    {"an unknown type over another", HEAD(2, 0) TENSOR(a, 8, 43, 0) TENSOR(b, 8, 0, 0) "p z:64", "overlaps"},
    {"unknown types to the end", HEAD(2, 0) TENSOR(a, 8, 43, 0) TENSOR(b, 8, 43, 64) "p z:64", "past the end"},
    {"offset not aligned", HEAD(1, 0) TENSOR(t, 8, 0, 4) "p z:64",
     "offset 4 is not a multiple of the file's alignment"},
    {"offset past the end", HEAD(1, 0) TENSOR(t, 8, 0, 1024) "p z:64", "offset 1024 leaves a gap"},
    {"offset 2^64-32", HEAD(1, 0) TENSOR(t, 8, 0, -32) "p z:64", "leaves a gap"},
    {"overlap", HEAD(2, 0) TENSOR(a, 16, 0, 0) TENSOR(b, 16, 0, 32) "p z:256",
     "tensor 'b': offset 32 overlaps the tensor before it"},
    {"decreasing", HEAD(2, 0) TENSOR(a, 8, 0, 32) TENSOR(b, 8, 0, 0) "p z:256", "tensor 'a': offset 32 leaves a gap"},
    {"gap", HEAD(2, 0) TENSOR(a, 8, 0, 0) TENSOR(b, 8, 0, 64) "p z:256", "tensor 'b': offset 64 leaves a gap"},
    {"sizes that overflow together",
     HEAD(2, 0) TENSOR(a, 0x7FFFFFFFFFFFFFC0, 24, 0) TENSOR(b, 0x7FFFFFFFFFFFFFC0, 24, 0x7FFFFFFFFFFFFFC0) "p z:64",
     "tensor 'a' ends at byte 9223372036854775840, past the end of the file (160)"},
    {"data cut short", HEAD(1, 0) TENSOR(t, 8, 0, 0) "p z:31",
     "byte 32: tensor 't' ends at byte 96, past the end of the file (95)"},
    {"no data", HEAD(1, 0) TENSOR(t, 8, 0, 0), "past the end of the file"},
    {"duplicate tensor", HEAD(2, 0) TENSOR(t, 8, 0, 0) TENSOR(t, 8, 0, 32) "p z:64",
     "byte 65: tensor 't' occurs twice"},
    {"name of 65 bytes", HEAD(1, 0) "r:65 u:1 U:8 u:0 U:0 p z:32", "65 bytes long, at most 64"},
    {"name of 2^20 bytes", HEAD(1, 0) "U:0x100000 u:1 U:8 u:0 U:0 p z:32", "1048576 bytes long"},
    {"empty name", HEAD(1, 0) "s: u:1 U:8 u:0 U:0 p z:32", "the name of a tensor is empty"},
    {"name with NUL", HEAD(1, 0) "s:t%00 u:1 U:8 u:0 U:0 p z:32", "contains a control character"},
    {"name is no UTF-8", HEAD(1, 0) "s:%C3( u:1 U:8 u:0 U:0 p z:32", "is not valid UTF-8"},
    {"description cut short", HEAD(1, 0) "s:tensor u:2 U:8 U:8", "the file ends inside the type of a tensor"},
};

/* Files that open and can be described, with a tensor that nothing can compute with. */
static const hostile types[] = {
    {"type 4", HEAD(1, 0) TENSOR(t, 32, 4, 0) "p z:32", "tensor 't': type 4 was removed from the format"},
    {"type 9", HEAD(1, 0) TENSOR(t, 32, 9, 0) "p z:36", "type 9 (Q8_1) is for activations"},
    {"type 31", HEAD(1, 0) TENSOR(t, 32, 31, 0) "p z:32", "type 31 was removed"},
    {"type 36", HEAD(1, 0) TENSOR(t, 32, 36, 0) "p z:32", "type 36 was removed"},
    {"type 43", HEAD(1, 0) TENSOR(t, 32, 43, 0) "p z:32", "type 43 is unknown"},
    {"type 137", HEAD(1, 0) TENSOR(t, 32, 137, 0) "p z:32", "type 137 is private to the ik_llama.cpp fork"},
    {"type 2^31", HEAD(1, 0) TENSOR(t, 32, 0x80000000, 0) "p z:32", "type 2147483648 is unknown"},
    {"an unknown type before a known one", HEAD(2, 0) TENSOR(a, 8, 43, 0) TENSOR(b, 8, 0, 64) "p z:96",
     "tensor 'a': type 43 is unknown"},
};

static void refuse_all(const hostile *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ex_error error = {0};
        ex_file *file;
        ex_code code = ex_file_open(&file, bytes_file(rows[i].line), &error);
        if (code == EX_OK || file) fail_msg("'%s' was accepted", rows[i].what);
        if (!strstr(error.message, rows[i].words) || !strstr(error.message, "in.gguf: byte "))
            fail_msg("'%s': the message is \"%s\"", rows[i].what, error.message);
        assert_true(code == error.code && (code == EX_ERROR_FORMAT || code == EX_ERROR_UNSUPPORTED));
    }
    unlink(in_folder("in.gguf"));
}

#define REFUSE_ALL(rows) refuse_all(rows, sizeof(rows) / sizeof *(rows))

static void test_refuses_hostile_headers(void **state) {
    (void)state;
    REFUSE_ALL(headers);
}

static void test_refuses_hostile_keys(void **state) {
    (void)state;
    REFUSE_ALL(keys);
}

static void test_refuses_hostile_tensors(void **state) {
    (void)state;
    REFUSE_ALL(tensors);
}

static void test_opens_unknown_types(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        ex_error error = {0};
        ex_file *file;
        assert_ok(ex_file_open(&file, bytes_file(types[i].line), &error), &error);
        assert_int_equal(ex_file_check_types(file, &error), EX_ERROR_UNSUPPORTED);
        if (!strstr(error.message, types[i].words) || !strstr(error.message, "in.gguf: byte "))
            fail_msg("'%s': the message is \"%s\"", types[i].what, error.message);
        const ex_tensor *first = ex_file_tensor(file, 0);
        assert_null(ex_type_name(first->type));
        bool is_last = ex_file_tensor_count(file) == 1;
        assert_int_equal(first->n_bytes, is_last ? ex_file_size(file) - first->offset : 64);
        ex_file_close(file);
    }
    unlink(in_folder("in.gguf"));
}

static void test_accepts_what_only_looks_odd(void **state) {
    (void)state;
    const char *lines[] = {
        HEAD(0, 0),
        "GGUF u:2 U:0 U:0",
        HEAD(0, 1) "s:k u:8 s:bytes%FF%00", /* values need not be UTF-8 */
        HEAD(0, 1) "r:65535 u:0 b:1",
        HEAD(1, 0) "r:64 u:1 U:8 u:0 U:0 p z:32",
        HEAD(2, 0) TENSOR(a, 3, 0, 0) TENSOR(b, 3, 0, 32) "p z:32 z:12", /* the last one not padded */
        HEAD(1, 0) TENSOR(a, 3, 0, 0) "p z:1000",                        /* bytes behind the last tensor */
        HEAD(2, 1) "s:general.alignment u:4 u:8 " TENSOR(a, 3, 0, 0) TENSOR(b, 3, 0, 16) "z:64",
        HEAD(1, 1) "s:general.architecture u:8 s:of-the-future " TENSOR(a, 3, 0, 0) "p z:12",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ex_error error;
        ex_file *file;
        assert_ok(ex_file_open(&file, bytes_file(lines[i]), &error), &error);
        ex_file_close(file);
    }
    unlink(in_folder("in.gguf"));
}

/* Every proper prefix of a file fails; every byte may be anything without harm. */
static void test_survives_cuts_and_changed_bytes(void **state) {
    (void)state;
    static bytes whole;
    put_line(&whole, every_kind);
    const char *path = in_folder("bent.gguf");
    ex_error error;
    ex_file *file;
    for (size_t n = 0; n < whole.n; n++) {
        write_bytes(path, whole.data, n);
        if (ex_file_open(&file, path, &error) == EX_OK)
            fail_msg("the first %zu of %zu bytes were accepted", n, whole.n);
        assert_true(error.position <= n);
    }
    const unsigned char values[] = {0, 1, 9, 0x7F, 0x80, 0xFF};
    for (size_t at = 0; at < whole.n; at++)
        for (size_t v = 0; v < sizeof values; v++) {
            unsigned char before = whole.data[at];
            whole.data[at] = values[v];
            write_bytes(path, whole.data, whole.n);
            if (ex_file_open(&file, path, &error) == EX_OK) ex_file_close(file);
            whole.data[at] = before;
        }
    unlink(path);
}

static void test_refuses_what_is_no_file(void **state) {
    (void)state;
    ex_error error;
    ex_file *file;
    assert_int_equal(ex_file_open(&file, in_folder("absent"), &error), EX_ERROR_IO);
    assert_non_null(strstr(error.message, "absent: cannot open the file: No such file or directory"));
    assert_int_equal(ex_file_open(&file, folder, &error), EX_ERROR_IO);
    assert_non_null(strstr(error.message, "is a directory"));
    write_bytes(in_folder("empty"), "", 0);
    assert_int_equal(ex_file_open(&file, in_folder("empty"), &error), EX_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "the file is empty"));
    unlink(in_folder("empty"));
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(ex_file_open(&file, in_folder("pipe"), &error), EX_ERROR_IO);
    assert_non_null(strstr(error.message, "is not a regular file"));
    unlink(in_folder("pipe"));
    assert_int_equal(ex_file_open(&file, NULL, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_file_open(&file, in_folder("absent"), NULL), EX_ERROR_IO);
    assert_null(file);
}

static void test_a_long_path_leaves_room_for_the_reason(void **state) {
    (void)state;
    char path[300];
    int n = snprintf(path, sizeof path, "%s/", folder);
    memset(path + n, 'd', 200);
    snprintf(path + n + 200, sizeof path - (size_t)n - 200, ".gguf");
    write_bytes(path, "GGUF", 4);
    ex_error error;
    ex_file *file;
    assert_int_equal(ex_file_open(&file, path, &error), EX_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "ddd.gguf: byte 4: the file ends inside the header"));
    unlink(path);
}

static void test_opens_files_of_other_writers(void **state) {
    (void)state;
    const char *folders[] = {"models", "tokenizers", "blocks", "hf"};
    size_t opened = 0;
    for (size_t i = 0; i < 4; i++) {
        const char *there = shared_golden(folders[i]);
        char pattern[1200];
        glob_t found = {0};
        if (!there) continue;
        snprintf(pattern, sizeof pattern, "%s/*.gguf", there);
        if (glob(pattern, 0, NULL, &found) != 0) continue;
        for (size_t f = 0; f < found.gl_pathc; f++, opened++) {
            ex_error error;
            ex_file *file;
            assert_ok(ex_file_open(&file, found.gl_pathv[f], &error), &error);
            for (size_t t = 0; t < ex_file_tensor_count(file); t++) {
                const ex_tensor *tensor = ex_file_tensor(file, t);
                assert_true(tensor->offset % 32 == 0 && tensor->offset + tensor->n_bytes <= ex_file_size(file));
            }
            ex_file_close(file);
        }
        globfree(&found);
    }
    if (opened == 0) test_skip("no shared golden files here");
}

/* ---- writing ---- */

static void test_writes_what_it_reads(void **state) {
    (void)state;
    ex_error error;
    ex_file *in, *out;
    ex_writer *writer;
    assert_ok(ex_file_open(&in, bytes_file(every_kind), &error), &error);
    assert_ok(ex_writer_open(&writer, in_folder("out.gguf"), &error), &error);
    for (size_t i = 0; i < ex_file_key_count(in); i++)
        assert_ok(ex_writer_copy_key(writer, ex_file_key(in, i), &error), &error);
    for (size_t i = 0; i < 2; i++) {
        const ex_tensor *t = ex_file_tensor(in, i);
        assert_ok(ex_writer_declare(writer, t->name, t->type, t->n_dims, t->ne, &error), &error);
    }
    for (size_t i = 0; i < 2; i++) /* in two pieces */
        for (uint64_t half = 0; half < 2; half++) {
            const ex_tensor *t = ex_file_tensor(in, i);
            const char *data = (const char *)t->data + half * t->n_bytes / 2;
            assert_ok(ex_writer_data(writer, data, t->n_bytes / 2, &error), &error);
        }
    assert_ok(ex_writer_finish(writer, &error), &error);
    assert_ok(ex_file_open(&out, in_folder("out.gguf"), &error), &error);
    check_every_kind(out);
    assert_int_equal(ex_file_size(out) % 32, 0);
    ex_file_close(in);
    ex_file_close(out);
    assert_int_equal(count_files(folder), 2);
    unlink(in_folder("in.gguf"));
    unlink(in_folder("out.gguf"));
}

static void test_writes_values(void **state) {
    (void)state;
    ex_error error;
    ex_file *file;
    ex_writer *writer;
    const char *path = in_folder("values.gguf");
    assert_ok(ex_writer_open(&writer, path, &error), &error);
    assert_ok(ex_writer_string(writer, "text", "a\0b", 3, &error), &error);
    assert_ok(ex_writer_u32(writer, "u32", 7, &error), &error);
    assert_ok(ex_writer_f32(writer, "f32", 0.5f, &error), &error);
    assert_ok(ex_writer_bool(writer, "bool", true, &error), &error);
    assert_ok(ex_writer_i32_array(writer, "i32s", (int32_t[]){-1, 2}, 2, &error), &error);
    assert_ok(ex_writer_f32_array(writer, "f32s", (float[]){1, -2}, 2, &error), &error);
    assert_ok(ex_writer_string_array(writer, "texts", (ex_string[]){{"x", 1}, {"yz", 2}}, 2, &error), &error);
    assert_ok(ex_writer_string_array(writer, "none", NULL, 0, &error), &error);
    assert_ok(ex_writer_finish(writer, &error), &error);
    assert_ok(ex_file_open(&file, path, &error), &error);
    ex_string text;
    assert_true(ex_key_string(ex_file_find_key(file, "text"), 0, &text) && text.length == 3);
    assert_memory_equal(text.data, "a\0b", 3);
    assert_integer(file, "u32", 0, 7);
    assert_number(file, "f32", 0, 0.5);
    assert_true(ex_file_find_key(file, "bool")->type == EX_VALUE_BOOL);
    assert_integer(file, "i32s", 1, 2);
    assert_number(file, "f32s", 1, -2);
    assert_text(file, "texts", 1, "yz");
    assert_int_equal(ex_file_find_key(file, "none")->count, 0);
    ex_file_close(file);
    unlink(path);
}

static void assert_refused(ex_code code, const ex_error *error, const char *words) {
    assert_int_not_equal(code, EX_OK);
    if (!strstr(error->message, words)) fail_msg("the message is \"%s\"", error->message);
}

static void test_writer_refuses_misuse(void **state) {
    (void)state;
    ex_error error;
    ex_writer *writer;
    const uint64_t ne[] = {8, 0};
    const ex_string name = {"t", 1};
    const char *path = in_folder("misuse.gguf");
    static const char data[64];
    assert_ok(ex_writer_open(&writer, path, &error), &error);
    assert_refused(ex_writer_u32(writer, "", 1, &error), &error, "the name of a key is empty");
    assert_refused(ex_writer_declare(writer, name, 8, 1, ne, &error), &error, "shape that cannot be stored");
    assert_refused(ex_writer_declare(writer, name, 0, 2, ne, &error), &error, "shape that cannot be stored");
    assert_refused(ex_writer_declare(writer, name, 4, 1, ne, &error), &error, "shape that cannot be stored");
    assert_refused(ex_writer_u32(writer, "late", 1, &error), &error, "keys must be written before tensors");
    ex_writer_abandon(writer);
    assert_ok(ex_writer_open(&writer, path, &error), &error);
    assert_ok(ex_writer_declare(writer, name, 0, 1, ne, &error), &error);
    assert_refused(ex_writer_data(writer, data, 33, &error), &error, "declared with 32 bytes, but gets 33");
    assert_ok(ex_writer_data(writer, data, 20, &error), &error);
    assert_refused(ex_writer_finish(writer, &error), &error, "declared with 32 bytes, but got 20");
    assert_ok(ex_writer_open(&writer, path, &error), &error);
    assert_ok(ex_writer_u32(writer, "twice", 1, &error), &error);
    assert_ok(ex_writer_u32(writer, "twice", 1, &error), &error);
    assert_refused(ex_writer_finish(writer, &error), &error, "key 'twice' occurs twice");
    ex_writer_abandon(NULL);
    assert_int_equal(count_files(folder), 0);
}

static void test_writer_refuses_bad_targets(void **state) {
    (void)state;
    ex_error error;
    ex_writer *writer;
    assert_refused(ex_writer_open(&writer, in_folder("absent/x.gguf"), &error), &error, "cannot create the file");
    assert_refused(ex_writer_open(&writer, folder, &error), &error, "is not a regular file");
    assert_refused(ex_writer_open(&writer, "", &error), &error, "no file to write was named");
    assert_null(writer);
    assert_int_equal(count_files(folder), 0);
}

/* A limit on the size of files stands in for a full disk: write(2) fails in the same place. */
static void test_a_failed_write_leaves_the_old_file(void **state) {
    (void)state;
    const char *path = in_folder("kept.gguf");
    write_bytes(path, "old", 3);
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 1 << 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    ex_error error;
    ex_writer *writer;
    const uint64_t ne[] = {1 << 20};
    float *data = calloc(1 << 20, sizeof *data);
    ex_code code = ex_writer_open(&writer, path, &error);
    if (code == EX_OK) code = ex_writer_declare(writer, (ex_string){"t", 1}, 0, 1, ne, &error);
    if (code == EX_OK) code = ex_writer_data(writer, data, sizeof *data << 20, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    free(data);
    assert_refused(code, &error, "the file is too large after 1048576 bytes; the unfinished file is removed");
    assert_int_equal(code, EX_ERROR_IO);
    assert_int_equal(error.position, 1 << 20);
    ex_writer_abandon(writer);
    size_t length = 0;
    char *text = read_whole_file(path, &length);
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(count_files(folder), 1);
    unlink(path);
}

static void test_writer_keeps_off_files_of_others(void **state) {
    (void)state;
    ex_error error;
    ex_writer *writers[2];
    for (int i = 0; i < 2; i++) {
        assert_ok(ex_writer_open(&writers[i], in_folder("same.gguf"), &error), &error);
        assert_ok(ex_writer_u32(writers[i], "number", (uint32_t)i, &error), &error);
    }
    assert_int_equal(count_files(folder), 2);
    for (int i = 0; i < 2; i++) assert_ok(ex_writer_finish(writers[i], &error), &error);
    assert_int_equal(count_files(folder), 1);
    ex_file *file;
    assert_ok(ex_file_open(&file, in_folder("same.gguf"), &error), &error);
    assert_integer(file, "number", 0, 1);
    ex_file_close(file);
    unlink(in_folder("same.gguf"));
}

/* ---- models in several files ---- */

#define SPLIT(number, count) "s:split.no u:2 h:" #number " s:split.count u:2 h:" #count " "
#define TOTAL(n)             "s:split.tensors.count u:5 u:" #n " "

enum { N_PARTS = 3 };

/* The first part has the keys and no tensors, as some writers make it. */
static const char *const whole_split[N_PARTS] = {
    HEAD(0, 5) SPLIT(0, 3) TOTAL(3) "s:general.architecture u:8 s:test s:k u:4 u:7 p",
    HEAD(2, 3) SPLIT(1, 3) "s:k u:4 u:8 " TENSOR(b, 3, 0, 0) TENSOR(a, 2, 0, 32) "p u:1 u:2 u:3 p u:4 u:5 p",
    HEAD(1, 3) SPLIT(2, 3) "s:general.alignment u:4 u:64 " TENSOR(c, 1, 0, 0) "p z:32 u:6",
};

static const char *part_path(int part) {
    char name[40];
    snprintf(name, sizeof name, "m-%05d-of-%05d.gguf", part + 1, N_PARTS);
    return in_folder(name);
}

/* The three parts, of which `part` is `line` (NULL: not there). */
static void write_split(int part, const char *line) {
    static bytes made;
    for (int i = 0; i < N_PARTS; i++) {
        const char *content = i == part ? line : whole_split[i];
        unlink(part_path(i));
        if (!content) continue;
        put_line(&made, content);
        write_bytes(part_path(i), made.data, made.n);
    }
}

static void remove_split(void) {
    for (int i = 0; i < N_PARTS; i++) unlink(part_path(i));
}

static void check_split(const ex_file *file) {
    static const struct {
        const char *name;
        uint32_t part, first;
    } expected[] = {{"b", 1, 1}, {"a", 1, 4}, {"c", 2, 6}};
    assert_int_equal(ex_file_part_count(file), 3);
    assert_string_equal(ex_file_path(file), part_path(0));
    for (int i = 0; i < N_PARTS; i++) assert_string_equal(ex_file_part_path(file, (size_t)i), part_path(i));
    assert_null(ex_file_part_path(file, 3));
    assert_integer(file, "k", 0, 7);
    assert_null(ex_file_find_key(file, "general.alignment"));
    assert_int_equal(ex_file_tensor_count(file), 3);
    for (size_t i = 0; i < 3; i++) {
        const ex_tensor *tensor = ex_file_find_tensor(file, expected[i].name);
        assert_true(tensor == ex_file_tensor(file, i));
        assert_int_equal(tensor->part, expected[i].part);
        uint32_t first;
        memcpy(&first, tensor->data, sizeof first);
        assert_int_equal(first, expected[i].first);
    }
    uint64_t size = 0;
    struct stat status;
    for (int i = 0; i < N_PARTS && stat(part_path(i), &status) == 0; i++) size += (uint64_t)status.st_size;
    assert_int_equal(ex_file_size(file), size);
}

static void test_any_part_opens_a_split_model(void **state) {
    (void)state;
    write_split(-1, NULL);
    for (int i = 0; i < N_PARTS; i++) {
        ex_error error;
        ex_file *file;
        assert_ok(ex_file_open(&file, part_path(i), &error), &error);
        check_split(file);
        ex_file_close(file);
    }
    remove_split();
}

static void test_a_copy_of_a_split_model_is_whole(void **state) {
    (void)state;
    ex_error error;
    ex_file *file;
    ex_writer *writer;
    write_split(-1, NULL);
    assert_ok(ex_file_open(&file, part_path(1), &error), &error);
    assert_ok(ex_writer_open(&writer, in_folder("out.gguf"), &error), &error);
    for (size_t i = 0; i < ex_file_key_count(file); i++)
        assert_ok(ex_writer_copy_key(writer, ex_file_key(file, i), &error), &error);
    ex_file_close(file);
    assert_ok(ex_writer_finish(writer, &error), &error);
    assert_ok(ex_file_open(&file, in_folder("out.gguf"), &error), &error);
    assert_int_equal(ex_file_part_count(file), 1);
    assert_int_equal(ex_file_key_count(file), 2);
    ex_file_close(file);
    unlink(in_folder("out.gguf"));
    remove_split();
}

static const struct bad_part {
    int part;
    const char *line, *words;
} bad_parts[] = {
    {2, NULL, "m-00003-of-00003.gguf is missing: the model is split into 3 files"},
    {0, NULL, "m-00001-of-00003.gguf is missing"},
    {1, HEAD(0, 2) SPLIT(2, 3) "p", "m-00002-of-00003.gguf: byte 44: split.no is 2 in the file that is named"},
    {0, HEAD(0, 2) SPLIT(1, 3) "p", "m-00001-of-00003.gguf: byte 44: this is file 2 of 3"},
    {1, HEAD(0, 2) SPLIT(1, 4) "p", "m-00002-of-00003.gguf: byte 69: split.count is 4, but the model"},
    {1, HEAD(0, 2) SPLIT(5, 3) "p", "m-00002-of-00003.gguf: byte 44: split.no is 5, outside 0 to 2"},
    {1, HEAD(0, 0) "p", "m-00002-of-00003.gguf: byte 0: split.count is 1, but"},
    {1, HEAD(0, 1) "s:split.count u:8 s:3 p", "m-00002-of-00003.gguf: byte 47: split.count is no integer"},
    {0, HEAD(0, 1) "s:split.count u:10 U:-1 p", "split.count is no integer"},
    {0, HEAD(0, 1) "s:split.count u:10 U:100000 p", "split.count is 100000, outside 0 to 99999"},
    {0, HEAD(0, 1) "s:split.count u:5 u:-3 p", "split.count is -3, outside"},
    {0, HEAD(0, 3) SPLIT(0, 3) TOTAL(4) "p",
     "m-00001-of-00003.gguf: byte 102: split.tensors.count is 4, but the 3 files hold 3"},
    {2, HEAD(1, 2) SPLIT(2, 3) TENSOR(b, 1, 0, 0) "p u:6", "m-00003-of-00003.gguf: byte 79: tensor 'b' occurs twice"},
    {2, HEAD(1, 2) SPLIT(2, 3) TENSOR(c, 1, 0, 32) "p z:36",
     "m-00003-of-00003.gguf: byte 79: tensor 'c': offset 32 leaves a gap"},
    {2, HEAD(1, 2) SPLIT(2, 3) TENSOR(c, 9, 0, 0) "p z:32", "m-00003-of-00003.gguf: byte 79: tensor 'c' ends at byte"},
    {2, HEAD(9, 2) SPLIT(2, 3) "p", "m-00003-of-00003.gguf: byte 8: the header announces 9 tensors"},
    {2, "u:5", "m-00003-of-00003.gguf: byte 0: this is not a GGUF file"},
    {2, "", "m-00003-of-00003.gguf: the file is empty"},
};

static void test_refuses_split_models_with_a_bad_part(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_parts / sizeof *bad_parts; i++) {
        write_split(bad_parts[i].part, bad_parts[i].line);
        for (int open = 0; open < N_PARTS; open++) {
            ex_error error = {0};
            ex_file *file;
            if (open == bad_parts[i].part && (open > 0 || !bad_parts[i].line)) continue;
            ex_code code = ex_file_open(&file, part_path(open), &error);
            if (code == EX_OK || file) fail_msg("bad part %zu was accepted", i);
            bool other = open > 0 && bad_parts[i].part == 0; /* then the file that was opened knows what to expect */
            if (!strstr(error.message, other ? "m-00001-of-00003.gguf" : bad_parts[i].words))
                fail_msg("bad part %zu, by file %d: the message is \"%s\"", i, open, error.message);
        }
    }
    remove_split();
}

static void test_refuses_a_renamed_part(void **state) {
    (void)state;
    ex_error error;
    ex_file *file;
    assert_int_equal(ex_file_open(&file, bytes_file(whole_split[1]), &error), EX_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "file 2 of 3 of a split model, so its name must end with -00002-of-00003"));
    assert_null(file);
    unlink(in_folder("in.gguf"));
}

static void test_survives_cuts_in_a_split_model(void **state) {
    (void)state;
    static bytes made;
    for (int part = 0; part < N_PARTS; part++) {
        put_line(&made, whole_split[part]);
        static const size_t padding[N_PARTS] = {31, 24, 0}; /* at the end, which may be missing */
        for (size_t n = 0; n < made.n - padding[part]; n++) {
            write_split(-1, NULL);
            write_bytes(part_path(part), made.data, n);
            ex_error error;
            ex_file *file;
            if (ex_file_open(&file, part_path(0), &error) == EX_OK) {
                if (part > 0) fail_msg("part %d cut to %zu bytes was accepted", part, n);
                check_split(file);
            }
            ex_file_close(file);
        }
    }
    remove_split();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_every_kind_of_value),
        cmocka_unit_test(test_values_that_do_not_convert),
        cmocka_unit_test(test_walks_an_array_of_strings),
        cmocka_unit_test(test_refuses_hostile_headers),
        cmocka_unit_test(test_refuses_hostile_keys),
        cmocka_unit_test(test_refuses_hostile_tensors),
        cmocka_unit_test(test_opens_unknown_types),
        cmocka_unit_test(test_accepts_what_only_looks_odd),
        cmocka_unit_test(test_survives_cuts_and_changed_bytes),
        cmocka_unit_test(test_refuses_what_is_no_file),
        cmocka_unit_test(test_a_long_path_leaves_room_for_the_reason),
        cmocka_unit_test(test_opens_files_of_other_writers),
        cmocka_unit_test(test_writes_what_it_reads),
        cmocka_unit_test(test_writes_values),
        cmocka_unit_test(test_writer_refuses_misuse),
        cmocka_unit_test(test_writer_refuses_bad_targets),
        cmocka_unit_test(test_a_failed_write_leaves_the_old_file),
        cmocka_unit_test(test_writer_keeps_off_files_of_others),
        cmocka_unit_test(test_any_part_opens_a_split_model),
        cmocka_unit_test(test_a_copy_of_a_split_model_is_whole),
        cmocka_unit_test(test_refuses_split_models_with_a_bad_part),
        cmocka_unit_test(test_refuses_a_renamed_part),
        cmocka_unit_test(test_survives_cuts_in_a_split_model),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
