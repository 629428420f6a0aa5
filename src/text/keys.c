#include "text/keys.h"

#include "base/error.h"

#include <inttypes.h>

static ex_code wrong_type(const ex_key *key, const char *expected, ex_error *error) {
    return ex_fail(error, EX_ERROR_FORMAT, key->offset, "%.*s at offset %" PRIu64 " must be %s", (int)key->name.length,
                   key->name.data, key->offset, expected);
}

uint64_t ex_keys_offset(const ex_key *key, ex_string string) {
    return key->offset + (uint64_t)(string.data - (const char *)key->data);
}

ex_code ex_keys_strings(const ex_file *file, const char *name, const ex_key **out, ex_error *error) {
    const ex_key *key = *out = ex_file_find_key(file, name);
    if (key && (key->type != EX_VALUE_ARRAY || key->element != EX_VALUE_STRING))
        return wrong_type(key, "an array of strings", error);
    return EX_OK;
}

static ex_code check_count(const ex_key *key, uint64_t count, ex_error *error) {
    if (key->count == count) return EX_OK;
    return ex_fail(error, EX_ERROR_FORMAT, key->offset,
                   "%.*s at offset %" PRIu64 " has %" PRIu64 " elements, but there are %" PRIu64 " tokens",
                   (int)key->name.length, key->name.data, key->offset, key->count, count);
}

static bool is_integer(ex_value_type type) {
    return type <= EX_VALUE_I32 || type == EX_VALUE_U64 || type == EX_VALUE_I64;
}

ex_code ex_keys_integers(const ex_file *file, const char *name, uint64_t count, const ex_key **out, ex_error *error) {
    const ex_key *key = *out = ex_file_find_key(file, name);
    if (!key) return EX_OK;
    if (key->type != EX_VALUE_ARRAY || !is_integer(key->element)) return wrong_type(key, "an array of integers", error);
    return check_count(key, count, error);
}

ex_code ex_keys_numbers(const ex_file *file, const char *name, uint64_t count, const ex_key **out, ex_error *error) {
    const ex_key *key = *out = ex_file_find_key(file, name);
    if (!key) return EX_OK;
    if (key->type != EX_VALUE_ARRAY || (key->element != EX_VALUE_F32 && key->element != EX_VALUE_F64))
        return wrong_type(key, "an array of floating-point numbers", error);
    return check_count(key, count, error);
}

ex_code ex_keys_text(const ex_file *file, const char *name, ex_string *out, ex_error *error) {
    const ex_key *key = ex_file_find_key(file, name);
    if (!key) return EX_OK;
    if (key->type != EX_VALUE_STRING || !ex_key_string(key, 0, out)) return wrong_type(key, "a string", error);
    return EX_OK;
}

ex_code ex_keys_boolean(const ex_file *file, const char *name, bool *out, ex_error *error) {
    const ex_key *key = ex_file_find_key(file, name);
    if (!key) return EX_OK;
    int64_t value;
    if (key->type != EX_VALUE_BOOL || !ex_key_integer(key, 0, &value)) return wrong_type(key, "a bool", error);
    *out = value != 0;
    return EX_OK;
}

ex_code ex_keys_token(const ex_file *file, const char *name, int32_t n_vocab, int32_t *out, ex_error *error) {
    const ex_key *key = ex_file_find_key(file, name);
    if (!key) return EX_OK;
    int64_t id;
    if (!is_integer(key->type) || !ex_key_integer(key, 0, &id)) return wrong_type(key, "an integer", error);
    if (id == -1 || id == UINT32_MAX) id = EX_TOKEN_NONE;
    else if (id < 0 || id >= n_vocab)
        return ex_fail(error, EX_ERROR_FORMAT, key->offset,
                       "%s at offset %" PRIu64 " is %" PRId64 ", but there are %" PRId32 " tokens", name, key->offset,
                       id, n_vocab);
    *out = (int32_t)id;
    return EX_OK;
}
