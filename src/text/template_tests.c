/* template_tests.c - what `is` asks. One row a test. */
#include <utf8proc.h>

#include "text/template_run.h"

#define TEST(name, condition)                                                                                          \
    static bool name(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {                                    \
        (void)run;                                                                                                     \
        *out = ex_jinja_boolean(condition);                                                                            \
        return true;                                                                                                   \
    }

TEST(test_defined, call->subject.kind != EX_JINJA_UNDEFINED)
TEST(test_undefined, call->subject.kind == EX_JINJA_UNDEFINED)
TEST(test_none, call->subject.kind == EX_JINJA_NONE)
TEST(test_boolean, call->subject.kind == EX_JINJA_BOOLEAN)
TEST(test_true, call->subject.kind == EX_JINJA_BOOLEAN && call->subject.as.boolean)
TEST(test_false, call->subject.kind == EX_JINJA_BOOLEAN && !call->subject.as.boolean)
TEST(test_integer, call->subject.kind == EX_JINJA_INTEGER)
TEST(test_float, call->subject.kind == EX_JINJA_NUMBER)
TEST(test_number, ex_jinja_is_number(call->subject))
TEST(test_string, call->subject.kind == EX_JINJA_TEXT)
TEST(test_mapping, call->subject.kind == EX_JINJA_MAP)
TEST(test_escaped, call->subject.kind == EX_JINJA_TEXT && call->subject.as.text->markup)
TEST(test_iterable, call->subject.kind == EX_JINJA_TEXT || call->subject.kind == EX_JINJA_LIST ||
                        call->subject.kind == EX_JINJA_MAP || call->subject.kind == EX_JINJA_UNDEFINED ||
                        call->subject.kind == EX_JINJA_LOOP)
TEST(test_sequence,
     call->subject.kind == EX_JINJA_TEXT || call->subject.kind == EX_JINJA_MAP ||
         call->subject.kind == EX_JINJA_UNDEFINED ||
         (call->subject.kind == EX_JINJA_LIST && ex_jinja_forms[call->subject.as.list->form].has_item))
TEST(test_callable, call->subject.kind == EX_JINJA_MACRO || call->subject.kind == EX_JINJA_METHOD ||
                        call->subject.kind == EX_JINJA_FUNCTION || call->subject.kind == EX_JINJA_UNDEFINED ||
                        call->subject.kind == EX_JINJA_LOOP)
TEST(test_filter, call->subject.kind == EX_JINJA_TEXT &&
                      ex_jinja_find_filter(call->subject.as.text->bytes, call->subject.as.text->length) != NULL)
TEST(test_test, call->subject.kind == EX_JINJA_TEXT &&
                    ex_jinja_find_test(call->subject.as.text->bytes, call->subject.as.text->length) != NULL)

/* The same object; small values are the same when they are equal. */
static bool test_sameas(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    ex_value a = call->subject, b = call->slots[0];
    *out = ex_jinja_boolean(a.kind == b.kind &&
                            (ex_jinja_is_key(a) ? ex_jinja_key_equal(a, b) : a.as.map == b.as.map));
    return ex_jinja_charge_key(run, a);
}

static bool remainder_is(ex_jinja_run *run, const ex_jinja_call *call, ex_value divisor, int64_t wanted,
                         ex_value *out) {
    ex_value remainder;
    if (!ex_jinja_binary(run, '%', call->subject, divisor, &remainder)) return false;
    *out = ex_jinja_boolean(ex_jinja_is_number(remainder) && ex_jinja_as_number(remainder) == (double)wanted);
    return true;
}

static bool test_odd(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return remainder_is(run, call, ex_jinja_integer(2), 1, out);
}

static bool test_even(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return remainder_is(run, call, ex_jinja_integer(2), 0, out);
}

static bool test_divisibleby(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return remainder_is(run, call, call->slots[0], 0, out);
}

static bool equality(ex_jinja_run *run, const ex_jinja_call *call, bool wanted, ex_value *out) {
    bool equal;
    if (!ex_jinja_equal(run, call->subject, call->slots[0], &equal)) return false;
    *out = ex_jinja_boolean(equal == wanted);
    return true;
}

static bool test_eq(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return equality(run, call, true, out);
}

static bool test_ne(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return equality(run, call, false, out);
}

/* Whether the order of the two is one of `low` … `high`. */
static bool order_between(ex_jinja_run *run, const ex_jinja_call *call, int low, int high, ex_value *out) {
    int order;
    if (!ex_jinja_order(run, call->subject, call->slots[0], &order)) return false;
    *out = ex_jinja_boolean(order >= low && order <= high);
    return true;
}

static bool test_lt(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return order_between(run, call, -1, -1, out);
}

static bool test_le(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return order_between(run, call, -1, 0, out);
}

static bool test_gt(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return order_between(run, call, 1, 1, out);
}

static bool test_ge(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return order_between(run, call, 0, 1, out);
}

static bool test_in(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    bool found;
    if (!ex_jinja_contains(run, call->slots[0], call->subject, &found)) return false;
    *out = ex_jinja_boolean(found);
    return true;
}

/* Python's islower and isupper: no letter of the other case, and at least one of this. */
static bool has_only_case(ex_jinja_run *run, const ex_jinja_call *call, bool wants_upper, ex_value *out) {
    const ex_jinja_text *text;
    bool found = false, other = false;
    if (!ex_jinja_to_text(run, call->subject, &text) || !ex_jinja_charge_characters(run, text)) return false;
    for (size_t at = 0; at < text->length;) {
        uint32_t codepoint;
        at += ex_jinja_character(text, at, &codepoint);
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);
        bool upper = category == UTF8PROC_CATEGORY_LU, lower = category == UTF8PROC_CATEGORY_LL;
        found = found || (wants_upper ? upper : lower);
        other = other || (wants_upper ? lower : upper) || category == UTF8PROC_CATEGORY_LT;
    }
    *out = ex_jinja_boolean(found && !other);
    return true;
}

static bool test_lower(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return has_only_case(run, call, false, out);
}

static bool test_upper(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out) {
    return has_only_case(run, call, true, out);
}

static const ex_jinja_function tests[] = {
    {"!=", test_ne, "other", 1},
    {"<", test_lt, "other", 1},
    {"<=", test_le, "other", 1},
    {"==", test_eq, "other", 1},
    {">", test_gt, "other", 1},
    {">=", test_ge, "other", 1},
    {"boolean", test_boolean, "", 0},
    {"callable", test_callable, "", 0},
    {"defined", test_defined, "", 0},
    {"divisibleby", test_divisibleby, "num", 1},
    {"eq", test_eq, "other", 1},
    {"equalto", test_eq, "other", 1},
    {"escaped", test_escaped, "", 0},
    {"even", test_even, "", 0},
    {"false", test_false, "", 0},
    {"filter", test_filter, "", 0},
    {"float", test_float, "", 0},
    {"ge", test_ge, "other", 1},
    {"greaterthan", test_gt, "other", 1},
    {"gt", test_gt, "other", 1},
    {"in", test_in, "seq", 1},
    {"integer", test_integer, "", 0},
    {"iterable", test_iterable, "", 0},
    {"le", test_le, "other", 1},
    {"lessthan", test_lt, "other", 1},
    {"lower", test_lower, "", 0},
    {"lt", test_lt, "other", 1},
    {"mapping", test_mapping, "", 0},
    {"ne", test_ne, "other", 1},
    {"none", test_none, "", 0},
    {"number", test_number, "", 0},
    {"odd", test_odd, "", 0},
    {"sameas", test_sameas, "other", 1},
    {"sequence", test_sequence, "", 0},
    {"string", test_string, "", 0},
    {"test", test_test, "", 0},
    {"true", test_true, "", 0},
    {"undefined", test_undefined, "", 0},
    {"upper", test_upper, "", 0},
};

const ex_jinja_function *ex_jinja_find_test(const char *name, size_t length) {
    return ex_jinja_find_row(tests, sizeof tests / sizeof *tests, name, length);
}
