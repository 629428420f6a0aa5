/* prefix_cache.h - timelines that may begin a later prompt. What one client asked is never used for another: how long a
 * first token takes would tell what others wrote. */
#ifndef SERVER_PREFIX_CACHE_H
#define SERVER_PREFIX_CACHE_H

#include "entropix.h"

typedef struct prefix_entry {
    ex_session *session; /* NULL: never used */
    int32_t *tokens;     /* [n_context] */
    size_t n_tokens, client;
    uint64_t used;       /* when, in uses of the cache */
} prefix_entry;

typedef struct prefix_cache {
    ex_session *root; /* of the family */
    prefix_entry *entries;
    size_t n_entries;
    uint64_t clock;
} prefix_cache;

ex_code prefix_cache_open(prefix_cache *cache, ex_session *root, size_t n_entries, ex_error *error);
void prefix_cache_close(prefix_cache *cache);
/* Lets `session` hold as many of the tokens as any entry of this client begins with, at most `n_tokens`. */
ex_code prefix_cache_take(prefix_cache *cache, size_t client, const int32_t *tokens, size_t n_tokens,
                          ex_session *session, ex_error *error);
/* Remembers what `session` holds, which these tokens are; in the place of an entry that it goes on from, or else of the
 * one that was not used for longest. Where there is no memory for it, nothing is remembered. */
void prefix_cache_put(prefix_cache *cache, size_t client, const int32_t *tokens, const ex_session *session);
size_t prefix_cache_positions(const prefix_cache *cache); /* held by all entries */
size_t prefix_cache_count(const prefix_cache *cache);

#endif
