/* http_client.c - a client of raw sockets for tests of the server. */
#include "http_client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

bool client_open(http_client *client, uint16_t port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {10, 0};
    int on = 1;
    *client = (http_client){.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (client->socket < 0) return false;
    setsockopt(client->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(client->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(client->socket, (struct sockaddr *)&at, sizeof at) == 0) return true;
    client_close(client);
    return false;
}

void client_close(http_client *client) {
    if (client->socket >= 0) close(client->socket);
    free(client->bytes);
    *client = (http_client){.socket = -1};
}

bool client_send_bytes(http_client *client, const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = send(client->socket, at, length, MSG_NOSIGNAL);
        if (n <= 0) return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

bool client_send(http_client *client, const char *text) { return client_send_bytes(client, text, strlen(text)); }

bool client_ask(http_client *client, const char *method, const char *path, const char *headers, const char *body) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out) return false;
    if (!headers) headers = "";
    fprintf(out, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers);
    if (body) fprintf(out, "Content-Length: %zu\r\n", strlen(body));
    if (body && !strcasestr(headers, "content-type:")) fprintf(out, "Content-Type: application/json\r\n");
    fprintf(out, "\r\n%s", body ? body : "");
    fclose(out);
    bool is_sent = client_send_bytes(client, text, length);
    free(text);
    return is_sent;
}

/* Waits for more bytes. */
static bool fill(http_client *client) {
    if (client->is_over) return false;
    if (client->start > 0) {
        memmove(client->bytes, client->bytes + client->start, client->end - client->start);
        client->end -= client->start;
        client->start = 0;
    }
    if (client->capacity - client->end < 4096) {
        size_t capacity = 2 * client->capacity + 8192;
        char *bytes = realloc(client->bytes, capacity);
        if (!bytes) return false;
        client->bytes = bytes;
        client->capacity = capacity;
    }
    ssize_t n = recv(client->socket, client->bytes + client->end, client->capacity - client->end, 0);
    if (n <= 0) {
        client->is_over = true;
        return false;
    }
    client->end += (size_t)n;
    return true;
}

static char *find(http_client *client, const char *text) {
    for (;;) {
        char *at = client->end > client->start
                       ? memmem(client->bytes + client->start, client->end - client->start, text, strlen(text))
                       : NULL;
        if (at || !fill(client)) return at;
    }
}

static void begin_body(http_client *client, const http_answer_read *answer) {
    const char *length = answer_header(answer, "Content-Length");
    client->left = length ? strtoull(length, NULL, 10) : 0;
    const char *coding = answer_header(answer, "Transfer-Encoding");
    client->is_chunked = coding && strcasecmp(coding, "chunked") == 0;
    bool has_none = answer->status == 204 || answer->status == 304 || answer->status < 200;
    client->is_headless = !client->is_chunked && !answer_header(answer, "Content-Length") && !has_none;
    client->is_done = !client->is_chunked && !client->is_headless && client->left == 0;
}

int client_read_head(http_client *client, http_answer_read *answer) {
    *answer = (http_answer_read){0};
    char *end = find(client, "\r\n\r\n");
    if (!end) return 0;
    const char *start = client->bytes + client->start;
    size_t length = (size_t)(end - start) + 4;
    answer->head = strndup(start, length);
    client->start += length;
    if (strncmp(answer->head, "HTTP/1.", 7) == 0) answer->status = (int)strtol(answer->head + 9, NULL, 10);
    begin_body(client, answer);
    return answer->status;
}

/* The size of the next chunk; false: the connection ended. */
static bool begin_chunk(http_client *client) {
    char *end = find(client, "\r\n");
    if (!end) return false;
    if (end == client->bytes + client->start) { /* after the chunk before */
        client->start += 2;
        if (!(end = find(client, "\r\n"))) return false;
    }
    client->left = strtoull(client->bytes + client->start, NULL, 16);
    client->start = (size_t)(end - client->bytes) + 2;
    if (client->left > 0) return true;
    if ((end = find(client, "\r\n"))) client->start = (size_t)(end - client->bytes) + 2;
    client->is_done = end != NULL;
    return false;
}

size_t client_read_part(http_client *client, char *out, size_t size) {
    if (client->is_done) return 0;
    if (client->is_chunked && client->left == 0 && !begin_chunk(client)) return 0;
    if (client->start == client->end && !fill(client)) {
        client->is_done = client->is_headless;
        return 0;
    }
    size_t length = client->end - client->start;
    if (length > size) length = size;
    if (!client->is_headless && length > client->left) length = client->left;
    memcpy(out, client->bytes + client->start, length);
    client->start += length;
    if (client->is_headless) return length;
    client->left -= length;
    if (!client->is_chunked && client->left == 0) client->is_done = true;
    return length;
}

int client_read(http_client *client, http_answer_read *answer, bool for_head) {
    if (!client_read_head(client, answer)) return 0;
    size_t capacity = 0;
    do {
        if (answer->length + 8192 >= capacity) {
            capacity = 2 * capacity + 16384;
            char *body = realloc(answer->body, capacity);
            if (!body) return 0;
            answer->body = body;
        }
        size_t n = for_head ? 0 : client_read_part(client, answer->body + answer->length, 8192);
        if (n == 0) break;
        answer->length += n;
    } while (!client->is_done);
    answer->body[answer->length] = 0;
    return answer->status;
}

bool client_read_line(http_client *client, char *line, size_t size) {
    size_t n = 0;
    char c;
    while (client_read_part(client, &c, 1) == 1) {
        if (c == '\n' && n > 0) {
            line[n] = 0;
            return true;
        }
        if (c != '\n' && c != '\r' && n + 1 < size) line[n++] = c;
    }
    return false;
}

bool client_sees_end(http_client *client, int milliseconds) {
    char waste[4096];
    struct pollfd at = {.fd = client->socket, .events = POLLIN};
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int left = milliseconds - (int)((now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000);
        if (left <= 0 || poll(&at, 1, left) <= 0) return false;
        if (recv(client->socket, waste, sizeof waste, 0) <= 0) return true;
    }
}

int client_exchange(uint16_t port, const char *method, const char *path, const char *headers, const char *body,
                    http_answer_read *answer) {
    http_client client;
    *answer = (http_answer_read){0};
    if (!client_open(&client, port)) return 0;
    client_ask(&client, method, path, headers, body);
    int status = client_read(&client, answer, strcmp(method, "HEAD") == 0);
    client_close(&client);
    return status;
}

void answer_free(http_answer_read *answer) {
    free(answer->head);
    free(answer->body);
    *answer = (http_answer_read){0};
}

const char *answer_header(const http_answer_read *answer, const char *name) {
    static _Thread_local char value[1024];
    size_t length = strlen(name);
    for (const char *line = answer->head ? strstr(answer->head, "\r\n") : NULL; line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':') continue;
        const char *start = line + 3 + length;
        start += strspn(start, " \t");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
        return value;
    }
    return NULL;
}
