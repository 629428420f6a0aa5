/* conversation.c - a growing array of messages and a fixed one of tokens. */
#include "conversation.h"

#include <stdlib.h>
#include <string.h>

#include "terminal.h"

static bool has_role(const cli_conversation *conversation, size_t index, const char *role) {
    return index < conversation->count && strcmp(conversation->messages[index].role, role) == 0;
}

bool conversation_add(cli_conversation *conversation, const char *role, const char *content) {
    if (conversation->count == conversation->capacity) {
        size_t capacity = conversation->capacity ? 2 * conversation->capacity : 16;
        ex_message *larger = realloc(conversation->messages, capacity * sizeof *larger);
        if (!larger) return false;
        conversation->messages = larger;
        conversation->capacity = capacity;
    }
    char *copy = strdup(content);
    if (!copy) return false;
    conversation->messages[conversation->count++] = (ex_message){role, copy};
    return true;
}

static void drop(cli_conversation *conversation, size_t index) {
    ex_message *at = &conversation->messages[index];
    free((char *)(uintptr_t)at->content);
    memmove(at, at + 1, (--conversation->count - index) * sizeof *at);
}

void conversation_clear(cli_conversation *conversation) {
    while (conversation->count > 0) drop(conversation, conversation->count - 1);
}

bool conversation_drop_oldest(cli_conversation *conversation) {
    size_t first = has_role(conversation, 0, "system");
    if (first + 1 >= conversation->count) return false;
    drop(conversation, first);
    while (has_role(conversation, first, "assistant")) drop(conversation, first);
    return true;
}

static bool drop_last(cli_conversation *conversation, const char *role) {
    bool is_last = conversation->count > 0 && has_role(conversation, conversation->count - 1, role);
    if (is_last) drop(conversation, conversation->count - 1);
    return is_last;
}

bool conversation_drop_answer(cli_conversation *conversation) { return drop_last(conversation, "assistant"); }

bool conversation_drop_question(cli_conversation *conversation) { return drop_last(conversation, "user"); }

int32_t *conversation_tokens(const cli_conversation *conversation, const ex_tokenizer *tokenizer, const char *template,
                             size_t *count) {
    ex_error error;
    for (size_t capacity = 1024;; capacity = *count) {
        int32_t *tokens = malloc(capacity * sizeof *tokens);
        if (!tokens) {
            report_memory();
            return NULL;
        }
        ex_code code = ex_chat_tokenize(tokenizer, template, conversation->messages, conversation->count, true, tokens,
                                        capacity, count, &error);
        if (code == EX_OK && *count <= capacity) return tokens;
        free(tokens);
        if (code == EX_OK) continue;
        report(&error);
        return NULL;
    }
}

bool held_open(held_tokens *held, size_t capacity) {
    *held = (held_tokens){.tokens = malloc(capacity * sizeof *held->tokens), .capacity = capacity};
    return held->tokens != NULL;
}

void held_add(held_tokens *held, int32_t token) {
    if (held->count < held->capacity) held->tokens[held->count++] = token;
}

void held_set(held_tokens *held, const int32_t *tokens, size_t count) {
    held->count = count < held->capacity ? count : held->capacity;
    memcpy(held->tokens, tokens, held->count * sizeof *tokens);
}

void held_free(held_tokens *held) { free(held->tokens); }

size_t held_common(const held_tokens *held, size_t n_evaluated, const int32_t *tokens, size_t count) {
    size_t limit = held->count < n_evaluated ? held->count : n_evaluated;
    if (limit + 1 > count) limit = count - 1;
    size_t common = 0;
    while (common < limit && held->tokens[common] == tokens[common]) common++;
    return common;
}
