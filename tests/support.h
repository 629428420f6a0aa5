/* support.h - what the tests share: where data lies, and a failure that shows the library's own message. */
#ifndef EX_TESTS_SUPPORT_H
#define EX_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "entropix.h"

/* Path of a file in tests/data. The buffer is static, four calls deep. */
const char *test_data(const char *name);

/* Path of a file in ../shared/golden beside the project, or NULL (then the test should call test_skip). */
const char *shared_golden(const char *name);

/* Says why on standard output and skips the running test. */
#define test_skip(reason) (print_message("skipped: %s\n", reason), skip())

/* Fails the running test with the library's message unless `code` is EX_OK. */
#define assert_ok(code, error)                                                                                        \
    do {                                                                                                               \
        ex_code test_code_ = (code);                                                                                   \
        if (test_code_ != EX_OK) fail_msg("error %d: %s", (int)test_code_, (error)->message);                          \
    } while (0)

/* |a - b| <= tolerance * max(1, |b|) */
bool is_close(double a, double b, double tolerance);

/* Whole file, terminated by a zero byte; NULL when it cannot be read. Free it. */
char *read_whole_file(const char *path, size_t *length);

/* Entries of a folder. */
int count_files(const char *folder);

/* A deterministic pseudo-random number in [low, high); `state` is any value to start with. */
double random_between(uint64_t *state, double low, double high);

#endif
