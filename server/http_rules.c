/* http_rules.c - who may ask, and what a request must look like. */
#include "http_rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "failure.h"

enum { PORT_UNSAID = 0, HOST_BYTES = 256 };

typedef struct place { /* of host[:port] */
    char name[HOST_BYTES]; /* lower case, without brackets and without a dot at its end */
    unsigned port;
} place;

static char **copy_texts(const char *const *texts, size_t count) {
    char **copies = calloc(count + 1, sizeof *copies);
    for (size_t i = 0; copies && i < count; i++) {
        if ((copies[i] = strdup(texts[i]))) continue;
        while (i > 0) free(copies[--i]);
        free(copies);
        return NULL;
    }
    return copies;
}

static ex_code copy_keys(http_rules *rules, const http_options *options, ex_error *error) {
    rules->keys = calloc(options->n_keys + 1, sizeof *rules->keys);
    rules->key_lengths = calloc(options->n_keys + 1, sizeof *rules->key_lengths);
    if (!rules->keys || !rules->key_lengths) return server_fail_memory(error, "the API keys");
    for (size_t i = 0; i < options->n_keys; i++) {
        size_t length = strlen(options->keys[i]);
        if (length == 0 || length >= HTTP_KEY_BYTES || !http_is_value(options->keys[i], length))
            return server_fail(error, EX_ERROR_ARGUMENT, i, "API key %zu: expected 1 to %d printable characters", i + 1,
                               HTTP_KEY_BYTES - 1);
        memcpy(rules->keys[i], options->keys[i], length);
        rules->key_lengths[i] = length;
    }
    rules->n_keys = options->n_keys;
    return EX_OK;
}

ex_code http_rules_open(http_rules *rules, const http_options *options, ex_error *error) {
    *rules = (http_rules){.listening = strdup(options->host), .port = options->port};
    rules->hosts = copy_texts(options->hosts, options->n_hosts);
    rules->origins = copy_texts(options->origins, options->n_origins);
    rules->n_hosts = rules->hosts ? options->n_hosts : 0;
    rules->n_origins = rules->origins ? options->n_origins : 0;
    if (!rules->listening || !rules->hosts || !rules->origins)
        return server_fail_memory(error, "the options of the server");
    return copy_keys(rules, options, error);
}

void http_rules_close(http_rules *rules) {
    for (size_t i = 0; i < rules->n_hosts; i++) free(rules->hosts[i]);
    for (size_t i = 0; i < rules->n_origins; i++) free(rules->origins[i]);
    if (rules->keys) explicit_bzero(rules->keys, (rules->n_keys + 1) * sizeof *rules->keys);
    free(rules->hosts);
    free(rules->origins);
    free(rules->keys);
    free(rules->key_lengths);
    free(rules->listening);
    *rules = (http_rules){0};
}

/* ---- hosts ---- */

static bool read_port(const char *text, unsigned *port) {
    unsigned long value = 0;
    size_t n = 0;
    for (; n < 6 && isdigit((unsigned char)text[n]); n++) value = value * 10 + (unsigned long)(text[n] - '0');
    if (n == 0 || text[n] || value == 0 || value > 65535) return false;
    *port = (unsigned)value;
    return true;
}

static bool is_host_character(char c, bool in_brackets) {
    return in_brackets ? isxdigit((unsigned char)c) || c == ':' || c == '.'
                       : isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

static bool read_place(const char *text, place *out) {
    bool in_brackets = *text == '[';
    size_t n = 0;
    for (text += in_brackets; is_host_character(*text, in_brackets); text++) {
        if (n + 1 >= HOST_BYTES) return false;
        out->name[n++] = (char)tolower((unsigned char)*text);
    }
    if (in_brackets && *text++ != ']') return false;
    if (n > 1 && out->name[n - 1] == '.') n--;
    out->name[n] = 0;
    out->port = PORT_UNSAID;
    return n > 0 && (!*text || (*text == ':' && read_port(text + 1, &out->port)));
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length > end_length && strcmp(text + length - end_length, end) == 0;
}

static bool is_loopback(const char *name) {
    struct in_addr four;
    struct in6_addr six;
    if (strcmp(name, "localhost") == 0 || ends_with(name, ".localhost")) return true;
    if (inet_pton(AF_INET, name, &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, name, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* Names by their letters, addresses by their value. */
static bool is_same_host(const char *a, const char *b) {
    struct in6_addr x, y;
    if (inet_pton(AF_INET6, a, &x) == 1 && inet_pton(AF_INET6, b, &y) == 1) return memcmp(&x, &y, sizeof x) == 0;
    return strcasecmp(a, b) == 0;
}

bool http_host_is_allowed(const http_rules *rules, const char *host, const char *local) {
    place asked;
    if (!read_place(host, &asked)) return false;
    if (is_loopback(asked.name) || is_same_host(asked.name, rules->listening)) return true;
    if (local && is_same_host(asked.name, local)) return true;
    for (size_t i = 0; i < rules->n_hosts; i++)
        if (is_same_host(asked.name, rules->hosts[i])) return true;
    return false;
}

/* ---- origins ---- */

static bool is_any(const char *origin) { return strcmp(origin, "*") == 0; }

bool http_origin_is_any(const http_rules *rules) {
    for (size_t i = 0; i < rules->n_origins; i++)
        if (is_any(rules->origins[i])) return true;
    return false;
}

/* A proxy before the server may speak TLS where it does not: the scheme only says which port is meant by none. */
static bool is_ours(const http_rules *rules, const char *origin, const char *host) {
    place from, to;
    bool is_secure = strncasecmp(origin, "https://", 8) == 0;
    if (!is_secure && strncasecmp(origin, "http://", 7) != 0) return false;
    if (!read_place(origin + (is_secure ? 8 : 7), &from) || !read_place(host, &to)) return false;
    unsigned usual = is_secure ? 443 : 80;
    if (from.port == PORT_UNSAID) from.port = usual;
    if (to.port == PORT_UNSAID) to.port = usual;
    if (from.port == to.port && is_same_host(from.name, to.name)) return true;
    return is_loopback(from.name) && from.port == rules->port;
}

http_origin http_origin_check(const http_rules *rules, const char *origin, const char *host) {
    for (size_t i = 0; i < rules->n_origins; i++)
        if (is_any(rules->origins[i]) || strcasecmp(rules->origins[i], origin) == 0) return ORIGIN_CONFIGURED;
    return is_ours(rules, origin, host) ? ORIGIN_OURS : ORIGIN_REFUSED;
}

/* ---- keys ---- */

bool http_key_find(const http_rules *rules, const char *key, size_t length, size_t *index) {
    unsigned char given[HTTP_KEY_BYTES] = {0};
    bool fits = length < HTTP_KEY_BYTES;
    memcpy(given, key, fits ? length : HTTP_KEY_BYTES - 1);
    size_t found = 0, place_found = 0;
    for (size_t i = 0; i < rules->n_keys; i++) {
        size_t difference = rules->key_lengths[i] ^ length;
        for (size_t j = 0; j < HTTP_KEY_BYTES; j++) difference |= (size_t)(rules->keys[i][j] ^ given[j]);
        size_t is_same = (difference - 1) >> (sizeof difference * 8 - 1); /* only 0 - 1 has the highest bit */
        found |= is_same;
        place_found |= i & (0 - is_same);
    }
    explicit_bzero(given, sizeof given);
    *index = place_found;
    return fits & (found != 0);
}

/* ---- texts ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool has_dots(const char *path) {
    for (const char *element = path; element; element = strchr(element, '/')) {
        element++;
        size_t length = strcspn(element, "/");
        if ((length == 1 && element[0] == '.') || (length == 2 && element[0] == '.' && element[1] == '.')) return true;
    }
    return false;
}

char *http_path_decode(const char *path) {
    char *out = path[0] == '/' ? malloc(strlen(path) + 1) : NULL;
    if (!out) return NULL;
    size_t n = 0;
    for (size_t i = 0; path[i]; i++) {
        int byte = (unsigned char)path[i];
        if (byte == '%') {
            int high = hex_digit(path[i + 1]), low = high < 0 ? -1 : hex_digit(path[i + 2]);
            byte = low < 0 ? 0 : high * 16 + low;
            i += 2;
        } else if (byte == ' ') byte = 0;
        if (byte < 0x20 || byte >= 0x7f) {
            free(out);
            return NULL;
        }
        out[n++] = (char)byte;
    }
    out[n] = 0;
    if (!has_dots(out)) return out;
    free(out);
    return NULL;
}

bool http_is_token(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !(text[i] && strchr("!#$%&'*+-.^_`|~", text[i]))) return false;
    return length > 0;
}

bool http_is_value(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f) return false;
    return true;
}

bool http_type_is(const char *value, const char *type) {
    size_t length = strlen(type);
    if (strncasecmp(value, type, length) != 0) return false;
    value += length;
    while (*value == ' ' || *value == '\t') value++;
    return *value == 0 || *value == ';';
}
