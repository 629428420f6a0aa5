/* test_template.c - chat templates: the renderings of real ones, and each rule of the language by itself. The outputs
 * in tests/data/templates/cases.jsonl are what Jinja2 3.1 makes of the inputs beside it, in transformers' settings. */
#include "support.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "text/template.h"

enum { NOW = 1795392000 }; /* 2026-11-23 00:00 UTC */

/* ---- rendering ---- */

/* Text is trusted when a key says so: `bos` and `eos` are, the rest comes from users. */
static ex_value *value_from_json(ex_values *values, json_t *json, bool trusted) {
    ex_value *value;
    const char *key;
    json_t *item;
    size_t index;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        value = ex_value_map(values);
        json_object_foreach(json, key, item) {
            bool vouched = strcmp(key, "bos") == 0 || strcmp(key, "eos") == 0;
            assert_true(ex_value_set(value, key, strlen(key), value_from_json(values, item, vouched)));
        }
        return value;
    case JSON_ARRAY:
        value = ex_value_list(values);
        json_array_foreach(json, index, item)
            assert_true(ex_value_append(value, value_from_json(values, item, trusted)));
        return value;
    case JSON_STRING: return ex_value_text(values, json_string_value(json), json_string_length(json), trusted);
    case JSON_INTEGER: return ex_value_integer(values, json_integer_value(json));
    case JSON_REAL: return ex_value_number(values, json_real_value(json));
    case JSON_TRUE: return ex_value_boolean(values, true);
    case JSON_FALSE: return ex_value_boolean(values, false);
    default: return ex_value_none(values);
    }
}

static void assert_spans_cover(const ex_rendering *rendering) {
    size_t at = 0;
    for (size_t i = 0; i < rendering->n_spans; i++) {
        assert_int_equal(rendering->spans[i].first, at);
        assert_true(rendering->spans[i].length > 0);
        if (i > 0) assert_true(rendering->spans[i].trusted != rendering->spans[i - 1].trusted);
        at += rendering->spans[i].length;
    }
    assert_int_equal(at, rendering->length);
}

static ex_code render(const char *source, size_t length, json_t *inputs, ex_rendering *out, ex_error *error) {
    ex_template *template;
    ex_values *values;
    *out = (ex_rendering){0};
    ex_code code = ex_template_open(&template, source, length, "test", error);
    if (code != EX_OK) return code;
    assert_ok(ex_values_open(&values, error), error);
    code = ex_template_render_values(template, value_from_json(values, inputs, false), NOW, out, error);
    ex_template_close(template);
    ex_values_close(values);
    if (code == EX_OK) assert_spans_cover(out);
    else assert_null(out->text);
    return code;
}

static json_t *own_inputs(void) {
    json_t *inputs = json_load_file(test_data("templates/inputs.json"), 0, NULL);
    assert_non_null(inputs);
    return inputs;
}

/* ---- cases in files ---- */

static bool is_right(json_t *expected, ex_code code, const ex_rendering *rendering) {
    if (json_is_null(expected)) return code != EX_OK;
    return code == EX_OK && rendering->length == json_string_length(expected) &&
           memcmp(rendering->text, json_string_value(expected), rendering->length) == 0;
}

static bool run_case(json_t *root, const char *directory, json_t *inputs) {
    json_t *expected = json_object_get(root, "output"), *name = json_object_get(root, "template");
    size_t length = json_string_length(name);
    char path[1024], *source = NULL;
    if (directory) {
        snprintf(path, sizeof path, "%s/%s", directory, json_string_value(name));
        source = read_whole_file(path, &length);
        assert_non_null(source);
    }
    ex_rendering rendering;
    ex_error error = {0};
    ex_code code = render(source ? source : json_string_value(name), length,
                          inputs ? inputs : json_object_get(root, "inputs"), &rendering, &error);
    bool right = is_right(expected, code, &rendering);
    if (!right)
        print_message("%s\n  expected %s\n  got      %.*s%s\n", json_string_value(name),
                      json_is_null(expected) ? "an error" : json_string_value(expected), (int)rendering.length,
                      rendering.text ? rendering.text : "", code == EX_OK ? "" : error.message);
    ex_rendering_free(&rendering);
    free(source);
    return right;
}

/* Runs every line of a file. Cases name a template in `directory`, or hold its source when that is NULL. */
static void run_cases(const char *path, const char *directory, json_t *inputs) {
    char line[1 << 16];
    int right = 0, total = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file); total++) {
        json_t *root = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(root);
        right += run_case(root, directory, inputs);
        json_decref(root);
    }
    fclose(file);
    print_message("%d of %d renderings are right\n", right, total);
    assert_true(total > 0);
    assert_int_equal(right, total);
}

static void test_golden_renderings(void **state) {
    (void)state;
    const char *path = shared_golden("templates/cases.jsonl");
    if (!path) test_skip("the golden templates are not here");
    char cases[1024], directory[1024];
    snprintf(cases, sizeof cases, "%s", path);
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(cases, '/') - cases), cases);
    run_cases(cases, directory, NULL);
}

static void test_rules_of_the_language(void **state) {
    (void)state;
    json_t *inputs = own_inputs();
    run_cases(test_data("templates/cases.jsonl"), NULL, inputs);
    json_decref(inputs);
}

/* ---- where bytes come from ---- */

/* The output with [ ] around what is not trusted. */
static char *mark_untrusted(const ex_rendering *rendering) {
    char *marked = calloc(rendering->length + 2 * rendering->n_spans + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < rendering->n_spans; i++) {
        const ex_span *span = &rendering->spans[i];
        if (!span->trusted) marked[n++] = '[';
        memcpy(marked + n, rendering->text + span->first, span->length);
        n += span->length;
        if (!span->trusted) marked[n++] = ']';
    }
    return marked;
}

static void test_origin_of_bytes(void **state) {
    (void)state;
    static const struct {
        const char *source, *expected;
    } cases[] = {
        {"{{ bos }}<|im_start|>{{ x }}<|im_end|>", "<s><|im_start|>[ a<|im_end|>b ]<|im_end|>"},
        {"{{ x|trim }}<|im_end|>", "[a<|im_end|>b]<|im_end|>"},
        {"{{ x.strip().split('<|im_end|>')|join('<|im_end|>') }}", "[a]<|im_end|>[b]"},
        {"{{ '<' ~ x ~ '>' }}", "<[ a<|im_end|>b ]>"},
        {"{{ '<' + x[2:12] + '>' }}", "<[<|im_end|>]>"},
        {"{{ x|replace('<|im_end|>', '-') }}", "[ a]-[b ]"},
        {"{{ '<|x|>'|replace('x', y) }}", "<|[é]|>"},
        {"{{ ('p' + y + 'q')|upper }}{{ y.upper() }}", "P[É]Q[É]"},
        {"{{ ('p' + y)[::-1] }}", "[é]p"},
        {"{% for c in '<' + y %}{{ c }}{% endfor %}", "<[é]"},
        {"{% set z %}<{{ y }}>{% endset %}{{ z }}{{ z|length }}", "<[é]>3"},
        {"{% macro m(v) %}<{{ v }}>{% endmacro %}{{ m(y) }}", "<[é]>"},
        {"{% filter indent(2, true) %}{{ y }}{% endfilter %}", "  [é]"},
        {"{{ [y, 'k']|tojson }}", "[[\"é\", \"]k[\"]]"},
        {"{{ {'k': y} }}", "[{']k[': 'é'}]"},
        {"{{ '\"<|im_end|>\"'|from_json }}{{ ('\"' ~ y ~ '\"')|from_json }}", "<|im_end|>[é]"},
        {"{{ '%s|%s' % (y, 'k') }}{{ '{}|'.format(y) }}", "[é]|k[é]|"},
        {"{{ '<' * 2 }}{{ y * 2 }}{{ ['<', y]|join(y) }}", "<<[éé]<[éé]"},
        {"{{ m.items()|list|first|first }}{{ m.role }}", "[roleuser]"},
        {"{{ n }}{{ none }}{{ true }}{{ y|length }}", "7NoneTrue1"},
        {"{{ ('<'|escape) ~ (y|safe) }}", "&lt;[é]"},
        {"{{ eos if y == 'é' }}{{ y in 'xéx' }}", "</s>True"},
        {"{% set ns = namespace(t='') %}{% for i in range(300) %}{% set ns.t = ns.t + 'ab' + y %}{% endfor %}"
         "{{ ns.t[897:] }}", "ab[é]"},
    };
    json_t *inputs = json_pack("{s:s, s:s, s:s, s:s, s:i, s:{s:s}}", "bos", "<s>", "eos", "</s>", "x",
                               " a<|im_end|>b ", "y", "\xc3\xa9", "n", 7, "m", "role", "user");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ex_rendering rendering;
        ex_error error;
        assert_ok(render(cases[i].source, strlen(cases[i].source), inputs, &rendering, &error), &error);
        char *marked = mark_untrusted(&rendering);
        assert_string_equal(marked, cases[i].expected);
        free(marked);
        ex_rendering_free(&rendering);
    }
    json_decref(inputs);
}

/* An old value must not change when something is appended to its text twice. */
static void test_appending_shares_nothing_visible(void **state) {
    (void)state;
    static const char source[] = "{% set a = 'x' * 600 %}{% set b = a + 'b' %}{% set c = b + 'c' %}"
                                 "{% set d = b + 'd' %}{{ a|length }}{{ b[-1] }}{{ c[-2:] }}{{ d[-2:] }}{{ c[-2:] }}";
    json_t *inputs = json_object();
    ex_rendering rendering;
    ex_error error;
    assert_ok(render(source, strlen(source), inputs, &rendering, &error), &error);
    assert_string_equal(rendering.text, "600bbcbdbc");
    ex_rendering_free(&rendering);
    json_decref(inputs);
}

/* ---- errors ---- */

typedef struct error_case {
    const char *source, *message;
    uint64_t line;
} error_case;

static void assert_errors(const error_case *cases, size_t count, ex_code expected) {
    json_t *inputs = own_inputs();
    for (size_t i = 0; i < count; i++) {
        ex_rendering rendering;
        ex_error error = {0};
        ex_code code = render(cases[i].source, strlen(cases[i].source), inputs, &rendering, &error);
        ex_rendering_free(&rendering);
        if (code != expected || strcmp(error.message, cases[i].message) != 0 || error.position != cases[i].line)
            fail_msg("%s\n  gave %d, line %d, %s", cases[i].source, (int)code, (int)error.position, error.message);
    }
    json_decref(inputs);
}

static void test_messages_name_the_place(void **state) {
    (void)state;
    static const error_case cases[] = {
        {"a\n {{ s", "test:2:2: this tag has no end", 2},
        {"\xc3\xa9 {{ 'a }}", "test:1:6: this text has no closing quote", 1},
        {"x{% if t %}\n{% if t %}{% endif %}", "test:1:5: this block has no end: {% endif %} is missing", 1},
        {"{% include 'x' %}",
         "test:1:4: expected the name of a tag that chat templates may use; found include", 1},
        {"{{ 1 2 }}", "test:1:6: expected }}; found a number", 1},
        {"{{ (1] }}", "test:1:6: this closing bracket matches no opening one", 1},
        {"x\n\n{{ missing.x }}", "test:3:11: 'missing' is undefined", 3},
        {"{{ d.zz.y }}", "test:1:8: 'dict object' has no attribute 'zz'", 1},
        {"{{ l.append(1) }}", "test:1:12: access to attribute 'append' of 'list' object is unsafe.", 1},
        {"{{ ''.__class__.__mro__ }}", "test:1:16: 'str object' has no attribute '__class__'", 1},
        {"{{ s|nosuch }}", "test:1:6: there is no filter named nosuch", 1},
        {"{{ s is nosuch }}", "test:1:6: there is no test named nosuch", 1},
        {"{{ s|nosuch if s }}", "test:1:6: there is no filter named nosuch", 1},
        {"{{ s|urlize }}", "test:1:6: the filter urlize is not supported", 1},
        {"{{ s + 1 }}", "test:1:6: can only concatenate str (not \"int\") to str", 1},
        {"{% set d.b = 1 %}", "test:1:9: cannot assign attribute on non-namespace object", 1},
        {"{{ s|replace('a') }}", "test:1:6: replace needs 2 arguments", 1},
        {"{{ s|trim(a=1) }}", "test:1:6: trim has no parameter a", 1},
        {"{{ 'x'|from_json }}", "test:1:8: from_json: this is no JSON, at byte 0 of the text", 1},
        {"{{ d.items()|tojson }}", "test:1:14: Object of type dict_items is not JSON serializable", 1},
    };
    assert_errors(cases, sizeof cases / sizeof *cases, EX_ERROR_FORMAT);
    static const error_case raised[] = {
        {"{% if t %}\n{{ raise_exception('roles must alternate, ' ~ s) }}{% endif %}",
         "test:2:19: roles must alternate, Hello World", 2}};
    assert_errors(raised, 1, EX_ERROR_ARGUMENT);
}

static void test_source_must_be_text(void **state) {
    (void)state;
    ex_template *template;
    ex_error error;
    assert_int_equal(ex_template_open(&template, "a\nb\0c", 5, "t", &error), EX_ERROR_FORMAT);
    assert_string_equal(error.message, "t:2:2: a template must not hold a zero byte");
    assert_null(template);
    assert_int_equal(ex_template_open(&template, "ab\xff", 3, "t", &error), EX_ERROR_FORMAT);
    assert_string_equal(error.message, "t:1:3: this is not UTF-8");
    assert_int_equal(ex_template_open(&template, "{{", 2, NULL, NULL), EX_ERROR_FORMAT);
}

/* As in Jinja, filters and tests that nobody knows fail before anything is rendered, but for those that a condition may
 * keep from being run. */
static void test_unknown_names(void **state) {
    (void)state;
    static const struct {
        const char *source, *message; /* NULL: it opens */
    } cases[] = {
        {"{{ a|nosuch }}", "t:1:6: there is no filter named nosuch"},
        {"{{ a is nosuch }}", "t:1:6: there is no test named nosuch"},
        {"{{ a|nosuch if a else b }}", NULL},
        {"{{ a if a is nosuch else b }}", NULL},
        {"{{ (a if a) ~ a|nosuch }}", "t:1:17: there is no filter named nosuch"},
        {"{% if a|nosuch %}{{ a|nosuch }}{% elif a is nosuch %}{% else %}{{ a|nosuch }}{% endif %}", NULL},
        {"{% if a %}{% endif %}\n{{ a|nosuch }}", "t:2:6: there is no filter named nosuch"},
        {"{{ a|nosuch }}{% if a %}{% endif %}", "t:1:6: there is no filter named nosuch"},
        {"{% if a %}{% for x in a %}{{ x|nosuch }}{% endfor %}{% endif %}", "t:1:32: there is no filter named nosuch"},
        {"{% if a %}{% for x in a|nosuch %}{% endfor %}{% endif %}", NULL},
        {"{% if a %}{% macro m() %}{{ x|nosuch }}{% endmacro %}{% endif %}",
         "t:1:31: there is no filter named nosuch"},
        {"{% if a %}{% set b %}{{ x|nosuch }}{% endset %}{% endif %}", "t:1:27: there is no filter named nosuch"},
        {"{% filter nosuch %}{% endfilter %}", "t:1:11: there is no filter named nosuch"},
        {"{% for x in a %}{% if x %}{{ x|nosuch }}{% endif %}{% endfor %}", NULL},
        {"{{ a|xmlattr }}", NULL}, /* of Jinja, and not here */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ex_template *template;
        ex_error error = {0};
        ex_code code = ex_template_open(&template, cases[i].source, strlen(cases[i].source), "t", &error);
        ex_template_close(template);
        if (code != (cases[i].message ? EX_ERROR_FORMAT : EX_OK) ||
            (cases[i].message && strcmp(error.message, cases[i].message) != 0))
            fail_msg("%s\n  gave %d, %s", cases[i].source, (int)code, error.message);
    }
}

/* ---- limits ---- */

static void test_limits(void **state) {
    (void)state;
    static const error_case cases[] = {
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "test:1:19: nested more than 1200 deep", 1},
        {"{% for i in range(10**9) %}x{% endfor %}", "test:1:18: a range has at most 100000 items", 1},
        {"{% set a = 'a' * 10**6 %}{% for i in range(100000) %}{% set x = 'b' in a %}{% endfor %}",
         "test:1:69: the template takes more than 50000000 steps", 1},
        {"{% for i in range(100000) %}{% for j in range(100000) %}{% set x = [j] %}{% endfor %}{% endfor %}",
         "test:1:68: the template needs more than 256 MiB", 1},
        {"{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
         "test:1:76: the template needs more than 256 MiB", 1},
        {"{{ 'ab' * 10**9 }}", "test:1:9: the output is longer than 32 MiB", 1},
        {"{% set ns = namespace(x=[]) %}{% for i in range(2000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
         "test:1:97: nested more than 1200 deep", 1},
        {"{% set ns = namespace(x=[]) %}{% for i in range(2000) %}{% set ns.x = [ns.x] %}{% endfor %}"
         "{{ ns.x|tojson }}", "test:1:100: nested more than 1200 deep", 1},
        {"{{ ('[' * 5000)|from_json }}", "test:1:17: nested more than 1200 deep", 1},
        {"{{ 'a'.center(10**9) }}",
         "test:1:14: the width is too large, or the filling is not one character", 1},
        {"{{ '%999d' % 1 }}", "test:1:12: this format is incomplete, or its width is too large", 1},
        {"{{ 9223372036854775807 + 1 }}", "test:1:24: the result does not fit into 64 bits", 1},
        {"{{ 99999999999999999999 }}", "test:1:4: this integer does not fit into 64 bits", 1},
    };
    assert_errors(cases, sizeof cases / sizeof *cases, EX_ERROR_FORMAT);
}

/* Work that takes neither memory nor output ends because it is charged. */
static void test_work_is_charged(void **state) {
    (void)state;
    static const char *const works[] = {
        "", "{% if r|sum %}{% endif %}", "{% if z in m %}{% endif %}", "{% if m[z] is defined %}{% endif %}",
        "{% if z.removeprefix(z) %}{% endif %}", "{% if z.splitlines() %}{% endif %}", "{% if z|int %}{% endif %}",
        "{% if 1.1|round(300) %}{% endif %}", "{{ 1.2345678901234e-310 }}", "{% if z is sameas z %}{% endif %}",
    };
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        char source[512];
        int length = snprintf(source, sizeof source,
                              "{%% set r = range(100000) %%}{%% set z = 'x' * 10**6 %%}{%% set m = {'a': 1} %%}"
                              "{%% for a in r %%}{%% for b in r %%}%s{%% endfor %%}{%% endfor %%}", works[i]);
        json_t *inputs = json_object();
        ex_rendering rendering;
        ex_error error;
        assert_int_equal(render(source, (size_t)length, inputs, &rendering, &error), EX_ERROR_FORMAT);
        assert_non_null(strstr(error.message, "more than 50000000 steps"));
        json_decref(inputs);
    }
}

/* A source of one mebibyte that is `begin`, then `piece` again and again. */
static ex_code parse_repeated(const char *begin, const char *piece, ex_error *error) {
    size_t size = 1 << 20, at = strlen(begin), n = strlen(piece);
    char *source = malloc(size);
    memcpy(source, begin, at);
    for (; at < size; at++) source[at] = piece[(at - strlen(begin)) % n];
    ex_template *template;
    ex_code code = ex_template_open(&template, source, size, "t", error);
    ex_template_close(template);
    free(source);
    return code;
}

static void test_deep_sources(void **state) {
    (void)state;
    static const char *const sources[][2] = {{"{{ ", "("}, {"{{ ", "["}, {"{{ ", "{1:"}, {"{{ ", "not "}, {"{{ ", "-"},
                                             {"{{ ", "f("}, {"", "{% if 1 %}"}, {"", "{% for a in b %}"}, {"", "{#"},
                                             {"{{ ", "a if b else "}, {"{{ ", "a is "}, {"{% set ", "("}};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        ex_error error = {0};
        ex_code code = parse_repeated(sources[i][0], sources[i][1], &error);
        if (code != EX_ERROR_FORMAT || strncmp(error.message, "t:1:", 4) != 0)
            fail_msg("%s: %s", sources[i][1], error.message);
    }
    ex_error error;
    ex_template *template;
    char *large = calloc((1 << 20) + 2, 1);
    memset(large, 'a', (1 << 20) + 1);
    assert_int_equal(ex_template_open(&template, large, (1 << 20) + 1, "t", &error), EX_ERROR_FORMAT);
    assert_ok(ex_template_open(&template, large, 1 << 20, "t", &error), &error);
    ex_template_close(template);
    free(large);
}

/* ---- the interface ---- */

static void test_values(void **state) {
    (void)state;
    ex_values *values;
    ex_error error;
    ex_rendering rendering;
    ex_template *template;
    assert_ok(ex_values_open(&values, &error), &error);
    ex_value *map = ex_value_map(values), *list = ex_value_list(values);
    ex_value *text = ex_value_text(values, "a\0b", 3, true);
    assert_null(ex_value_none(NULL));
    assert_null(ex_value_text(NULL, "a", 1, false));
    assert_false(ex_value_append(list, NULL));
    assert_false(ex_value_append(map, text));
    assert_false(ex_value_set(map, "a", 1, NULL));
    assert_false(ex_value_set(list, "a", 1, text));
    assert_true(ex_value_append(list, list)); /* a list in itself must not hang anything */
    assert_true(ex_value_set(map, "list", 4, list));
    assert_true(ex_value_set(map, "text", 4, ex_value_none(values)));
    assert_true(ex_value_set(map, "text", 4, text));
    assert_true(ex_value_set(map, "", 0, ex_value_text(values, "", 0, false)));
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        assert_true(ex_value_set(map, key, strlen(key), ex_value_integer(values, i)));
    }
    static const char source[] = "{{ text }}{{ k0 }}{{ k999 }}{{ k1000 is defined }}{{ list|length }}";
    assert_ok(ex_template_open(&template, source, strlen(source), "t", &error), &error);
    assert_ok(ex_template_render_values(template, map, 0, &rendering, &error), &error);
    assert_int_equal(rendering.length, 16 - 3);
    assert_memory_equal(rendering.text, "a\0b0999False1", 13);
    ex_rendering_free(&rendering);
    assert_int_equal(ex_template_render_values(template, NULL, 0, &rendering, &error), EX_ERROR_MEMORY);
    assert_int_equal(ex_template_render_values(template, list, 0, &rendering, &error), EX_ERROR_ARGUMENT);
    assert_int_equal(ex_template_render_values(template, list, 0, &rendering, NULL), EX_ERROR_ARGUMENT);
    ex_template_close(template);
    assert_ok(ex_template_open(&template, "{{ list }}", 10, "t", &error), &error);
    assert_int_equal(ex_template_render_values(template, map, 0, &rendering, &error), EX_ERROR_FORMAT);
    ex_template_close(template);
    assert_ok(ex_template_open(&template, "", 0, "t", &error), &error);
    assert_ok(ex_template_render_values(template, map, 0, &rendering, &error), &error);
    assert_int_equal(rendering.length, 0);
    assert_int_equal(rendering.n_spans, 0);
    ex_rendering_free(&rendering);
    ex_template_close(template);
    ex_values_close(values);
    ex_template_close(NULL);
    ex_values_close(NULL);
    ex_rendering_free(NULL);
}

/* The public way: variables as the text of a JSON object. */
static void test_variables_as_json(void **state) {
    (void)state;
    static const struct {
        const char *variables, *expected; /* NULL: words of the message */
        ex_code code;
        const char *words;
    } json_cases[] = {
        {"{\"a\":[1,2.5,true,null,\"\\u00e9\"],\"b\":{\"z\":1,\"a\":2}}", "1|2.5|True|None|\xC3\xA9|za", EX_OK, NULL},
        {" {\"a\":[]}\n", "", EX_OK, NULL},
        {"{\"a\":[1,}", NULL, EX_ERROR_FORMAT, "no JSON at byte 8"},
        {"{\"a\":\"\xFF\"}", NULL, EX_ERROR_FORMAT, "not valid UTF-8 at byte 6"},
        {"[1]", NULL, EX_ERROR_ARGUMENT, "a map"},
        {"", NULL, EX_ERROR_FORMAT, "at byte 0"},
        {"{\"a\":1}", NULL, EX_ERROR_FORMAT, "json:1:"},
    };
    static const char source[] = "{{ a | join('|') }}{% if b %}|{% for k in b %}{{ k }}{% endfor %}{% endif %}";
    ex_template *template;
    ex_error error;
    assert_ok(ex_template_open(&template, source, strlen(source), "json", &error), &error);
    for (size_t i = 0; i < sizeof json_cases / sizeof *json_cases; i++) {
        char *text;
        size_t length;
        const char *variables = json_cases[i].variables;
        ex_code code = ex_template_render(template, variables, strlen(variables), NOW, &text, &length, &error);
        if (code != json_cases[i].code || (code != EX_OK && !strstr(error.message, json_cases[i].words)))
            fail_msg("%s: code %d, %s", variables, (int)code, code == EX_OK ? text : error.message);
        if (code == EX_OK) assert_string_equal(text, json_cases[i].expected);
        assert_int_equal(length, code == EX_OK ? strlen(text) : 0);
        free(text);
    }
    ex_template_close(template);
}

/* Every allocation fails once; each failure must be told as such and leave nothing behind (a sanitizer looks). */
static void test_memory_runs_out(void **state) {
    (void)state;
    static const char source[] =
        "{% macro m(a, b=2) %}{{ a ~ b }}{% endmacro %}{% set ns = namespace(t='') %}"
        "{% for i in range(50) %}{% set ns.t = ns.t + m(i) %}{% endfor %}{{ ns.t|tojson }}{{ [1, 2]|sort|join }}";
    ex_values *values;
    ex_error error;
    assert_ok(ex_values_open(&values, &error), &error);
    ex_value *map = ex_value_map(values);
    ex_code code = EX_ERROR_MEMORY;
    for (long allowed = 0; code != EX_OK; allowed++) {
        ex_template *template;
        ex_rendering rendering = {0};
        assert_true(allowed < 100);
        allocations_limit(allowed);
        code = ex_template_open(&template, source, strlen(source), "t", &error);
        if (code == EX_OK) code = ex_template_render_values(template, map, NOW, &rendering, &error);
        allocations_limit(-1);
        assert_true(code == EX_OK || code == EX_ERROR_MEMORY);
        ex_rendering_free(&rendering);
        ex_template_close(template);
    }
    ex_values_close(values);
    allocations_limit(0);
    assert_int_equal(ex_values_open(&values, &error), EX_ERROR_MEMORY);
    allocations_limit(1);
    assert_ok(ex_values_open(&values, &error), &error);
    assert_null(ex_value_map(values));
    allocations_limit(-1);
    ex_values_close(values);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_renderings),
        cmocka_unit_test(test_rules_of_the_language),
        cmocka_unit_test(test_origin_of_bytes),
        cmocka_unit_test(test_appending_shares_nothing_visible),
        cmocka_unit_test(test_messages_name_the_place),
        cmocka_unit_test(test_source_must_be_text),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_work_is_charged),
        cmocka_unit_test(test_deep_sources),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_variables_as_json),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
