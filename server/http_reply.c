/* http_reply.c - what handlers and other threads do to a reply, and the mailbox by which the connection thread hears of
 * it. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http_internal.h"

enum { PART_BYTES = 4096 };

/* ---- the mailbox ---- */

http_mailbox *http_mailbox_open(int bell) {
    http_mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox) return NULL;
    pthread_mutex_init(&mailbox->lock, NULL);
    mailbox->bell = bell;
    atomic_init(&mailbox->holds, 1);
    return mailbox;
}

void http_mailbox_release(http_mailbox *mailbox) {
    if (!mailbox || atomic_fetch_sub(&mailbox->holds, 1) > 1) return;
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

/* Under the lock of the reply. */
static void post(http_reply *reply) {
    http_mailbox *mailbox = reply->mailbox;
    if (reply->is_posted) return;
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->bell >= 0) {
        atomic_fetch_add(&reply->holds, 1);
        reply->is_posted = true;
        reply->next_posted = mailbox->first;
        mailbox->first = reply;
        if (!reply->next_posted) eventfd_write(mailbox->bell, 1);
    }
    pthread_mutex_unlock(&mailbox->lock);
}

http_reply *http_mailbox_take(http_mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->lock);
    http_reply *reply = mailbox->first;
    if (reply) mailbox->first = reply->next_posted;
    pthread_mutex_unlock(&mailbox->lock);
    if (!reply) return NULL;
    pthread_mutex_lock(&reply->lock);
    reply->is_posted = false;
    pthread_mutex_unlock(&reply->lock);
    return reply;
}

void http_mailbox_close(http_mailbox *mailbox) {
    pthread_mutex_lock(&mailbox->lock);
    mailbox->bell = -1;
    pthread_mutex_unlock(&mailbox->lock);
    for (http_reply *reply; (reply = http_mailbox_take(mailbox));) http_reply_release(reply);
}

/* ---- replies ---- */

http_reply *http_reply_open(http_connection *connection) {
    http_reply *reply = calloc(1, sizeof *reply);
    if (!reply) return NULL;
    atomic_init(&reply->holds, 2);
    pthread_mutex_init(&reply->lock, NULL);
    reply->mailbox = connection->server->mailbox;
    atomic_fetch_add(&reply->mailbox->holds, 1);
    reply->unsent_limit = connection->server->limits.unsent_bytes;
    reply->connection = connection;
    return reply;
}

void http_reply_release(http_reply *reply) {
    if (!reply || atomic_fetch_sub(&reply->holds, 1) > 1) return;
    for (http_header *header = reply->headers, *next; header; header = next) {
        next = header->next;
        free(header->name);
        free(header->value);
        free(header);
    }
    http_mailbox_release(reply->mailbox);
    pthread_mutex_destroy(&reply->lock);
    free(reply->type);
    free(reply->bytes);
    free(reply);
}

/* Room for `length` more bytes. Under the lock. */
static bool reserve(http_reply *reply, size_t length) {
    if (reply->start > 0 && (reply->start == reply->end || reply->capacity - reply->end < length)) {
        memmove(reply->bytes, reply->bytes + reply->start, reply->end - reply->start);
        reply->end -= reply->start;
        reply->start = 0;
    }
    if (reply->capacity - reply->end >= length) return true;
    if (length > SIZE_MAX / 4 || reply->end > SIZE_MAX / 4) return false;
    size_t capacity = 2 * (reply->end + length);
    if (capacity < PART_BYTES) capacity = PART_BYTES;
    char *bytes = realloc(reply->bytes, capacity);
    if (!bytes) return false;
    reply->bytes = bytes;
    reply->capacity = capacity;
    return true;
}

/* Who sleeps is told; after a cut, also who does not. Under the lock. */
static void wake(http_reply *reply) {
    if (reply->is_suspended || reply->is_cut) post(reply);
}

static void give_up(http_reply *reply) {
    reply->is_gone = reply->is_cut = true;
    reply->start = reply->end = 0;
}

void http_reply_header(http_reply *reply, const char *name, const char *value) {
    http_header *header = calloc(1, sizeof *header);
    if (!header) return;
    header->name = strdup(name);
    header->value = strdup(value);
    pthread_mutex_lock(&reply->lock);
    header->next = reply->headers;
    reply->headers = header;
    pthread_mutex_unlock(&reply->lock);
}

static void start(http_reply *reply, http_phase phase, unsigned status, const char *type) {
    reply->phase = phase;
    reply->status = status;
    reply->type = type ? strdup(type) : NULL;
}

void http_reply_send(http_reply *reply, unsigned status, const char *type, const void *bytes, size_t length) {
    pthread_mutex_lock(&reply->lock);
    start(reply, REPLY_WHOLE, status, type);
    if ((reply->bytes = malloc(length + 1))) {
        if (length > 0) memcpy(reply->bytes, bytes, length);
        reply->end = length;
    } else give_up(reply);
    reply->is_ended = true;
    wake(reply);
    pthread_mutex_unlock(&reply->lock);
    http_reply_release(reply);
}

void http_reply_send_static(http_reply *reply, unsigned status, const char *type, const void *bytes, size_t length) {
    pthread_mutex_lock(&reply->lock);
    start(reply, REPLY_WHOLE, status, type);
    reply->lasting = bytes;
    reply->end = length;
    reply->is_ended = true;
    wake(reply);
    pthread_mutex_unlock(&reply->lock);
    http_reply_release(reply);
}

void http_reply_begin(http_reply *reply, unsigned status, const char *type) {
    pthread_mutex_lock(&reply->lock);
    start(reply, REPLY_STREAM, status, type);
    wake(reply);
    pthread_mutex_unlock(&reply->lock);
}

bool http_reply_write(http_reply *reply, const void *bytes, size_t length) {
    pthread_mutex_lock(&reply->lock);
    if (!reply->is_gone && length > 0) {
        size_t unsent = reply->end - reply->start;
        if (unsent + length < unsent || unsent + length > reply->unsent_limit || !reserve(reply, length)) {
            give_up(reply);
        } else {
            memcpy(reply->bytes + reply->end, bytes, length);
            reply->end += length;
        }
        wake(reply);
    }
    bool is_there = !reply->is_gone;
    pthread_mutex_unlock(&reply->lock);
    return is_there;
}

void http_reply_end(http_reply *reply) {
    pthread_mutex_lock(&reply->lock);
    if (reply->phase == REPLY_OPEN) give_up(reply);
    reply->is_ended = true;
    wake(reply);
    pthread_mutex_unlock(&reply->lock);
    http_reply_release(reply);
}

bool http_reply_is_gone(http_reply *reply) {
    pthread_mutex_lock(&reply->lock);
    bool is_gone = reply->is_gone;
    pthread_mutex_unlock(&reply->lock);
    return is_gone;
}
