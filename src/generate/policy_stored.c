/* policy_stored.c - the policy that a model file carries. */
#include <stdio.h>

#include "base/error.h"
#include "entropix.h"
#include "sampler/policy_keys.h"

ex_code ex_policy_stored(ex_policy *policy, const ex_file *file, bool *found, ex_error *error) {
    const ex_key *key = ex_file_find_key(file, EX_POLICY_KEY);
    ex_string text;
    char name[300];
    *found = key != NULL;
    if (!key) return EX_OK;
    const char *path = ex_file_path(file);
    if (!ex_key_string(key, 0, &text))
        return ex_fail(error, EX_ERROR_FORMAT, key->offset, "%s: the key " EX_POLICY_KEY " is no text", path);
    snprintf(name, sizeof name, "%s: key " EX_POLICY_KEY, path);
    return ex_policy_parse_stored(policy, text.data, text.length, name, error);
}
