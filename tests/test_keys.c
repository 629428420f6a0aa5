/* test_keys.c - comparing API keys: what is found, and that the time tells nothing of where a key differs. The same
 * measurement is made with a comparison that stops at the first difference, which it must see. */
#include <string.h>
#include <time.h>

#include "../server/http_rules.h"
#include "support.h"

enum { N_KEYS = 64, LENGTH = HTTP_KEY_BYTES - 1, ROUNDS = 200, CALLS = 20 };

static char texts[N_KEYS][HTTP_KEY_BYTES];
static http_rules rules;

static int begin(void **state) {
    (void)state;
    const char *keys[N_KEYS];
    for (int i = 0; i < N_KEYS; i++) {
        memset(texts[i], 'a', LENGTH);
        texts[i][LENGTH / 2] = (char)('0' + i);
        keys[i] = texts[i];
    }
    http_options options = http_options_default();
    options.keys = keys;
    options.n_keys = N_KEYS;
    return http_rules_open(&rules, &options, NULL) == EX_OK ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    http_rules_close(&rules);
    return 0;
}

/* ---- what is found ---- */

static void test_found(void **state) {
    (void)state;
    char key[HTTP_KEY_BYTES + 2];
    size_t index;
    for (size_t i = 0; i < N_KEYS; i++) {
        assert_true(http_key_find(&rules, texts[i], LENGTH, &index));
        assert_int_equal(index, i);
        for (size_t j = 0; j < LENGTH; j++) { /* one bit of one byte */
            memcpy(key, texts[i], HTTP_KEY_BYTES);
            key[j] ^= (char)0x80;
            assert_false(http_key_find(&rules, key, LENGTH, &index));
        }
        for (size_t length = 0; length < LENGTH; length++)
            assert_false(http_key_find(&rules, texts[i], length, &index));
    }
    memset(key, 'a', sizeof key);
    memcpy(key, texts[0], LENGTH);
    assert_false(http_key_find(&rules, key, LENGTH + 1, &index));
    assert_false(http_key_find(&rules, key, LENGTH + 2, &index));
}

/* ---- how long it takes ---- */

typedef bool comparison(const http_rules *rules, const char *key, size_t length, size_t *index);

/* What must not be used. */
static bool stops_early(const http_rules *known, const char *key, size_t length, size_t *index) {
    for (size_t i = 0; i < known->n_keys; i++) {
        volatile const unsigned char *at = known->keys[i];
        size_t j = 0;
        while (j < length && at[j] == (unsigned char)key[j]) j++;
        *index = i;
        if (j == length && known->key_lengths[i] == length) return true;
    }
    return false;
}

static double nanoseconds(comparison *compare, const char *key) {
    struct timespec from, to;
    size_t index;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < CALLS; i++) compare(&rules, key, LENGTH, &index);
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
}

enum { FIRST_BYTE, MIDDLE, LAST_BYTE, FIRST_KEY, LAST_KEY, N_CASES };

/* The longest of the shortest times of each case, to the shortest of them. In turns, so that all see the same noise. */
static double spread(comparison *compare) {
    char keys[N_CASES][HTTP_KEY_BYTES];
    double least[N_CASES], low, high;
    for (int i = 0; i < N_CASES; i++) memcpy(keys[i], texts[i == LAST_KEY ? N_KEYS - 1 : 0], HTTP_KEY_BYTES);
    keys[FIRST_BYTE][0] = keys[MIDDLE][LENGTH / 2] = keys[LAST_BYTE][LENGTH - 1] = 'x';
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < N_CASES; i++) {
            const double time = nanoseconds(compare, keys[i]);
            if (round == 0 || time < least[i]) least[i] = time;
        }
    low = high = least[0];
    for (int i = 1; i < N_CASES; i++) {
        if (least[i] < low) low = least[i];
        if (least[i] > high) high = least[i];
    }
    return high / low;
}

static void test_time(void **state) {
    (void)state;
    const double ours = spread(http_key_find), leaky = spread(stops_early);
    print_message("slowest case to fastest: %.3f; stopping at the first difference: %.1f\n", ours, leaky);
    assert_true(leaky > 3);
    assert_true(ours < 1.3);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found), cmocka_unit_test(test_time)};
    return cmocka_run_group_tests(tests, begin, end);
}
