/* traces.h - the traces of the newest answers, and a copy of each in a folder where one is given. Names are the
 * server's own. A client sees its own traces only. Any thread may use it. */
#ifndef SERVER_TRACES_H
#define SERVER_TRACES_H

#include "entropix.h"

typedef struct trace_store trace_store;

enum { TRACE_ID_BYTES = 48 };

/* `folder` NULL: none. */
ex_code trace_store_open(trace_store **out, size_t n_kept, size_t bytes_kept, const char *folder, ex_error *error);
void trace_store_close(trace_store *store);
/* Takes over `text`, from malloc. A copy that cannot be written is an error; the trace is kept nevertheless. */
ex_code trace_store_add(trace_store *store, const char *id, size_t client, char *text, size_t length,
                        ex_error *error);
/* A copy in new memory with a zero byte after it, or NULL. */
char *trace_store_get(trace_store *store, const char *id, size_t client, size_t *length);

/* The tokens of an answer in a trace, with the prompt before it, up to `position`; NULL with a reason in `error`. */
int32_t *trace_tokens(const char *text, size_t length, size_t answer, size_t position, size_t *n_tokens,
                      size_t *n_prompt, ex_error *error);

#endif
