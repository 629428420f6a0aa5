/* completion.h - one request for answers, from its tokens to its last byte. The scheduler's thread fills it. */
#ifndef SERVER_COMPLETION_H
#define SERVER_COMPLETION_H

#include "server_parts.h"
#include "text.h"

enum { STRATEGIES_MAX = EX_RULES_COUNT_MAX + 1 };

typedef struct completion_choice { /* one answer */
    server_text text;     /* of an answer that is not streamed */
    json_t *logprobs;     /* entries so far, or since the last event of a stream */
    server_text lines;    /* of the trace since the last event: JSON objects with commas between them */
    bool has_role;        /* it has begun: a stream's first event was sent */
    size_t n_tokens, n_measured, text_length;
    ex_end end;
    double sum_entropy, sum_varentropy, sum_attn_entropy;
    struct {
        const char *name; /* of the rules: lives as long as the generator; copied at the end */
        size_t count;
    } strategies[STRATEGIES_MAX];
    json_t *summary;      /* once ended */
} completion_choice;

typedef struct server_completion {
    server_core *server;
    http_reply *reply;
    completion_request request;
    scheduler_job *job;
    char id[TRACE_ID_BYTES];
    int64_t created;
    size_t client;
    bool has_begun;           /* the stream */
    bool is_gone;             /* nobody reads any more */
    bool is_untraced;         /* the trace became too long */
    char *kept_text;          /* of the tokens that a fork keeps; begins every answer */
    size_t kept_length;
    server_text trace;        /* all lines, as they are kept */
    completion_choice *choices; /* [n_answers] */
} server_completion;

/* ---- completion_format.c: the shapes of the API ------------------------------------------------------------------ */
/* An entry of `logprobs` for a token; `choice` may be NULL. */
json_t *format_logprob(const server_completion *completion, const ex_event *event);
/* Events of a stream, with "data: " before and an empty line after them. */
void format_delta(server_text *out, server_completion *completion, size_t index, const char *text, size_t length);
void format_finish(server_text *out, server_completion *completion, size_t index);
void format_last(server_text *out, server_completion *completion);
void format_stream_error(server_text *out, unsigned status, const char *message);
/* The whole answer. */
void format_answer(server_text *out, server_completion *completion);
json_t *format_summary(const completion_choice *choice, size_t index, const ex_generator *generator);

#endif
