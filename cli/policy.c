/* policy.c - where the policy comes from, and the keys that options set. */
#include "policy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval/memory_text.h"
#include "model.h"
#include "terminal.h"

enum { KEY_MAX = 64 };

static int refuse_policy(const char *name) {
    fprintf(stderr, "entropix: --policy %s: there is no such file, and the presets are", name);
    for (size_t i = 0; ex_policy_preset_name(i); i++) fprintf(stderr, "%s %s", i ? "," : "", ex_policy_preset_name(i));
    fputc('\n', stderr);
    return STATUS_INPUT;
}

int policy_named(ex_policy *out, const char *name) {
    ex_error error;
    if (ex_policy_preset(out, name, &error) == EX_OK) return STATUS_OK;
    if (access(name, F_OK) != 0) return refuse_policy(name);
    return ex_policy_read(out, name, &error) == EX_OK ? STATUS_OK : report(&error);
}

/* ---- several texts as one value -------------------------------------------------------------------------------- */

static void put_json_text(FILE *out, const char *text) {
    fputc('"', out);
    for (const char *at = text; *at; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte < ' ')
            fprintf(out, "\\u%04x", byte);
        else
            fprintf(out, "%s%c", byte == '"' || byte == '\\' ? "\\" : "", byte);
    }
    fputc('"', out);
}

static void put_joined(FILE *out, const option_value *value, option_join join) {
    const bool list = join != JOIN_COMMAS;
    const bool none = join == JOIN_LIST_OR_NONE && value->n_texts == 1 && strcmp(value->texts[0], "none") == 0;
    if (list) fputc('[', out);
    for (size_t i = 0; i < value->n_texts && !none; i++) {
        if (i > 0) fputs(list ? ", " : ",", out);
        if (list) put_json_text(out, value->texts[i]);
        else fputs(value->texts[i], out);
    }
    if (list) fputc(']', out);
}

/* The value of a key that all texts of an option make; free it. NULL without memory. */
static char *joined_texts(const option_value *value, option_join join) {
    char *text = NULL;
    size_t length;
    FILE *out = eval_memory_open(&text, &length);
    if (!out) return NULL;
    put_joined(out, value, join);
    eval_memory_close(out, &text);
    return text;
}

/* ---- keys ------------------------------------------------------------------------------------------------------ */

static int refuse_value(const policy_setting *setting, const ex_error *error) {
    message("--%s: %s", setting->option->name, error->message);
    return STATUS_INPUT;
}

static int set_key(ex_policy *policy, const policy_setting *setting, const char *key, const char *value) {
    ex_error error;
    return ex_policy_set(policy, key, value, &error) == EX_OK ? STATUS_OK : refuse_value(setting, &error);
}

/* The key before the equals sign of --set; its length, or 0 after a message. */
static size_t split_setting(const policy_setting *setting, char key[KEY_MAX]) {
    const char *equals = strchr(setting->text, '=');
    const size_t length = equals ? (size_t)(equals - setting->text) : 0;
    if (length == 0 || length >= KEY_MAX) {
        message("--set needs KEY=VALUE, not '%s'", setting->text);
        return 0;
    }
    memcpy(key, setting->text, length);
    key[length] = '\0';
    return length;
}

static int apply_setting(ex_policy *policy, const policy_setting *setting, const cli_options *options) {
    const cli_option *row = setting->option;
    char key[KEY_MAX];
    if (!row->policy_key) {
        const size_t length = split_setting(setting, key);
        return length > 0 ? set_key(policy, setting, key, setting->text + length + 1) : STATUS_INPUT;
    }
    if (row->join == JOIN_NONE) return set_key(policy, setting, row->policy_key, setting->text);
    char *value = joined_texts(&options->values[row - option_table], row->join);
    int status = value ? set_key(policy, setting, row->policy_key, value) : report_memory();
    free(value);
    return status;
}

static bool sets_key(const policy_setting *setting, const char *key) {
    const size_t length = strlen(key);
    return !setting->option->policy_key && strncmp(setting->text, key, length) == 0 && setting->text[length] == '=';
}

/* As in policy files: explore_entropy follows high_entropy unless it is set itself. */
static void share_boundary(ex_policy *policy, const cli_options *options) {
    bool high = false, explore = false;
    for (size_t i = 0; i < options->n_settings; i++) {
        high |= sets_key(&options->settings[i], "high_entropy");
        explore |= sets_key(&options->settings[i], "explore_entropy");
    }
    if (high && !explore) policy->explore_entropy = policy->high_entropy;
}

static int apply_settings(ex_policy *policy, const cli_options *options) {
    ex_error error;
    int status = STATUS_OK;
    for (size_t i = 0; i < options->n_settings && status == STATUS_OK; i++)
        status = apply_setting(policy, &options->settings[i], options);
    if (status != STATUS_OK) return status;
    share_boundary(policy, options);
    return ex_policy_check(policy, &error) == EX_OK ? STATUS_OK : report(&error);
}

int policy_open(cli_policy *out, const cli_options *options) {
    const char *given = option_text(options, OPTION_POLICY);
    out->name = given ? given : ex_policy_preset_name(0);
    int status = policy_named(&out->values, out->name);
    return status == STATUS_OK ? apply_settings(&out->values, options) : status;
}

int policy_of_model(cli_policy *out, const cli_options *options, const ex_engine *engine) {
    ex_error error;
    bool found = false;
    if (option_text(options, OPTION_POLICY)) return STATUS_OK;
    if (ex_policy_stored(&out->values, ex_engine_file(engine), &found, &error) != EX_OK) {
        message("%s; --policy entropix, or any other, takes the place of the model's own", error.message);
        return STATUS_INPUT;
    }
    if (!found) return STATUS_OK;
    out->name = "of the model file";
    return apply_settings(&out->values, options);
}
