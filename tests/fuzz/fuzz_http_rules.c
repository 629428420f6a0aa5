/* Hosts, origins, keys, paths and fields of HTTP requests. Input: host, origin, path, field, each behind a line
 * "====". */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "server/http_rules.h"

static void check_path(const char *path) {
    char *decoded = http_path_decode(path);
    if (!decoded) return;
    fuzz_require(decoded[0] == '/' && !strstr(decoded, "/../") && !strstr(decoded, "/./"));
    for (const char *at = decoded; *at; at++) fuzz_require(*at >= 0x20 && *at < 0x7F);
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {"key-one", "key-two"}, *const hosts[] = {"example.org"},
                      *const origins[] = {"https://example.org", "http://page.example:8080"};
    static http_rules rules;
    fuzz_input input = {data, size};
    size_t lengths[4], index = 0;
    char *texts[4];
    for (int i = 0; i < 4; i++) texts[i] = fuzz_piece(&input, &lengths[i]);
    if (!rules.listening) {
        http_options options = {.host = "127.0.0.1", .port = 8080, .keys = keys, .n_keys = 2, .hosts = hosts,
                                .n_hosts = 1, .origins = origins, .n_origins = 2};
        fuzz_require(http_rules_open(&rules, &options, NULL) == EX_OK);
        rules.port = options.port;
    }
    http_host_is_allowed(&rules, texts[0], "127.0.0.1");
    http_origin_check(&rules, texts[1], texts[0]);
    check_path(texts[2]);
    bool is_key = http_key_find(&rules, texts[3], lengths[3], &index);
    fuzz_require(is_key == ((lengths[3] == 7) && (!memcmp(texts[3], keys[0], 7) || !memcmp(texts[3], keys[1], 7))));
    if (http_is_token(texts[3], lengths[3])) fuzz_require(lengths[3] && !memchr(texts[3], ':', lengths[3]));
    if (http_is_value(texts[3], lengths[3])) fuzz_require(!memchr(texts[3], '\n', lengths[3]));
    http_type_is(texts[3], "application/json");
    for (int i = 0; i < 4; i++) free(texts[i]);
    return 0;
}
