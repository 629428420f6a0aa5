/* preset.c - policies by name. A preset is a policy file; what it leaves out is the default of each key. */
#include "sampler/preset.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "sampler/policy_keys.h"

static size_t count_presets(void) {
    size_t count = 0;
    while (ex_preset_texts[count].name) count++;
    return count;
}

const char *ex_policy_preset_name(size_t index) {
    return index < count_presets() ? ex_preset_texts[index].name : NULL;
}

static ex_code fail_preset(const char *name, ex_error *error) {
    char names[300] = "";
    size_t length = 0;
    for (size_t i = 0; ex_preset_texts[i].name && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "",
                                   ex_preset_texts[i].name);
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "there is no preset \"%.60s\"; there are %s", name, names);
}

ex_code ex_policy_preset(ex_policy *policy, const char *name, ex_error *error) {
    const ex_preset_text *preset = ex_preset_texts;
    while (name && preset->name && strcmp(preset->name, name) != 0) preset++;
    if (!preset->name) return fail_preset(name, error);
    ex_policy values;
    ex_policy_defaults(&values);
    ex_code code = ex_policy_parse_preset(&values, preset->text, strlen(preset->text), preset->name, error);
    if (code == EX_OK) *policy = values;
    return code;
}
