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
    char value[EX_RULES_MAX];
    ex_error error;
    assert_ok(ex_policy_get(policy, key, value, sizeof value, &error), &error);
    assert_string_equal(value, expected);
}

static void expect_same(const ex_policy *a, const ex_policy *b) {
    for (size_t i = 0; ex_policy_key(i); i++) {
        char value[EX_RULES_MAX];
        ex_error error;
        assert_ok(ex_policy_get(b, ex_policy_key(i), value, sizeof value, &error), &error);
        expect_key(a, ex_policy_key(i), value);
    }
}

static void test_presets(void **state) {
    (void)state;
    ex_error error = {0};
    static const char *const known[] = {"entropix", "entropixplained", "entropix-2024-10", "plain"};
    size_t n_known = 0;
    for (size_t i = 0; ex_policy_preset_name(i); i++) {
        ex_policy policy = preset(ex_policy_preset_name(i));
        assert_ok(ex_policy_check(&policy, &error), &error);
        assert_true(strlen(policy.rules) > 0);
        for (size_t j = 0; j < 4; j++) n_known += strcmp(ex_policy_preset_name(i), known[j]) == 0;
    }
    assert_int_equal(n_known, 4);
    assert_string_equal(ex_policy_preset_name(0), "entropix");
    ex_policy policy = preset("entropixplained");
    assert_true(policy.strategies && policy.scope == EX_SCOPE_ALL && policy.varentropy == EX_VARENTROPY_TOKEN);
    assert_true(policy.temperature == 0.666 && policy.top_p == 0.9 && policy.top_k == 27 && policy.min_p == 0.03);
    assert_true(policy.clarify_entropy == 3 && policy.candidates == 12 && policy.clarify_token == EX_TOKEN_NONE);
    assert_true(policy.candidate_draws && policy.lookahead == 0);
    assert_string_equal(policy.clarify_text, " [CLARIFY]");
    assert_string_equal(policy.samplers, "temperature;min_p;top_k;top_p");
    policy = preset("entropix-2024-10");
    assert_true(policy.strategies && policy.scope == EX_SCOPE_LAST && policy.candidates == 5);
    assert_true(policy.clarify_entropy == 5 && policy.explore_entropy == 5 && policy.high_entropy == 3);
    assert_string_equal(policy.clarify_text, " ...");
    policy = preset("plain");
    assert_false(policy.strategies);
    policy = preset(NULL);
    assert_true(policy.strategies && policy.lookahead == 1 && !policy.candidate_draws);
    assert_non_null(strstr(policy.rules, "action = branch"));
    assert_non_null(strstr(policy.rules, "action = resample"));
    ex_policy before = policy;
    assert_int_equal(ex_policy_preset(&policy, "plane", &error), EX_ERROR_ARGUMENT);
    assert_memory_equal(&policy, &before, sizeof policy);
    assert_non_null(strstr(error.message, "there is no preset \"plane\"; there are entropix, entropixplained, "));
}

/* The document's preset is the column of defaults, and rules. */
static void test_defaults(void **state) {
    (void)state;
    size_t length;
    char *text = read_whole_file(test_data("policies/complete.ini"), &length);
    assert_non_null(text);
    ex_policy policy = preset("entropixplained");
    char *rules = strstr(text, "[greedy]");
    assert_non_null(rules);
    expect_key(&policy, "rules", rules);
    free(text);
}

/* Every key: what is written can be read, and reading it changes that key alone. */
static void test_every_key(void **state) {
    (void)state;
    static char before[EX_RULES_MAX], after[EX_RULES_MAX];
    ex_policy base = preset("entropixplained");
    size_t n_keys = 0;
    for (; ex_policy_key(n_keys); n_keys++) {
        const char *key = ex_policy_key(n_keys);
        ex_policy policy = base;
        ex_error error;
        assert_ok(ex_policy_get(&base, key, before, sizeof before, &error), &error);
        const char *others[] = {"1", "2", "0.25", "false", "last", "sequence", "uniform_noise",
                                "true", "[a]\n", NULL};
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
    assert_true(n_keys >= 60);
}

static void test_set_and_get(void **state) {
    (void)state;
    ex_policy policy = preset(NULL);
    ex_error error = {0};
    static char long_text[EX_RULES_MAX + 20];
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
        {"temprature", "1", "no policy key \"temprature\"; did you mean \"temperature\"?"},
        {"zzz", "1", "no policy key \"zzz\""},
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
        {"clarify_text", "\x01", "byte 0 of the text is a control character"},
        {"lookahead", "17", "from 0 to 16"},
        {"branches", "1", "from 2 to 16"},
        {"branch_tokens", "0", "from 1 to 256"},
        {"rewind", "513", "from 1 to 512"},
        {"rewind_limit", "-1", "from 0 to 1000000"},
        {"candidate_draws", "yes", "must be false or true"},
        {"rules", "[a]\n[b]\n", "rules:2:2: this rule can never be reached"},
        {"rules", "\n# one\n[a]\nwhen = x\n", "rules:4:8: rule a: there is no metric"},
        {"rules", "[a]\n#\xff", "not valid UTF-8"},
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
    memset(long_text, 'x', sizeof long_text - 1);
    memcpy(long_text, "[a]\n#", 5);
    assert_int_equal(ex_policy_set(&policy, "rules", long_text, &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "more than 8191 bytes"));
    long_text[EX_RULES_MAX - 2] = 0; /* one more byte for the end of the line */
    assert_ok(ex_policy_set(&policy, "rules", long_text, &error), &error);
    assert_int_equal(strlen(policy.rules), EX_RULES_MAX - 1);
    assert_ok(ex_policy_set(&policy, "rules", "", &error), &error);
    assert_string_equal(policy.rules, "");
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
    policy = preset(NULL);
    memcpy(policy.rules, "[?", 2);
    assert_int_equal(ex_policy_check(&policy, &error), EX_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "rules:1:"));
    policy = preset(NULL);
    memset(policy.rules, 'a', sizeof policy.rules); /* not even terminated */
    assert_int_equal(ex_policy_check(&policy, &error), EX_ERROR_ARGUMENT);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void test_files(void **state) {
    (void)state;
    ex_policy policy, expected = preset("entropixplained");
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

static void test_rules_in_files(void **state) {
    (void)state;
    ex_policy policy;
    ex_error error;
    assert_ok(ex_policy_read(&policy, test_data("policies/rules.ini"), &error), &error);
    assert_true(policy.low_entropy == 0.2 && policy.low_varentropy == 0.1);
    expect_key(&policy, "rules",
               "[sure]   # nothing to draw\n"
               "when = logits_entropy < low_entropy and not (head_disagreement > 0.5)\n"
               "action = greedy\n\n[lost]\n"
               "when = mean(logits_entropy, 16) > 4 until logits_entropy < 2\naction = trap\n\n"
               "; The rest.\n[else]\ntemperature = temperature * (1 + varentropy / 10)\n");
    const char *windows = "preset = plain\r\nstrategies = true\r\n[a]\r\naction = stop\r\n\r\n";
    assert_ok(ex_policy_parse(&policy, windows, strlen(windows), "text", &error), &error);
    expect_key(&policy, "rules", "[a]\naction = stop\n");
    const char *kept = "preset = plain\nstrategies = true\n"; /* with the rules of the preset's own base */
    ex_policy document = preset("entropixplained");
    assert_ok(ex_policy_parse(&policy, kept, strlen(kept), "text", &error), &error);
    expect_same(&policy, &document);
    size_t length;
    char *text = read_whole_file(test_data("policies/complete.ini"), &length);
    assert_non_null(text);
    size_t without = (size_t)(strstr(text, "[greedy]") - text);
    assert_int_equal(ex_policy_parse(&policy, text, without, "text", &error), EX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "there are no rules: add a section"));
    memcpy(strstr(text, "strategies = true"), "strategies=false ", 17);
    assert_ok(ex_policy_parse(&policy, text, without, "text", &error), &error);
    expect_key(&policy, "rules", "");
    free(text);
}

static void expect_back(const ex_policy *policy) {
    static char text[2 * EX_RULES_MAX];
    ex_policy back;
    ex_error error;
    size_t length, again;
    ex_policy_format(policy, text, sizeof text, &length);
    assert_int_equal(strlen(text), length);
    assert_ok(ex_policy_parse(&back, text, length, "formatted", &error), &error);
    assert_memory_equal(&back, policy, sizeof back);
    char small[100];
    memset(small, 'x', sizeof small);
    ex_policy_format(policy, small, 50, &again);
    assert_int_equal(again, length);
    assert_true(memcmp(small, text, 49) == 0 && small[49] == 0 && small[50] == 'x');
    ex_policy_format(policy, NULL, 0, &again);
    assert_int_equal(again, length);
}

static void test_format(void **state) {
    (void)state;
    ex_error error;
    for (size_t i = 0; ex_policy_preset_name(i); i++) {
        ex_policy policy = preset(ex_policy_preset_name(i));
        expect_back(&policy);
    }
    ex_policy policy = preset("plain");
    policy.temperature = 1.0 / 3;
    assert_ok(ex_policy_set(&policy, "clarify_text", "\t\"why?\" \\n # ; \r\n\xC3\xA9 ", &error), &error);
    assert_ok(ex_policy_set(&policy, "rules", "", &error), &error);
    expect_back(&policy);
    assert_ok(ex_policy_read(&policy, test_data("policies/rules.ini"), &error), &error);
    expect_back(&policy);
    char bias[512] = "";
    for (size_t i = 0; i < 63; i++) snprintf(bias + 8 * i, 9, ",%d+1.25", 10 + (int)i);
    assert_ok(ex_policy_set(&policy, "logit_bias", bias + 1, &error), &error);
    expect_back(&policy);
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
        {"# none\npreset = entropics\n", 2, "preset: there is no preset \"entropics\""},
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
        {"preset = plain\n[a]\ntop_k = 5\ntemprature = 1\n", 4,
         "1: rule a: a rule has no key \"temprature\"; did you mean \"temperature\"?"},
        {"preset = plain\n\n\n[a]\n\n  when = logits_entropy <\n", 6, "26: rule a: expected a number"},
        {"preset = plain\n[a]\ntop_k = 5\nlow_entropy = 1\n", 4, "1: rule a: low_entropy is a key of the policy"},
        {"preset = plain\n[a]\n# \xe9\n", 3, "byte 3 of this line is not valid UTF-8"},
        {"preset = plain\n[a]\n# \x01\n", 3, "byte 3 of this line is a control character"},
        {"preset = plain\nrules = \"[a]\"\n", 2, "rules: in a file each rule is a section"},
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
        snprintf(place, sizeof place, "my.ini:%d:", (int)bad[i].line);
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
    static const char *const names[] = {"policies/complete.ini", "policies/careful.ini", "policies/windows.ini",
                                        "policies/rules.ini"};
    uint64_t random = 99;
    for (int round = 0; round < 3000; round++) {
        size_t length;
        char *text = read_whole_file(test_data(names[round % 4]), &length);
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
        if (code == EX_OK) {
            assert_ok(ex_policy_check(&policy, &error), &error);
            expect_back(&policy);
        } else
            assert_true(strlen(error.message) > 10);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_set_and_get),
        cmocka_unit_test(test_numbers_ignore_the_locale),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_rules_in_files),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_one_boundary_for_two_rules),
        cmocka_unit_test(test_complaints_about_files),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
