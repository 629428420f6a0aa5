/* test_policy.c - policies: presets, values by key, files, and what is said about bad ones. */
#include "support.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entropix.h"

static ex_policy preset(const char *name) {
    ex_policy policy;
    ex_error error;
    assert_ok(ex_policy_preset(&policy, name, &error), &error);
    return policy;
}

static void expect_key(const ex_policy *policy, const char *key, const char *expected) {
    char value[200];
    ex_error error;
    assert_ok(ex_policy_get(policy, key, value, sizeof value, &error), &error);
    assert_string_equal(value, expected);
}

static void expect_same(const ex_policy *a, const ex_policy *b) {
    for (size_t i = 0; ex_policy_key(i); i++) {
        char value[200];
        ex_error error;
        assert_ok(ex_policy_get(b, ex_policy_key(i), value, sizeof value, &error), &error);
        expect_key(a, ex_policy_key(i), value);
    }
}

static void test_presets(void **state) {
    (void)state;
    ex_error error = {0};
    size_t n_presets = 0;
    for (; ex_policy_preset_name(n_presets); n_presets++) {
        ex_policy policy = preset(ex_policy_preset_name(n_presets));
        assert_ok(ex_policy_check(&policy, &error), &error);
    }
    assert_int_equal(n_presets, 3);
    ex_policy policy = preset(NULL);
    assert_true(policy.strategies && policy.scope == EX_SCOPE_ALL && policy.varentropy == EX_VARENTROPY_TOKEN);
    assert_true(policy.temperature == 0.666 && policy.top_p == 0.9 && policy.top_k == 27 && policy.min_p == 0.03);
    assert_true(policy.clarify_entropy == 3 && policy.candidates == 12 && policy.clarify_token == EX_TOKEN_NONE);
    assert_string_equal(policy.clarify_text, " [CLARIFY]");
    policy = preset("entropix-2024-10");
    assert_true(policy.strategies && policy.scope == EX_SCOPE_LAST && policy.candidates == 5);
    assert_true(policy.clarify_entropy == 5 && policy.explore_entropy == 5 && policy.high_entropy == 3);
    assert_string_equal(policy.clarify_text, " ...");
    policy = preset("plain");
    assert_false(policy.strategies);
    assert_int_equal(ex_policy_preset(&policy, "plane", &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "entropixplained, entropix-2024-10, plain"));
}

/* Every key: what is written can be read, and reading it changes that key alone. */
static void test_every_key(void **state) {
    (void)state;
    ex_policy base = preset(NULL);
    size_t n_keys = 0;
    for (; ex_policy_key(n_keys); n_keys++) {
        const char *key = ex_policy_key(n_keys);
        ex_policy policy = base;
        ex_error error;
        char before[200], after[200];
        assert_ok(ex_policy_get(&base, key, before, sizeof before, &error), &error);
        const char *others[] = {"1", "2", "0.25", "false", "last", "sequence", NULL};
        size_t n_accepted = 0;
        for (size_t i = 0; others[i]; i++) {
            if (strcmp(before, others[i]) == 0 || ex_policy_set(&policy, key, others[i], NULL) != EX_OK) continue;
            assert_ok(ex_policy_get(&policy, key, after, sizeof after, &error), &error);
            assert_string_equal(after, others[i]);
            assert_int_not_equal(memcmp(&policy, &base, sizeof policy), 0);
            n_accepted++;
        }
        if (n_accepted == 0) fail_msg("%s takes no other value", key);
        assert_ok(ex_policy_set(&policy, key, before, &error), &error);
        assert_memory_equal(&policy, &base, sizeof policy);
    }
    assert_int_equal(n_keys, 51);
}

static void test_set_and_get(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    ex_error error = {0};
    double numbers[] = {1.0 / 3, 1e-9, 99.99999999999999, 5e-324};
    for (size_t i = 0; i < 4; i++) {
        char value[40];
        policy.temperature = numbers[i];
        assert_ok(ex_policy_get(&policy, "temperature", value, sizeof value, &error), &error);
        policy.temperature = 0;
        assert_ok(ex_policy_set(&policy, "temperature", value, &error), &error);
        assert_true(policy.temperature == numbers[i]);
    }
    static const struct {
        const char *key, *value, *message;
    } bad[] = {
        {"temprature", "1", "no policy key \"temprature\""},
        {"top_p", "1.01", "from 0 to 1"},
        {"top_p", "-0.1", "from 0 to 1"},
        {"top_p", "nan", "not a finite decimal number"},
        {"top_p", "inf", "not a finite decimal number"},
        {"top_p", "1e999", "not a finite decimal number"},
        {"top_p", "0x1", "not a finite decimal number"},
        {"top_p", " 1", "not a finite decimal number"},
        {"top_p", "", "not a finite decimal number"},
        {"top_p", "1e", "not a finite decimal number"},
        {"top_p", ".", "not a finite decimal number"},
        {"top_p", "0.5x", "not a finite decimal number"},
        {"top_p", "0,5", "not a finite decimal number"},
        {"top_k", "2.5", "not a whole number"},
        {"top_k", "-1", "from 0 to 1000000"},
        {"candidates", "65", "from 1 to 64"},
        {"scope", "first", "must be all or last"},
        {"strategies", "1", "must be false or true"},
        {"varentropy", "", "must be token or sequence"},
        {"clarify_text", "\xff", "not valid UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ex_policy copy = policy;
        assert_int_not_equal(ex_policy_set(&copy, bad[i].key, bad[i].value, &error), EX_OK);
        if (!strstr(error.message, bad[i].message)) fail_msg("%s = %s: %s", bad[i].key, bad[i].value, error.message);
        assert_memory_equal(&copy, &policy, sizeof copy);
    }
    char text[130];
    memset(text, 'x', 129);
    text[128] = 0;
    assert_int_equal(ex_policy_set(&policy, "clarify_text", text, &error), EX_ERROR_ARGUMENT);
    text[127] = 0;
    assert_ok(ex_policy_set(&policy, "clarify_text", text, &error), &error);
    assert_int_equal(ex_policy_get(&policy, "clarify_text", text, 127, &error), EX_ERROR_ARGUMENT);
    assert_ok(ex_policy_get(&policy, "clarify_text", text, 128, &error), &error);
    assert_int_equal(ex_policy_get(&policy, "nothing", text, 128, &error), EX_ERROR_ARGUMENT);
}

static void test_numbers_ignore_the_locale(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "es_ES.UTF-8", "pt_BR.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; i < 5 && !found; i++) found = setlocale(LC_ALL, names[i]);
    if (!found) test_skip("no locale with a decimal comma is installed");
    ex_policy policy = preset(NULL);
    assert_true(policy.temperature == 0.666);
    expect_key(&policy, "temperature", "0.666");
    setlocale(LC_ALL, "C");
}

static void test_check(void **state) {
    (void)state;
    ex_error error = {0};
    ex_policy policy = preset(NULL);
    policy.hehv_coef = NAN;
    assert_int_equal(ex_policy_check(&policy, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "hehv_coef"));
    policy = preset(NULL);
    policy.sequence_window = 5000;
    assert_int_equal(ex_policy_check(&policy, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "sequence_window"));
    policy = preset(NULL);
    policy.scope = (ex_scope)7;
    assert_int_equal(ex_policy_check(&policy, &error), EX_ERROR_ARGUMENT);
    policy = preset(NULL);
    policy.low_varentropy = 6;
    assert_int_equal(ex_policy_check(&policy, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "low_varentropy (6) must not be above high_varentropy (5)"));
    policy = preset(NULL);
    policy.low_entropy = 4;
    assert_int_equal(ex_policy_check(&policy, &error), EX_ERROR_ARGUMENT);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void test_files(void **state) {
    (void)state;
    ex_policy policy, expected = preset(NULL);
    ex_error error = {0};
    assert_ok(ex_policy_read(&policy, test_data("policies/complete.ini"), &error), &error);
    expect_same(&policy, &expected);
    assert_ok(ex_policy_read(&policy, test_data("policies/windows.ini"), &error), &error);
    assert_true(!policy.strategies && policy.top_k == 5);
    assert_string_equal(policy.clarify_text, "a");
    assert_ok(ex_policy_read(&policy, test_data("policies/careful.ini"), &error), &error);
    expected.temperature = 0.5;
    expected.top_k = 40;
    expected.clarify_entropy = 2.5;
    expected.high_entropy = expected.explore_entropy = 4.25;
    expected.scope = EX_SCOPE_LAST;
    expected.varentropy = EX_VARENTROPY_SEQUENCE;
    assert_ok(ex_policy_set(&expected, "clarify_text", " [ASK] # \"why\"\n", &error), &error);
    expect_same(&policy, &expected);
    ex_policy before = policy;
    assert_int_equal(ex_policy_read(&policy, test_data("policies/incomplete.ini"), &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "incomplete.ini:"));
    assert_non_null(strstr(error.message, "ada_min_p: it is missing"));
    assert_memory_equal(&policy, &before, sizeof policy); /* a bad file changes nothing */
    assert_int_equal(ex_policy_read(&policy, test_data("policies/absent.ini"), &error), EX_ERROR_IO);
    assert_non_null(strstr(error.message, "absent.ini: cannot open: "));
    assert_int_equal(ex_policy_read(&policy, test_data("policies"), &error), EX_ERROR_IO);
    assert_int_equal(ex_policy_read(&policy, "/dev/zero", &error), EX_ERROR_FORMAT);
}

/* explore_entropy follows high_entropy where a complete file leaves it out. */
static void test_one_boundary_for_two_rules(void **state) {
    (void)state;
    ex_policy policy;
    ex_error error;
    size_t length;
    char *text = read_whole_file(test_data("policies/complete.ini"), &length);
    assert_non_null(text);
    char *line = strstr(text, "explore_entropy = 5\n");
    assert_non_null(line);
    memcpy(line, "# plore_entropy = 5", 19);
    memcpy(strstr(text, "high_entropy = 5"), "high_entropy = 6", 16);
    assert_ok(ex_policy_parse(&policy, text, length, "text", &error), &error);
    assert_true(policy.explore_entropy == 6 && policy.high_entropy == 6);
    free(text);
    const char *both = "preset = entropix-2024-10\nhigh_entropy = 4\nexplore_entropy = 6";
    assert_ok(ex_policy_parse(&policy, both, strlen(both), "text", &error), &error);
    assert_true(policy.explore_entropy == 6 && policy.high_entropy == 4);
}

static void test_complaints_about_files(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t line;
        const char *message;
    } bad[] = {
        {"preset = plain\ntemprature = 0.7\n", 2, "no policy key \"temprature\""},
        {"# none\npreset = entropix\n", 2, "preset: there is no preset \"entropix\""},
        {"temperature = 1\npreset = plain\n", 2, "preset: it must come before all other keys"},
        {"preset = plain\npreset = plain\n", 2, "preset: it is given twice"},
        {"preset = plain\n\ntop_k = 5\nmin_p = 0.1\ntop_k = 5\n", 5, "top_k: it was set before, in line 3"},
        {"preset = plain\ntop_p = 1.5", 2, "top_p: 1.5 is out of range, it must be from 0 to 1"},
        {"preset = plain\nmin_p = 0,05\n", 2, "min_p: \"0,05\" is not a finite decimal number"},
        {"preset = plain\nlow_entropy = nan\n", 2, "low_entropy"},
        {"preset = plain\ntop_k = # later\n", 2, "top_k: the value is missing"},
        {"preset = plain\ntop_k =\n", 2, "top_k: the value is missing"},
        {"preset = plain\ntop_k 5\n", 2, "expected `key = value`"},
        {"preset = plain\n = 5\n", 2, "the key before `=` is missing"},
        {"preset = plain\n[sampler]\ntop_k = 5\n", 2, "sections are not used"},
        {"preset = plain\nscope = first\n", 2, "scope: \"first\" must be all or last"},
        {"preset = entropixplained\nlow_varentropy = 6\n", 2, "low_varentropy (6) must not be above"},
        {"preset = plain\nclarify_text = \"never closed\n", 2, "clarify_text: the closing quotation mark"},
        {"preset = plain\nclarify_text = \"a \\x b\"\n", 2, "clarify_text: after \\ there must be"},
        {"preset = plain\nclarify_text = \"a\" b\n", 2, "clarify_text: unexpected text"},
        {"preset = plain\nclarify_text = \"ends in \\", 2, "clarify_text: after \\ there must be"},
        {"preset = plain\nclarify_text = \"caf\xe9\"\n", 2, "byte 20 of this line is not valid UTF-8"},
        {"preset = plain\ntop_k = 5\x01\n", 2, "byte 10 of this line is a control character"},
        {"", 0, "strategies: it is missing"},
        {"\n\ntop_k = 5\n", 3, "strategies: it is missing"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ex_policy policy;
        ex_error error = {0};
        assert_int_not_equal(ex_policy_parse(&policy, bad[i].text, strlen(bad[i].text), "my.ini", &error), EX_OK);
        char place[40];
        snprintf(place, sizeof place, "my.ini:%d: ", (int)bad[i].line);
        if (!strstr(error.message, bad[i].message) || strncmp(error.message, place, strlen(place)) != 0)
            fail_msg("\"%s\" gives \"%s\"", bad[i].text, error.message);
        assert_int_equal(error.position, bad[i].line);
    }
    ex_policy policy;
    ex_error error;
    assert_int_equal(ex_policy_parse(&policy, "preset = plain\ntop_k = 5\0", 25, NULL, &error), EX_ERROR_FORMAT);
    assert_int_equal(ex_policy_parse(&policy, "top_k", 5, NULL, NULL), EX_ERROR_FORMAT); /* nobody listens */
}

/* Random damage to good files: an answer or a message, never a crash (the sanitizers watch), and never a bad policy. */
static void test_damaged_files(void **state) {
    (void)state;
    static const char *const names[] = {"policies/complete.ini", "policies/careful.ini", "policies/windows.ini"};
    uint64_t random = 99;
    for (int round = 0; round < 3000; round++) {
        size_t length;
        char *text = read_whole_file(test_data(names[round % 3]), &length);
        assert_non_null(text);
        for (int i = 0; i < 1 + round % 4; i++) {
            size_t at = (size_t)random_between(&random, 0, (double)length);
            static const char letters[] = "\"\\=#; \n\r\t[]-+.eE019azp\x80\xff";
            text[at] = letters[(size_t)random_between(&random, 0, sizeof letters)];
        }
        ex_policy policy;
        ex_error error = {0};
        size_t cut = round % 5 == 0 ? (size_t)random_between(&random, 0, (double)length) : length;
        ex_code code = ex_policy_parse(&policy, text, cut, "damaged", &error);
        if (code == EX_OK)
            assert_ok(ex_policy_check(&policy, &error), &error);
        else
            assert_true(strlen(error.message) > 10);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_set_and_get),
        cmocka_unit_test(test_numbers_ignore_the_locale),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_one_boundary_for_two_rules),
        cmocka_unit_test(test_complaints_about_files),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
