/* test_template.c - chat templates: the renderings of real ones, and each rule of the language by itself. The cases in
 * tests/data/templates were rendered by Jinja2 3.1 in transformers' settings, as the golden ones. */
#include "support.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template.h"

enum { NOW = 1795392000 }; /* 2026-11-23 00:00 UTC */

static ex_value *value_from_json(ex_values *values, json_t *json, bool trusted) {
    ex_value *value;
    const char *key;
    json_t *item;
    size_t index;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        value = ex_value_map(values);
        json_object_foreach(json, key, item)
            assert_true(ex_value_set(value, key, strlen(key), value_from_json(values, item, trusted)));
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

/* Parses and renders with the variables in `inputs`. */
static ex_code render(const char *source, size_t length, json_t *inputs, ex_rendering *out, ex_error *error) {
    ex_template *template;
    ex_values *values;
    *out = (ex_rendering){0};
    ex_code code = ex_template_parse(&template, source, length, "test", error);
    if (code != EX_OK) return code;
    assert_ok(ex_values_open(&values, error), error);
    code = ex_template_render(template, value_from_json(values, inputs, false), NOW, out, error);
    ex_template_free(template);
    ex_values_close(values);
    if (code == EX_OK) assert_spans_cover(out);
    else assert_null(out->text);
    return code;
}

/* Runs every case of a file of JSON lines; returns how many came out as they should. `directory` holds the templates
 * that a case names; without it, cases hold their own source. */
static int run_cases(const char *path, const char *directory, int *total) {
    char line[1 << 16];
    int right = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (*total = 0; fgets(line, sizeof line, file); ++*total) {
        json_t *root = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(root);
        json_t *expected = json_object_get(root, "output"), *name = json_object_get(root, "template");
        size_t length = json_string_length(name);
        char template_path[1024], *source = NULL;
        if (directory) {
            snprintf(template_path, sizeof template_path, "%s/%s", directory, json_string_value(name));
            source = read_whole_file(template_path, &length);
            assert_non_null(source);
        }
        ex_rendering rendering;
        ex_error error = {0};
        ex_code code = render(source ? source : json_string_value(name), length, json_object_get(root, "inputs"),
                              &rendering, &error);
        bool same = json_is_null(expected)
                        ? code != EX_OK
                        : code == EX_OK && rendering.length == json_string_length(expected) &&
                              memcmp(rendering.text, json_string_value(expected), rendering.length) == 0;
        right += same;
        if (!same)
            print_message("%s %s\n  expected %s\n  got      %.*s%s\n", json_string_value(name),
                          directory ? json_string_value(json_object_get(root, "case")) : "",
                          json_is_null(expected) ? "an error" : json_string_value(expected), (int)rendering.length,
                          rendering.text ? rendering.text : "", code == EX_OK ? "" : error.message);
        ex_rendering_free(&rendering);
        free(source);
        json_decref(root);
    }
    fclose(file);
    return right;
}

static void test_golden_renderings(void **state) {
    (void)state;
    int total, right;
    const char *path = shared_golden("templates/cases.jsonl");
    if (!path) test_skip("the golden templates are not here");
    char cases[1024], directory[1024];
    snprintf(cases, sizeof cases, "%s", path);
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(cases, '/') - cases), cases);
    right = run_cases(cases, directory, &total);
    print_message("%d of %d golden renderings\n", right, total);
    assert_int_equal(right, total);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_renderings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
