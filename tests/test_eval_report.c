/* test_eval_report.c - reports of made-up runs: the numbers are the known ones, texts of strangers stay texts, and runs
 * with next to nothing in them have a report too. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocations.h"
#include "eval/report.h"
#include "eval_runs.h"
#include "support.h"
#include "well_formed.h"

enum { RESAMPLES = 400 };

/* ---- reports --------------------------------------------------------------------------------------------------- */

typedef struct files {
    char folder[40];
    char *markdown, *html;
    json_t *summary;
} files;

static char *read_from(const char *folder, const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_whole_file(path, NULL);
}

static void make_folder(files *of) {
    snprintf(of->folder, sizeof of->folder, "/tmp/entropix-report-XXXXXX");
    assert_non_null(mkdtemp(of->folder));
}

static void read_report(files *of) {
    of->markdown = read_from(of->folder, "report.md");
    of->html = read_from(of->folder, "report.html");
    char *text = read_from(of->folder, "summary.json");
    assert_non_null(of->markdown);
    assert_non_null(of->html);
    assert_non_null(text);
    of->summary = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    assert_non_null(of->summary);
    const char *malformed = find_malformed(of->html);
    if (malformed) fail_msg("not well-formed at: %.120s", malformed);
}

static void report(files *of, const made_run *made) {
    ex_error error = {0};
    make_folder(of);
    assert_ok(eval_report_write_records(made->run, made->results, made->n_results, RESAMPLES, of->folder, &error),
              &error);
    read_report(of);
    assert_int_equal(count_files(of->folder), 3);
}

static void drop(files *of) {
    static const char *const names[] = {"report.md", "report.html", "summary.json", "run.json", "results.jsonl"};
    char path[600];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", of->folder, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(of->folder), 0);
    free(of->markdown);
    free(of->html);
    json_decref(of->summary);
}

static const json_t *arm_of(const files *of, size_t scope, size_t arm) {
    const json_t *scopes = json_object_get(of->summary, "accuracy");
    return json_array_get(json_object_get(json_array_get(scopes, scope), "arms"), arm);
}

static double first_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_number_value(json_is_array(value) ? json_array_get(value, 0) : value);
}

static void assert_near(double value, double expected) {
    if (!is_close(value, expected, 1e-6)) fail_msg("%.9g is not %.9g", value, expected);
}

/* No number that is none has been written. */
static void assert_clean(const files *of) {
    static const char *const bad[] = {"nan", "inf,", "inf ", "inf]", "inf\"", "-0.0 ", "-0.0;"};
    const char *const texts[] = {of->markdown, of->html};
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            const char *at = strstr(texts[i], bad[k]);
            if (at) fail_msg("%s in: %.*s", bad[k], 160, at - texts[i] > 100 ? at - 100 : texts[i]);
        }
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("does not hold: %s", part);
}

/* ---- runs ------------------------------------------------------------------------------------------------------ */

/* Every answer as a function of its question and policy says. */
typedef struct truth {
    bool is_right;
    ex_end end;
    size_t n_tokens;
    double doubt;
} truth;

static void set_truth(made_run *made, truth (*of)(size_t task, size_t question, size_t policy)) {
    for (size_t i = 0; i < made->n_results; i++) {
        eval_result *result = &made->results[i];
        const truth is = of(result->task, result->question, result->policy);
        for (size_t k = 0; k < result->n_answers; k++) {
            eval_answer *answer = &result->answers[k];
            answer->is_right = is.is_right;
            answer->end = is.end;
            answer->n_forwarded = is.n_tokens;
            for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++)
                for (size_t metric = 0; metric < EVAL_METRIC_COUNT; metric++)
                    answer->signals.values[pool][metric] = eval_metrics[metric].sign * is.doubt;
        }
    }
}

static const made_policy two_policies[] = {{"other", 0, 1, 20, 0, false}, {"greedy", 0, 1, 10, 0, true}};

/* greedy is right in the first 20 of 40, the other in the first 30. */
static truth thirty_of_forty(size_t task, size_t question, size_t policy) {
    (void)task;
    const bool is_greedy = policy == 1;
    return (truth){question < (is_greedy ? 20u : 30u), EX_END_TOKEN, is_greedy ? 10 : 20, question < 20 ? 1 : 2};
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

static void accuracy_is_what_it_is(void **state) {
    (void)state;
    const made_task task = {"facts", EVAL_GENERATE, false, 0.5, 1, 40};
    made_run made;
    files of;
    make_run(&made, &task, 1, two_policies, 2, 3, 1);
    set_truth(&made, thirty_of_forty);
    report(&of, &made);
    const json_t *other = arm_of(&of, 0, 0), *greedy = arm_of(&of, 0, 1);
    assert_true(json_is_true(json_object_get(greedy, "baseline")));
    assert_near(first_of(greedy, "accuracy"), 0.5);
    assert_near(first_of(other, "accuracy"), 0.75);
    assert_near(first_of(other, "difference"), 0.25);
    assert_near(first_of(greedy, "tokens"), 10);
    assert_near(first_of(other, "tokens"), 20);
    assert_near(first_of(greedy, "accuracy_per_1000_tokens"), 50);
    assert_near(first_of(other, "accuracy_per_1000_tokens"), 37.5);
    assert_near(first_of(other, "p_mcnemar"), 2.0 / 1024);
    assert_near(first_of(other, "n_better"), 10);
    assert_near(first_of(other, "n_worse"), 0);
    assert_has(of.markdown, "| **other** | **75.0 [");
    assert_has(of.markdown, "| greedy (baseline) | 50.0 [");
    assert_has(of.markdown, "| **50.00 [");
    assert_has(of.markdown, "facts: greedy is right in 50.0 % of its answers. "
               "Better beyond chance, in points: other +25.0, p = 0.0");
    assert_has(of.html, "facts: other leads with 75.0 %, beyond chance");
    assert_null(strstr(of.markdown, "abstained"));
    drop(&of);
    free_made(&made);
}

static void p_is_adjusted_for_the_number_of_arms(void **state) {
    (void)state;
    const made_task task = {"facts", EVAL_GENERATE, false, 0.5, 1, 40};
    const made_policy policies[] = {{"greedy", 0, 1, 20, 0, false}, {"b", 0, 1, 20, 0, false}, {"c", 0, 1, 20, 0,
                                                                                                false}};
    made_run made;
    files of;
    make_run(&made, &task, 1, policies, 3, 1, 1);
    for (size_t i = 0; i < made.n_results; i++) {
        const size_t limits[] = {20, 30, 26};
        made.results[i].answers[0].is_right = made.results[i].question < limits[made.results[i].policy];
    }
    report(&of, &made);
    assert_near(first_of(arm_of(&of, 0, 1), "p_mcnemar_holm"), 2 * 2.0 / 1024);
    assert_near(first_of(arm_of(&of, 0, 2), "p_mcnemar_holm"), 2.0 / 64);
    assert_true(json_is_true(json_object_get(arm_of(&of, 0, 1), "best")));
    assert_false(json_is_true(json_object_get(arm_of(&of, 0, 2), "best")));
    drop(&of);
    free_made(&made);
}

static truth traps_half(size_t task, size_t question, size_t policy) {
    (void)task;
    const bool traps = policy == 0 && question % 2 == 1;
    return (truth){question < 20, traps ? EX_END_TRAP : EX_END_TOKEN, 10, 1};
}

static void abstentions_are_counted(void **state) {
    (void)state;
    const made_task task = {"facts", EVAL_GENERATE, false, 0.5, 1, 40};
    made_run made;
    files of;
    make_run(&made, &task, 1, two_policies, 2, 1, 1);
    set_truth(&made, traps_half);
    report(&of, &made);
    const json_t *trapped = arm_of(&of, 0, 0);
    assert_near(first_of(trapped, "accuracy"), 0.25);
    assert_near(first_of(trapped, "n_abstained"), 20);
    assert_near(first_of(trapped, "n_wrong_avoided"), 10);
    assert_near(first_of(trapped, "n_right_lost"), 10);
    assert_near(first_of(trapped, "n_wrong"), 10);
    assert_has(of.markdown, "other abstains on 20 of 40: where it does, greedy was wrong 10 times and right 10 times; "
               "of "
               "the answers that it gives 50.0 % are wrong.");
    drop(&of);
    free_made(&made);
}

static const json_t *doubt_of(const files *of, size_t policy, const char *scope) {
    size_t i;
    json_t *doubt;
    json_array_foreach(json_object_get(of->summary, "doubt"), i, doubt) {
        if ((size_t)first_of(doubt, "policy") == policy &&
            strcmp(json_string_value(json_object_get(doubt, "scope")), scope) == 0) return doubt;
    }
    fail_msg("no scope %s", scope);
    return NULL;
}

/* Facts are half right, and doubt tells exactly; what nobody knows has the highest doubt of all. */
static truth doubt_tells(size_t task, size_t question, size_t policy) {
    (void)policy;
    const bool is_right = question % 4 < 2;
    return (truth){is_right && task == 0, EX_END_TOKEN, 10, task == 1 ? 3 : is_right ? 1 : 2};
}

static void doubt_that_tells_all_has_area_one(void **state) {
    (void)state;
    const made_task tasks[] = {{"facts", EVAL_GENERATE, false, 0.5, 1, 40}, {"unknown", EVAL_GENERATE, true, 0, 1, 40}};
    made_run made;
    files of;
    make_run(&made, tasks, 2, two_policies, 2, 2, 1);
    set_truth(&made, doubt_tells);
    report(&of, &made);
    const char *const scopes[] = {"facts", "all with unknown", "known or unknown"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *doubt = doubt_of(&of, 1, scopes[i]);
        assert_near(first_of(doubt, "area_held_out"), 1);
        size_t k;
        json_t *signal;
        json_array_foreach(json_object_get(doubt, "signals"), k, signal) assert_near(first_of(signal, "area"), 1);
        assert_int_equal(k, EVAL_METRIC_COUNT * EVAL_POOL_COUNT);
    }
    assert_string_equal(json_string_value(json_object_get(of.summary, "known")), "facts");
    const json_t *half = json_array_get(json_object_get(doubt_of(&of, 1, "facts"), "abstaining"), 6);
    assert_near(first_of(half, "coverage_asked"), 0.5);
    assert_near(first_of(half, "n_wrong_avoided"), 20);
    assert_near(first_of(half, "n_right_lost"), 0);
    assert_near(first_of(half, "risk"), 0);
    drop(&of);
    free_made(&made);
}

static void choices_are_scored(void **state) {
    (void)state;
    const made_task task = {"arc", EVAL_CHOOSE, false, 0.5, 1, 20};
    made_run made;
    files of;
    make_run(&made, &task, 1, two_policies, 2, 2, 1);
    for (size_t i = 0; i < made.n_results; i++) {
        /* In 15 of 20 the right one, choice 0, is likeliest; by the byte always. It has half of the probability. */
        const bool is_likeliest = i < 15;
        const double scores[] = {log(0.5), log(is_likeliest ? 0.3 : 0.5), -1000, -1000};
        const double lengths[] = {100, 1, 1, 1};
        memcpy(made.results[i].choice_scores, scores, sizeof scores);
        memcpy(made.results[i].choice_lengths, lengths, sizeof lengths);
        if (!is_likeliest) made.results[i].choice_scores[0] = log(0.5) - 0.01;
    }
    report(&of, &made);
    const json_t *arc = json_array_get(json_object_get(of.summary, "choices"), 0);
    assert_near(first_of(arc, "acc"), 0.75);
    assert_near(first_of(arc, "acc_norm"), 1);
    assert_near(first_of(arc, "mc1"), 0.75);
    assert_near(first_of(arc, "mc2"), (15 * 0.5 / 0.8 + 5 * exp(-0.01) / (1 + exp(-0.01))) / 20);
    assert_near(first_of(arc, "chance"), 0.25);
    assert_has(of.markdown, "| arc | 20 | 25.0 | 75.0 [");
    drop(&of);
    free_made(&made);
}

static void texts_are_measured(void **state) {
    (void)state;
    const made_task task = {"prose", EVAL_CONTINUE, false, 0, 0, 10};
    made_run made;
    files of;
    make_run(&made, &task, 1, two_policies, 2, 2, 1);
    for (size_t i = 0; i < made.n_results; i++) {
        eval_answer *answer = &made.results[i].answers[0];
        for (size_t k = 0; k < answer->n_tokens; k++)
            answer->tokens[k] = (int32_t)(made.results[i].policy == 1 ? k % 2 : k + 1000 * i);
    }
    report(&of, &made);
    const json_t *texts = json_object_get(of.summary, "texts");
    const json_t *other = json_array_get(texts, 0), *greedy = json_array_get(texts, 1);
    assert_near(first_of(other, "repetition"), 0);
    assert_near(first_of(other, "similarity"), 0);
    assert_near(first_of(other, "loop"), 0);
    assert_near(first_of(greedy, "loop"), 80);
    assert_near(first_of(greedy, "entropy"), 1);
    assert_near(first_of(greedy, "similarity"), 1);
    assert_near(first_of(greedy, "repetition"), 1 - 2.0 / 77);
    assert_near(first_of(json_object_get(other, "differences"), "loop"), -80);
    assert_has(of.markdown, "rep-4 0.974 with greedy; of 1 others 0 are above, 1 below");
    drop(&of);
    free_made(&made);
}

/* ---- texts of strangers ---------------------------------------------------------------------------------------- */

static void replace(char **text, const char *by) {
    free(*text);
    *text = strdup(by);
}

/* Bars that are not escaped, in the line that begins `n_lines` after the one of `part`. */
static size_t count_bars(const char *markdown, const char *part, size_t n_lines) {
    const char *at = strstr(markdown, part);
    size_t n = 0;
    if (!at) fail_msg("does not hold: %s", part);
    for (size_t i = 0; i < n_lines; i++) at = strchr(at, '\n') + 1;
    for (; *at != '\n'; at++) {
        if (*at == '\\') at++;
        else n += *at == '|';
    }
    return n;
}

static void hostile_texts_stay_texts(void **state) {
    (void)state;
    static const char hostile[] = "<script>alert(\"x\")</script>|**b**|`c`\n\x01\xC2\x85\xFF\xED\xA0\x80]]>&amp;";
    const made_task tasks[] = {{"facts", EVAL_GENERATE, false, 0.5, 1, 12}, {"prose", EVAL_CONTINUE, false, 0, 0, 4},
                               {"unknown", EVAL_GENERATE, true, 0, 1, 12}, {"arc", EVAL_CHOOSE, false, 0.5, 0, 5}};
    made_run made;
    files of;
    make_run(&made, tasks, 4, two_policies, 2, 2, 1);
    replace(&made.run->policies[0].name, hostile);
    replace(&made.run->model, hostile);
    replace(&made.run->version, hostile);
    made.run->tuning = strdup("[{\"policy\": \"<script>|\", \"chosen\": 1, \"trials\": [{\"settings\": \"\", "
                              "\"accuracy\": 0.5}, {\"settings\": \"min_p <b>\", \"accuracy\": 0.625}]}, 7, {}]");
    for (size_t i = 0; i < 4; i++) replace(&made.run->tasks[i].name, hostile);
    made.run->tasks[0].bad = calloc(1, sizeof *made.run->tasks[0].bad);
    made.run->tasks[0].n_bad = 1;
    made.run->tasks[0].bad[0].line = 7;
    snprintf(made.run->tasks[0].bad[0].place, sizeof made.run->tasks[0].bad[0].place, "a <b>.jsonl:7");
    snprintf(made.run->tasks[0].bad[0].reason, sizeof made.run->tasks[0].bad[0].reason, "%s", "<img src=\"x\"> & more");
    report(&of, &made);
    assert_null(strstr(of.html, "<script"));
    assert_null(strstr(of.html, "<img"));
    assert_null(strstr(of.markdown, "<"));
    assert_has(of.html, "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;|**b**|`c` \xC2\xB7");
    assert_has(of.html, "a &lt;b&gt;.jsonl:7: &lt;img src=&quot;x&quot;&gt; &amp; more");
    assert_has(of.markdown, "\\*\\*b\\*\\*");
    assert_has(of.markdown, "| &lt;script&gt;\\| | 2 | min\\_p &lt;b&gt; | 62.5 | 50.0 | 50.0 |");
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(count_bars(of.markdown, "| policy | right, %", i), count_bars(of.markdown, "| policy | "
                                                                                       "right, %", 0));
    drop(&of);
    free_made(&made);
}

/* ---- small and unfinished runs --------------------------------------------------------------------------------- */

static void tiny_runs_have_reports(void **state) {
    (void)state;
    const made_task tasks[] = {{"facts", EVAL_GENERATE, false, 2, 1, 1}, {"unknown", EVAL_GENERATE, true, 0, 1, 1},
                               {"prose", EVAL_CONTINUE, false, 0, 0, 1}, {"arc", EVAL_CHOOSE, false, 0.5, 0, 1}};
    for (size_t n_tasks = 0; n_tasks <= 4; n_tasks++)
        for (size_t n_policies = 1; n_policies <= 2; n_policies++) {
            made_run made;
            files of;
            make_run(&made, tasks, n_tasks, two_policies, n_policies, 1, 1);
            for (size_t i = 0; i < made.n_results; i++)
                for (size_t pool = 0; pool < EVAL_POOL_COUNT; pool++)
                    for (size_t k = 0; k < EVAL_METRIC_COUNT; k++)
                        made.results[i].answers[0].signals.values[pool][k] = NAN;
            report(&of, &made);
            assert_clean(&of);
            drop(&of);
            free_made(&made);
        }
}

static void unfinished_runs_say_so(void **state) {
    (void)state;
    made_run made;
    files of;
    make_large_run(&made, 8, 2);
    const size_t n = made.n_results;
    char expected[80];
    for (size_t kept = 0; kept < n; kept += n / 3) {
        made_run part = {made.run, made.results, kept};
        report(&of, &part);
        snprintf(expected, sizeof expected, "not complete: %zu of %zu lines", kept, n);
        assert_has(of.markdown, expected);
        assert_clean(&of);
        drop(&of);
    }
    free_made(&made);
}

static void one_question_without_wrong_answers(void **state) {
    (void)state;
    const made_task task = {"facts", EVAL_GENERATE, false, 3, 1, 30};
    made_run made;
    files of;
    make_run(&made, &task, 1, two_policies, 2, 2, 1);
    report(&of, &made);
    assert_near(first_of(arm_of(&of, 0, 0), "accuracy"), 1);
    assert_near(first_of(doubt_of(&of, 0, "facts"), "n_positive"), 0);
    assert_clean(&of);
    assert_has(of.html, "no other is right more often than greedy, 100.0 %");
    drop(&of);
    free_made(&made);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static void the_same_records_give_the_same_bytes(void **state) {
    (void)state;
    made_run made;
    files first, second;
    make_large_run(&made, 12, 2);
    report(&first, &made);
    report(&second, &made);
    assert_string_equal(first.markdown, second.markdown);
    assert_string_equal(first.html, second.html);
    assert_true(json_equal(first.summary, second.summary));
    drop(&first);
    drop(&second);
    free_made(&made);
}

static void folders_are_reported(void **state) {
    (void)state;
    made_run made;
    files of;
    ex_error error = {0};
    make_large_run(&made, 6, 2);
    make_folder(&of);
    assert_ok(write_made(&made, of.folder, &error), &error);
    assert_ok(eval_report_write(of.folder, &error), &error);
    read_report(&of);
    assert_near(first_of(of.summary, "n_results"), (double)made.n_results);
    assert_int_equal(count_files(of.folder), 5);
    drop(&of);
    assert_int_equal(eval_report_write("/nonexistent", &error), EX_ERROR_IO);
    assert_int_equal(eval_report_write_records(made.run, made.results, 3, RESAMPLES, "/nonexistent", &error),
                     EX_ERROR_IO);
    assert_has(error.message, "/nonexistent/summary.json");
    free_made(&made);
}

/* Every allocation fails once. */
static void memory_may_be_out(void **state) {
    (void)state;
    made_run made;
    files of = {0};
    ex_error error = {0};
    make_large_run(&made, 2, 1);
    make_folder(&of);
    ex_code code = EX_ERROR_MEMORY;
    long left = 0;
    for (; code != EX_OK; left += 1 + left / 8) {
        allocations_limit(left);
        code = eval_report_write_records(made.run, made.results, made.n_results, 8, of.folder, &error);
        allocations_limit(-1);
        if (code != EX_OK) assert_int_equal(code, EX_ERROR_MEMORY);
    }
    assert_true(left > 100);
    assert_int_equal(count_files(of.folder), 3);
    drop(&of);
    free_made(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy_is_what_it_is),
        cmocka_unit_test(p_is_adjusted_for_the_number_of_arms),
        cmocka_unit_test(abstentions_are_counted),
        cmocka_unit_test(doubt_that_tells_all_has_area_one),
        cmocka_unit_test(choices_are_scored),
        cmocka_unit_test(texts_are_measured),
        cmocka_unit_test(hostile_texts_stay_texts),
        cmocka_unit_test(tiny_runs_have_reports),
        cmocka_unit_test(unfinished_runs_say_so),
        cmocka_unit_test(one_question_without_wrong_answers),
        cmocka_unit_test(the_same_records_give_the_same_bytes),
        cmocka_unit_test(folders_are_reported),
        cmocka_unit_test(memory_may_be_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
