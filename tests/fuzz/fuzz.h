/* fuzz.h - what the fuzz targets share. Each target is one file with LLVMFuzzerTestOneInput: built with libFuzzer it
 * searches for inputs, built with replay.c it runs those of tests/fuzz/corpus. */
#ifndef EX_TESTS_FUZZ_H
#define EX_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct fuzz_input { /* what has not been taken yet */
    const uint8_t *data;
    size_t left;
} fuzz_input;

/* The next bytes as a number; 0 where none are left. */
uint8_t fuzz_byte(fuzz_input *input);
uint32_t fuzz_u32(fuzz_input *input);
/* Any bits. */
float fuzz_float(fuzz_input *input);
double fuzz_double(fuzz_input *input);
/* The bytes up to a line "====", which is skipped, or up to the end; in new memory with a zero byte behind them. */
char *fuzz_piece(fuzz_input *input, size_t *length);

/* A file of these bytes. The path is valid until the next call. */
const char *fuzz_file(const void *data, size_t size);
/* A folder of this process, made at the first call, and a path in it, valid for four calls. */
const char *fuzz_path(const char *name);
void fuzz_write(const char *name, const void *data, size_t size);

/* Reads every byte, which the sanitizer watches. */
void fuzz_touch(const void *data, size_t size);

/* Ends the program, which is a finding. */
#define fuzz_require(condition) fuzz_check(condition, #condition, __FILE__, __LINE__)
void fuzz_check(bool holds, const char *condition, const char *file, int line);

#endif
