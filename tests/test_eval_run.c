/* test_eval_run.c - policies and votes as lists, parts of a run, records that come back as they were. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval/batch_signals.h"
#include "eval/plan.h"
#include "eval/run_folder.h"
#include "eval/shard.h"
#include "support.h"

static eval_answer answer_of(char *text, double entropy, double tail, double surprise) {
    eval_answer answer = {.text = text, .answer = text};
    answer.signals.values[EVAL_POOL_MEAN][0] = entropy;
    answer.signals.values[EVAL_POOL_LAST][0] = tail;
    answer.signals.values[EVAL_POOL_MEAN][8] = surprise;
    return answer;
}

static void test_votes(void **state) {
    (void)state;
    char four[] = "4", five[] = "5", none[] = "";
    const eval_answer answers[] = {answer_of(none, 0.9, 0.9, 0), answer_of(five, 0.5, 0.1, 3),
                                   answer_of(four, 0.1, 0.5, 0), answer_of(five, 0.6, 0.6, 3)};
    double share;
    assert_int_equal(eval_vote_take(EVAL_VOTE_FIRST, answers, 4, &share), 0);
    assert_int_equal(eval_vote_take(EVAL_VOTE_MAJORITY, answers, 4, &share), 1);
    assert_true(is_close(share, 2.0 / 3, 1e-12));
    assert_int_equal(eval_vote_take(EVAL_VOTE_CERTAIN, answers, 4, &share), 2);
    assert_true(is_close(share, 1 / 1.25, 1e-12));
    assert_int_equal(eval_vote_take(EVAL_VOTE_ENTROPY, answers, 4, &share), 2);
    assert_int_equal(eval_vote_take(EVAL_VOTE_TAIL, answers, 4, &share), 1);
    assert_int_equal(eval_vote_take(EVAL_VOTE_CONSISTENT, answers, 4, &share), 1);
    assert_int_equal(eval_vote_take(EVAL_VOTE_MAJORITY, answers, 1, NULL), 0);
    assert_int_equal(eval_vote_take(EVAL_VOTE_MAJORITY, answers, 3, &share), 1); /* one each: the one that came first */
    assert_true(is_close(share, 0.5, 1e-12));
    const eval_answer silent[] = {answer_of(none, 0.9, 0.9, 0), answer_of(none, 0.1, 0.1, 0)};
    assert_int_equal(eval_vote_take(EVAL_VOTE_CERTAIN, silent, 2, &share), 0);
    assert_true(share == 0);
}

static void test_policies(void **state) {
    (void)state;
    eval_policy *policies;
    size_t count;
    ex_error error;
    assert_ok(eval_policies_read(&policies, &count, "greedy,plain:temperature=0.7:top_p=0.5,entropix", &error), &error);
    assert_int_equal(count, 3);
    assert_true(policies[0].is_deterministic && !policies[1].is_deterministic && !policies[2].is_deterministic);
    assert_true(policies[1].values.temperature == 0.7 && policies[1].values.top_p == 0.5);
    eval_policies_free(policies, count);
    static const char *const wrong[] = {"", "plain,", "plain:", "plain:top_p", "plain:top_p=2", "plain:x=1",
                                        "plain,plain"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_not_equal(eval_policies_read(&policies, &count, wrong[i], &error), EX_OK);
        assert_null(policies);
    }
}

/* What launchers put into the environment. */
static const char *const *environment;

static char *variable(const char *name) {
    for (const char *const *row = environment; row[0]; row += 2)
        if (strcmp(name, row[0]) == 0) return (char *)(uintptr_t)row[1];
    return NULL;
}

enum { VARIABLES_MAX = 6 };

typedef struct launch {
    const char *variables[2 * VARIABLES_MAX + 1];
    size_t index, count;
} launch;

static const launch launches[] = {
    {{NULL}, 0, 1},
    {{"OMPI_COMM_WORLD_RANK", "2", "OMPI_COMM_WORLD_SIZE", "3"}, 2, 3},
    {{"PMI_RANK", "0", "PMI_SIZE", "2"}, 0, 2},
    {{"SLURM_ARRAY_TASK_ID", "7", "SLURM_ARRAY_TASK_MIN", "5", "SLURM_ARRAY_TASK_COUNT", "4"}, 2, 4},
    {{"SLURM_ARRAY_TASK_ID", "7", "SLURM_ARRAY_TASK_MIN", "1", "SLURM_ARRAY_TASK_COUNT", "4",
      "SLURM_ARRAY_TASK_STEP", "2"}, 3, 4},
    {{"SLURM_PROCID", "1", "SLURM_STEP_NUM_TASKS", "4", "SLURM_NTASKS", "4"}, 1, 4},
    {{"SLURM_PROCID", "0", "SLURM_NTASKS", "4"}, 0, 1}, /* the script of a batch job, not started by srun */
    {{"SLURM_ARRAY_TASK_ID", "1", "SLURM_ARRAY_TASK_MIN", "0", "SLURM_ARRAY_TASK_COUNT", "2",
      "SLURM_PROCID", "0", "SLURM_STEP_NUM_TASKS", "1"}, 1, 2},
    {{"PMI_RANK", "1"}, 0, 1},
};

static const launch wrong_launches[] = {
    {{"OMPI_COMM_WORLD_RANK", "3", "OMPI_COMM_WORLD_SIZE", "3"}, 0, 0},
    {{"PMI_RANK", "-1", "PMI_SIZE", "3"}, 0, 0},
    {{"SLURM_PROCID", "x", "SLURM_STEP_NUM_TASKS", "3"}, 0, 0},
    {{"SLURM_ARRAY_TASK_ID", "1", "SLURM_ARRAY_TASK_MIN", "2", "SLURM_ARRAY_TASK_COUNT", "4"}, 0, 0},
    {{"SLURM_ARRAY_TASK_ID", "9", "SLURM_ARRAY_TASK_MIN", "1", "SLURM_ARRAY_TASK_COUNT", "3"}, 0, 0}, /* 1,5,9 */
    {{"SLURM_ARRAY_TASK_ID", "2", "SLURM_ARRAY_TASK_MIN", "1", "SLURM_ARRAY_TASK_COUNT", "3",
      "SLURM_ARRAY_TASK_STEP", "0"}, 0, 0},
};

static void test_launchers(void **state) {
    (void)state;
    eval_shard shard;
    ex_error error;
    for (size_t i = 0; i < sizeof launches / sizeof *launches; i++) {
        environment = launches[i].variables;
        assert_ok(eval_shard_find(&shard, NULL, variable, &error), &error);
        assert_int_equal(shard.index, launches[i].index);
        assert_int_equal(shard.count, launches[i].count);
    }
    for (size_t i = 0; i < sizeof wrong_launches / sizeof *wrong_launches; i++) {
        environment = wrong_launches[i].variables;
        assert_int_equal(eval_shard_find(&shard, NULL, variable, &error), EX_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, environment[0]));
    }
}

static void test_shards(void **state) {
    (void)state;
    eval_shard shard;
    ex_error error;
    environment = launches[1].variables; /* what was asked for comes first */
    assert_ok(eval_shard_find(&shard, "2/4", variable, &error), &error);
    assert_true(shard.index == 2 && shard.count == 4);
    static const char *const wrong[] = {"", "1", "3/3", "-1/3", "1/0", "1/3x", "a/b", "1//3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(eval_shard_find(&shard, wrong[i], variable, &error), EX_ERROR_ARGUMENT);
}

/* Every question of a half is in exactly one part, in order. */
static void test_parts(void **state) {
    (void)state;
    eval_run_task task = {.kind = EVAL_GENERATE, .n_questions = 11};
    eval_run run = {.tasks = &task, .n_tasks = 1, .n_policies = 2, .n_seeds = 3, .n_shards = 3};
    for (eval_half half = EVAL_HALF_ALL; half <= EVAL_HALF_ODD; half++) {
        size_t seen[11] = {0}, total = 0;
        run.half = half;
        for (run.shard = 0; run.shard < 3; run.shard++) {
            for (size_t i = 0, question = 0; eval_run_find(&run, &i, &question); question++) seen[question]++;
            total += eval_run_total(&run);
        }
        for (size_t i = 0; i < 11; i++)
            assert_int_equal(seen[i], half == EVAL_HALF_ALL || i % 2 == (half == EVAL_HALF_ODD));
        assert_int_equal(total, 6 * (half == EVAL_HALF_ALL ? 11u : half == EVAL_HALF_EVEN ? 6u : 5u));
    }
}

static void test_pooling(void **state) {
    (void)state;
    eval_pooling pooling = {0};
    assert_true(isnan(eval_pooling_result(&pooling).values[EVAL_POOL_MEAN][0]));
    for (int i = 1; i <= 10; i++) {
        const ex_choice choice = {.metrics = {.logits_entropy = i, .probability_margin = i}};
        eval_pooling_add(&pooling, &(ex_event){.kind = EX_EVENT_TOKEN, .choice = &choice, .log_probability = -log(2)});
        eval_pooling_add(&pooling, &(ex_event){.kind = EX_EVENT_INSERTED, .choice = &choice});
    }
    const eval_signals signals = eval_pooling_result(&pooling);
    assert_true(signals.values[EVAL_POOL_FIRST][0] == 1 && signals.values[EVAL_POOL_MEAN][0] == 5.5);
    assert_true(signals.values[EVAL_POOL_MAXIMUM][0] == 10 && signals.values[EVAL_POOL_MAXIMUM][7] == 1);
    assert_true(signals.values[EVAL_POOL_LAST][0] == 6.5);
    assert_true(is_close(signals.values[EVAL_POOL_MEAN][8], 1, 1e-12));
}

/* A run and a result, written, cut, read and written again. */
static void test_records(void **state) {
    (void)state;
    char folder[] = "/tmp/test_eval_run.XXXXXX", name[64], *line, *again;
    size_t line_3 = 3, n_choices = 0, length;
    char id[] = "a", prompt[] = "1 \"+\" 1\n", right[] = "2", plain[] = "plain", text[] = "it is 2 \xC3\xA4\x01";
    char *ids[] = {id}, *prompts[] = {prompt}, *rights[] = {right};
    bool *choices_right[] = {NULL};
    eval_bad_line bad = {5, "some.jsonl:5", "no question"};
    eval_run_task task = {.name = plain, .kind = EVAL_CONTINUE, .digest = UINT64_MAX, .n_questions = 1,
                          .lines = &line_3, .ids = ids, .prompts = prompts, .right = rights, .n_choices = &n_choices,
                          .choices_right = choices_right, .bad = &bad, .n_bad = 1};
    eval_run_policy policy = {plain, plain, 1};
    const eval_run run = {.model = plain, .version = plain, .kernels = plain, .tasks = &task, .n_tasks = 1,
                          .policies = &policy, .n_policies = 1, .n_seeds = 2, .budget_times = 1, .n_votes = 1,
                          .n_shards = 1};
    int32_t tokens[] = {5, 6};
    eval_answer answer = answer_of(text, 0.25, NAN, 1);
    answer.tokens = tokens;
    answer.n_tokens = 2;
    const eval_result result = {.seed = 1, .answers = &answer, .n_answers = 1};
    eval_folder out, second;
    ex_error error;
    assert_non_null(mkdtemp(folder));
    assert_ok(eval_folder_open(&out, folder, &error), &error);
    assert_int_equal(eval_folder_open(&second, folder, &error), EX_ERROR_IO);
    assert_ok(eval_folder_describe(&out, &run, &error), &error);
    assert_ok(eval_folder_continue(&out, &error), &error);
    assert_ok(eval_result_format(&result, &line, &length, &error), &error);
    assert_ok(eval_folder_append(&out, line, length, 0.5, &error), &error);
    assert_int_equal(write(out.results, line, 20), 20);
    eval_folder_close(&out);
    assert_ok(eval_folder_open(&out, folder, &error), &error);
    assert_ok(eval_folder_describe(&out, &run, &error), &error);
    assert_ok(eval_folder_continue(&out, &error), &error);
    assert_int_equal(out.n_lines, 1);
    eval_folder_close(&out);
    eval_run *read;
    eval_result *results;
    size_t n_results;
    assert_ok(eval_records_read(&read, &results, &n_results, folder, &error), &error);
    assert_int_equal(n_results, 1);
    assert_true(results[0].seconds == 0.5 && read->tasks[0].digest == UINT64_MAX && read->tasks[0].bad[0].line == 5);
    assert_string_equal(read->tasks[0].prompts[0], prompt);
    assert_string_equal(read->tasks[0].bad[0].place, "some.jsonl:5");
    assert_string_equal(read->tasks[0].bad[0].reason, "no question");
    assert_ok(eval_result_format(&results[0], &again, &length, &error), &error);
    assert_string_equal(line, again);
    eval_records_free(read, results, n_results);
    free(line);
    free(again);
    static const char *const files[] = {"run.json", "results.jsonl", "times.jsonl", "lock"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, files[i]);
        unlink(name);
    }
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_votes),   cmocka_unit_test(test_policies), cmocka_unit_test(test_shards),
        cmocka_unit_test(test_launchers),
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_pooling),  cmocka_unit_test(test_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
