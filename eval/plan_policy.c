/* plan_policy.c - the list of policies, and of votes, as the command line has them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failure.h"
#include "plan.h"

#define GREEDY "greedy"

ex_code eval_policy_greedy(ex_policy *policy, ex_error *error) {
    ex_code code = ex_policy_preset(policy, "plain", error);
    policy->temperature = 0;
    return code;
}

bool eval_policy_is_deterministic(const ex_policy *policy) {
    const bool is_greedy = !policy->strategies && policy->temperature == 0 && policy->dynatemp_range == 0;
    return is_greedy && policy->xtc_probability == 0 && policy->mirostat == 0;
}

static ex_code refuse_name(const char *name, ex_error *error) {
    char names[300] = GREEDY;
    size_t length = strlen(names);
    for (size_t i = 0; ex_policy_preset_name(i); i++) {
        const size_t n = strlen(ex_policy_preset_name(i));
        if (length + n + 3 > sizeof names) break;
        memcpy(names + length, ", ", 2);
        memcpy(names + length + 2, ex_policy_preset_name(i), n + 1);
        length += n + 2;
    }
    return eval_fail(error, EX_ERROR_ARGUMENT, 0, "policy '%s': there is no such file, and the presets are %s", name,
                     names);
}

static ex_code read_base(ex_policy *policy, const char *name, ex_error *error) {
    if (strcmp(name, GREEDY) == 0) return eval_policy_greedy(policy, error);
    if (ex_policy_preset(policy, name, error) == EX_OK) return EX_OK;
    return access(name, F_OK) == 0 ? ex_policy_read(policy, name, error) : refuse_name(name, error);
}

/* As in policy files: explore_entropy follows high_entropy unless it is set itself. */
static ex_code read_settings(ex_policy *policy, char *settings, ex_error *error) {
    bool high = false, explore = false;
    char *rest = settings, *setting;
    while ((setting = strsep(&rest, ":"))) {
        char *equals = strchr(setting, '=');
        if (!equals) return eval_fail(error, EX_ERROR_ARGUMENT, 0, "'%s' after a policy is not KEY=VALUE", setting);
        *equals = '\0';
        ex_code code = ex_policy_set(policy, setting, equals + 1, error);
        if (code != EX_OK) return code;
        high |= strcmp(setting, "high_entropy") == 0;
        explore |= strcmp(setting, "explore_entropy") == 0;
    }
    if (high && !explore) policy->explore_entropy = policy->high_entropy;
    return EX_OK;
}

/* A colon begins the keys, unless a file has the whole as its name. */
static ex_code read_policy(eval_policy *policy, const char *text, ex_error *error) {
    char *copy = strdup(text);
    policy->name = strdup(text);
    if (!copy || !policy->name) {
        free(copy);
        return eval_fail_memory(error, "a policy");
    }
    char *colon = access(text, F_OK) == 0 ? NULL : strchr(copy, ':');
    if (colon) *colon = '\0';
    ex_code code = read_base(&policy->values, copy, error);
    if (code == EX_OK && colon) code = read_settings(&policy->values, colon + 1, error);
    if (code == EX_OK) code = ex_policy_check(&policy->values, error);
    policy->is_deterministic = code == EX_OK && eval_policy_is_deterministic(&policy->values);
    free(copy);
    return code;
}

static size_t count_parts(const char *list) {
    size_t count = 1;
    for (; *list; list++) count += *list == ',';
    return count;
}

static ex_code check_names(const eval_policy *policies, size_t count, ex_error *error) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(policies[i].name, policies[j].name) == 0)
                return eval_fail(error, EX_ERROR_ARGUMENT, 0, "the policy '%s' is there twice", policies[i].name);
    return EX_OK;
}

ex_code eval_policies_read(eval_policy **out, size_t *count, const char *list, ex_error *error) {
    const size_t n = count_parts(list);
    char *copy = strdup(list), *rest = copy, *part;
    *out = calloc(n, sizeof **out);
    *count = 0;
    ex_code code = copy && *out ? EX_OK : eval_fail_memory(error, "policies");
    while (code == EX_OK && (part = strsep(&rest, ","))) code = read_policy(&(*out)[(*count)++], part, error);
    if (code == EX_OK) code = check_names(*out, *count, error);
    free(copy);
    if (code == EX_OK) return EX_OK;
    eval_policies_free(*out, *count);
    *out = NULL;
    *count = 0;
    return code;
}

void eval_policies_free(eval_policy *policies, size_t count) {
    for (size_t i = 0; policies && i < count; i++) free(policies[i].name);
    free(policies);
}

ex_code eval_votes_read(eval_vote votes[EVAL_VOTE_COUNT], size_t *count, const char *list, ex_error *error) {
    *count = 0;
    while (*list) {
        const size_t length = strcspn(list, ",");
        size_t vote = 0;
        while (vote < EVAL_VOTE_COUNT &&
               (strlen(eval_vote_names[vote]) != length || strncmp(eval_vote_names[vote], list, length) != 0))
            vote++;
        if (vote == EVAL_VOTE_COUNT)
            return eval_fail(error, EX_ERROR_ARGUMENT, 0,
                             "there is no vote '%.*s'; there are first, majority, certain, consistent, entropy and "
                             "tail", (int)length, list);
        for (size_t i = 0; i < *count; i++)
            if (votes[i] == (eval_vote)vote)
                return eval_fail(error, EX_ERROR_ARGUMENT, 0, "the vote '%s' is there twice", eval_vote_names[vote]);
        votes[(*count)++] = (eval_vote)vote;
        list += length + (list[length] == ',');
    }
    return *count > 0 ? EX_OK : eval_fail(error, EX_ERROR_ARGUMENT, 0, "an empty list of votes");
}
