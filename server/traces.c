/* traces.c - a ring of traces. What is in the folder is never read again: it is for people and for entropix replay. */
#include "traces.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "failure.h"

typedef struct kept_trace {
    char id[TRACE_ID_BYTES];
    size_t client, length;
    char *text; /* NULL: the place is free */
} kept_trace;

struct trace_store {
    kept_trace *traces; /* [n_kept], `next` is the oldest */
    size_t n_kept, next, bytes, bytes_kept;
    int folder; /* -1: none */
    char *path;
    pthread_mutex_t lock;
};

ex_code trace_store_open(trace_store **out, size_t n_kept, size_t bytes_kept, const char *folder, ex_error *error) {
    *out = NULL;
    trace_store *store = calloc(1, sizeof *store);
    if (!store) return server_fail_memory(error, "traces");
    pthread_mutex_init(&store->lock, NULL);
    store->folder = -1;
    store->n_kept = n_kept;
    store->bytes_kept = bytes_kept;
    store->traces = calloc(n_kept, sizeof *store->traces);
    if (folder) {
        store->path = strdup(folder);
        store->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    ex_code code = EX_OK;
    if (!store->traces || (folder && !store->path))
        code = server_fail_memory(error, "traces");
    else if (folder && store->folder < 0)
        code = server_fail_system(error, folder, "open the folder for traces");
    if (code != EX_OK) {
        trace_store_close(store);
        return code;
    }
    *out = store;
    return EX_OK;
}

void trace_store_close(trace_store *store) {
    if (!store) return;
    for (size_t i = 0; store->traces && i < store->n_kept; i++) free(store->traces[i].text);
    if (store->folder >= 0) close(store->folder);
    pthread_mutex_destroy(&store->lock);
    free(store->traces);
    free(store->path);
    free(store);
}

static ex_code write_copy(const trace_store *store, const char *id, const char *text, size_t length, ex_error *error) {
    char name[TRACE_ID_BYTES + 8];
    snprintf(name, sizeof name, "%s.jsonl", id);
    const int file = openat(store->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) return server_fail_system(error, store->path, "write a trace into it");
    ex_code code = EX_OK;
    for (size_t at = 0; at < length && code == EX_OK;) {
        const ssize_t n = write(file, text + at, length - at);
        if (n >= 0)
            at += (size_t)n;
        else if (errno != EINTR)
            code = server_fail_system(error, store->path, "write a trace into it");
    }
    if (close(file) != 0 && code == EX_OK) code = server_fail_system(error, store->path, "write a trace into it");
    if (code != EX_OK) unlinkat(store->folder, name, 0);
    return code;
}

static void forget(trace_store *store, kept_trace *trace) {
    if (!trace->text) return;
    store->bytes -= trace->length;
    free(trace->text);
    *trace = (kept_trace){0};
}

ex_code trace_store_add(trace_store *store, const char *id, size_t client, char *text, size_t length, ex_error *error) {
    ex_code code = store->folder >= 0 ? write_copy(store, id, text, length, error) : EX_OK;
    pthread_mutex_lock(&store->lock);
    kept_trace *trace = &store->traces[store->next];
    store->next = (store->next + 1) % store->n_kept;
    forget(store, trace);
    for (size_t i = 0; i < store->n_kept && store->bytes + length > store->bytes_kept; i++)
        forget(store, &store->traces[(store->next + i) % store->n_kept]);
    if (store->bytes + length <= store->bytes_kept) {
        snprintf(trace->id, sizeof trace->id, "%s", id);
        trace->client = client;
        trace->text = text;
        trace->length = length;
        store->bytes += length;
        text = NULL;
    }
    pthread_mutex_unlock(&store->lock);
    free(text);
    return code;
}

char *trace_store_get(trace_store *store, const char *id, size_t client, size_t *length) {
    char *copy = NULL;
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < store->n_kept && !copy; i++) {
        const kept_trace *trace = &store->traces[i];
        if (!trace->text || trace->client != client || strcmp(trace->id, id) != 0) continue;
        copy = malloc(trace->length + 1);
        if (!copy) break;
        memcpy(copy, trace->text, trace->length);
        copy[trace->length] = 0;
        *length = trace->length;
    }
    pthread_mutex_unlock(&store->lock);
    return copy;
}
