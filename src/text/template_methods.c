/* template_methods.c - methods of texts, lists and maps. One row a method; a row without a function is a method that
 * Python has and that a template may not call, because it would change the caller's data. */
#include <string.h>

#include <utf8proc.h>

#include "text/template_run.h"

#define METHOD(name) static bool name(ex_jinja_run *run, const ex_jinja_call *call, ex_value *out)

/* ---- texts: case and strip ---- */

static const ex_jinja_text *subject(const ex_jinja_call *call) { return call->subject.as.text; }

METHOD(text_upper) { return ex_jinja_change_case(run, subject(call), EX_JINJA_UPPER, out); }
METHOD(text_lower) { return ex_jinja_change_case(run, subject(call), EX_JINJA_LOWER, out); }
METHOD(text_title) { return ex_jinja_change_case(run, subject(call), EX_JINJA_TITLE, out); }
METHOD(text_capitalize) { return ex_jinja_change_case(run, subject(call), EX_JINJA_CAPITALIZE, out); }
METHOD(text_swapcase) { return ex_jinja_change_case(run, subject(call), EX_JINJA_SWAP, out); }

static bool strip(ex_jinja_run *run, const ex_jinja_call *call, int sides, ex_value *out) {
    const ex_jinja_text *set = NULL;
    if (ex_jinja_given(call, 0) && !ex_jinja_text_slot(run, call, 0, &set)) return false;
    return ex_jinja_strip(run, subject(call), set, sides, out);
}

METHOD(text_strip) { return strip(run, call, EX_JINJA_LEFT | EX_JINJA_RIGHT, out); }
METHOD(text_lstrip) { return strip(run, call, EX_JINJA_LEFT, out); }
METHOD(text_rstrip) { return strip(run, call, EX_JINJA_RIGHT, out); }

/* ---- texts: beginnings and ends ---- */

static bool has_affix(const ex_jinja_text *text, const ex_jinja_text *affix, bool at_end) {
    if (affix->length > text->length) return false;
    const char *place = at_end ? text->bytes + text->length - affix->length : text->bytes;
    return memcmp(place, affix->bytes, affix->length) == 0;
}

/* The argument may be a tuple: any of its texts counts. */
static bool test_affix(ex_jinja_run *run, const ex_jinja_call *call, bool at_end, ex_value *out) {
    ex_value affix = call->slots[0];
    bool is_tuple = affix.kind == EX_JINJA_LIST && affix.as.list->form == EX_JINJA_FORM_TUPLE, found = false;
    size_t count = is_tuple ? affix.as.list->count : 1;
    for (size_t i = 0; i < count && !found; i++) {
        ex_value one = is_tuple ? affix.as.list->items[i] : affix;
        if (one.kind != EX_JINJA_TEXT) return ex_jinja_fail_type(run, "expected a text", one);
        found = has_affix(subject(call), one.as.text, at_end);
        if (!ex_jinja_charge(run, one.as.text->length)) return false;
    }
    *out = ex_jinja_boolean(found);
    return true;
}

METHOD(text_startswith) { return test_affix(run, call, false, out); }
METHOD(text_endswith) { return test_affix(run, call, true, out); }

static bool remove_affix(ex_jinja_run *run, const ex_jinja_call *call, bool at_end, ex_value *out) {
    const ex_jinja_text *affix, *text = subject(call);
    if (!ex_jinja_text_slot(run, call, 0, &affix)) return false;
    if (!ex_jinja_charge(run, affix->length)) return false;
    size_t cut = has_affix(text, affix, at_end) ? affix->length : 0;
    return ex_jinja_part_value(run, text, at_end ? 0 : cut, text->length - cut, out);
}

METHOD(text_removeprefix) { return remove_affix(run, call, false, out); }
METHOD(text_removesuffix) { return remove_affix(run, call, true, out); }

/* ---- texts: searching ---- */

/* Last place of `needle` that ends at or before `end`, or SIZE_MAX. Unlike memmem this can be quadratic, so each
 * comparison counts. */
static bool find_last(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *needle, size_t end,
                      size_t *found) {
    *found = SIZE_MAX;
    if (!ex_jinja_charge(run, end)) return false;
    if (needle->length == 0) return *found = end, true;
    for (size_t at = end; at >= needle->length && *found == SIZE_MAX; at--) {
        const char *place = text->bytes + at - needle->length;
        if (*place != *needle->bytes) continue;
        if (!ex_jinja_charge(run, needle->length)) return false;
        if (memcmp(place, needle->bytes, needle->length) == 0) *found = at - needle->length;
    }
    return true;
}

/* First or last place, or SIZE_MAX. */
static bool find_either(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *needle, bool last,
                        size_t *found) {
    if (last) return find_last(run, text, needle, text->length, found);
    *found = ex_jinja_find(text, needle, 0);
    return ex_jinja_charge_characters(run, text);
}

/* find, rfind, index, rindex: the place in characters. */
static bool locate(ex_jinja_run *run, const ex_jinja_call *call, bool last, bool must_be_there, ex_value *out) {
    const ex_jinja_text *needle, *text = subject(call);
    size_t at;
    if (!ex_jinja_text_slot(run, call, 0, &needle) || !find_either(run, text, needle, last, &at)) return false;
    if (at == SIZE_MAX) {
        *out = ex_jinja_integer(-1);
        return !must_be_there || ex_jinja_fail(run, "the text to look for is not there");
    }
    ex_jinja_text before = {.bytes = text->bytes, .length = at};
    *out = ex_jinja_integer((int64_t)ex_jinja_count_characters(&before));
    return true;
}

METHOD(text_find) { return locate(run, call, false, false, out); }
METHOD(text_rfind) { return locate(run, call, true, false, out); }
METHOD(text_index) { return locate(run, call, false, true, out); }
METHOD(text_rindex) { return locate(run, call, true, true, out); }

METHOD(text_count) {
    const ex_jinja_text *needle, *text = subject(call);
    int64_t count = 0;
    if (!ex_jinja_text_slot(run, call, 0, &needle) || !ex_jinja_charge_characters(run, text)) return false;
    if (needle->length == 0) count = (int64_t)ex_jinja_count_characters(text) + 1;
    for (size_t at = 0; needle->length && (at = ex_jinja_find(text, needle, at)) != SIZE_MAX; at += needle->length) {
        count++;
        if (!ex_jinja_charge(run, 0)) return false;
    }
    *out = ex_jinja_integer(count);
    return true;
}

METHOD(text_replace) {
    const ex_jinja_text *old, *new;
    int64_t count;
    return ex_jinja_text_slot(run, call, 0, &old) && ex_jinja_text_slot(run, call, 1, &new) &&
           ex_jinja_integer_slot(run, call, 2, -1, &count) &&
           ex_jinja_replace(run, subject(call), old, new, count, out);
}

/* ---- texts: splitting ---- */

static bool append_part(ex_jinja_run *run, ex_jinja_list *list, const ex_jinja_text *text, size_t first, size_t end) {
    ex_value part;
    return ex_jinja_part_value(run, text, first, end - first, &part) && ex_jinja_append(run, list, part);
}

static bool split_at(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *separator, int64_t limit,
                     ex_jinja_list *parts) {
    size_t first = 0, found;
    for (; limit != 0 && (found = ex_jinja_find(text, separator, first)) != SIZE_MAX; limit--) {
        if (!append_part(run, parts, text, first, found)) return false;
        first = found + separator->length;
    }
    return append_part(run, parts, text, first, text->length);
}

/* From the right; the parts come out in reverse order. */
static bool split_back(ex_jinja_run *run, const ex_jinja_text *text, const ex_jinja_text *separator, int64_t limit,
                       ex_jinja_list *parts) {
    size_t end = text->length, found;
    for (; limit != 0; limit--) {
        if (!find_last(run, text, separator, end, &found)) return false;
        if (found == SIZE_MAX) break;
        if (!append_part(run, parts, text, found + separator->length, end)) return false;
        end = found;
    }
    return append_part(run, parts, text, 0, end);
}

static size_t word_end(const ex_jinja_text *text, size_t at) {
    uint32_t codepoint;
    while (at < text->length) {
        size_t n = ex_jinja_character(text, at, &codepoint);
        if (ex_jinja_is_space(codepoint)) break;
        at += n;
    }
    return at;
}

static bool split_words(ex_jinja_run *run, const ex_jinja_text *text, int64_t limit, ex_jinja_list *parts) {
    size_t at = ex_jinja_leading_space(text->bytes, text->length);
    for (; at < text->length && limit != 0; limit--) {
        size_t end = word_end(text, at);
        if (!append_part(run, parts, text, at, end)) return false;
        at = end + ex_jinja_leading_space(text->bytes + end, text->length - end);
    }
    if (at == text->length) return true;
    return append_part(run, parts, text, at, text->length);
}

static size_t word_start(const ex_jinja_text *text, size_t end) {
    while (end > 0 && ex_jinja_trailing_space(text->bytes, end) == 0) end--;
    return end;
}

static bool split_words_back(ex_jinja_run *run, const ex_jinja_text *text, int64_t limit, ex_jinja_list *parts) {
    size_t end = text->length - ex_jinja_trailing_space(text->bytes, text->length);
    for (; end > 0 && limit != 0; limit--) {
        size_t first = word_start(text, end);
        if (!append_part(run, parts, text, first, end)) return false;
        end = first - ex_jinja_trailing_space(text->bytes, first);
    }
    if (end == 0) return true;
    return append_part(run, parts, text, 0, end);
}

static void reverse(ex_jinja_list *list) {
    for (size_t i = 0; i < list->count / 2; i++) {
        ex_value swapped = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = swapped;
    }
}

static bool split(ex_jinja_run *run, const ex_jinja_call *call, bool back, ex_value *out) {
    const ex_jinja_text *separator, *text = subject(call);
    int64_t limit;
    ex_jinja_list *parts = ex_jinja_make_list(run, EX_JINJA_FORM_LIST, 0);
    if (!parts || !ex_jinja_integer_slot(run, call, 1, -1, &limit) || !ex_jinja_charge_characters(run, text))
        return false;
    *out = ex_jinja_list_value(parts);
    bool ok;
    if (!ex_jinja_given(call, 0)) {
        if (call->slots[0].kind == EX_JINJA_UNDEFINED && (call->given & 1))
            return ex_jinja_fail_undefined(run, call->slots[0]);
        ok = back ? split_words_back(run, text, limit, parts) : split_words(run, text, limit, parts);
    } else {
        if (!ex_jinja_text_slot(run, call, 0, &separator)) return false;
        if (separator->length == 0) return ex_jinja_fail(run, "a text cannot be split at an empty text");
        ok = back ? split_back(run, text, separator, limit, parts) : split_at(run, text, separator, limit, parts);
    }
    if (ok && back) reverse(parts);
    return ok;
}

METHOD(text_split) { return split(run, call, false, out); }
METHOD(text_rsplit) { return split(run, call, true, out); }

METHOD(text_splitlines) {
    ex_jinja_list *lines;
    if (!ex_jinja_split_lines(run, subject(call), ex_jinja_flag(call, 0), &lines)) return false;
    *out = ex_jinja_list_value(lines);
    return true;
}

static bool partition(ex_jinja_run *run, const ex_jinja_call *call, bool last, ex_value *out) {
    const ex_jinja_text *separator, *text = subject(call);
    ex_jinja_list *parts = ex_jinja_make_list(run, EX_JINJA_FORM_TUPLE, 3);
    size_t found;
    if (!parts || !ex_jinja_text_slot(run, call, 0, &separator)) return false;
    if (separator->length == 0) return ex_jinja_fail(run, "a text cannot be split at an empty text");
    if (!find_either(run, text, separator, last, &found)) return false;
    size_t before = found, after = found + separator->length;
    if (found == SIZE_MAX) before = after = last ? 0 : text->length;
    *out = ex_jinja_list_value(parts);
    return append_part(run, parts, text, 0, before) && append_part(run, parts, text, before, after) &&
           append_part(run, parts, text, after, text->length);
}

METHOD(text_partition) { return partition(run, call, false, out); }
METHOD(text_rpartition) { return partition(run, call, true, out); }

METHOD(text_join) {
    const ex_jinja_list *items;
    if (!ex_jinja_iterate(run, call->slots[0], &items)) return false;
    for (size_t i = 0; i < items->count; i++)
        if (items->items[i].kind != EX_JINJA_TEXT)
            return ex_jinja_fail_type(run, "join puts texts together", items->items[i]);
    return ex_jinja_join(run, subject(call), items, out);
}

/* ---- texts: padding ---- */

static bool emit_padding(ex_jinja_run *run, const ex_jinja_text *fill, int64_t count) {
    for (; count > 0; count--)
        if (!ex_jinja_emit_text(run, fill)) return false;
    return true;
}

/* `share` of 2 is how much of the padding goes to the left; 1 is the half of center. */
static bool pad(ex_jinja_run *run, const ex_jinja_call *call, int share, ex_value *out) {
    static const ex_jinja_text space = {.bytes = " ", .length = 1, .trusted = true};
    const ex_jinja_text *fill = &space, *text = subject(call);
    int64_t width, length = (int64_t)ex_jinja_count_characters(text);
    if (!ex_jinja_charge_characters(run, text) || !ex_jinja_integer_slot(run, call, 0, 0, &width)) return false;
    if (call->given & 2 && !ex_jinja_text_slot(run, call, 1, &fill)) return false;
    if (width > EX_JINJA_WIDTH_MAX || ex_jinja_count_characters(fill) != 1)
        return ex_jinja_fail(run, "the width is too large, or the filling is not one character");
    int64_t padding = width > length ? width - length : 0;
    int64_t left = share == 1 ? padding / 2 + (padding & width & 1) : share == 2 ? padding : 0;
    size_t start = run->length;
    return emit_padding(run, fill, left) && ex_jinja_emit_text(run, text) &&
           emit_padding(run, fill, padding - left) && ex_jinja_cut_value(run, start, out);
}

METHOD(text_ljust) { return pad(run, call, 0, out); }
METHOD(text_center) { return pad(run, call, 1, out); }
METHOD(text_rjust) { return pad(run, call, 2, out); }

METHOD(text_zfill) {
    static const ex_jinja_text zero = {.bytes = "0", .length = 1, .trusted = true};
    const ex_jinja_text *text = subject(call);
    int64_t width, length = (int64_t)ex_jinja_count_characters(text);
    if (!ex_jinja_charge_characters(run, text) || !ex_jinja_integer_slot(run, call, 0, 0, &width)) return false;
    if (width > EX_JINJA_WIDTH_MAX) return ex_jinja_fail(run, "the width is too large");
    size_t start = run->length, sign = text->length > 0 && (text->bytes[0] == '-' || text->bytes[0] == '+');
    return ex_jinja_emit_part(run, text, 0, sign) && emit_padding(run, &zero, width - length) &&
           ex_jinja_emit_part(run, text, sign, text->length - sign) && ex_jinja_cut_value(run, start, out);
}

/* ---- texts: what they are made of ---- */

static bool is_digit(uint32_t codepoint) {
    return utf8proc_category((utf8proc_int32_t)codepoint) == UTF8PROC_CATEGORY_ND;
}

static bool is_letter(uint32_t codepoint) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_letter_or_digit(uint32_t codepoint) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);
    return is_letter(codepoint) || (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

static bool is_ascii(uint32_t codepoint) { return codepoint < 0x80; }

/* Whether every character has a property; `empty` answers for the empty text. */
static bool all_are(ex_jinja_run *run, const ex_jinja_call *call, bool (*has)(uint32_t), bool empty, ex_value *out) {
    const ex_jinja_text *text = subject(call);
    bool all = text->length > 0 || empty;
    for (size_t at = 0; at < text->length && all;) {
        uint32_t codepoint;
        at += ex_jinja_character(text, at, &codepoint);
        all = has(codepoint);
    }
    *out = ex_jinja_boolean(all);
    return ex_jinja_charge_characters(run, text);
}

METHOD(text_isdigit) { return all_are(run, call, is_digit, false, out); }
METHOD(text_isalpha) { return all_are(run, call, is_letter, false, out); }
METHOD(text_isalnum) { return all_are(run, call, is_letter_or_digit, false, out); }
METHOD(text_isspace) { return all_are(run, call, ex_jinja_is_space, false, out); }
METHOD(text_isascii) { return all_are(run, call, is_ascii, true, out); }

METHOD(text_islower) {
    return ex_jinja_call_function(run, ex_jinja_find_test("lower", 5), call->subject, call->arguments, out);
}

METHOD(text_isupper) {
    return ex_jinja_call_function(run, ex_jinja_find_test("upper", 5), call->subject, call->arguments, out);
}

/* ---- lists ---- */

METHOD(list_index) {
    const ex_jinja_list *list = call->subject.as.list;
    for (size_t i = 0; i < list->count; i++) {
        bool equal;
        if (!ex_jinja_equal(run, list->items[i], call->slots[0], &equal)) return false;
        if (!equal) continue;
        *out = ex_jinja_integer((int64_t)i);
        return true;
    }
    return ex_jinja_fail(run, "the list does not hold this value");
}

METHOD(list_count) {
    const ex_jinja_list *list = call->subject.as.list;
    int64_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        bool equal;
        if (!ex_jinja_equal(run, list->items[i], call->slots[0], &equal)) return false;
        count += equal;
    }
    *out = ex_jinja_integer(count);
    return true;
}

/* Values never change, so a copy is the value itself. */
METHOD(copy) {
    (void)run;
    *out = call->subject;
    return true;
}

/* ---- maps ---- */

METHOD(map_get) {
    ex_value key = call->slots[0];
    if (key.kind == EX_JINJA_LIST || key.kind == EX_JINJA_MAP)
        return ex_jinja_fail_type(run, "this cannot be a key", key);
    if (!ex_jinja_charge_key(run, key)) return false;
    const ex_value *found = ex_jinja_is_key(key) ? ex_jinja_map_get(call->subject.as.map, key) : NULL;
    *out = found ? *found : call->given & 2 ? call->slots[1] : ex_jinja_none();
    return true;
}

METHOD(map_items) { return ex_jinja_map_view(run, call->subject.as.map, EX_JINJA_FORM_ITEMS, out); }
METHOD(map_keys) { return ex_jinja_map_view(run, call->subject.as.map, EX_JINJA_FORM_KEYS, out); }
METHOD(map_values) { return ex_jinja_map_view(run, call->subject.as.map, EX_JINJA_FORM_VALUES, out); }

/* ---- tables ---- */

static const ex_jinja_function text_methods[] = {
    {"capitalize", text_capitalize, "", 0},
    {"casefold", text_lower, "", 0},
    {"center", text_center, "width fillchar", 1},
    {"count", text_count, "sub", 1},
    {"endswith", text_endswith, "suffix", 1},
    {"find", text_find, "sub", 1},
    {"format", ex_jinja_format_method, NULL, 0},
    {"index", text_index, "sub", 1},
    {"isalnum", text_isalnum, "", 0},
    {"isalpha", text_isalpha, "", 0},
    {"isascii", text_isascii, "", 0},
    {"isdecimal", text_isdigit, "", 0},
    {"isdigit", text_isdigit, "", 0},
    {"islower", text_islower, "", 0},
    {"isnumeric", text_isdigit, "", 0},
    {"isspace", text_isspace, "", 0},
    {"isupper", text_isupper, "", 0},
    {"join", text_join, "iterable", 1},
    {"ljust", text_ljust, "width fillchar", 1},
    {"lower", text_lower, "", 0},
    {"lstrip", text_lstrip, "chars", 0},
    {"partition", text_partition, "sep", 1},
    {"removeprefix", text_removeprefix, "prefix", 1},
    {"removesuffix", text_removesuffix, "suffix", 1},
    {"replace", text_replace, "old new count", 2},
    {"rfind", text_rfind, "sub", 1},
    {"rindex", text_rindex, "sub", 1},
    {"rjust", text_rjust, "width fillchar", 1},
    {"rpartition", text_rpartition, "sep", 1},
    {"rsplit", text_rsplit, "sep maxsplit", 0},
    {"rstrip", text_rstrip, "chars", 0},
    {"split", text_split, "sep maxsplit", 0},
    {"splitlines", text_splitlines, "keepends", 0},
    {"startswith", text_startswith, "prefix", 1},
    {"strip", text_strip, "chars", 0},
    {"swapcase", text_swapcase, "", 0},
    {"title", text_title, "", 0},
    {"upper", text_upper, "", 0},
    {"zfill", text_zfill, "width", 1},
};

static const ex_jinja_function list_methods[] = {
    {"append", NULL, NULL, 0},        {"clear", NULL, NULL, 0},   {"copy", copy, "", 0},
    {"count", list_count, "value", 1}, {"extend", NULL, NULL, 0}, {"index", list_index, "value", 1},
    {"insert", NULL, NULL, 0},        {"pop", NULL, NULL, 0},     {"remove", NULL, NULL, 0},
    {"reverse", NULL, NULL, 0},       {"sort", NULL, NULL, 0},
};

static const ex_jinja_function map_methods[] = {
    {"clear", NULL, NULL, 0},   {"copy", copy, "", 0},   {"get", map_get, "key default", 1},
    {"items", map_items, "", 0}, {"keys", map_keys, "", 0}, {"pop", NULL, NULL, 0},
    {"popitem", NULL, NULL, 0}, {"setdefault", NULL, NULL, 0}, {"update", NULL, NULL, 0},
    {"values", map_values, "", 0},
};

const ex_jinja_function *ex_jinja_find_method(ex_jinja_kind kind, const char *name, size_t length) {
    if (kind == EX_JINJA_TEXT)
        return ex_jinja_find_row(text_methods, sizeof text_methods / sizeof *text_methods, name, length);
    if (kind == EX_JINJA_LIST)
        return ex_jinja_find_row(list_methods, sizeof list_methods / sizeof *list_methods, name, length);
    if (kind == EX_JINJA_MAP)
        return ex_jinja_find_row(map_methods, sizeof map_methods / sizeof *map_methods, name, length);
    return NULL;
}
