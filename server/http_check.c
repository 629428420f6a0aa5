/* http_check.c - what is asked of a request before its body is read: a header that has one meaning only, sizes within
 * the limits, an allowed host and origin, a route, a key.
 *
 * The library reads leniently. What could make it and a proxy before it see different requests is refused here, and
 * ends the connection: fields twice, lengths beside codings, folded lines, lines that end without a carriage return. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"

enum { URI_BYTES = 8192 };

typedef enum field {
    HOST, ORIGIN, AUTHORIZATION, API_KEY, CONTENT_LENGTH, TRANSFER_ENCODING, CONTENT_TYPE, REQUEST_HEADERS, FIELDS
} field;

static const char *const field_names[FIELDS] = {
    "Host", "Origin", "Authorization", "X-Api-Key", "Content-Length", "Transfer-Encoding", "Content-Type",
    "Access-Control-Request-Headers",
};

typedef struct fields {
    const char *values[FIELDS]; /* NULL: not there */
    const char *end;            /* of the lines that were seen; NULL: they need not lie in place */
    bool is_malformed, is_doubled;
} fields;

/* The library reads lines in place and puts zeros over the ends of names and lines. So a header that it has read as it
 * was meant lies in memory without a gap: what was folded, ended otherwise, had a zero in it or ended the header before
 * its time leaves one. */
static bool lies_in_place(void) { return strncmp(MHD_get_version(), "0.", 2) == 0; }

/* One space between the parts of the first line. */
static bool begins_in_place(const http_exchange *exchange, const char *method, const char *url, const char *version) {
    return (uintptr_t)url == (uintptr_t)method + strlen(method) + 1 &&
           (uintptr_t)version == (uintptr_t)url + exchange->connection->uri_length + 1 &&
           version[strlen(version) + 1] == 0;
}

/* At the end of the line before; nothing but blanks between the colon and the value. */
static bool follows(const fields *found, const char *name, size_t name_length, const char *value, size_t value_length) {
    uintptr_t name_end = (uintptr_t)name + name_length, value_start = (uintptr_t)value;
    if (name != found->end || value_start <= name_end || value_start - name_end > 65536) return false;
    for (const char *c = name + name_length + 1; c < value; c++)
        if (*c != ' ' && *c != '\t') return false;
    return value[value_length] == 0 && value[value_length + 1] == 0;
}

static enum MHD_Result see_field(void *context, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                 const char *value, size_t value_length) {
    (void)kind;
    fields *found = context;
    if (!value || !http_is_token(name, name_length) || !http_is_value(value, value_length) ||
        (found->end && !follows(found, name, name_length, value, value_length))) {
        found->is_malformed = true;
        return MHD_NO;
    }
    if (found->end) found->end = value + value_length + 2;
    for (size_t i = 0; i < FIELDS; i++) {
        if (strcasecmp(name, field_names[i]) != 0) continue;
        if (found->values[i]) found->is_doubled = true;
        found->values[i] = value;
    }
    return MHD_YES;
}

static fields read_fields(const http_exchange *exchange, const char *method, const char *url, const char *version) {
    fields found = {0};
    struct MHD_Connection *mhd = exchange->connection->mhd;
    const union MHD_ConnectionInfo *size = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    found.is_malformed = !http_is_token(method, strlen(method)) || !size;
    if (lies_in_place()) {
        if (!begins_in_place(exchange, method, url, version)) found.is_malformed = true;
        found.end = version + strlen(version) + 2;
    }
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, see_field, &found);
    if (found.end && size && (uintptr_t)found.end + 2 != (uintptr_t)method + size->header_size)
        found.is_malformed = true;
    return found;
}

static http_refusal refuse(unsigned status, const char *message) {
    return (http_refusal){status, message, false, NULL};
}

static http_refusal refuse_and_close(unsigned status, const char *message) {
    return (http_refusal){status, message, true, NULL};
}

static http_refusal accept_it(void) { return (http_refusal){0}; }

/* ---- one meaning, within limits ---- */

static http_refusal check_form(const http_exchange *exchange, const fields *found, const char *version) {
    const http_connection *connection = exchange->connection;
    const http_limits *limits = &connection->server->limits;
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t uri_limit = limits->header_bytes < URI_BYTES ? limits->header_bytes : URI_BYTES;
    bool is_1_0 = strcmp(version, "HTTP/1.0") == 0;
    if (connection->uri_length > uri_limit) return refuse_and_close(414, "The address of the request is too long.");
    if (size && size->header_size > limits->header_bytes)
        return refuse_and_close(431, "The header of the request is too large.");
    if (!is_1_0 && strcmp(version, "HTTP/1.1") != 0)
        return refuse_and_close(505, "This server speaks HTTP/1.1 and HTTP/1.0.");
    if (found->is_malformed || connection->is_uri_odd)
        return refuse_and_close(400, "The header of the request is malformed.");
    if (found->is_doubled)
        return refuse_and_close(400, "The header of the request has a field twice that may be there once.");
    const char *coding = found->values[TRANSFER_ENCODING];
    if (coding && found->values[CONTENT_LENGTH])
        return refuse_and_close(400, "The request has both Content-Length and Transfer-Encoding.");
    if (coding && is_1_0) return refuse_and_close(400, "HTTP/1.0 has no Transfer-Encoding.");
    if (coding && strcasecmp(coding, "chunked") != 0)
        return refuse_and_close(501, "The one Transfer-Encoding that this server reads is chunked.");
    return accept_it();
}

static http_refusal check_length(const http_exchange *exchange, const fields *found) {
    const char *length = found->values[CONTENT_LENGTH];
    if (!length || strtoull(length, NULL, 10) <= exchange->connection->server->limits.body_bytes) return accept_it();
    return refuse_and_close(413, "The body of the request is too large.");
}

/* ---- who asks ---- */

static http_refusal check_host(http_exchange *exchange, const fields *found) {
    const http_connection *connection = exchange->connection;
    const http_rules *rules = &connection->server->rules;
    const char *host = found->values[HOST], *origin = found->values[ORIGIN];
    if (!host || !*host) return refuse_and_close(400, "The request does not name its Host.");
    if (!http_host_is_allowed(rules, host, connection->local))
        return refuse(403, "This Host is not allowed here. Start the server with the names that it is reached by.");
    if (!origin) return accept_it();
    http_origin whose = http_origin_check(rules, origin, host);
    if (whose == ORIGIN_REFUSED)
        return refuse(403, "This Origin is not allowed here. Start the server with the origins that may ask.");
    if (whose == ORIGIN_CONFIGURED) exchange->origin = strdup(origin);
    return accept_it();
}

static http_refusal check_key(http_exchange *exchange, const fields *found) {
    const http_rules *rules = &exchange->connection->server->rules;
    const char *bearer = found->values[AUTHORIZATION], *key = found->values[API_KEY];
    if (rules->n_keys == 0 || exchange->route->is_public) return accept_it();
    if (bearer && strncasecmp(bearer, "Bearer ", 7) == 0) {
        for (bearer += 7; *bearer == ' ';) bearer++;
        if (http_key_find(rules, bearer, strlen(bearer), &exchange->client)) return accept_it();
    }
    if (key && http_key_find(rules, key, strlen(key), &exchange->client)) return accept_it();
    return refuse(401, bearer || key ? "The API key is not known here." : "This server asks for an API key.");
}

/* ---- what is asked for ---- */

static bool is_path_of(const http_route *route, const char *path) {
    size_t length = strlen(route->path);
    if (length >= 2 && route->path[length - 1] == '*' && route->path[length - 2] == '/')
        return strncmp(route->path, path, length - 1) == 0 && path[length - 1];
    return strcmp(route->path, path) == 0;
}

static void add_method(http_exchange *exchange, const char *method) {
    if (strstr(exchange->allow, method)) return;
    size_t length = strlen(exchange->allow);
    snprintf(exchange->allow + length, sizeof exchange->allow - length, "%s%s", length > 0 ? ", " : "", method);
}

static void find_route(http_exchange *exchange, const char *method) {
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (const http_route *route = exchange->connection->server->routes; route->method; route++) {
        if (!is_path_of(route, exchange->path)) continue;
        if (!exchange->route && strcmp(route->method, wanted) == 0) exchange->route = route;
        add_method(exchange, route->method);
        if (strcmp(route->method, "GET") == 0) add_method(exchange, "HEAD");
    }
    if (exchange->allow[0]) add_method(exchange, "OPTIONS");
}

static bool may_be_asked(const char *name, size_t length) {
    static const char *const names[] = {"authorization", "content-type", "x-api-key", "accept"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == length && strncasecmp(name, names[i], length) == 0) return true;
    return length > 12 && strncasecmp(name, "x-stainless-", 12) == 0 && http_is_token(name, length);
}

/* Those of the headers that a page asked for which may be sent. */
static char *allowed_headers(const char *asked) {
    char *out = asked ? calloc(2 * strlen(asked) + 1, 1) : NULL;
    if (!out) return NULL;
    char *end = out;
    for (const char *name = asked; *name;) {
        name += strspn(name, ", \t");
        size_t length = strcspn(name, ", \t");
        if (length > 0 && may_be_asked(name, length)) {
            if (end > out) end = stpcpy(end, ", ");
            memcpy(end, name, length);
            end += length;
        }
        name += length;
    }
    *end = 0;
    return out;
}

static http_refusal check_route(http_exchange *exchange, const fields *found, const char *url, const char *method) {
    if (strlen(url) > 0 && !(exchange->path = http_path_decode(url)))
        return refuse(400, "The path of the request is malformed.");
    if (!exchange->path) return refuse(400, "The request has no path.");
    find_route(exchange, method);
    if (!exchange->allow[0]) return refuse(404, "There is nothing at this path.");
    if (strcmp(method, "OPTIONS") == 0) {
        exchange->asked_headers = allowed_headers(found->values[REQUEST_HEADERS]);
        return (http_refusal){204, "", false, exchange->allow};
    }
    if (!exchange->route) return (http_refusal){405, "This path does not know the method.", false, exchange->allow};
    return accept_it();
}

/* Pages of others can send forms and plain text anywhere without asking, but not JSON. */
static http_refusal check_type(const fields *found, const char *method) {
    const char *type = found->values[CONTENT_TYPE];
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "DELETE") == 0) return accept_it();
    if (type && http_type_is(type, "application/json")) return accept_it();
    return refuse(415, "The Content-Type of the request must be application/json.");
}

void http_request_check(http_exchange *exchange, const char *url, const char *method, const char *version) {
    fields found = read_fields(exchange, method, url, version);
    http_refusal *refusal = &exchange->refusal;
    exchange->has_chunks = found.values[TRANSFER_ENCODING] != NULL;
    *refusal = check_form(exchange, &found, version);
    if (!refusal->status) *refusal = check_host(exchange, &found);
    if (!refusal->status) *refusal = check_route(exchange, &found, url, method);
    if (!refusal->status) *refusal = check_key(exchange, &found);
    if (!refusal->status) *refusal = check_type(&found, method);
    http_refusal length = check_length(exchange, &found);
    if (!refusal->status) *refusal = length;
    if (length.status) refusal->must_close = true;
}
