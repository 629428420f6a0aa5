/* tokenizing.c - text to tokens and back. */
#include <stdlib.h>
#include <string.h>

#include "request_fields.h"
#include "server_parts.h"
#include "text.h"

static json_t *read_body(const server_core *server, const http_request *request, request_problem *problem) {
    return request_json(request->body, request->body_length, &server->options.limits, problem);
}

static json_t *list_tokens(const ex_tokenizer *tokenizer, const int32_t *tokens, size_t count, bool with_pieces) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const ex_string text = ex_token_text(tokenizer, tokens[i], true);
        json_t *id = json_integer(tokens[i]);
        json_array_append_new(
            list, with_pieces ? json_pack("{s:o, s:o}", "id", id, "piece", json_of_bytes(text.data, text.length)) : id);
    }
    return list;
}

static json_t *tokenize(const ex_tokenizer *tokenizer, json_t *body, request_problem *problem) {
    const char *content = NULL;
    bool add_special = false, parse_special = false, with_pieces = false;
    const bool read = field_text(body, "content", &content, problem) &&
                      field_bool(body, "add_special", &add_special, problem) &&
                      field_bool(body, "parse_special", &parse_special, problem) &&
                      field_bool(body, "with_pieces", &with_pieces, problem);
    if (!read || (!content && !request_refuse(problem, 400, "content", "'content' must be a text"))) return NULL;
    const uint32_t flags = (add_special ? EX_TOKENIZE_ADD_BEGINNING : 0u) | (parse_special ? EX_TOKENIZE_SPECIAL : 0u);
    const size_t length = strlen(content);
    int32_t *tokens = calloc(length + 2, sizeof *tokens); /* a token has at least a byte, but for the first and last */
    size_t count = 0;
    ex_error error = {.message = "no memory for the tokens"};
    json_t *list = NULL;
    if (tokens && ex_tokenize(tokenizer, content, length, flags, tokens, length + 2, &count, &error) == EX_OK)
        list = list_tokens(tokenizer, tokens, count < length + 2 ? count : length + 2, with_pieces);
    else
        request_refuse(problem, tokens ? 400 : 503, "content", "%s", error.message);
    free(tokens);
    return list;
}

void handle_tokenize(void *context, const http_request *request, http_reply *reply) {
    server_core *server = context;
    request_problem problem;
    json_t *body = read_body(server, request, &problem);
    json_t *list = body ? tokenize(ex_engine_tokenizer(server->options.engine), body, &problem) : NULL;
    if (list)
        reply_json(reply, 200, json_pack("{s:o}", "tokens", list));
    else
        reply_problem(reply, &problem);
    json_decref(body);
}

static bool join_tokens(const ex_tokenizer *tokenizer, json_t *tokens, server_text *text, request_problem *problem) {
    size_t i;
    json_t *id;
    if (!json_is_array(tokens)) return request_refuse(problem, 400, "tokens", "'tokens' must be a list");
    json_array_foreach(tokens, i, id) {
        const json_int_t token = json_integer_value(id);
        if (!json_is_integer(id) || token < 0 || token >= ex_tokenizer_size(tokenizer))
            return request_refuse(problem, 400, "tokens", "tokens must be whole numbers from 0 to %d",
                                  ex_tokenizer_size(tokenizer) - 1);
        const ex_string piece = ex_token_text(tokenizer, (int32_t)token, true);
        text_add(text, piece.data, piece.length);
    }
    return true;
}

void handle_detokenize(void *context, const http_request *request, http_reply *reply) {
    server_core *server = context;
    request_problem problem;
    server_text text = {0};
    json_t *body = read_body(server, request, &problem);
    if (body &&
        join_tokens(ex_engine_tokenizer(server->options.engine), json_object_get(body, "tokens"), &text, &problem))
        reply_json(reply, 200, json_pack("{s:o}", "content", json_of_bytes(text.bytes, text.length)));
    else
        reply_problem(reply, &problem);
    text_free(&text);
    json_decref(body);
}
