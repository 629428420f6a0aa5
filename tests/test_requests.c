/* test_requests.c - every field of a completion request: a good value is accepted and shows in the answer, a bad one
 * is refused with the field's name. Then requests as known clients send them (data/requests), and what is counted. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_client.h"
#include "server.h"
#include "support.h"

#define CHAT "/v1/chat/completions"
#define TEXT "/v1/completions"
#define MODEL EX_SOURCE_DIR "/models/entropix-40m-q6_k.gguf"

static ex_engine *engine;
static server_core *server;

static int open_server(void **state) {
    (void)state;
    const ex_engine_options how = {.n_threads = 1};
    ex_error error = {0};
    server_options options = server_options_default();
    if (ex_engine_open(&engine, MODEL, &how, &error) == EX_OK) {
        options.engine = engine;
        options.model_name = "small";
        options.http.port = 0;
        options.limits.n_predict = 200;
        options.scheduler.n_context = 512;
        if (server_open(&server, &options, &error) == EX_OK) return 0;
    }
    print_message("%s\n", error.message);
    return -1;
}

static int close_server(void **state) {
    (void)state;
    server_close(server);
    ex_engine_close(engine);
    return 0;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* JSON with ' for ". */
static json_t *quoted(const char *text) {
    char *copy = strdup(text);
    assert_non_null(copy);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    json_error_t reason;
    json_t *value = json_loads(copy, JSON_DECODE_ANY, &reason);
    if (!value) fail_msg("%s: %s", text, reason.text);
    free(copy);
    return value;
}

static int exchange(const char *method, const char *path, const char *headers, json_t *body, json_t **out) {
    http_answer_read answer;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    const int status = client_exchange(server_port(server), method, path, headers, text, &answer);
    *out = answer.body ? json_loads(answer.body, 0, NULL) : NULL;
    if (!*out) fail_msg("%s %s: %d without JSON", path, text ? text : "", status);
    answer_free(&answer);
    free(text);
    return status;
}

/* A short question with these fields. */
static json_t *question(const char *path, const char *fields) {
    json_t *body = quoted(strcmp(path, CHAT) == 0 ? "{'messages': [{'role': 'user', 'content': 'Tell me of a dog.'}]}"
                                                  : "{'prompt': 'Once upon a time there was a'}");
    json_t *more = quoted(fields);
    json_object_update(body, more);
    json_decref(more);
    return body;
}

static int ask(const char *path, const char *fields, json_t **out) {
    json_t *body = question(path, fields);
    const int status = exchange("POST", path, NULL, body, out);
    json_decref(body);
    return status;
}

static json_t *ask_well(const char *path, const char *fields) {
    json_t *answer;
    const int status = ask(path, fields, &answer);
    if (status != 200) fail_msg("%s: %d %s", fields, status, json_dumps(answer, 0));
    return answer;
}

/* The value at "a.0.b", or NULL. */
static json_t *at(json_t *value, const char *path) {
    char copy[200], *rest = copy, *key;
    snprintf(copy, sizeof copy, "%s", path);
    while (value && (key = strsep(&rest, ".")))
        value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10)) : json_object_get(value, key);
    return value;
}

static const char *text_at(json_t *value, const char *path) {
    const char *text = json_string_value(at(value, path));
    if (!text) fail_msg("no text at %s", path);
    return text;
}

static json_int_t number_at(json_t *value, const char *path) {
    if (!json_is_integer(at(value, path))) fail_msg("no whole number at %s", path);
    return json_integer_value(at(value, path));
}

/* The text of an answer to fields of a completion; free it. */
static char *text_of(const char *fields) {
    json_t *answer = ask_well(TEXT, fields);
    char *text = strdup(text_at(answer, "choices.0.text"));
    json_decref(answer);
    return text;
}

static bool say_the_same(const char *fields, const char *others) {
    char *a = text_of(fields), *b = text_of(others);
    const bool same = strcmp(a, b) == 0;
    free(a);
    free(b);
    return same;
}

static int32_t token_of(const char *content) {
    json_t *body = json_pack("{s:s}", "content", content), *answer;
    assert_int_equal(exchange("POST", "/tokenize", NULL, body, &answer), 200);
    assert_int_equal(json_array_size(at(answer, "tokens")), 1);
    const int32_t token = (int32_t)number_at(answer, "tokens.0");
    json_decref(answer);
    json_decref(body);
    return token;
}

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static void check_error(const char *what, int status, json_t *answer, int expected, const char *parameter) {
    const char *named = json_string_value(at(answer, "error.param"));
    if (status != expected || (parameter ? !named || strcmp(named, parameter) : named != NULL))
        fail_msg("%s: %d, param %s in place of %s", what, status, named ? named : "null", parameter);
    assert_int_equal(number_at(answer, "error.code"), expected);
    assert_true(*text_at(answer, "error.message"));
    if (expected == 400) assert_string_equal(text_at(answer, "error.type"), "invalid_request_error");
    assert_non_null(at(answer, "error.param"));
}

typedef struct refused {
    const char *path, *fields, *parameter;
} refused;

static const refused refusals[] = {
    {CHAT, "{'model': 7}", "model"},
    {CHAT, "{'messages': null}", "messages"},
    {CHAT, "{'messages': 'hello'}", "messages"},
    {CHAT, "{'messages': []}", "messages"},
    {CHAT, "{'messages': ['hello']}", "messages"},
    {CHAT, "{'messages': [{'content': 'hello'}]}", "messages"},
    {CHAT, "{'messages': [{'role': 'robot', 'content': 'hello'}]}", "messages"},
    {CHAT, "{'messages': [{'role': 'user', 'content': 1}]}", "messages"},
    {CHAT, "{'messages': [{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {}}]}]}", "messages"},
    {TEXT, "{'prompt': null}", "prompt"},
    {TEXT, "{'prompt': 7}", "prompt"},
    {TEXT, "{'prompt': []}", "prompt"},
    {TEXT, "{'prompt': ['one', 'two']}", "prompt"},
    {TEXT, "{'prompt': [1, 'two']}", "prompt"},
    {TEXT, "{'prompt': [-1]}", "prompt"},
    {TEXT, "{'prompt': [16384]}", "prompt"},
    {CHAT, "{'temperature': 'hot'}", "temperature"},
    {CHAT, "{'temperature': -0.1}", "temperature"},
    {CHAT, "{'temperature': 100.5}", "temperature"},
    {CHAT, "{'top_p': -0.1}", "top_p"},
    {CHAT, "{'top_p': 1.1}", "top_p"},
    {CHAT, "{'top_p': true}", "top_p"},
    {CHAT, "{'top_k': 1.5}", "top_k"},
    {CHAT, "{'top_k': -1}", "top_k"},
    {CHAT, "{'top_k': 1000001}", "top_k"},
    {CHAT, "{'min_p': 2}", "min_p"},
    {CHAT, "{'min_p': []}", "min_p"},
    {CHAT, "{'typical_p': 1.5}", "typical_p"},
    {CHAT, "{'typical_p': 'x'}", "typical_p"},
    {CHAT, "{'repeat_penalty': 0}", "repeat_penalty"},
    {CHAT, "{'repeat_penalty': '1'}", "repeat_penalty"},
    {CHAT, "{'repeat_last_n': -2}", "repeat_last_n"},
    {CHAT, "{'repeat_last_n': 4097}", "repeat_last_n"},
    {CHAT, "{'presence_penalty': 2.1}", "presence_penalty"},
    {CHAT, "{'presence_penalty': {}}", "presence_penalty"},
    {CHAT, "{'frequency_penalty': -2.1}", "frequency_penalty"},
    {CHAT, "{'frequency_penalty': 'none'}", "frequency_penalty"},
    {CHAT, "{'logit_bias': [[1, 2]]}", "logit_bias"},
    {CHAT, "{'logit_bias': {'dog': 1}}", "logit_bias"},
    {CHAT, "{'logit_bias': {'': 1}}", "logit_bias"},
    {CHAT, "{'logit_bias': {'-1': 1}}", "logit_bias"},
    {CHAT, "{'logit_bias': {'16384': 1}}", "logit_bias"},
    {CHAT, "{'logit_bias': {'99999999999999999999': 1}}", "logit_bias"},
    {CHAT, "{'logit_bias': {'5': 101}}", "logit_bias"},
    {CHAT, "{'logit_bias': {'5': '1'}}", "logit_bias"},
    {CHAT, "{'n': 0}", "n"},
    {CHAT, "{'n': 65}", "n"},
    {CHAT, "{'n': '2'}", "n"},
    {CHAT, "{'max_tokens': 0}", "max_tokens"},
    {CHAT, "{'max_tokens': 201}", "max_tokens"},
    {CHAT, "{'max_tokens': 'many'}", "max_tokens"},
    {CHAT, "{'max_tokens': 2.5}", "max_tokens"},
    {CHAT, "{'max_completion_tokens': 0}", "max_completion_tokens"},
    {CHAT, "{'max_completion_tokens': 201}", "max_completion_tokens"},
    {CHAT, "{'max_completion_tokens': true}", "max_completion_tokens"},
    {CHAT, "{'seed': 'x'}", "seed"},
    {CHAT, "{'seed': 0.5}", "seed"},
    {CHAT, "{'seed': 1e300}", "seed"},
    {CHAT, "{'stop': 7}", "stop"},
    {CHAT, "{'stop': ''}", "stop"},
    {CHAT, "{'stop': ['a', '']}", "stop"},
    {CHAT, "{'stop': ['a', null]}", "stop"},
    {CHAT, "{'stop': [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", "stop"},
    {CHAT, "{'stream': 'yes'}", "stream"},
    {CHAT, "{'stream_options': true}", "stream_options"},
    {CHAT, "{'stream': true, 'stream_options': {'include_usage': 1}}", "stream_options.include_usage"},
    {CHAT, "{'logprobs': 3}", "logprobs"},
    {CHAT, "{'logprobs': true, 'top_logprobs': 21}", "top_logprobs"},
    {CHAT, "{'logprobs': true, 'top_logprobs': -1}", "top_logprobs"},
    {CHAT, "{'logprobs': true, 'top_logprobs': '2'}", "top_logprobs"},
    {CHAT, "{'top_logprobs': 2}", "top_logprobs"},
    {TEXT, "{'logprobs': true}", "logprobs"},
    {TEXT, "{'logprobs': 21}", "logprobs"},
    {CHAT, "{'response_format': 'json'}", "response_format"},
    {CHAT, "{'response_format': {'type': 1}}", "response_format.type"},
    {CHAT, "{'response_format': {'type': 'xml'}}", "response_format"},
    {CHAT, "{'response_format': {'type': 'json_schema'}}", "response_format"},
    {CHAT, "{'response_format': {'type': 'json_schema', 'json_schema': 1}}", "response_format.json_schema"},
    {CHAT, "{'response_format': {'type': 'json_schema', 'json_schema': {'schema': []}}}",
     "response_format.json_schema.schema"},
    {CHAT, "{'response_format': {'type': 'json_schema', 'json_schema': {'schema': {'type': 'cat'}}}}",
     "response_format"},
    {CHAT, "{'tools': 'all'}", "tools"},
    {CHAT, "{'tools': [{'type': 'function', 'function': {'name': 'f'}}]}", "tools"},
    {CHAT, "{'functions': [{'name': 'f'}]}", "functions"},
    {TEXT, "{'suffix': 'the end'}", "suffix"},
    {TEXT, "{'suffix': 1}", "suffix"},
    {TEXT, "{'echo': true}", "echo"},
    {TEXT, "{'echo': 1}", "echo"},
    {TEXT, "{'best_of': 3}", "best_of"},
    {TEXT, "{'best_of': 'x'}", "best_of"},
    {CHAT, "{'entropix': true}", "entropix"},
    {CHAT, "{'entropix': {'policy': 7}}", "entropix"},
    {CHAT, "{'entropix': {'policy': 'no such'}}", "entropix"},
    {CHAT, "{'entropix': {'policy': 'no_such_key = 1'}}", "entropix"},
    {CHAT, "{'entropix': {'set': []}}", "entropix"},
    {CHAT, "{'entropix': {'set': {'no_such_key': 1}}}", "entropix"},
    {CHAT, "{'entropix': {'set': {'temperature': -5}}}", "entropix"},
    {CHAT, "{'entropix': {'set': {'temperature': {}}}}", "entropix"},
    {CHAT, "{'entropix': {'set': {'rewind_limit': 65}}}", "entropix"},
    {CHAT, "{'entropix': {'trace': 1}}", "entropix.trace"},
    {CHAT, "{'entropix': {'fork': 1}}", "entropix.fork"},
    {CHAT, "{'entropix': {'fork': {}}}", "entropix"},
    {CHAT, "{'entropix': {'fork': {'trace': 1}}}", "entropix.fork.trace"},
    {CHAT, "{'entropix': {'fork': {'trace': 'x', 'choice': -1}}}", "entropix.fork.choice"},
    {CHAT, "{'entropix': {'fork': {'trace': 'x', 'position': 0}}}", "entropix.fork.position"},
    {CHAT, "{'entropix': {'fork': {'trace': 'x', 'position': 3, 'token': -1}}}", "entropix.fork.token"},
};

static void test_refusals(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        json_t *answer;
        const int status = ask(refusals[i].path, refusals[i].fields, &answer);
        check_error(refusals[i].fields, status, answer, 400, refusals[i].parameter);
        json_decref(answer);
    }
}

static void refuse_body(json_t *body, const char *path, int status, const char *parameter) {
    json_t *answer;
    const int given = exchange("POST", path, NULL, body, &answer);
    check_error(path, given, answer, status, parameter);
    json_decref(answer);
    json_decref(body);
}

/* One more than there may be of everything that is counted. */
static void test_counts(void **state) {
    (void)state;
    json_t *biases = json_object(), *messages = json_array(), *deep = json_object();
    char text[258];
    for (int i = 0; i < 65; i++) {
        snprintf(text, sizeof text, "%d", i);
        json_object_set_new(biases, text, json_integer(1));
        deep = json_pack("[o]", deep);
    }
    for (int i = 0; i < 1025; i++)
        json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "user", "content", "a"));
    json_t *body = question(CHAT, "{}");
    json_object_set_new(body, "logit_bias", biases);
    refuse_body(body, CHAT, 400, "logit_bias");
    refuse_body(json_pack("{s:o}", "messages", messages), CHAT, 400, "messages");
    body = question(CHAT, "{}");
    json_object_set_new(body, "metadata", deep);
    refuse_body(body, CHAT, 400, NULL);
    memset(text, 'a', 257);
    text[257] = 0;
    body = question(CHAT, "{}");
    json_object_set_new(body, "stop", json_string(text));
    refuse_body(body, CHAT, 400, "stop");
    body = question(CHAT, "{'entropix': {'fork': {'trace': 'x', 'position': 3, 'token': 1}}}");
    refuse_body(body, CHAT, 404, "entropix");
}

static void test_long_prompt(void **state) {
    (void)state;
    json_t *tokens = json_array(), *body, *answer;
    for (int i = 0; i < 512; i++) json_array_append_new(tokens, json_integer(300));
    body = json_pack("{s:o}", "prompt", tokens);
    assert_int_equal(exchange("POST", TEXT, NULL, body, &answer), 400);
    assert_string_equal(text_at(answer, "error.type"), "exceed_context_size_error");
    assert_int_equal(number_at(answer, "error.n_ctx"), 512);
    json_decref(answer);
    json_decref(body);
}

/* ---- what is accepted -------------------------------------------------------------------------------------------- */

#define FEW "'max_tokens': 1"

static const struct {
    const char *path, *fields;
} accepted[] = {
    {CHAT, "{" FEW ", 'model': 'gpt-anything'}"},
    {CHAT, "{" FEW ", 'model': null, 'temperature': null, 'top_p': null, 'n': null, 'stop': null, 'seed': null,"
           " 'stream': null, 'stream_options': null, 'logprobs': null, 'top_logprobs': null, 'logit_bias': null,"
           " 'presence_penalty': null, 'frequency_penalty': null, 'response_format': null, 'tools': null,"
           " 'functions': null, 'tool_choice': null, 'user': null, 'max_completion_tokens': null, 'entropix': null}"},
    {CHAT, "{" FEW ", 'tools': [], 'tool_choice': 'none', 'parallel_tool_calls': false, 'user': 'me', 'store': false,"
           " 'metadata': {'a': 'b'}, 'service_tier': 'auto', 'reasoning_effort': 'low', 'no_such_field': [1, {}]}"},
    {CHAT, "{" FEW ", 'messages': [{'role': 'developer', 'content': 'Be brief.'}, {'role': 'user', 'content':"
           " [{'type': 'text', 'text': 'Hel'}, {'type': 'text', 'text': 'lo'}], 'name': 'me'}]}"},
    {CHAT, "{" FEW ", 'temperature': 0, 'top_p': 1, 'top_k': 0, 'min_p': 0, 'typical_p': 1, 'repeat_penalty': 1,"
           " 'repeat_last_n': -1, 'presence_penalty': -2, 'frequency_penalty': 2, 'logit_bias': {}, 'stop': []}"},
    {CHAT, "{" FEW ", 'temperature': 100, 'top_p': 0.01, 'top_k': 1000000, 'min_p': 1, 'typical_p': 0.01}"},
    {CHAT, "{" FEW ", 'top_k': 40.0, 'seed': 9223372036854775807}"},
    {CHAT, "{" FEW ", 'seed': -1, 'response_format': {'type': 'text'}, 'top_logprobs': 0, 'logprobs': false}"},
    {CHAT, "{" FEW ", 'entropix': {}}"},
    {CHAT, "{" FEW ", 'entropix': {'policy': 'plain', 'set': {'temperature': 0.5, 'top_k': '20'}, 'trace': false}}"},
    {TEXT, "{" FEW ", 'echo': false, 'best_of': 1, 'suffix': null, 'logprobs': null}"},
    {TEXT, "{" FEW ", 'n': 2, 'best_of': 2, 'suffix': '', 'logprobs': false}"},
    {TEXT, "{" FEW ", 'prompt': ['a dog']}"},
    {TEXT, "{" FEW ", 'prompt': [0, 300, 301]}"},
    {TEXT, "{" FEW ", 'prompt': [[0, 300, 301]]}"},
    {TEXT, "{'max_tokens': 200, 'max_completion_tokens': 1}"},
};

static void test_accepted(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        json_t *answer = ask_well(accepted[i].path, accepted[i].fields);
        const bool is_chat = strcmp(accepted[i].path, CHAT) == 0;
        assert_non_null(at(answer, is_chat ? "choices.0.message.content" : "choices.0.text"));
        assert_true(number_at(answer, "usage.prompt_tokens") > 0);
        json_decref(answer);
    }
}

/* What ends an answer is banned, so that lengths can be told. */
#define ENDLESS "'logit_bias': {'1': -100, '6': -100}"

static void test_lengths(void **state) {
    (void)state;
    static const struct {
        const char *fields;
        int count;
    } rows[] = {{"{'max_tokens': 5, " ENDLESS "}", 5},
                {"{'max_completion_tokens': 3, " ENDLESS "}", 3},
                {"{'max_tokens': 7, 'max_completion_tokens': 4, " ENDLESS "}", 4},
                {"{'max_tokens': 4, 'max_completion_tokens': 7, " ENDLESS "}", 7},
                {"{'max_tokens': 4, 'max_completion_tokens': null, " ENDLESS "}", 4}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *answer = ask_well(CHAT, rows[i].fields);
        assert_int_equal(number_at(answer, "usage.completion_tokens"), rows[i].count);
        assert_int_equal(number_at(answer, "usage.total_tokens"),
                         number_at(answer, "usage.prompt_tokens") + rows[i].count);
        assert_string_equal(text_at(answer, "choices.0.finish_reason"), "length");
        json_decref(answer);
    }
}

#define PLAIN "'max_tokens': 12, 'entropix': {'policy': 'plain', 'trace': false}"
#define GREEDY "{" PLAIN ", 'temperature': 0, 'seed': 1}"

static void test_sampling(void **state) {
    (void)state;
    static const struct {
        const char *fields, *others;
        bool same;
    } rows[] = {
        {"{" PLAIN ", 'temperature': 2, 'seed': 5}", "{" PLAIN ", 'temperature': 2, 'seed': 5}", true},
        {"{" PLAIN ", 'temperature': 2, 'seed': 5}", "{" PLAIN ", 'temperature': 2, 'seed': 6}", false},
        {"{" PLAIN ", 'temperature': 2}", "{" PLAIN ", 'temperature': 2}", false},
        {"{" PLAIN ", 'temperature': 2, 'seed': -1}", "{" PLAIN ", 'temperature': 2, 'seed': -1}", false},
        {GREEDY, "{" PLAIN ", 'temperature': 0, 'seed': 2}", true},
        {GREEDY, "{" PLAIN ", 'temperature': 2, 'seed': 2, 'top_k': 1}", true},
        {GREEDY, "{" PLAIN ", 'temperature': 2, 'seed': 2, 'top_p': 0.000001}", true},
        {GREEDY, "{" PLAIN ", 'temperature': 2, 'seed': 2, 'min_p': 1}", true},
        {"{" PLAIN ", 'temperature': 2, 'seed': 2}", "{" PLAIN ", 'temperature': 2, 'seed': 2, 'typical_p': 0.01}",
         false},
        {GREEDY, "{" PLAIN ", 'temperature': 0, 'repeat_penalty': 100}", false},
        {GREEDY, "{" PLAIN ", 'temperature': 0, 'repeat_penalty': 100, 'repeat_last_n': 0}", true},
        {"{'temperature': 0, 'max_tokens': 12}", GREEDY, true},
        {"{'max_tokens': 12, 'entropix': {'policy': 'plain', 'set': {'top_k': 1}}}", GREEDY, true},
        {"{'max_tokens': 12, 'temperature': 0, 'entropix': {'policy': 'plain', 'set': {'temperature': 2}}}", GREEDY,
         true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (say_the_same(rows[i].fields, rows[i].others) != rows[i].same)
            fail_msg("%s and %s: %s", rows[i].fields, rows[i].others, rows[i].same ? "differ" : "are the same");
}

/* One token has all the bias, so that what repeats it less is seen at once. */
static void test_bias_and_penalties(void **state) {
    (void)state;
    const int32_t dog = token_of(" dog");
    static const struct {
        const char *fields;
        bool repeats;
    } rows[] = {{"'seed': 1", true},
                {"'presence_penalty': 2", false},
                {"'frequency_penalty': 2", false},
                {"'frequency_penalty': -2", true}};
    char fields[300];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(fields, sizeof fields, "{'max_tokens': 4, 'temperature': 0, %s, 'logit_bias': {'%d': %s}}",
                 rows[i].fields, dog, i == 0 || i == 3 ? "100" : "12");
        char *text = text_of(fields);
        const bool repeats = strcmp(text, " dog dog dog dog") == 0;
        if (repeats != rows[i].repeats) fail_msg("%s:%s", fields, text);
        free(text);
    }
    json_t *answer = ask_well(TEXT, "{'max_tokens': 1, 'temperature': 0, 'logprobs': 0}");
    char *first = strdup(text_at(answer, "choices.0.logprobs.tokens.0"));
    json_decref(answer);
    snprintf(fields, sizeof fields, "{'max_tokens': 1, 'temperature': 0, 'logit_bias': {'%d': -100}}", token_of(first));
    char *other = text_of(fields);
    assert_string_not_equal(first, other);
    free(first);
    free(other);
}

static void test_stop(void **state) {
    (void)state;
    char *whole = text_of("{'max_tokens': 16, 'temperature': 0}");
    const size_t length = strlen(whole);
    assert_true(length > 12);
    for (int is_list = 0; is_list < 2; is_list++) {
        char stop[5] = {0};
        memcpy(stop, whole + length / 2, 4);
        json_t *body = question(TEXT, "{'max_tokens': 16, 'temperature': 0}"), *answer;
        json_object_set_new(body, "stop", is_list ? json_pack("[s, s]", "no such text", stop) : json_string(stop));
        assert_int_equal(exchange("POST", TEXT, NULL, body, &answer), 200);
        const char *text = text_at(answer, "choices.0.text");
        assert_int_equal(strlen(text), strstr(whole, stop) - whole);
        assert_int_equal(strncmp(whole, text, strlen(text)), 0);
        assert_string_equal(text_at(answer, "choices.0.finish_reason"), "stop");
        json_decref(answer);
        json_decref(body);
    }
    free(whole);
}

static void test_several_answers(void **state) {
    (void)state;
    json_t *answer = ask_well(CHAT, "{'n': 3, 'max_tokens': 6, 'temperature': 2, 'seed': 3, " ENDLESS "}");
    assert_int_equal(json_array_size(at(answer, "choices")), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(number_at(json_array_get(at(answer, "choices"), i), "index"), i);
    assert_int_equal(number_at(answer, "usage.completion_tokens"), 18);
    assert_string_not_equal(text_at(answer, "choices.0.message.content"), text_at(answer, "choices.1.message.content"));
    json_decref(answer);
}

static void test_logprobs(void **state) {
    (void)state;
    json_t *answer = ask_well(CHAT, "{'logprobs': true, 'top_logprobs': 3, 'max_tokens': 4, 'temperature': 0}");
    json_t *entries = at(answer, "choices.0.logprobs.content"), *entry;
    size_t i;
    assert_int_equal(json_array_size(entries), number_at(answer, "usage.completion_tokens"));
    json_array_foreach(entries, i, entry) {
        assert_true(json_real_value(at(entry, "logprob")) <= 0);
        assert_int_equal(json_array_size(at(entry, "top_logprobs")), 3);
        assert_string_equal(text_at(entry, "top_logprobs.0.token"), text_at(entry, "token"));
        assert_int_equal(json_array_size(at(entry, "bytes")), json_string_length(at(entry, "token")));
    }
    json_decref(answer);
    answer = ask_well(CHAT, "{'logprobs': true, 'max_tokens': 2}");
    assert_int_equal(json_array_size(at(answer, "choices.0.logprobs.content.0.top_logprobs")), 0);
    json_decref(answer);
    answer = ask_well(TEXT, "{'logprobs': 2, 'max_tokens': 3, 'temperature': 0, " ENDLESS "}");
    static const char *const lists[] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};
    for (i = 0; i < 4; i++)
        assert_int_equal(json_array_size(json_object_get(at(answer, "choices.0.logprobs"), lists[i])), 3);
    assert_int_equal(json_object_size(at(answer, "choices.0.logprobs.top_logprobs.0")), 2);
    assert_int_equal(number_at(answer, "choices.0.logprobs.text_offset.1"),
                     json_string_length(at(answer, "choices.0.logprobs.tokens.0")));
    json_decref(answer);
    answer = ask_well(CHAT, "{'max_tokens': 1}");
    assert_true(json_is_null(at(answer, "choices.0.logprobs")));
    json_decref(answer);
}

static void test_response_format(void **state) {
    (void)state;
    json_t *answer = ask_well(
        CHAT, "{'max_tokens': 60, 'temperature': 0, 'response_format': {'type': 'json_schema', 'json_schema': {'name':"
              " 'mood', 'strict': true, 'schema': {'type': 'object', 'properties': {'mood': {'enum': ['good', 'bad']},"
              " 'sure': {'type': 'boolean'}}, 'required': ['mood', 'sure'], 'additionalProperties': false}}}}");
    json_t *value = json_loads(text_at(answer, "choices.0.message.content"), 0, NULL);
    assert_string_equal(text_at(answer, "choices.0.finish_reason"), "stop");
    assert_int_equal(json_object_size(value), 2);
    assert_true(json_is_string(at(value, "mood")) && json_is_boolean(at(value, "sure")));
    json_decref(value);
    json_decref(answer);
    answer = ask_well(CHAT, "{'max_tokens': 8, 'response_format': {'type': 'json_object'}}");
    const char *text = text_at(answer, "choices.0.message.content");
    assert_int_equal(text[strspn(text, " \t\r\n")], '{');
    json_decref(answer);
}

static void test_extension(void **state) {
    (void)state;
    json_t *answer = ask_well(CHAT, "{'max_tokens': 4, 'seed': 9, 'entropix': {'policy': 'plain'}, " ENDLESS "}");
    assert_int_equal(number_at(answer, "entropix.seed"), 9);
    assert_int_equal(number_at(answer, "entropix.summary.0.tokens"), 4);
    assert_true(json_array_size(at(answer, "entropix.lines")) >= 5);
    assert_string_equal(text_at(answer, "entropix.id"), text_at(answer, "id"));
    json_decref(answer);
    answer = ask_well(CHAT, "{" FEW ", 'entropix': {'trace': false}}");
    assert_int_equal(json_array_size(at(answer, "entropix.lines")), 0);
    assert_int_equal(json_array_size(at(answer, "entropix.summary")), 1);
    json_decref(answer);
    answer = ask_well(CHAT, "{" FEW "}");
    assert_null(at(answer, "entropix"));
    json_decref(answer);
}

/* An answer that goes on from two tokens of an earlier one and another third. */
static void test_fork(void **state) {
    (void)state;
    json_t *answer = ask_well(TEXT, "{'max_tokens': 5, 'temperature': 0, 'logprobs': 0, 'entropix': {}, " ENDLESS "}");
    char fields[300], expected[200];
    snprintf(fields, sizeof fields,
             "{'max_tokens': 2, 'entropix': {'fork': {'trace': '%s', 'position': %d, 'token': %d}}}",
             text_at(answer, "id"), (int)number_at(answer, "usage.prompt_tokens") + 2, token_of(" dog"));
    snprintf(expected, sizeof expected, "%s%s dog", text_at(answer, "choices.0.logprobs.tokens.0"),
             text_at(answer, "choices.0.logprobs.tokens.1"));
    json_decref(answer);
    json_t *body = quoted(fields);
    const int status = exchange("POST", TEXT, NULL, body, &answer);
    if (status != 200) fail_msg("%d %s", status, json_dumps(answer, 0));
    const char *text = text_at(answer, "choices.0.text");
    if (strncmp(text, expected, strlen(expected)) != 0) fail_msg("%s does not begin with %s", text, expected);
    json_decref(answer);
    json_decref(body);
}

/* ---- requests as clients send them ------------------------------------------------------------------------------- */

static const char *kind_of(const json_t *value) {
    return json_is_string(value) ? "text" : json_is_integer(value) ? "whole" : json_is_array(value)  ? "list"
           : json_is_object(value) ? "object" : json_is_null(value) ? "null" : value ? "other" : "nothing";
}

/* `values` are the answer's at their paths, and `kinds` say of what kind others are. */
static void check_parts(const char *name, json_t *answer, json_t *expects) {
    const char *path;
    json_t *expected;
    json_object_foreach(json_object_get(expects, "values"), path, expected)
        if (!json_equal(at(answer, path), expected)) fail_msg("%s: %s is another", name, path);
    json_object_foreach(json_object_get(expects, "kinds"), path, expected)
        if (strcmp(kind_of(at(answer, path)), json_string_value(expected)) != 0)
            fail_msg("%s: %s is %s", name, path, kind_of(at(answer, path)));
    json_t *structured = json_object_get(expects, "structured"); /* keys that the content, as JSON, must have */
    if (!structured) return;
    json_t *value = json_loads(text_at(answer, "choices.0.message.content"), 0, NULL), *key;
    size_t i;
    json_array_foreach(structured, i, key) assert_non_null(json_object_get(value, json_string_value(key)));
    assert_int_equal(json_object_size(value), json_array_size(structured));
    json_decref(value);
}

typedef struct stream_seen {
    char id[64];
    size_t n_events, n_finished, n_usage;
    bool is_done;
} stream_seen;

/* The role and texts, then a finish, then the usage, then [DONE]; all with the head that clients check. */
static void see_event(const char *name, stream_seen *seen, json_t *event) {
    json_t *choice = at(event, "choices.0"), *delta = json_object_get(choice, "delta");
    assert_string_equal(text_at(event, "object"), "chat.completion.chunk");
    assert_string_equal(text_at(event, "model"), "small");
    assert_true(number_at(event, "created") > 0);
    if (seen->n_events++ == 0) {
        snprintf(seen->id, sizeof seen->id, "%s", text_at(event, "id"));
        assert_string_equal(text_at(delta, "role"), "assistant");
    } else assert_null(json_object_get(delta, "role"));
    assert_string_equal(text_at(event, "id"), seen->id);
    if (!choice) {
        assert_int_equal(seen->n_finished, 1);
        assert_true(json_is_array(at(event, "choices")));
        assert_true(number_at(event, "usage.completion_tokens") > 0 && number_at(event, "usage.prompt_tokens") > 0);
        seen->n_usage++;
        return;
    }
    if (seen->n_finished || seen->n_usage) fail_msg("%s: more after the finish", name);
    assert_non_null(json_object_get(choice, "finish_reason"));
    if (json_is_null(json_object_get(choice, "finish_reason"))) assert_true(json_is_string(at(delta, "content")));
    else seen->n_finished++;
}

static void replay_stream(const char *name, const char *path, const char *headers, json_t *body, json_t *expects) {
    http_client client;
    http_answer_read head;
    stream_seen seen = {0};
    char line[8192], *text = json_dumps(body, 0);
    assert_true(client_open(&client, server_port(server)));
    assert_true(client_ask(&client, "POST", path, headers, text));
    assert_int_equal(client_read_head(&client, &head), 200);
    assert_int_equal(strncmp(answer_header(&head, "Content-Type"), "text/event-stream", 17), 0);
    while (client_read_line(&client, line, sizeof line)) {
        if (line[0] == ':') continue;
        assert_false(seen.is_done);
        assert_int_equal(strncmp(line, "data: ", 6), 0);
        seen.is_done = strcmp(line + 6, "[DONE]") == 0;
        if (seen.is_done) continue;
        json_t *event = json_loads(line + 6, 0, NULL);
        assert_non_null(event);
        see_event(name, &seen, event);
        json_decref(event);
    }
    assert_true(seen.is_done && client.is_done);
    assert_int_equal(seen.n_finished, 1);
    assert_int_equal(seen.n_usage, json_is_true(json_object_get(expects, "usage")));
    client_close(&client);
    answer_free(&head);
    free(text);
}

static void replay(const char *name, json_t *recorded) {
    json_t *body = json_object_get(recorded, "body"), *expects = json_object_get(recorded, "expects"), *value, *answer;
    const char *path = text_at(recorded, "path"), *key;
    char headers[1000] = "";
    json_object_foreach(json_object_get(recorded, "headers"), key, value) {
        const size_t length = strlen(headers);
        snprintf(headers + length, sizeof headers - length, "%s: %s\r\n", key, json_string_value(value));
    }
    const int expected = (int)number_at(expects, "status");
    if (expected == 200 && json_is_true(json_object_get(body, "stream"))) {
        replay_stream(name, path, headers, body, expects);
        return;
    }
    const int status = exchange(text_at(recorded, "method"), path, headers, body, &answer);
    if (status != expected) fail_msg("%s: %d %s", name, status, json_dumps(answer, 0));
    check_parts(name, answer, expects);
    json_decref(answer);
}

static void test_clients(void **state) {
    (void)state;
    DIR *folder = opendir(test_data("requests"));
    size_t count = 0;
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[400];
        json_error_t reason;
        if (!strstr(entry->d_name, ".json")) continue;
        snprintf(path, sizeof path, "requests/%s", entry->d_name);
        json_t *recorded = json_load_file(test_data(path), 0, &reason);
        if (!recorded) fail_msg("%s: %s (line %d)", path, reason.text, reason.line);
        replay(entry->d_name, recorded);
        json_decref(recorded);
        count++;
    }
    closedir(folder);
    assert_true(count >= 12);
}

/* ---- what is counted --------------------------------------------------------------------------------------------- */

static unsigned long count_at(const char *text, const char *name) {
    const char *found = strstr(text, name);
    return found ? strtoul(found + strlen(name), NULL, 10) : 0;
}

static unsigned long counted(unsigned status, unsigned long *errors) {
    http_answer_read answer;
    char name[64];
    assert_int_equal(client_exchange(server_port(server), "GET", "/metrics", NULL, NULL, &answer), 200);
    snprintf(name, sizeof name, "entropix_responses_total{code=\"%u\"} ", status);
    const unsigned long count = count_at(answer.body, name);
    *errors = count_at(answer.body, "\nentropix_errors_total ");
    answer_free(&answer);
    return count;
}

/* Whoever refuses a request, it is counted by its status, once. */
static void test_metrics(void **state) {
    (void)state;
    static const struct {
        const char *method, *path, *headers, *body;
        unsigned status;
    } rows[] = {
        {"POST", CHAT, NULL, "{}", 400},
        {"POST", CHAT, NULL, "{\"messages\":", 400},
        {"POST", CHAT, NULL, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\u0000b\"}]}", 400},
        {"POST", CHAT, NULL, "{\"n\":1,\"n\":2}", 400},
        {"POST", CHAT, "Content-Type: text/plain\r\n", "{}", 415},
        {"GET", CHAT, NULL, NULL, 405},
        {"GET", "/nowhere", NULL, NULL, 404},
        {"GET", "/v1/models/other", NULL, NULL, 404},
        {"GET", "/v1/traces/none", NULL, NULL, 404},
        {"GET", "/health", "Origin: http://elsewhere.example\r\n", NULL, 403},
        {"POST", CHAT, "Transfer-Encoding: chunked\r\n", "{}", 400},
        {"OPTIONS", CHAT, NULL, NULL, 204},
        {"POST", CHAT, NULL, "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", 200},
        {"POST", CHAT, NULL, "{\"stream\":true,\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
         200},
        {"GET", "/", NULL, NULL, 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        http_answer_read answer;
        const unsigned status = rows[i].status;
        unsigned long errors, errors_after;
        const unsigned long before = counted(status, &errors), own = status == 200; /* the counters themselves */
        const int given = client_exchange(server_port(server), rows[i].method, rows[i].path, rows[i].headers,
                                          rows[i].body, &answer);
        answer_free(&answer);
        if (given != (int)status) fail_msg("row %zu: %d", i, given);
        const unsigned long after = counted(status, &errors_after);
        assert_int_equal(errors_after - errors, status >= 400);
        if (after != before + 1 + own) fail_msg("row %zu: %u from %lu to %lu", i, status, before, after);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_long_prompt),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_bias_and_penalties),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_several_answers),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_response_format),
        cmocka_unit_test(test_extension),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
