/* chat.c - a conversation to tokens: the template is rendered with the origin of every byte kept, so that special
 * tokens come from the template alone. */
#include "text/tokenizer.h"

#include "base/error.h"
#include "base/utf8.h"

#include <string.h>
#include <time.h>

/* Templates make special tokens of role names ('<|' + role + '|>'), so names that cannot be anything but a role are as
 * trusted as the template. Any other role is text from outside. */
static bool is_known_role(const char *role) {
    static const char *const known[] = {"system", "user", "assistant", "developer", "tool", "function", "ipython"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(role, known[i]) == 0) return true;
    return false;
}

static ex_code check_text(const char *text, const char *what, size_t message, ex_error *error) {
    if (!text) return ex_fail(error, EX_ERROR_ARGUMENT, message, "message %zu has no %s", message + 1, what);
    size_t length = strlen(text), valid = ex_utf8_valid_prefix(text, length);
    if (valid == length) return EX_OK;
    return ex_fail(error, EX_ERROR_FORMAT, valid, "the %s of message %zu is not valid UTF-8 at byte %zu (0x%02X)", what,
                   message + 1, valid, (unsigned char)text[valid]);
}

static ex_code check_messages(const ex_message *messages, size_t n_messages, ex_error *error) {
    ex_code code = EX_OK;
    for (size_t i = 0; code == EX_OK && i < n_messages; i++) {
        code = check_text(messages[i].role, "role", i, error);
        if (code == EX_OK) code = check_text(messages[i].content, "content", i, error);
    }
    return code;
}

static bool set(ex_value *map, const char *key, ex_value *value) { return ex_value_set(map, key, strlen(key), value); }

static ex_value *text_value(ex_values *values, const char *text, bool trusted) {
    return ex_value_text(values, text, strlen(text), trusted);
}

static ex_value *message_value(ex_values *values, const ex_message *message) {
    ex_value *map = ex_value_map(values);
    bool all = set(map, "role", text_value(values, message->role, is_known_role(message->role))) &&
               set(map, "content", text_value(values, message->content, false));
    return all ? map : NULL;
}

static ex_value *token_value(ex_values *values, const ex_tokenizer *tokenizer, int32_t token) {
    ex_string text = ex_token_text(tokenizer, token, true);
    return ex_value_text(values, text.data, text.length, true);
}

/* NULL when memory is out. */
static ex_value *chat_variables(ex_values *values, const ex_tokenizer *tokenizer, const ex_message *messages,
                                size_t n_messages, bool add_generation_prompt) {
    ex_value *variables = ex_value_map(values), *list = ex_value_list(values);
    for (size_t i = 0; i < n_messages; i++)
        if (!ex_value_append(list, message_value(values, &messages[i]))) return NULL;
    bool all = set(variables, "messages", list) &&
               set(variables, "add_generation_prompt", ex_value_boolean(values, add_generation_prompt)) &&
               set(variables, "bos_token", token_value(values, tokenizer, tokenizer->vocabulary.beginning)) &&
               set(variables, "eos_token", token_value(values, tokenizer, tokenizer->vocabulary.end));
    return all ? variables : NULL;
}

static ex_code parse_template(const ex_tokenizer *tokenizer, const char *override, ex_template **out, ex_error *error) {
    if (override) return ex_template_open(out, override, strlen(override), "chat template", error);
    ex_string source = ex_tokenizer_chat_template(tokenizer);
    if (source.length == 0)
        return ex_fail(error, EX_ERROR_UNSUPPORTED, 0,
                       "the model has no chat template: give one with --chat-template FILE, or use a plain prompt");
    return ex_template_open(out, source.data, source.length, "tokenizer.chat_template", error);
}

/* Templates tell the model the date, as the clock on the user's wall has it. */
static int64_t local_time(void) {
    time_t now = time(NULL);
    struct tm local;
    return (int64_t)now + (localtime_r(&now, &local) ? local.tm_gmtoff : 0);
}

ex_code ex_chat_tokenize(const ex_tokenizer *tokenizer, const char *override, const ex_message *messages,
                         size_t n_messages, bool add_generation_prompt, int32_t *tokens, size_t capacity, size_t *count,
                         ex_error *error) {
    *count = 0;
    ex_template *template = NULL;
    ex_values *values = NULL;
    ex_rendering rendering = {0};
    ex_code code = check_messages(messages, n_messages, error);
    if (code == EX_OK) code = parse_template(tokenizer, override, &template, error);
    if (code == EX_OK) code = ex_values_open(&values, error);
    if (code == EX_OK) {
        const ex_value *variables = chat_variables(values, tokenizer, messages, n_messages, add_generation_prompt);
        code = variables ? ex_template_render_values(template, variables, local_time(), &rendering, error)
                         : ex_fail_memory(error, "the conversation");
    }
    ex_token_list out = {tokens, tokens ? capacity : 0, 0};
    if (code == EX_OK) {
        code = ex_tokenize_spans(tokenizer, rendering.text, rendering.length, rendering.spans, rendering.n_spans, true,
                                 &out, error);
        ex_rendering_free(&rendering);
    }
    if (code == EX_OK) *count = out.count;
    ex_values_close(values);
    ex_template_close(template);
    return code;
}
