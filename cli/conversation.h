/* conversation.h - the messages so far, and the tokens that the session holds of them. */
#ifndef CLI_CONVERSATION_H
#define CLI_CONVERSATION_H

#include "entropix.h"

typedef struct cli_conversation {
    ex_message *messages; /* the contents are owned */
    size_t count, capacity;
} cli_conversation;

/* `role` is a literal. False when memory is out. */
bool conversation_add(cli_conversation *conversation, const char *role, const char *content);
void conversation_clear(cli_conversation *conversation);
/* The first message after the system's with its answer; false when only the question at hand is left. */
bool conversation_drop_oldest(cli_conversation *conversation);
bool conversation_drop_answer(cli_conversation *conversation);   /* the last message, if it is an answer */
bool conversation_drop_question(cli_conversation *conversation); /* the last message, if it is the user's */
/* The tokens of all, ready for an answer; NULL after a message. Free them. */
int32_t *conversation_tokens(const cli_conversation *conversation, const ex_tokenizer *tokenizer, const char *template,
                             size_t *count);

typedef struct held_tokens {
    int32_t *tokens;
    size_t count, capacity;
} held_tokens;

bool held_open(held_tokens *held, size_t capacity); /* the session's context */
void held_add(held_tokens *held, int32_t token);
void held_set(held_tokens *held, const int32_t *tokens, size_t count);
void held_free(held_tokens *held);
/* How many of `tokens` the session has evaluated already; at least one is left to evaluate. */
size_t held_common(const held_tokens *held, size_t n_evaluated, const int32_t *tokens, size_t count);

#endif
