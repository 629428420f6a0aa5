/* http_rules.h - who may ask, and what a request must look like: decisions on texts, without any connection. */
#ifndef SERVER_HTTP_RULES_H
#define SERVER_HTTP_RULES_H

#include "http.h"

enum { HTTP_KEY_BYTES = 256 }; /* longer keys are refused when the server opens */

typedef struct http_rules { /* copies of the options that say who may ask */
    char *listening;        /* the host that the server listens on */
    uint16_t port;          /* that it listens on */
    char **hosts, **origins;
    size_t n_hosts, n_origins;
    unsigned char (*keys)[HTTP_KEY_BYTES]; /* padded with zeros */
    size_t *key_lengths;
    size_t n_keys;
} http_rules;

ex_code http_rules_open(http_rules *rules, const http_options *options, ex_error *error);
void http_rules_close(http_rules *rules);

/* `local`: the address at which this connection arrived, as text. False also for what is no host[:port]. */
bool http_host_is_allowed(const http_rules *rules, const char *host, const char *local);

typedef enum http_origin { ORIGIN_REFUSED, ORIGIN_OURS, ORIGIN_CONFIGURED } http_origin;
http_origin http_origin_check(const http_rules *rules, const char *origin, const char *host);
/* Whether any origin may ask. */
bool http_origin_is_any(const http_rules *rules);

/* Compares with every key, in a time that tells nothing of them. */
bool http_key_find(const http_rules *rules, const char *key, size_t length, size_t *index);

/* The path with its escapes resolved, in new memory; NULL: a bad escape, a byte that is not printable ASCII, an element
 * "." or "..", or no slash at its beginning. */
char *http_path_decode(const char *path);

/* Letters, digits and the few signs that names of fields may have. */
bool http_is_token(const char *text, size_t length);
/* No control characters but tabs. */
bool http_is_value(const char *text, size_t length);
/* A media type without its parameters. */
bool http_type_is(const char *value, const char *type);

#endif
