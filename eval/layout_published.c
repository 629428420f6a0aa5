/* layout_published.c - benchmarks in the layouts in which their makers publish them, and in those of their copies at
 * Hugging Face: GSM8K, ARC, TruthfulQA (multiple choice), MMLU. HellaSwag: layout_hellaswag.c. */
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "layout.h"

static ex_code set_trimmed(json_t *item, const char *key, const char *text, ex_error *error) {
    return eval_item_set(item, key, eval_json_trimmed(text, strlen(text)), error);
}

/* The answer is a solution in words with the number behind "#### "; examples show all of it. */
ex_code eval_layout_gsm8k(const json_t *record, json_t *item, ex_error *error) {
    const char *question, *answer;
    ex_code code = eval_field_text(record, "question", &question, error);
    if (code == EX_OK) code = eval_field_text(record, "answer", &answer, error);
    if (code != EX_OK) return code;
    const char *number = NULL;
    for (const char *at = strstr(answer, "####"); at; at = strstr(number, "####")) number = at + 4;
    if (!number) return eval_fail(error, EX_ERROR_FORMAT, 0, "\"answer\" has no \"#### \" before its number");
    if (!number[strspn(number, " \t\r\n")])
        return eval_fail(error, EX_ERROR_FORMAT, 0, "\"answer\" has no number after \"####\"");
    code = set_trimmed(item, "question", question, error);
    if (code == EX_OK) code = set_trimmed(item, "example", answer, error);
    if (code == EX_OK) code = set_trimmed(item, "answer", number, error);
    return code;
}

/* AI2: question {stem, choices [{text, label}]}. */
static ex_code gather_choices(const json_t *list, json_t *choices, json_t *labels, ex_error *error) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text, *label;
        ex_code code = eval_field_text(json_array_get(list, i), "text", &text, error);
        if (code == EX_OK) code = eval_field_text(json_array_get(list, i), "label", &label, error);
        if (code != EX_OK) return code;
        if (json_array_append_new(choices, json_string(text)) || json_array_append_new(labels, json_string(label)))
            return eval_fail_memory(error, "choices");
    }
    return EX_OK;
}

static ex_code arc_original(const json_t *question, json_t *item, ex_error *error) {
    const char *stem;
    ex_code code = eval_field_text(question, "stem", &stem, error);
    if (code != EX_OK) return code;
    const json_t *list = json_object_get(question, "choices");
    if (!json_is_array(list)) return eval_fail(error, EX_ERROR_FORMAT, 0, "\"question\" has no list \"choices\"");
    json_t *choices = json_array(), *labels = json_array();
    code = gather_choices(list, choices, labels, error);
    ex_code stored = eval_item_set(item, "choices", choices, error);
    if (stored == EX_OK) stored = eval_item_set(item, "labels", labels, error);
    else json_decref(labels);
    if (code == EX_OK) code = stored;
    return code == EX_OK ? set_trimmed(item, "question", stem, error) : code;
}

/* Hugging Face: question, choices {text [], label []}. */
static ex_code arc_table(const json_t *record, json_t *item, ex_error *error) {
    const char *question;
    json_t *texts, *labels;
    const json_t *choices = json_object_get(record, "choices");
    ex_code code = eval_field_text(record, "question", &question, error);
    if (code == EX_OK && !json_is_object(choices))
        return eval_fail(error, EX_ERROR_FORMAT, 0, "lacks \"choices\", an object with \"text\" and \"label\"");
    if (code == EX_OK) code = eval_field_texts(choices, "text", &texts, error);
    if (code == EX_OK) code = eval_field_texts(choices, "label", &labels, error);
    if (code != EX_OK) return code;
    if (json_array_size(texts) != json_array_size(labels))
        return eval_fail(error, EX_ERROR_FORMAT, 0, "\"choices\" has %zu texts and %zu labels", json_array_size(texts),
                         json_array_size(labels));
    code = eval_item_set(item, "choices", json_incref(texts), error);
    if (code == EX_OK) code = eval_item_set(item, "labels", json_incref(labels), error);
    return code == EX_OK ? set_trimmed(item, "question", question, error) : code;
}

/* The one choice whose label is the value of `key`. */
static ex_code set_right_label(const json_t *record, const char *key, json_t *item, ex_error *error) {
    const char *answer;
    ex_code code = eval_field_text(record, key, &answer, error);
    if (code != EX_OK) return code;
    const json_t *labels = json_object_get(item, "labels");
    size_t count = json_array_size(labels), n_right = 0;
    bool *is_right = calloc(count + 1, sizeof *is_right);
    if (!is_right) return eval_fail_memory(error, "choices");
    for (size_t i = 0; i < count; i++) {
        is_right[i] = strcmp(json_string_value(json_array_get(labels, i)), answer) == 0;
        n_right += is_right[i];
    }
    code = n_right == 1 ? eval_item_right(item, is_right, count, error)
                        : eval_fail(error, EX_ERROR_FORMAT, 0, "\"%s\" is '%.20s', the label of %zu choices", key,
                                    answer, n_right);
    free(is_right);
    return code;
}

ex_code eval_layout_arc(const json_t *record, json_t *item, ex_error *error) {
    const json_t *question = json_object_get(record, "question");
    ex_code code = json_is_object(question) ? arc_original(question, item, error) : arc_table(record, item, error);
    return code == EX_OK ? set_right_label(record, "answerKey", item, error) : code;
}

/* The makers': {choice: 0 or 1}; Hugging Face: {choices [], labels []}. */
static ex_code gather_targets(json_t *targets, json_t *choices, bool *is_right, ex_error *error) {
    json_t *texts = json_object_get(targets, "choices"), *labels = json_object_get(targets, "labels"), *value;
    bool is_table = json_is_array(texts) && json_is_array(labels);
    size_t count = json_array_size(texts), i = 0;
    const char *text;
    if (is_table && count != json_array_size(labels))
        return eval_fail(error, EX_ERROR_FORMAT, 0, "it has %zu choices and %zu labels", count,
                         json_array_size(labels));
    for (; is_table && i < count; i++) {
        text = json_string_value(json_array_get(texts, i));
        if (!text) return eval_fail(error, EX_ERROR_FORMAT, 0, "a choice is no text");
        is_right[i] = json_integer_value(json_array_get(labels, i)) == 1;
        if (json_array_append_new(choices, json_string(text))) return eval_fail_memory(error, "choices");
    }
    if (is_table) return EX_OK;
    json_object_foreach(targets, text, value) {
        is_right[i++] = json_integer_value(value) == 1;
        if (json_array_append_new(choices, json_string(text))) return eval_fail_memory(error, "choices");
    }
    return EX_OK;
}

static ex_code truthfulqa(const json_t *record, const char *key, json_t *item, ex_error *error) {
    const char *question;
    ex_code code = eval_field_text(record, "question", &question, error);
    if (code != EX_OK) return code;
    json_t *targets = json_object_get(record, key);
    if (!json_is_object(targets)) return eval_fail(error, EX_ERROR_FORMAT, 0, "lacks \"%s\", an object", key);
    size_t size = json_object_size(targets) + json_array_size(json_object_get(targets, "choices"));
    bool *is_right = calloc(size + 1, sizeof *is_right);
    json_t *choices = json_array();
    code = is_right && choices ? gather_targets(targets, choices, is_right, error) : eval_fail_memory(error, "choices");
    if (code == EX_OK) code = eval_item_right(item, is_right, json_array_size(choices), error);
    if (code == EX_OK) code = eval_item_set(item, "choices", json_incref(choices), error);
    if (code == EX_OK) code = set_trimmed(item, "question", question, error);
    json_decref(choices);
    free(is_right);
    return code;
}

ex_code eval_layout_truthfulqa_mc1(const json_t *record, json_t *item, ex_error *error) {
    return truthfulqa(record, "mc1_targets", item, error);
}

ex_code eval_layout_truthfulqa_mc2(const json_t *record, json_t *item, ex_error *error) {
    return truthfulqa(record, "mc2_targets", item, error);
}

static ex_code set_subject(const json_t *record, json_t *item, ex_error *error) {
    const char *subject = json_string_value(json_object_get(record, "subject"));
    if (!subject) return eval_fail(error, EX_ERROR_FORMAT, 0, "lacks \"subject\"");
    char *words = strdup(subject);
    for (char *at = words; at && *at; at++)
        if (*at == '_') *at = ' ';
    ex_code code = eval_item_set(item, "subject", words ? json_string(words) : NULL, error);
    free(words);
    return code;
}

static ex_code mmlu_columns(const json_t *record, json_t *item, ex_error *error) {
    static const char *const letters[] = {"A", "B", "C", "D"};
    json_t *choices = json_array(), *labels = json_array();
    ex_code code = choices && labels ? EX_OK : eval_fail_memory(error, "choices");
    for (size_t i = 0; code == EX_OK && i < 4; i++) {
        const char *text;
        code = eval_field_text(record, letters[i], &text, error);
        if (code == EX_OK && (json_array_append_new(choices, json_string(text)) ||
                              json_array_append_new(labels, json_string(letters[i]))))
            code = eval_fail_memory(error, "choices");
    }
    if (code == EX_OK) code = eval_item_set(item, "choices", json_incref(choices), error);
    if (code == EX_OK) code = eval_item_set(item, "labels", json_incref(labels), error);
    json_decref(choices);
    json_decref(labels);
    return code == EX_OK ? set_right_label(record, "answer", item, error) : code;
}

/* Hugging Face: choices [4], answer 0 to 3. */
static ex_code mmlu_list(const json_t *record, json_t *item, ex_error *error) {
    json_t *choices;
    size_t index;
    bool is_right[4] = {false};
    ex_code code = eval_field_texts(record, "choices", &choices, error);
    if (code == EX_OK && json_array_size(choices) != 4)
        return eval_fail(error, EX_ERROR_FORMAT, 0, "\"choices\" has %zu texts, but must have 4",
                         json_array_size(choices));
    if (code == EX_OK) code = eval_field_index(record, "answer", 4, &index, error);
    if (code != EX_OK) return code;
    is_right[index] = true;
    code = eval_item_set(item, "choices", json_incref(choices), error);
    return code == EX_OK ? eval_item_right(item, is_right, 4, error) : code;
}

ex_code eval_layout_mmlu(const json_t *record, json_t *item, ex_error *error) {
    const char *question;
    ex_code code = eval_field_text(record, "question", &question, error);
    if (code == EX_OK) code = set_trimmed(item, "question", question, error);
    if (code == EX_OK) code = set_subject(record, item, error);
    if (code != EX_OK) return code;
    return json_object_get(record, "choices") ? mmlu_list(record, item, error) : mmlu_columns(record, item, error);
}
