/* introduction.c - GET /v1/entropix: what a page needs to know before it asks anything. */
#include <stdlib.h>
#include <string.h>

#include "server_parts.h"
#include "text.h"

static json_t *policy_text(const ex_policy *policy) {
    size_t length;
    ex_policy_format(policy, NULL, 0, &length);
    char *text = malloc(length + 1);
    if (!text) return NULL;
    ex_policy_format(policy, text, length + 1, &length);
    json_t *value = json_stringn(text, length);
    free(text);
    return value;
}

static json_t *list_presets(json_t *texts) {
    json_t *names = json_array();
    const char *name;
    for (size_t i = 0; (name = ex_policy_preset_name(i)); i++) {
        ex_policy policy;
        json_array_append_new(names, json_string(name));
        if (ex_policy_preset(&policy, name, NULL) == EX_OK) json_object_set_new(texts, name, policy_text(&policy));
    }
    return names;
}

static json_t *list_keys(const ex_policy *policy) {
    json_t *keys = json_array();
    const char *key;
    for (size_t i = 0; (key = ex_policy_key(i)); i++) {
        char value[EX_RULES_MAX];
        if (strcmp(key, "rules") == 0 || ex_policy_get(policy, key, value, sizeof value, NULL) != EX_OK) continue;
        json_array_append_new(keys, json_pack("{s:s, s:s}", "key", key, "value", value));
    }
    return keys;
}

static json_t *list_metrics(void) {
    json_t *names = json_array();
    const char *name;
    for (size_t i = 0; (name = ex_metric_name(i)); i++) json_array_append_new(names, json_string(name));
    return names;
}

static json_t *list_strategies(const ex_policy *policy) {
    json_t *list = json_array();
    ex_rules *rules;
    if (ex_rules_open(&rules, policy, NULL) != EX_OK) return list;
    for (size_t i = 0; i <= ex_rules_count(rules); i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", ex_rules_name(rules, i), "action",
                                              ex_action_name(ex_rules_action(rules, i)), "condition",
                                              ex_rules_condition(rules, i)));
    ex_rules_close(rules);
    return list;
}

void handle_entropix(void *context, const http_request *request, http_reply *reply) {
    (void)request;
    server_core *server = context;
    const ex_engine_info info = ex_engine_get_info(server->options.engine);
    json_t *texts = json_object(), *presets = list_presets(texts);
    json_t *model =
        json_pack("{s:s, s:i, s:i, s:i, s:I, s:I, s:b}", "name", server->model_name, "n_layer", (int)info.n_layer,
                  "n_head", (int)info.n_head, "n_vocab", (int)info.n_vocab, "n_context",
                  (json_int_t)scheduler_context(server->scheduler), "parameters", (json_int_t)info.n_parameters,
                  "is_chat", ex_tokenizer_chat_template(ex_engine_tokenizer(server->options.engine)).length > 0);
    reply_json(reply, 200,
               json_pack("{s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "version", EX_VERSION, "model", model,
                         "presets", presets, "policies", texts, "default_policy_name", server->policy_name,
                         "default_policy", policy_text(&server->policy), "policy_keys", list_keys(&server->policy),
                         "metrics", list_metrics(), "strategies", list_strategies(&server->policy)));
}
