/* prefix_cache.c - the longest common beginning wins; the entry that was not used for longest makes room. */
#include "prefix_cache.h"

#include <stdlib.h>
#include <string.h>

#include "failure.h"

ex_code prefix_cache_open(prefix_cache *cache, ex_session *root, size_t n_entries, ex_error *error) {
    *cache = (prefix_cache){.root = root};
    if (n_entries == 0) return EX_OK;
    cache->entries = calloc(n_entries, sizeof *cache->entries);
    if (!cache->entries) return server_fail_memory(error, "the prefix cache");
    cache->n_entries = n_entries;
    return EX_OK;
}

void prefix_cache_close(prefix_cache *cache) {
    for (size_t i = 0; i < cache->n_entries; i++) {
        ex_session_close(cache->entries[i].session);
        free(cache->entries[i].tokens);
    }
    free(cache->entries);
    *cache = (prefix_cache){0};
}

static size_t common(const prefix_entry *entry, const int32_t *tokens, size_t n_tokens) {
    const size_t most = entry->n_tokens < n_tokens ? entry->n_tokens : n_tokens;
    size_t n = 0;
    while (n < most && entry->tokens[n] == tokens[n]) n++;
    return n;
}

ex_code prefix_cache_take(prefix_cache *cache, size_t client, const int32_t *tokens, size_t n_tokens,
                          ex_session *session, ex_error *error) {
    prefix_entry *best = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < cache->n_entries; i++) {
        prefix_entry *entry = &cache->entries[i];
        const size_t n = entry->client == client ? common(entry, tokens, n_tokens) : 0;
        if (n <= longest) continue;
        longest = n;
        best = entry;
    }
    if (!best) return EX_OK;
    best->used = ++cache->clock;
    ex_code code = ex_session_assign(session, best->session, error);
    return code == EX_OK ? ex_session_rewind(session, longest, error) : code;
}

/* An entry that the tokens go on from is of no use beside them. */
static prefix_entry *place_for(prefix_cache *cache, size_t client, const int32_t *tokens, size_t n_tokens) {
    prefix_entry *oldest = &cache->entries[0];
    for (size_t i = 0; i < cache->n_entries; i++) {
        prefix_entry *entry = &cache->entries[i];
        if (entry->n_tokens > 0 && entry->client == client && common(entry, tokens, n_tokens) == entry->n_tokens)
            return entry;
        if (entry->used < oldest->used) oldest = entry;
    }
    return oldest;
}

static bool prepare(prefix_cache *cache, prefix_entry *entry) {
    if (!entry->tokens) entry->tokens = calloc(ex_session_context(cache->root), sizeof *entry->tokens);
    if (entry->tokens && !entry->session) ex_session_fork(&entry->session, cache->root, NULL);
    return entry->tokens && entry->session;
}

void prefix_cache_put(prefix_cache *cache, size_t client, const int32_t *tokens, const ex_session *session) {
    const size_t n_tokens = ex_session_position(session);
    if (cache->n_entries == 0 || n_tokens == 0) return;
    prefix_entry *entry = place_for(cache, client, tokens, n_tokens);
    entry->n_tokens = 0;
    if (!prepare(cache, entry) || ex_session_assign(entry->session, session, NULL) != EX_OK) return;
    memcpy(entry->tokens, tokens, n_tokens * sizeof *tokens);
    entry->n_tokens = n_tokens;
    entry->client = client;
    entry->used = ++cache->clock;
}

size_t prefix_cache_positions(const prefix_cache *cache) {
    size_t sum = 0;
    for (size_t i = 0; i < cache->n_entries; i++) sum += cache->entries[i].n_tokens;
    return sum;
}

size_t prefix_cache_count(const prefix_cache *cache) {
    size_t count = 0;
    for (size_t i = 0; i < cache->n_entries; i++) count += cache->entries[i].n_tokens > 0;
    return count;
}
