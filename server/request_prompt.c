/* request_prompt.c - messages and prompts. Text from clients never counts as control tokens; only what the template
 * puts there does. */
#include "request_prompt.h"

#include <stdlib.h>
#include <string.h>

#include "request_fields.h"

/* ---- messages ---------------------------------------------------------------------------------------------------- */

typedef struct message_list {
    ex_message *messages;
    char **joined; /* [count] contents that were given in parts, or NULL */
    size_t count;
} message_list;

static void free_list(message_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->joined[i]);
    free(list->joined);
    free(list->messages);
}

static const char *text_of_part(json_t *part) {
    const char *type = json_string_value(json_object_get(part, "type"));
    return type && strcmp(type, "text") == 0 ? json_string_value(json_object_get(part, "text")) : NULL;
}

static bool join_parts(json_t *parts, char **out, request_problem *problem) {
    size_t i, length = 1;
    json_t *part;
    json_array_foreach(parts, i, part) {
        const char *text = text_of_part(part);
        if (!text) return request_refuse(problem, 400, "messages", "contents may have parts of the type text only");
        length += strlen(text);
    }
    char *joined = calloc(1, length);
    if (!joined) return request_refuse(problem, 503, NULL, "no memory for the messages");
    char *end = joined;
    json_array_foreach(parts, i, part) end = stpcpy(end, text_of_part(part));
    *out = joined;
    return true;
}

static bool read_content(json_t *message, const char **content, char **joined, request_problem *problem) {
    json_t *value = json_object_get(message, "content");
    *content = "";
    if (!value || json_is_null(value)) return true; /* some clients send assistants' messages without one */
    if (json_is_array(value)) {
        if (!join_parts(value, joined, problem)) return false;
        *content = *joined;
        return true;
    }
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return request_refuse(problem, 400, "messages", "a message's content must be a text without zero bytes");
    *content = json_string_value(value);
    return true;
}

static const char *const roles[][2] = {
    /* as clients say it, as templates know it */
    {"system", "system"}, {"developer", "system"}, {"user", "user"}, {"assistant", "assistant"}, {"tool", "tool"},
};

static bool read_role(json_t *message, const char **role, request_problem *problem) {
    const char *name = json_string_value(json_object_get(message, "role"));
    for (size_t i = 0; name && i < sizeof roles / sizeof *roles; i++)
        if (strcmp(name, roles[i][0]) == 0) {
            *role = roles[i][1];
            return true;
        }
    return request_refuse(problem, 400, "messages", "a message's role must be system, user, assistant or tool");
}

static bool read_messages(message_list *list, json_t *messages, const request_limits *limits,
                          request_problem *problem) {
    const size_t count = json_array_size(messages);
    if (count == 0) return request_refuse(problem, 400, "messages", "'messages' must be a list with at least one");
    if (count > limits->n_messages)
        return request_refuse(problem, 400, "messages", "there may be %zu messages at most", limits->n_messages);
    list->messages = calloc(count, sizeof *list->messages);
    list->joined = calloc(count, sizeof *list->joined);
    if (!list->messages || !list->joined) return request_refuse(problem, 503, NULL, "no memory for the messages");
    for (; list->count < count; list->count++) {
        json_t *message = json_array_get(messages, list->count);
        ex_message *out = &list->messages[list->count];
        if (!json_is_object(message)) return request_refuse(problem, 400, "messages", "a message must be an object");
        if (!read_role(message, &out->role, problem)) return false;
        if (!read_content(message, &out->content, &list->joined[list->count], problem)) return false;
    }
    return true;
}

static bool report(const ex_error *error, const char *parameter, request_problem *problem) {
    const unsigned status = error->code == EX_ERROR_MEMORY ? 503 : 400;
    return request_refuse(problem, status, parameter, "%s", error->message);
}

static bool tokenize_chat(completion_request *request, const message_list *list, request_problem *problem) {
    const ex_tokenizer *tokenizer = ex_engine_tokenizer(request->engine);
    ex_error error;
    size_t count = 0;
    for (;;) {
        const size_t capacity = count;
        ex_code code = ex_chat_tokenize(tokenizer, NULL, list->messages, list->count, true, request->tokens, capacity,
                                        &count, &error);
        if (code != EX_OK) return report(&error, "messages", problem);
        request->n_tokens = count;
        if (count <= capacity) return true;
        request->tokens = calloc(count, sizeof *request->tokens);
        if (!request->tokens) return request_refuse(problem, 503, NULL, "no memory for the prompt");
    }
}

static bool chat_prompt(completion_request *request, const request_limits *limits, request_problem *problem) {
    message_list list = {0};
    const bool done = read_messages(&list, json_object_get(request->body, "messages"), limits, problem) &&
                      tokenize_chat(request, &list, problem);
    free_list(&list);
    return done;
}

/* ---- prompts ----------------------------------------------------------------------------------------------------- */

static bool tokenize_text(completion_request *request, json_t *text, request_problem *problem) {
    const ex_tokenizer *tokenizer = ex_engine_tokenizer(request->engine);
    const char *bytes = json_string_value(text);
    const size_t length = json_string_length(text);
    ex_error error;
    size_t count;
    if (ex_tokenize(tokenizer, bytes, length, EX_TOKENIZE_ADD_BEGINNING, NULL, 0, &count, &error) != EX_OK)
        return report(&error, "prompt", problem);
    if (count == 0) return request_refuse(problem, 400, "prompt", "the prompt is empty");
    request->tokens = calloc(count, sizeof *request->tokens);
    if (!request->tokens) return request_refuse(problem, 503, NULL, "no memory for the prompt");
    request->n_tokens = count;
    ex_code code =
        ex_tokenize(tokenizer, bytes, length, EX_TOKENIZE_ADD_BEGINNING, request->tokens, count, &count, &error);
    return code == EX_OK || report(&error, "prompt", problem);
}

static bool take_tokens(completion_request *request, json_t *ids, request_problem *problem) {
    const int32_t n_vocab = ex_tokenizer_size(ex_engine_tokenizer(request->engine));
    request->n_tokens = json_array_size(ids);
    request->tokens = calloc(request->n_tokens, sizeof *request->tokens);
    if (!request->tokens) return request_refuse(problem, 503, NULL, "no memory for the prompt");
    for (size_t i = 0; i < request->n_tokens; i++) {
        json_t *id = json_array_get(ids, i);
        const json_int_t token = json_integer_value(id);
        if (!json_is_integer(id) || token < 0 || token >= n_vocab)
            return request_refuse(problem, 400, "prompt", "tokens of the prompt must be from 0 to %d", n_vocab - 1);
        request->tokens[i] = (int32_t)token;
    }
    return true;
}

static bool text_prompt(completion_request *request, request_problem *problem) {
    json_t *prompt = json_object_get(request->body, "prompt");
    if (json_is_array(prompt) && json_array_size(prompt) == 1 && !json_is_integer(json_array_get(prompt, 0)))
        prompt = json_array_get(prompt, 0);
    if (json_is_string(prompt)) return tokenize_text(request, prompt, problem);
    if (json_array_size(prompt) > 0 && json_is_integer(json_array_get(prompt, 0)))
        return take_tokens(request, prompt, problem);
    return request_refuse(problem, 400, "prompt", "'prompt' must be one text, or one list of tokens");
}

bool request_prompt(completion_request *request, const request_limits *limits, request_problem *problem) {
    const char *key = request->is_chat ? "messages" : "prompt";
    if (request->has_fork && !json_object_get(request->body, key)) return true;
    return request->is_chat ? chat_prompt(request, limits, problem) : text_prompt(request, problem);
}
