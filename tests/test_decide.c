/* test_decide.c - the protocol of `entropix decide`: the oracle's cases through the stream, and what it says about
 * lines that it cannot answer. */
#include "support.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decide_lines.h"

typedef struct conversation {
    int status;
    char *out, *messages;
} conversation;

static conversation talk(const char *input, size_t length) {
    conversation result;
    size_t out_length, messages_length;
    FILE *in = fmemopen((void *)(uintptr_t)input, length, "r");
    FILE *out = open_memstream(&result.out, &out_length),
         *messages = open_memstream(&result.messages, &messages_length);
    assert_true(in && out && messages);
    result.status = decide_lines(in, out, messages);
    fclose(in);
    fclose(out);
    fclose(messages);
    return result;
}

static void end(conversation *result) {
    free(result->out);
    free(result->messages);
}

/* Same shape, same keys in any order, numbers to 1e-5, everything else exactly. */
static bool agrees(const json_t *value, const json_t *expected) {
    if (json_is_number(expected))
        return json_is_number(value) && is_close(json_number_value(value), json_number_value(expected), 1e-5);
    if (json_typeof(value) != json_typeof(expected)) return false;
    if (json_is_array(expected)) {
        bool good = json_array_size(value) == json_array_size(expected);
        for (size_t i = 0; good && i < json_array_size(expected); i++)
            good = agrees(json_array_get(value, i), json_array_get(expected, i));
        return good;
    }
    if (!json_is_object(expected)) return json_equal((json_t *)(uintptr_t)value, (json_t *)(uintptr_t)expected);
    if (json_object_size(value) != json_object_size(expected)) return false;
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)expected, key, item) {
        const json_t *other = json_object_get(value, key);
        if (!other || !agrees(other, item)) return false;
    }
    return true;
}

static void test_golden_cases(void **state) {
    (void)state;
    static const char *const keys[] = {"id", "metrics", "head_entropy", "decision", "distribution", "candidate_scores"};
    size_t length;
    char *text = read_whole_file(test_data("sampler_cases.jsonl"), &length);
    assert_non_null(text);
    conversation result = talk(text, length);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.messages, "");
    int n_cases = 0;
    char *question_rest, *answer_rest;
    char *question_line = strtok_r(text, "\n", &question_rest), *answer_line = strtok_r(result.out, "\n", &answer_rest);
    for (; question_line; n_cases++) {
        assert_non_null(answer_line);
        json_t *question = json_loads(question_line, 0, NULL), *answer = json_loads(answer_line, 0, NULL);
        assert_true(question && answer);
        assert_int_equal(json_object_size(answer), 6);
        for (size_t i = 0; i < 6; i++) {
            const json_t *value = json_object_get(answer, keys[i]), *expected = json_object_get(question, keys[i]);
            if (!value || !agrees(value, expected)) fail_msg("case %d: %s differs: %s", n_cases, keys[i], answer_line);
        }
        json_decref(question);
        json_decref(answer);
        question_line = strtok_r(NULL, "\n", &question_rest);
        answer_line = strtok_r(NULL, "\n", &answer_rest);
    }
    assert_null(answer_line);
    assert_int_equal(n_cases, 180);
    free(text);
    end(&result);
}

static json_t *ask(const char *line, int status) {
    conversation result = talk(line, strlen(line));
    if (result.status != status) fail_msg("%s: status %d: %s", line, result.status, result.out);
    size_t length = strlen(result.out);
    assert_true(length > 0 && strchr(result.out, '\n') == result.out + length - 1);
    json_t *answer = json_loads(result.out, 0, NULL);
    assert_non_null(answer);
    end(&result);
    return answer;
}

static const char *strategy_of(const json_t *answer) {
    return json_string_value(json_object_get(json_object_get(answer, "decision"), "strategy"));
}

static void test_short_requests(void **state) {
    (void)state;
    json_t *answer = ask("{\"logits\": [2, 1, 0.5]}", 0);
    assert_true(json_is_null(json_object_get(answer, "id")));
    assert_string_equal(strategy_of(answer), "adaptive");
    assert_int_equal(json_array_size(json_object_get(answer, "head_entropy")), 0);
    assert_null(json_object_get(answer, "token"));
    json_decref(answer);
    answer = ask("{\"id\": {\"any\": [1, \"\\u00e9\"]}, \"logits\": [null, 3, null], \"seed\": 1}\n", 0);
    assert_string_equal(strategy_of(answer), "greedy");
    assert_int_equal(json_integer_value(json_object_get(answer, "token")), 1);
    json_t *id = json_pack("{s:[i, s]}", "any", 1, "é");
    assert_true(json_equal(json_object_get(answer, "id"), id));
    json_decref(id);
    json_decref(answer);
    answer = ask("{\"logits\": [1, 1, 1, 1, 1, 1, 1, 1, 1], \"seed\": 1, \"scores\": null}", 0);
    assert_string_equal(strategy_of(answer), "clarify");
    assert_true(json_is_null(json_object_get(answer, "token")) &&
                json_is_null(json_object_get(answer, "distribution")));
    assert_int_equal(json_object_size(json_object_get(answer, "candidate_scores")), 0);
    json_decref(answer);
    answer = ask("{\"logits\": [1, 2], \"config\": {\"preset\": \"plain\", \"temperature\": 0}}", 0);
    assert_string_equal(strategy_of(answer), "plain");
    assert_int_equal(json_object_size(json_object_get(answer, "distribution")), 1);
    json_decref(answer);
    answer = ask("{\"logits\": [1, 1.1], \"config\": {\"high_entropy\": 0.5, \"varentropy\": \"sequence\"}, "
                 "\"sequence_varentropy\": 6}",
                 0);
    assert_string_equal(strategy_of(answer), "high_uncertainty"); /* explore_entropy is 0.5 too */
    const json_t *metrics = json_object_get(answer, "metrics");
    assert_true(json_number_value(json_object_get(metrics, "sequence_varentropy")) == 6);
    json_decref(answer);
}

static void test_seeds(void **state) {
    (void)state;
    const char *format = "{\"logits\": [1, 1, 1, 1, 1, 1, 1], \"config\": {\"preset\": \"plain\"}, \"seed\": %d, "
                         "\"sequence\": %d, \"position\": %d}";
    int seen = 0;
    for (int i = 0; i < 40; i++) {
        char line[200];
        snprintf(line, sizeof line, format, i % 5, i % 3, i);
        json_t *answer = ask(line, 0), *again = ask(line, 0);
        assert_true(json_equal(answer, again));
        seen |= 1 << json_integer_value(json_object_get(answer, "token"));
        json_decref(answer);
        json_decref(again);
    }
    assert_int_equal(seen, 127);
}

static void test_masked_scores(void **state) {
    (void)state;
    json_t *answer = ask("{\"logits\": [1, 2], \"scores\": [null, 1, 1, null, 1, 1], \"scores_shape\": [1, 2, 3]}", 0);
    const json_t *metrics = json_object_get(answer, "metrics");
    assert_true(is_close(json_number_value(json_object_get(metrics, "attn_entropy")), 1, 1e-12));
    assert_true(json_number_value(json_object_get(metrics, "interaction_strength")) == 1);
    json_decref(answer);
}

static void test_bad_lines(void **state) {
    (void)state;
    static const struct {
        const char *line, *message;
    } bad[] = {
        {"{\"logits\": [1", "column"},
        {"{\"logits\": [1]} x", "end of file expected"},
        {"[1]", "must be a JSON object"},
        {"7", "'[' or '{' expected"},
        {"{}", "logits must be an array"},
        {"{\"logits\": []}", "logits must be an array"},
        {"{\"logits\": [1, \"2\"]}", "logits[1] must be a number"},
        {"{\"logits\": [1, NaN]}", "column"},
        {"{\"logits\": [1, 1e39]}", "logits[1] does not fit single precision"},
        {"{\"logits\": [null, null]}", "all 2 logits are -infinity"},
        {"{\"logits\": [1], \"logits\": [1]}", "duplicate"},
        {"{\"logits\": [1], \"scopes\": \"all\"}", "no key \"scopes\""},
        {"{\"logits\": [1], \"scope\": \"first\"}", "must be all or last"},
        {"{\"logits\": [1], \"clarified\": 1}", "clarified must be true or false"},
        {"{\"logits\": [1], \"seed\": -1}", "seed must be a whole number"},
        {"{\"logits\": [1], \"seed\": 1.5}", "seed must be a whole number"},
        {"{\"logits\": [1], \"position\": 4294967296}", "position must be a whole number"},
        {"{\"logits\": [1], \"config\": []}", "config must be an object"},
        {"{\"logits\": [1], \"config\": {\"preset\": \"x\"}}", "there is no preset \"x\""},
        {"{\"logits\": [1], \"config\": {\"preset\": 1}}", "preset must be a text"},
        {"{\"logits\": [1], \"config\": {\"topk\": 1}}", "no policy key \"topk\""},
        {"{\"logits\": [1], \"config\": {\"top_k\": 1.5}}", "top_k: 1.5 is not a whole number"},
        {"{\"logits\": [1], \"config\": {\"top_k\": [1]}}", "top_k must be a number, a text"},
        {"{\"logits\": [1], \"config\": {\"low_varentropy\": 9}}", "must not be above"},
        {"{\"logits\": [1], \"config\": {\"varentropy\": \"sequence\"}}", "must give sequence_varentropy"},
        {"{\"logits\": [1], \"sequence_varentropy\": -1}", "sequence_varentropy must be a number"},
        {"{\"logits\": [1], \"scores\": [1, 2]}", "scores_shape must be three whole numbers"},
        {"{\"logits\": [1], \"scores\": [1, 2], \"scores_shape\": [1, 2, 3]}", "does not fit the 2 scores"},
        {"{\"logits\": [1], \"scores\": [1, 2], \"scores_shape\": [1, 2]}", "scores_shape must be three"},
        {"{\"logits\": [1], \"scores\": [1, 2], \"scores_shape\": [2147483647, 2147483647, 9007199254740993]}",
         "does not fit the 2 scores"},
        {"{\"logits\": [1], \"scores_shape\": [1, 1, 1]}", "but scores is not"},
        {"{\"logits\": [1], \"scores\": [1, null], \"scores_shape\": [1, 2, 1]}", "every position is masked"},
        {"{\"logits\": [1], \"config\": {\"clarify_token\": 1}}", "outside the vocabulary"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *answer = ask(bad[i].line, 2);
        const char *message = json_string_value(json_object_get(answer, "error"));
        assert_non_null(message);
        assert_int_equal(json_object_size(answer), 2);
        assert_int_equal(strncmp(message, "line 1: ", 8), 0);
        if (!strstr(message, bad[i].message)) fail_msg("%s gives \"%s\"", bad[i].line, message);
        json_decref(answer);
    }
}

static void test_the_other_lines_are_answered(void **state) {
    (void)state;
    const char *lines = "{\"id\": 1, \"logits\": [1, 2]}\n\n  \r\n{\"id\": 2, \"logits\": 3}\nnonsense\n"
                        "{\"id\": 4, \"logits\": [1, 2]}";
    conversation result = talk(lines, strlen(lines));
    assert_int_equal(result.status, 2);
    assert_non_null(strstr(result.out, "{\"id\":1,\"metrics\""));
    assert_non_null(strstr(result.out, "{\"id\":2,\"error\":\"line 4: "));
    assert_non_null(strstr(result.out, "{\"id\":null,\"error\":\"line 5: "));
    assert_non_null(strstr(result.out, "{\"id\":4,\"metrics\""));
    assert_string_equal(result.messages, "");
    end(&result);
    result = talk("\n", 1);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.out, "");
    end(&result);
}

static void test_a_line_that_is_too_long(void **state) {
    (void)state;
    size_t limit = 64 << 20, room = limit + 100;
    char *text = malloc(room);
    assert_non_null(text);
    memset(text, ' ', room);
    text[0] = 'x';
    int tail = snprintf(text + limit + 1, 99, "\n{\"logits\": [1, 2]}");
    conversation result = talk(text, limit + 1 + (size_t)tail);
    assert_int_equal(result.status, 2);
    assert_non_null(strstr(result.out, "\"line 1: the line is longer than 67108864 bytes\""));
    assert_non_null(strstr(result.out, "\"strategy\""));
    end(&result);
    free(text);
}

static void test_a_closed_pipe(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    const char *line = "{\"logits\": [1, 2]}\n{\"logits\": [1, 2]}\n";
    FILE *in = fmemopen((void *)(uintptr_t)line, strlen(line), "r"), *out = fdopen(ends[1], "w");
    char *messages;
    size_t length;
    FILE *message_stream = open_memstream(&messages, &length);
    assert_true(in && out && message_stream);
    assert_int_equal(decide_lines(in, out, message_stream), 2);
    struct sigaction action;
    sigaction(SIGPIPE, NULL, &action);
    assert_true(action.sa_handler == SIG_DFL); /* as it was */
    fclose(message_stream);
    assert_string_equal(messages, "");
    free(messages);
    fclose(in);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, &action);
    fclose(out);
    sigaction(SIGPIPE, &action, NULL);
}

static void test_a_full_disk(void **state) {
    (void)state;
    FILE *out = fopen("/dev/full", "w");
    if (!out) test_skip("there is no /dev/full");
    const char *line = "{\"logits\": [1, 2]}\n";
    FILE *in = fmemopen((void *)(uintptr_t)line, strlen(line), "r");
    char *messages;
    size_t length;
    FILE *message_stream = open_memstream(&messages, &length);
    assert_true(in && message_stream);
    assert_int_equal(decide_lines(in, out, message_stream), 2);
    fclose(message_stream);
    assert_non_null(strstr(messages, "cannot write: No space left on device"));
    free(messages);
    fclose(in);
    fclose(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_cases),
        cmocka_unit_test(test_short_requests),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_masked_scores),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_the_other_lines_are_answered),
        cmocka_unit_test(test_a_line_that_is_too_long),
        cmocka_unit_test(test_a_closed_pipe),
        cmocka_unit_test(test_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
