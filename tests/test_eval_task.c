/* test_eval_task.c - tasks: files that come with the program, task files and their keys, bad lines, grading. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eval/task.h"

static const char *const folder = EX_SOURCE_DIR "/eval/tasks";
static char scratch[] = "/tmp/test_eval_task.XXXXXX";

#define SOME "{\"questions\": \"some.jsonl\", "

static const char *path_of(const char *name) {
    static char paths[4][200];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

static const char *write_bytes(const char *name, const char *text, size_t length) {
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
    return path;
}

static const char *write_text(const char *name, const char *text) { return write_bytes(name, text, strlen(text)); }

static eval_task *open_task(const char *name, size_t limit) {
    eval_task *task = NULL;
    ex_error error;
    assert_ok(eval_task_open(&task, name, folder, limit, &error), &error);
    return task;
}

static void assert_fails(const char *name, ex_code wanted, const char *part) {
    eval_task *task = NULL;
    ex_error error = {0};
    assert_int_equal(eval_task_open(&task, name, folder, 0, &error), wanted);
    assert_null(task);
    if (!strstr(error.message, part)) fail_msg("'%s' lacks '%s'", error.message, part);
}

/* A task file with a small file of questions beside it. */
static const char *write_task(const char *json) {
    write_text("some.jsonl",
               "{\"question\": \"One?\", \"answer\": \"1\"}\n{\"question\": \"Two?\", \"answer\": \"2\"}\n"
               "{\"question\": \"Three?\", \"answer\": \"3\"}\n");
    return write_text("some.json", json);
}

static bool grade(const eval_task *task, const eval_question *question, const char *text, const char *wanted) {
    char *answer = NULL;
    ex_error error;
    assert_ok(eval_answer_of(task, text, &answer, &error), &error);
    if (wanted) assert_string_equal(answer, wanted);
    bool is_right = eval_is_right(task, question, text, answer);
    free(answer);
    return is_right;
}

/* ---- the tasks that come with the program ---- */

static void test_own_sets(void **state) {
    (void)state;
    static const char *const names[] = {"facts", "problems", "large_problems", "long_problems", "unknown"};
    uint64_t digests[5];
    for (size_t i = 0; i < 5; i++) {
        eval_task *task = open_task(names[i], 0);
        assert_string_equal(task->name, names[i]);
        assert_int_equal(task->n_questions, 300);
        assert_int_equal(task->n_bad, 0);
        assert_int_equal(task->kind, EVAL_GENERATE);
        assert_true(task->is_chat);
        assert_int_equal(task->is_unknown, i == 4);
        assert_int_equal(task->is_number, i >= 1 && i <= 3);
        assert_int_equal(task->pattern != NULL, task->is_number);
        for (size_t q = 0; q < 300; q++) {
            assert_int_equal(task->questions[q].line, q + 1);
            assert_int_equal(task->questions[q].answer == NULL, i == 4);
            assert_int_equal(task->questions[q].n_accept > 0, i == 0);
        }
        digests[i] = task->digest;
        for (size_t other = 0; other < i; other++) assert_true(digests[other] != task->digest);
        eval_task_close(task);
        task = open_task(names[i], 0);
        assert_true(task->digest == digests[i]);
        eval_task_close(task);
    }
}

static void test_facts_and_problems_are_graded(void **state) {
    (void)state;
    eval_task *task = open_task("facts", 0);
    assert_string_equal(task->questions[0].prompt, "Where is Peru?");
    assert_true(grade(task, &task->questions[0], " Peru is in  South America.\n", "Peru is in South America."));
    assert_false(grade(task, &task->questions[0], "Peru is in Africa.", NULL));
    assert_false(grade(task, &task->questions[0], "Peru is in South America. It is large.", NULL));
    eval_task_close(task);
    task = open_task("large_problems", 0);
    assert_true(grade(task, &task->questions[0], "104 + 51 = 155. 155 - 144 = 11. 11 - 9 = 2. The answer is 2.", "2"));
    assert_false(grade(task, &task->questions[0], "104 + 51 = 155. The answer is 12.", "12"));
    assert_false(grade(task, &task->questions[0], "104 + 51 = 2.", ""));
    eval_task_close(task);
    task = open_task("unknown", 1);
    assert_int_equal(task->n_questions, 1);
    assert_false(grade(task, &task->questions[0], "Nobody knows.", "Nobody knows."));
    eval_task_close(task);
}

/* A file of questions by itself is the same task as the one that comes with a task file. */
static void test_plain_files(void **state) {
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/problems.jsonl", folder);
    eval_task *task = open_task(path, 7);
    assert_string_equal(task->name, "problems");
    assert_string_equal(task->path, path);
    assert_int_equal(task->n_questions, 7);
    assert_true(task->is_chat);
    assert_true(task->is_number);
    assert_true(grade(task, &task->questions[0], "4 * 5 = 20. The answer is 20.", "20"));
    assert_true(grade(task, &task->questions[0], "The answer is $20.00, no less.", "20"));
    eval_task_close(task);
    snprintf(path, sizeof path, "%s/facts.jsonl", folder);
    task = open_task(path, 0);
    assert_null(task->pattern);
    assert_false(task->is_number);
    eval_task_close(task);
}

static void test_prose(void **state) {
    (void)state;
    eval_task *task = open_task("prose", 0);
    assert_int_equal(task->kind, EVAL_CONTINUE);
    assert_false(task->is_chat);
    assert_int_equal(task->n_questions, 100);
    assert_int_equal(task->n_bad, 0);
    for (size_t i = 0; i < task->n_questions; i++) {
        size_t n_spaces = 0;
        for (const char *at = task->questions[i].prompt; *at; at++) n_spaces += *at == ' ';
        assert_int_equal(n_spaces, 44);
        assert_null(task->questions[i].answer);
    }
    assert_int_equal(strncmp(task->questions[0].prompt, "The McDonnell Douglas (now Boeing) F/A-18", 41), 0);
    eval_task_close(task);
}

/* Lines that end where the window ended, and blank lines between paragraphs. */
static void test_wrapped_prose(void **state) {
    (void)state;
    char text[4000] = "A heading\n\n";
    for (int paragraph = 0; paragraph < 2; paragraph++) {
        for (int i = 0; i < 90; i++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "w%d%c", i, i % 10 == 9 ? '\n' : ' ');
        strcat(text, "\n");
    }
    eval_task *task = open_task(write_text("wrapped.txt", text), 0);
    assert_int_equal(task->n_questions, 2);
    assert_int_equal(task->questions[0].line, 3);
    assert_int_equal(task->questions[1].line, 13);
    assert_int_equal(strncmp(task->questions[0].prompt, "w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 ", 34), 0);
    assert_string_equal(task->questions[0].prompt + strlen(task->questions[0].prompt) - 4, " w44");
    eval_task_close(task);
}

/* ---- task files ---- */

static void test_keys(void **state) {
    (void)state;
    eval_task *task = open_task(
        write_task(SOME "\"name\": \"counting\", \"layout\": \"entropix\", \"kind\": \"generate\","
                   " \"chat\": false, \"unknown\": false, \"system\": \"Be brief.\","
                   " \"prompt\": \"{% for shot in shots %}Q {{ shot.question }} A {{ shot.answer }}\\n{% endfor %}"
                   "Q {{ question }} A\", \"separator\": \"\", \"score\": \"choices\", \"shots\": 2,"
                   " \"pattern\": \"n=([0-9]+)\", \"take\": \"last\", \"compare\": \"number\", \"predict\": 9,"
                   " \"stop\": [\"Q\", \"\\n\"], \"limit\": 2}"), 0);
    assert_string_equal(task->name, "counting");
    assert_string_equal(task->system, "Be brief.");
    assert_false(task->is_chat);
    assert_true(task->takes_last);
    assert_int_equal(task->n_predict, 9);
    assert_int_equal(task->n_stop, 2);
    assert_string_equal(task->stop[1], "\n");
    assert_int_equal(task->n_questions, 2);
    assert_string_equal(task->questions[0].prompt, "Q Two? A 2\nQ Three? A 3\nQ One? A");
    assert_string_equal(task->questions[1].prompt, "Q One? A 1\nQ Three? A 3\nQ Two? A");
    assert_true(grade(task, &task->questions[1], "n=1 n=2", "2"));
    assert_false(grade(task, &task->questions[0], "n=1 n=2", "2"));
    eval_task_close(task);
}

static void test_examples_from_another_file(void **state) {
    (void)state;
    write_text("shots.jsonl",
               "{\"question\": \"Two?\", \"answer\": \"2\"}\n{\"question\": \"Four?\", \"answer\": \"4\"}\n");
    const char *one_shot = SOME "\"shots\": 1, \"shots_from\": \"shots.jsonl\"}";
    eval_task *task = open_task(write_task(one_shot), 0);
    assert_string_equal(task->questions[0].prompt, "Two?\n2\n\nOne?");
    assert_string_equal(task->questions[1].prompt, "Four?\n4\n\nTwo?"); /* not the question itself */
    eval_task_close(task);
    assert_fails(write_task(SOME "\"shots\": 5, \"shots_from\": \"shots.jsonl\"}"),
                 EX_ERROR_FORMAT, "has 2 examples to show, but \"shots\" is 5");
    assert_fails(write_task(SOME "\"shots\": 1, \"shots_from\": \"none.jsonl\"}"), EX_ERROR_IO,
                 "none.jsonl: cannot open");
}

static void test_bad_task_files(void **state) {
    (void)state;
    static const struct {
        const char *json, *part;
    } cases[] = {
        {SOME "\"shuts\": 1}", "some.json: \"shuts\" is no key of a task file; there are: name, "},
        {"{\"questions\": \"some.jsonl\"", "some.json:1: "},
        {"[]", "must hold a JSON object"},
        {SOME "\"questions\": \"other.jsonl\"}", "duplicate"},
        {"{}", "lacks \"questions\""},
        {"{\"questions\": 7}", "\"questions\" is a whole number, but must be a text"},
        {SOME "\"kind\": \"guess\"}", "\"kind\" must be one of: generate, choose, continue"},
        {SOME "\"layout\": \"gsm9k\"}", "\"layout\" must be one of: entropix, prose, gsm8k, arc"},
        {SOME "\"chat\": 1}", "\"chat\" is a whole number, but must be true or false"},
        {SOME "\"predict\": 0}", "\"predict\" must be from 1 to"},
        {SOME "\"shots\": 1.5}", "\"shots\" is a number, but must be a whole number"},
        {SOME "\"stop\": [\"\"]}", "\"stop\" must be a list"},
        {SOME "\"stop\": \"x\"}", "\"stop\" must be a list"},
        {SOME "\"pattern\": \"(\"}", "\"pattern\" is no POSIX extended expression"},
        {SOME "\"prompt\": \"{% if %}\"}", "some.json: prompt:1:"},
        {SOME "\"prompt\": \"\"}", "its prompt is empty"},
        {SOME "\"kind\": \"choose\"}", "some.jsonl:1: has 0 choices"},
        {SOME "\"layout\": \"gsm8k\"}", "has no \"#### \""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(write_task(cases[i].json), EX_ERROR_FORMAT, cases[i].part);
    assert_fails(write_task("{\"questions\": \"nowhere.jsonl\"}"), EX_ERROR_IO, "nowhere.jsonl: cannot open");
    assert_fails(path_of("nothing.json"), EX_ERROR_IO, "nothing.json: cannot open");
    assert_fails("large_problem", EX_ERROR_IO, "facts, large_problems, long_problems, problems, prose, unknown");
    assert_fails("../tasks/facts", EX_ERROR_IO, "nor a task that comes with the program");
}

/* ---- lines that are no questions ---- */

static void test_bad_lines(void **state) {
    (void)state;
    size_t n_long = (1 << 20) + 100;
    char *text = malloc(n_long + 1000);
    assert_non_null(text);
    size_t length = (size_t)snprintf(text, 1000,
        "\xEF\xBB\xBF{\"question\": \"One?\", \"answer\": 1}\n"
        "{\"question\": \"Two?\", \"answer\"\n"
        "\n"
        "{\"answer\": \"4\"}\n"
        "{\"question\": 5, \"answer\": \"5\"}\n"
        "{\"question\": \"Six?\"}\n"
        "[7]\n"
        "{\"question\": \"\xFF?\", \"answer\": \"8\"}\n"
        "{\"question\": \"Nine?\", \"answer\": [9]}\n"
        "{\"question\": \"Ten?\", \"answer\": \"10\", \"accept\": [10]}\n"
        "{\"question\": \"\\u0000\", \"answer\": \"11\"}\n"
        "{\"question\": \"");
    memset(text + length, 'x', n_long);
    length += n_long;
    length += (size_t)snprintf(text + length, 900, "\", \"answer\": \"12\"}\r\n"
                               "{\"question\": \"Thirteen?\", \"answer\": \"13\"}\r\n{\"question\": \"Fourteen?\"");
    eval_task *task = open_task(write_bytes("bad.jsonl", text, length), 0);
    free(text);
    static const struct {
        size_t line;
        const char *part;
    } wanted[] = {{2, "is not JSON"}, {4, "lacks \"question\""},
                  {5, "\"question\" is a whole number, but must be a text"},
                  {6, "lacks \"answer\""}, {7, "is no JSON object"}, {8, "UTF-8"}, {9, "\"answer\" is a list"},
                  {10, "\"accept\" has a whole number at place 0"}, {11, "NUL"}, {12, "is longer than 1 MB"},
                  {14, "is not JSON"}};
    assert_int_equal(task->n_bad, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < task->n_bad; i++) {
        assert_int_equal(task->bad[i].line, wanted[i].line);
        if (!strstr(task->bad[i].reason, wanted[i].part))
            fail_msg("line %zu: '%s' lacks '%s'", task->bad[i].line, task->bad[i].reason, wanted[i].part);
    }
    assert_int_equal(task->n_questions, 2);
    assert_int_equal(task->questions[0].line, 1);
    assert_string_equal(task->questions[0].answer, "1");
    assert_int_equal(task->questions[1].line, 13);
    eval_task_close(task);
    assert_fails(write_text("empty.jsonl", "\n\n"), EX_ERROR_FORMAT, "holds no question");
    assert_fails(write_text("none.jsonl", "\n{\"a\": 1}\n"), EX_ERROR_FORMAT, "none.jsonl:2: lacks \"question\"");
}

static void test_reject(void **state) {
    (void)state;
    eval_task *task = open_task(write_task("{\"questions\": \"some.jsonl\"}"), 0);
    ex_error error;
    uint64_t digest = task->digest;
    assert_ok(eval_task_reject(task, 2, "does not fit the context", &error), &error);
    assert_int_equal(task->n_questions, 2);
    assert_string_equal(task->questions[1].prompt, "Three?");
    assert_int_equal(task->n_bad, 1);
    assert_int_equal(task->bad[0].line, 2);
    assert_string_equal(task->bad[0].reason, "does not fit the context");
    assert_non_null(strstr(task->bad[0].place, "/some.jsonl:2"));
    assert_true(task->digest == digest);
    assert_int_equal(eval_task_reject(task, 2, "again", &error), EX_ERROR_ARGUMENT);
    eval_task_close(task);
}

/* Whatever an answer depends on changes the digest, and what it does not depend on leaves it. */
static void test_digest(void **state) {
    (void)state;
    static const char *const tasks[] = {
        "{\"questions\": \"some.jsonl\"}", SOME "\"chat\": false}",
        SOME "\"system\": \"\"}", SOME "\"predict\": 7}",
        SOME "\"stop\": [\"x\"]}", SOME "\"stop\": [\"y\"]}",
        SOME "\"pattern\": \"x\"}", SOME "\"take\": \"last\"}",
        SOME "\"compare\": \"fold\"}", SOME "\"compare\": \"text\"}",
        SOME "\"shots\": 1}", SOME "\"unknown\": true}",
        SOME "\"limit\": 2}", SOME "\"prompt\": \"{{ question }} \"}"};
    enum { COUNT = sizeof tasks / sizeof *tasks };
    uint64_t digests[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        eval_task *task = open_task(write_task(tasks[i]), 0);
        digests[i] = task->digest;
        for (size_t other = 0; other < i; other++)
            if (digests[other] == digests[i]) fail_msg("%s is %s", tasks[i], tasks[other]);
        eval_task_close(task);
    }
    eval_task *task = open_task(write_task("{\"name\": \"other\", \"questions\": \"some.jsonl\"}"), 0);
    assert_true(task->digest == digests[0]);
    eval_task_close(task);
}

/* ---- grading ---- */

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text, *answer;
    } cases[] = {
        {"1,000", "1000"}, {"1000.0", "1000"}, {"-0", "0"}, {"0", "0"}, {"-0.00", "0"}, {"007", "7"}, {"+5", "5"},
        {"$5.50", "5.5"}, {"-$3", "-3"}, {"$-3", "-3"}, {"18.", "18"}, {"18,", "18"}, {".5", "0.5"}, {"-.50", "-0.5"},
        {"\xE2\x88\x92" "4", "-4"}, {" 12 ", "12"}, {"1,234,567.890", "1234567.89"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"0.1000000000000000000000000000001", "0.1000000000000000000000000000001"},
        {"", ""}, {".", "."}, {"-", "-"}, {"twelve", "twelve"}, {"1.2.3", "1.2.3"},
        {"5 apples", "5 apples"}, {"--5", "--5"},
        {"1e3", "1e3"}, {",5", ",5"}, {"10", "10"}, {"100.10", "100.1"},
    };
    eval_task task = {.kind = EVAL_GENERATE, .is_number = true};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        eval_question question = {.answer = (char *)cases[i].answer};
        assert_int_equal(grade(&task, &question, cases[i].text, cases[i].answer), *cases[i].answer != 0);
    }
    assert_false(grade(&task, &(eval_question){.answer = "0.3"}, "0.30000000000000000001", NULL));
    assert_true(grade(&task, &(eval_question){.answer = "1,000"}, "1000.0", "1000"));
    assert_false(grade(&task, &(eval_question){.answer = NULL}, "5", NULL));
}

static void test_texts(void **state) {
    (void)state;
    char *accept[] = {"New  York City", "NYC"};
    eval_question question = {.answer = "New York", .accept = accept, .n_accept = 2};
    eval_task task = {.kind = EVAL_GENERATE};
    assert_true(grade(&task, &question, "\n New\tYork   City ", "New York City"));
    assert_true(grade(&task, &question, "NYC", "NYC"));
    assert_false(grade(&task, &question, "nyc", "nyc"));
    assert_false(grade(&task, &question, "New York", NULL)); /* accept says all that is right */
    task.folds_case = true;
    assert_true(grade(&task, &question, "nyc", "nyc"));
    assert_true(grade(&task, &(eval_question){.answer = "\xC3\x84PFEL \xCE\xA9"}, "\xC3\xA4pfel  \xCF\x89", NULL));
    assert_false(grade(&task, &(eval_question){.answer = "a"}, "\xFF" "A", "\xFF" "a")); /* not UTF-8: no failure */
}

static const char *answer_by(const char *pattern, bool takes_last, const char *text) {
    static char found[200];
    char json[500];
    snprintf(json, sizeof json, SOME "\"compare\": \"text\", \"pattern\": \"%s\", \"take\": \"%s\"}",
             pattern, takes_last ? "last" : "first");
    eval_task *task = open_task(write_task(json), 0);
    char *answer = NULL;
    ex_error error;
    assert_ok(eval_answer_of(task, text, &answer, &error), &error);
    snprintf(found, sizeof found, "%s", answer);
    free(answer);
    eval_task_close(task);
    return found;
}

static void test_patterns(void **state) {
    (void)state;
    assert_string_equal(answer_by("is ([0-9]+)", false, "a is 5, b is 6"), "5");
    assert_string_equal(answer_by("is ([0-9]+)", true, "a is 5, b is 6"), "6");
    assert_string_equal(answer_by("[0-9]+", true, "5 6 77"), "77");
    assert_string_equal(answer_by("^Answer: (.*)$", false, "so\nAnswer: x y \nmore"), "x y");
    assert_string_equal(answer_by("^b", true, "bbb"), "b");
    assert_string_equal(answer_by("A([0-9])|B([0-9])", true, "A1 B2"), "2");
    assert_string_equal(answer_by("x*", true, "axxb"), "");
    assert_string_equal(answer_by("z", true, "axxb"), "");
    assert_string_equal(answer_by("-?[$0-9.,]{2,}|-?[0-9]+", true, "3 apples and $1,250."), "$1,250.");
}

/* A pattern's finding counts for accepted texts too, and so does the whole text. */
static void test_accept_with_pattern(void **state) {
    (void)state;
    write_text("some.jsonl", "{\"question\": \"Capital?\", \"accept\": [\"Paris\", \"The capital is Paris.\"]}\n");
    const char *json = SOME "\"pattern\": \"is ([A-Z][a-z]+)\"}";
    eval_task *task = open_task(write_text("some.json", json), 0);
    assert_string_equal(task->questions[0].answer, "Paris");
    assert_true(grade(task, &task->questions[0], "I think it is Paris", "Paris"));
    assert_true(grade(task, &task->questions[0], "The  capital is Paris. ", "Paris"));
    assert_true(grade(task, &task->questions[0], "Paris", ""));
    assert_false(grade(task, &task->questions[0], "it is London", "London"));
    eval_task_close(task);
}

static int make_scratch(void **state) {
    (void)state;
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state) {
    (void)state;
    static const char *const names[] = {"some.jsonl", "some.json", "shots.jsonl", "bad.jsonl",
                                        "empty.jsonl", "none.jsonl", "wrapped.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(path_of(names[i]));
    return rmdir(scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_sets),
        cmocka_unit_test(test_facts_and_problems_are_graded),
        cmocka_unit_test(test_plain_files),
        cmocka_unit_test(test_prose),
        cmocka_unit_test(test_wrapped_prose),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_examples_from_another_file),
        cmocka_unit_test(test_bad_task_files),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_reject),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_accept_with_pattern),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
