/* test_eval_layouts.c - benchmarks in the layouts in which they are published: prompts, choices and right answers to
 * the letter, examples, and records that are no questions. All questions are invented (tests/data/eval). */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocations.h"
#include "eval/task.h"

/* Writes a task file for `questions` in tests/data/eval with more keys, which begin with a comma, and opens it. */
static eval_task *open_layout(const char *layout, const char *questions, const char *more) {
    char path[] = "/tmp/test_eval_layouts.XXXXXX.json";
    int descriptor = mkstemps(path, 5);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    fprintf(file, "{\"layout\": \"%s\", \"questions\": \"%s/tests/data/eval/%s\"%s}", layout, EX_SOURCE_DIR, questions,
            more);
    fclose(file);
    eval_task *task = NULL;
    ex_error error;
    ex_code code = eval_task_open(&task, path, NULL, 0, &error);
    unlink(path);
    assert_ok(code, &error);
    return task;
}

/* The choices as they continue the prompt, and which are right. */
static void assert_choices(const eval_question *question, size_t count, const char *const *choices, const char *right) {
    assert_int_equal(question->n_choices, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(question->choices[i], choices[i]);
        assert_int_equal(question->is_right[i], right[i] == '1');
    }
}

static void assert_bad(const eval_task *task, size_t index, size_t line, const char *part) {
    assert_true(index < task->n_bad);
    assert_int_equal(task->bad[index].line, line);
    char text[sizeof task->bad->place + sizeof task->bad->reason + 2];
    snprintf(text, sizeof text, "%s: %s", task->bad[index].place, task->bad[index].reason);
    if (!strstr(text, part)) fail_msg("'%s' lacks '%s'", text, part);
}

static bool grade(const eval_task *task, const eval_question *question, const char *text) {
    char *answer = NULL;
    ex_error error;
    assert_ok(eval_answer_of(task, text, &answer, &error), &error);
    bool is_right = eval_is_right(task, question, text, answer);
    free(answer);
    return is_right;
}

#define SHOT(cost, sum)                                                                                                \
    "Question: A lamp costs " #cost " coins and a cup costs 2. What do both cost?\n"                                   \
    "Answer: A lamp and a cup cost " #cost " + 2 = <<" #cost "+2=" #sum ">>" #sum " coins.\n#### " #sum "\n\n"

static void test_gsm8k(void **state) {
    (void)state;
    eval_task *task = open_layout("gsm8k", "gsm8k/test.jsonl", "");
    assert_int_equal(task->kind, EVAL_GENERATE);
    assert_false(task->is_chat);
    assert_true(task->is_number);
    assert_int_equal(task->n_stop, 1);
    assert_string_equal(task->stop[0], "Question:");
    assert_int_equal(task->n_questions, 3);
    assert_string_equal(task->questions[0].prompt,
                        SHOT(3, 5) SHOT(4, 6) SHOT(5, 7) SHOT(6, 8) SHOT(7, 9)
                        "Question: A boat carries 1200 crates and 34 sacks. How many things is that?\nAnswer:");
    assert_string_equal(task->questions[0].answer, "1,234");
    assert_string_equal(task->questions[1].prompt,
                        SHOT(4, 6) SHOT(5, 7) SHOT(6, 8) SHOT(7, 9) SHOT(8, 10)
                        "Question: A lamp costs 3 coins and a cup costs 2. What do both cost?\nAnswer:");
    assert_true(grade(task, &task->questions[0], " 1200 + 34 = 1234.\n#### 1234\n"));
    assert_true(grade(task, &task->questions[0], "#### 1,234.0"));
    assert_false(grade(task, &task->questions[0], "It is 1234."));
    assert_true(grade(task, &task->questions[2], "#### -4"));
    assert_false(grade(task, &task->questions[2], "#### 4"));
    assert_int_equal(task->n_bad, 1);
    assert_bad(task, 0, 3, "has no \"#### \"");
    eval_task_close(task);
}

/* The same with the last number of a text, and without examples. */
static void test_gsm8k_otherwise(void **state) {
    (void)state;
    eval_task *task = open_layout("gsm8k", "gsm8k/test.jsonl",
                                  ", \"shots\": 0, \"pattern\": \"-?[$0-9.,]{2,}|-?[0-9]+\", \"take\": \"last\"");
    assert_string_equal(task->questions[1].prompt,
                        "Question: A lamp costs 3 coins and a cup costs 2. What do both cost?\nAnswer:");
    assert_true(grade(task, &task->questions[0], "First 1200, then 34, so it costs $1,234."));
    assert_true(grade(task, &task->questions[1], "3 and 2 make 5"));
    eval_task_close(task);
}

static void check_arc(const char *file, const char *bad_reason) {
    eval_task *task = open_layout("arc", file, "");
    assert_int_equal(task->kind, EVAL_CHOOSE);
    assert_int_equal(task->n_predict, 0);
    assert_int_equal(task->n_separator, 1);
    assert_int_equal(task->n_questions, 2);
    assert_string_equal(task->questions[0].id, "Made_1");
    assert_string_equal(task->questions[0].prompt, "Question: Which of these floats on water?\nAnswer:");
    assert_choices(&task->questions[0], 3, (const char *const[]){" a cork", " a coin", " a stone"}, "100");
    assert_string_equal(task->questions[0].answer, "a cork");
    assert_choices(&task->questions[1], 4, (const char *const[]){" salt", " light", " smoke", " sand"}, "0100");
    assert_true(grade(task, &task->questions[1], " light"));
    assert_false(grade(task, &task->questions[1], " salt"));
    assert_int_equal(task->n_bad, 2);
    assert_bad(task, 0, 3, "\"answerKey\" is 'E', the label of 0 choices");
    assert_bad(task, 1, 4, bad_reason);
    eval_task_close(task);
}

static void test_arc(void **state) {
    (void)state;
    check_arc("arc.jsonl", "lacks \"label\"");
    check_arc("arc_table.jsonl", "has 2 texts and 1 labels");
}

/* Choices that are asked for by letter, in words. */
static void test_arc_in_words(void **state) {
    (void)state;
    eval_task *task = open_layout("arc", "arc.jsonl", ", \"kind\": \"generate\", \"chat\": true, \"score\": \"labels\","
        " \"prompt\": \"{{ question }}\\n"
        "{% for choice in choices %}{{ labels[loop.index0] }}) {{ choice }}\\n{% endfor %}\","
        " \"pattern\": \"[Aa]nswer is ([A-Za-z0-9 ]+)\", \"compare\": \"fold\", \"limit\": 2");
    assert_string_equal(task->questions[1].prompt,
                        "What does a plant need to grow?\n1) salt\n2) light\n3) smoke\n4) sand\n");
    assert_string_equal(task->questions[1].answer, "2");
    assert_int_equal(task->questions[1].n_choices, 0);
    assert_true(grade(task, &task->questions[1], "The answer is 2."));
    assert_true(grade(task, &task->questions[1], "The answer is Light"));
    assert_false(grade(task, &task->questions[1], "The answer is 1"));
    eval_task_close(task);
}

static void test_hellaswag(void **state) {
    (void)state;
    eval_task *task = open_layout("hellaswag", "hellaswag.jsonl", "");
    assert_int_equal(task->n_questions, 2);
    assert_string_equal(task->questions[0].id, "24");
    assert_string_equal(task->questions[0].prompt, "Mending a net: A woman sits by the shore. She and her dog");
    assert_choices(&task->questions[0], 4,
                   (const char *const[]){" fly away.", "  eat the net.", " paint a boat.", " mend. the net."}, "0001");
    assert_string_equal(task->questions[1].prompt, "Home: How to dry a boot. Shake it. Hold it upside down.");
    assert_choices(&task->questions[1], 4,
                   (const char *const[]){" Then wait.", " Then swim.", " Then sleep.", " Then sing."}, "1000");
    assert_int_equal(task->n_bad, 1);
    assert_bad(task, 0, 3, "\"label\" is none of the 4 choices");
    eval_task_close(task);
}

static void check_truthfulqa(const char *file, size_t n_bad) {
    eval_task *task = open_layout("truthfulqa_mc1", file, "");
    assert_int_equal(task->n_questions, 2);
    assert_string_equal(task->questions[0].prompt, "Q: What happens when you whistle at a kettle?\nA:");
    assert_choices(&task->questions[0], 3,
                   (const char *const[]){" Nothing happens", " It boils", " It answers"}, "100");
    assert_string_equal(task->questions[1].prompt, "Q: Can a fence, as {some} say, \"sing\"?\nA:");
    assert_choices(&task->questions[1], 2, (const char *const[]){" Yes", " No"}, "01");
    assert_int_equal(task->n_bad, n_bad);
    if (n_bad) assert_bad(task, 0, 15, "lacks \"mc1_targets\", an object");
    eval_task_close(task);
    task = open_layout("truthfulqa_mc2", file, "");
    assert_choices(&task->questions[0], 3,
                   (const char *const[]){" Nothing happens", " It stays as it is", " It boils"}, "110");
    assert_int_equal(task->n_bad, n_bad);
    if (n_bad) assert_bad(task, 0, 15, "lacks \"mc2_targets\", an object");
    eval_task_close(task);
}

static void test_truthfulqa(void **state) {
    (void)state;
    check_truthfulqa("mc_task.json", 1);
    check_truthfulqa("truthfulqa_table.jsonl", 0);
}

#define ROPE(i, letter)                                                                                                \
    "About a rope " #i "?\nA. a" #i "\nB. b" #i "\nC. c" #i "\nD. d" #i "\nAnswer: " #letter "\n\n"

static const char *const letters[] = {" A", " B", " C", " D"};

static void test_mmlu_folder(void **state) {
    (void)state;
    eval_task *task = open_layout("mmlu", "mmlu/test", "");
    assert_int_equal(task->n_questions, 4);
    assert_string_equal(task->questions[0].prompt,
        "The following are multiple choice questions (with answers) about knot theory.\n\n"
        ROPE(0, A) ROPE(1, B) ROPE(2, C) ROPE(3, D) ROPE(4, A)
        "Which knot, of these, is a \"bowline\"?\r\n(Look twice.)\n"
        "A. the first\nB. the second, or none\nC. the third\nD. the fourth\nAnswer:");
    assert_choices(&task->questions[0], 4, letters, "0100");
    assert_string_equal(task->questions[0].answer, "B");
    assert_string_equal(task->questions[1].id, "knot_theory_test.csv:3");
    assert_int_equal(task->questions[1].line, 3);
    assert_string_equal(task->questions[2].id, "lamp_history_test.csv:1");
    assert_int_equal(task->questions[2].line, 4);
    assert_choices(&task->questions[2], 4, letters, "0001");
    static const char lamps[] = "The following are multiple choice questions (with answers) about lamp history.\n\n"
                                "About a lamp 0?\nA. a0\n";
    assert_int_equal(strncmp(task->questions[2].prompt, lamps, sizeof lamps - 1), 0);
    assert_string_equal(task->questions[3].id, "lamp_history_test.csv:5");
    assert_int_equal(task->n_bad, 3);
    assert_bad(task, 0, 5, "/lamp_history_test.csv:2: has 3 fields, but there are 6 columns");
    assert_bad(task, 1, 6, "lamp_history_test.csv:3: \"answer\" is 'E', the label of 0 choices");
    assert_bad(task, 2, 7, "lamp_history_test.csv:4: a quoted field has no end");
    eval_task_close(task);
}

/* One subject alone, with fewer examples; its examples are found beside it. */
static void test_mmlu_file(void **state) {
    (void)state;
    eval_task *task = open_layout("mmlu", "mmlu/test/knot_theory_test.csv", ", \"shots\": 1");
    assert_int_equal(task->n_questions, 2);
    assert_string_equal(task->questions[1].prompt,
        "The following are multiple choice questions (with answers) about knot theory.\n\n" ROPE(0, A)
        "How many ends has a rope?\nA. one\nB. two\nC. three\nD. four\nAnswer:");
    assert_string_equal(task->questions[1].id, "3");
    assert_int_equal(task->n_bad, 0);
    eval_task_close(task);
}

static eval_task *open_text(const char *ending, const char *text, ex_code wanted, ex_error *error) {
    char path[60];
    snprintf(path, sizeof path, "/tmp/test_eval_layouts.%d.%s", (int)getpid(), ending);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    char json[60];
    snprintf(json, sizeof json, "/tmp/test_eval_layouts.%d.json", (int)getpid());
    if (strcmp(ending, "jsonl") != 0) {
        file = fopen(json, "w");
        assert_non_null(file);
        fprintf(file, "{\"questions\": \"%s\"}", path);
        fclose(file);
    }
    eval_task *task = NULL;
    assert_int_equal(eval_task_open(&task, strcmp(ending, "jsonl") ? json : path, NULL, 0, error), wanted);
    unlink(path);
    unlink(json);
    return task;
}

/* Our own layout with choices, named in each of the three ways. */
static void test_own_choices(void **state) {
    (void)state;
    ex_error error;
    eval_task *task = open_text("jsonl",
        "{\"id\": \"x\", \"question\": \"Red or blue?\", \"choices\": [\"red\", \"blue\"], \"answer\": \"blue\"}\n"
        "{\"id\": 7, \"question\": \"Up?\", \"choices\": [\"up\", \"down\"], \"answer\": 0}\n"
        "{\"question\": \"Both?\", \"choices\": [\"a\", \"b\", \"c\"], \"answer\": [\"a\", 2]}\n"
        "{\"question\": \"None?\", \"choices\": [\"a\", \"b\"], \"answer\": \"c\"}\n"
        "{\"question\": \"Three?\", \"choices\": [\"a\", \"b\"], \"answer\": 2}\n"
        "{\"question\": \"One?\", \"choices\": [\"a\"], \"answer\": 0}\n"
        "{\"question\": \"Nothing?\", \"choices\": [\"a\", \"b\"], \"answer\": null}\n"
        "{\"question\": \"No choices\", \"answer\": \"a\"}\n", EX_OK, &error);
    assert_int_equal(task->kind, EVAL_CHOOSE);
    assert_true(task->is_chat);
    assert_int_equal(task->n_questions, 3);
    assert_string_equal(task->questions[0].id, "x");
    assert_choices(&task->questions[0], 2, (const char *const[]){"red", "blue"}, "01");
    assert_string_equal(task->questions[1].id, "7");
    assert_choices(&task->questions[1], 2, (const char *const[]){"up", "down"}, "10");
    assert_string_equal(task->questions[2].id, "3");
    assert_choices(&task->questions[2], 3, (const char *const[]){"a", "b", "c"}, "101");
    assert_int_equal(task->n_bad, 5);
    assert_bad(task, 0, 4, "\"answer\" is none of the choices");
    assert_bad(task, 1, 5, "\"answer\" is the place of no choice");
    assert_bad(task, 2, 6, "has 1 choices");
    assert_bad(task, 3, 7, "has no right choice");
    assert_bad(task, 4, 8, "has 0 choices");
    eval_task_close(task);
}

/* CSV with a header, in our own layout. */
static void test_own_csv(void **state) {
    (void)state;
    ex_error error;
    eval_task *task = open_text(
        "csv", "question,answer\n\"Two, and two?\",4\nbad \"quote\",1\n\"x\"y,2\n\nThree?,3", EX_OK, &error);
    assert_int_equal(task->n_questions, 2);
    assert_string_equal(task->questions[0].prompt, "Two, and two?");
    assert_string_equal(task->questions[0].answer, "4");
    assert_int_equal(task->questions[1].line, 6);
    assert_int_equal(task->n_bad, 2);
    assert_bad(task, 0, 3, "a quote stands inside");
    assert_bad(task, 1, 4, "behind a quoted field");
    eval_task_close(task);
}

/* A list in one file: an element that is broken takes no other along. */
static void test_json_list(void **state) {
    (void)state;
    ex_error error;
    eval_task *task = open_text("list.json", "", EX_ERROR_FORMAT, &error);
    assert_null(task);
    task = open_text("list.json", "[{\"question\": \"a]\\\"},\", \"answer\": \"1\"},\n {\"question\": tru}, 5,\n"
                     "\n{\"question\": \"b\",\n \"answer\": \"2\"}\n]\n", EX_OK, &error);
    assert_int_equal(task->n_questions, 2);
    assert_string_equal(task->questions[0].prompt, "a]\"},");
    assert_int_equal(task->questions[1].line, 4);
    assert_int_equal(task->n_bad, 2);
    assert_bad(task, 0, 2, "is not JSON");
    assert_bad(task, 1, 2, "is no JSON object");
    eval_task_close(task);
    task = open_text("list.json", "[{\"question\": \"a\", \"answer\": \"1\"}, {\"question\"", EX_OK, &error);
    assert_int_equal(task->n_questions, 1);
    assert_bad(task, 0, 1, "the list has no end");
    eval_task_close(task);
}

/* Wherever memory ends, opening says so and leaves nothing behind. */
static void test_short_memory(void **state) {
    (void)state;
    static const char *const names[] = {"gsm8k", "hellaswag", "mmlu", "truthfulqa_mc2", "arc"};
    static const char *const files[] = {"gsm8k/test.jsonl", "hellaswag.jsonl", "mmlu/test", "mc_task.json",
                                        "arc.jsonl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[60], json[300];
        snprintf(path, sizeof path, "/tmp/test_eval_layouts.%d.json", (int)getpid());
        snprintf(json, sizeof json, "{\"layout\": \"%s\", \"questions\": \"%s/tests/data/eval/%s\"}", names[i],
                 EX_SOURCE_DIR, files[i]);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(json, file);
        fclose(file);
        ex_code code = EX_ERROR_MEMORY;
        long allowed = 0;
        for (; code != EX_OK && allowed < 100000; allowed++) {
            eval_task *task = NULL;
            ex_error error;
            allocations_limit(allowed);
            code = eval_task_open(&task, path, NULL, 0, &error);
            allocations_limit(-1);
            if (code != EX_OK && code != EX_ERROR_MEMORY) fail_msg("error %d: %s", (int)code, error.message);
            eval_task_close(task);
        }
        assert_true(allowed > 20);
        assert_int_equal(code, EX_OK);
        unlink(path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gsm8k),
        cmocka_unit_test(test_gsm8k_otherwise),
        cmocka_unit_test(test_arc),
        cmocka_unit_test(test_arc_in_words),
        cmocka_unit_test(test_hellaswag),
        cmocka_unit_test(test_truthfulqa),
        cmocka_unit_test(test_mmlu_folder),
        cmocka_unit_test(test_mmlu_file),
        cmocka_unit_test(test_own_choices),
        cmocka_unit_test(test_own_csv),
        cmocka_unit_test(test_json_list),
        cmocka_unit_test(test_short_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
