/* token_output.h - one token with all that led to it: as a line or block for people, or as a JSON object. */
#ifndef CLI_TOKEN_OUTPUT_H
#define CLI_TOKEN_OUTPUT_H

#include "json_output.h"
#include "terminal.h"

typedef struct token_view {
    const ex_tokenizer *tokenizer;
    const ex_policy *policy;
    const ex_rules *rules;
    cli_painter *painter;
    bool as_block; /* several indented lines instead of one */
} token_view;

void explain_event(const token_view *view, const ex_event *event);
void write_json_event(const token_view *view, const ex_event *event);

#endif
