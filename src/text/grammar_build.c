/* grammar_build.c - the nodes of a grammar. */
#include "text/grammar_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { BYTE_COUNT = 256, NONE = 0 };

uint32_t ex_build_fail(ex_builder *builder, ex_code code) {
    if (builder->code == EX_OK) builder->code = code;
    return EX_NODE_DEAD;
}

static uint32_t fail_size(ex_builder *builder) {
    if (builder->code != EX_OK) return EX_NODE_DEAD;
    return ex_build_fail(builder, ex_fail(builder->error, EX_ERROR_UNSUPPORTED, 0,
                                          "the schema needs more than %d states: make it smaller, with $ref for what "
                                          "occurs several times, or fewer and shorter values in enum",
                                          (int)EX_GRAMMAR_NODES_MAX));
}

/* Room for one list more of `extra` items; `limit` is what there may be at most. */
static bool grow(ex_builder *builder, void **items, size_t count, size_t *capacity, size_t extra, size_t size,
                 size_t limit) {
    if (builder->code != EX_OK) return false;
    if (extra > limit - count) {
        fail_size(builder);
        return false;
    }
    if (count + extra <= *capacity) return true;
    const size_t larger = 2 * (count + extra) + 256;
    void *grown = realloc(*items, larger * size);
    if (!grown) {
        ex_build_fail(builder, ex_fail_memory(builder->error, "a grammar"));
        return false;
    }
    *items = grown;
    *capacity = larger;
    return true;
}

static uint32_t new_node(ex_builder *builder, ex_grammar_node node) {
    ex_grammar *grammar = builder->grammar;
    if (!grow(builder, (void **)&grammar->nodes, grammar->n_nodes, &builder->nodes_capacity, 1, sizeof node,
              EX_GRAMMAR_NODES_MAX))
        return EX_NODE_DEAD;
    node.is_lexical = builder->lexical;
    grammar->nodes[grammar->n_nodes] = node;
    return (uint32_t)grammar->n_nodes++;
}

static uint32_t add_edges(ex_builder *builder, const ex_grammar_edge *edges, size_t count) {
    ex_grammar *grammar = builder->grammar;
    const size_t first = grammar->n_edges;
    if (!grow(builder, (void **)&grammar->edges, first, &builder->edges_capacity, count, sizeof *edges,
              EX_GRAMMAR_WORDS_MAX))
        return 0;
    if (count > 0) memcpy(grammar->edges + first, edges, count * sizeof *edges);
    grammar->n_edges += count;
    return (uint32_t)first;
}

/* `words` NULL: zeros. */
static uint32_t add_words(ex_builder *builder, const uint32_t *words, size_t count) {
    ex_grammar *grammar = builder->grammar;
    const size_t first = grammar->n_words;
    if (!grow(builder, (void **)&grammar->words, first, &builder->words_capacity, count, sizeof *words,
              EX_GRAMMAR_WORDS_MAX))
        return 0;
    if (words && count > 0) memcpy(grammar->words + first, words, count * sizeof *words);
    else memset(grammar->words + first, 0, count * sizeof *words);
    grammar->n_words += count;
    return (uint32_t)first;
}

ex_code ex_builder_open(ex_builder *builder, ex_error *error) {
    *builder = (ex_builder){.error = error};
    builder->grammar = ex_allocate(1, sizeof *builder->grammar);
    if (!builder->grammar) return ex_fail_memory(error, "a grammar");
    new_node(builder, (ex_grammar_node){.kind = EX_NODE_BYTES});
    new_node(builder, (ex_grammar_node){.kind = EX_NODE_STOP});
    return builder->code;
}

void ex_builder_close(ex_builder *builder) {
    ex_grammar_close(builder->grammar);
    builder->grammar = NULL;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

uint32_t ex_build_bytes(ex_builder *builder, const ex_grammar_edge *edges, size_t count) {
    if (count == 0) return EX_NODE_DEAD;
    return new_node(builder, (ex_grammar_node){.kind = EX_NODE_BYTES,
                                               .first = add_edges(builder, edges, count),
                                               .count = (uint32_t)count});
}

uint32_t ex_build_range(ex_builder *builder, uint8_t low, uint8_t high, uint32_t next) {
    if (next == EX_NODE_DEAD) return EX_NODE_DEAD;
    const ex_grammar_edge edge = {low, high, next};
    return ex_build_bytes(builder, &edge, 1);
}

uint32_t ex_build_text(ex_builder *builder, const char *text, uint32_t next) {
    for (size_t i = strlen(text); i-- > 0;) next = ex_build_range(builder, (uint8_t)text[i], (uint8_t)text[i], next);
    return next;
}

uint32_t ex_build_fork(ex_builder *builder, const uint32_t *targets, size_t count) {
    uint32_t last = EX_NODE_DEAD;
    size_t n_live = 0;
    for (size_t i = 0; i < count; i++) {
        n_live += targets[i] != EX_NODE_DEAD;
        if (targets[i] != EX_NODE_DEAD) last = targets[i];
    }
    if (n_live < 2) return last;
    const uint32_t node = ex_build_later(builder);
    ex_build_set_fork(builder, node, targets, count);
    return node;
}

uint32_t ex_build_either(ex_builder *builder, uint32_t one, uint32_t other) {
    const uint32_t targets[] = {one, other};
    return ex_build_fork(builder, targets, 2);
}

uint32_t ex_build_call(ex_builder *builder, uint32_t body, uint32_t next) {
    if (body == EX_NODE_DEAD || next == EX_NODE_DEAD) return EX_NODE_DEAD;
    return new_node(builder, (ex_grammar_node){.kind = EX_NODE_CALL, .body = body, .next = next});
}

/* `max` marks that `body` is a rule. */
uint32_t ex_build_call_rule(ex_builder *builder, size_t rule, uint32_t next) {
    if (next == EX_NODE_DEAD) return EX_NODE_DEAD;
    return new_node(builder,
                    (ex_grammar_node){.kind = EX_NODE_CALL, .body = (uint32_t)rule, .next = next, .max = EX_UNLIMITED});
}

uint32_t ex_build_repeat(ex_builder *builder, uint32_t body, uint32_t min, uint32_t max, uint32_t next) {
    if (next == EX_NODE_DEAD || max < min || (body == EX_NODE_DEAD && min > 0)) return EX_NODE_DEAD;
    if (body == EX_NODE_DEAD || max == 0) return next;
    return new_node(builder, (ex_grammar_node){
                                 .kind = EX_NODE_REPEAT, .body = body, .next = next, .min = min, .max = max});
}

uint32_t ex_build_later(ex_builder *builder) {
    return new_node(builder, (ex_grammar_node){.kind = EX_NODE_BYTES});
}

void ex_build_set_bytes(ex_builder *builder, uint32_t node, const ex_grammar_edge *edges, size_t count) {
    const uint32_t first = add_edges(builder, edges, count);
    if (builder->code != EX_OK) return;
    builder->grammar->nodes[node].first = first;
    builder->grammar->nodes[node].count = (uint32_t)count;
}

void ex_build_set_fork(ex_builder *builder, uint32_t node, const uint32_t *targets, size_t count) {
    const uint32_t first = add_words(builder, targets, count);
    if (builder->code != EX_OK) return;
    uint32_t *kept = builder->grammar->words + first;
    size_t n_live = 0;
    for (size_t i = 0; i < count; i++)
        if (targets[i] != EX_NODE_DEAD) kept[n_live++] = targets[i];
    builder->grammar->n_words = first + n_live;
    ex_grammar_node *made = &builder->grammar->nodes[node];
    made->kind = EX_NODE_FORK;
    made->first = first;
    made->count = (uint32_t)n_live;
}

void ex_build_mark_plain(ex_builder *builder, uint32_t node, ex_plain_bytes plain) {
    if (builder->code == EX_OK) builder->grammar->nodes[node].plain = (uint8_t)plain;
}

/* ---- trees of texts ---------------------------------------------------------------------------------------------- */

typedef struct twig { /* children come after their parent */
    uint32_t child, sibling; /* NONE: none */
    uint32_t literal;        /* that ends here, counted from 1 */
    uint32_t n_below;        /* literals that end here or below */
    uint8_t byte;
} twig;

typedef struct tree {
    twig *twigs;
    uint32_t *values; /* of each twig, for whoever uses the tree */
    size_t count, capacity;
} tree;

static uint32_t find_twig(ex_builder *builder, tree *t, uint32_t parent, uint8_t byte) {
    uint32_t at = t->twigs[parent].child;
    while (at != NONE && t->twigs[at].byte != byte) at = t->twigs[at].sibling;
    if (at != NONE) return at;
    if (!grow(builder, (void **)&t->twigs, t->count, &t->capacity, 1, sizeof *t->twigs, EX_GRAMMAR_NODES_MAX))
        return NONE;
    at = (uint32_t)t->count++;
    t->twigs[at] = (twig){.sibling = t->twigs[parent].child, .byte = byte};
    t->twigs[parent].child = at;
    return at;
}

static bool plant(ex_builder *builder, tree *t, const ex_literal *literals, size_t count) {
    *t = (tree){0};
    if (!grow(builder, (void **)&t->twigs, 0, &t->capacity, 1, sizeof *t->twigs, EX_GRAMMAR_NODES_MAX)) return false;
    t->twigs[t->count++] = (twig){0};
    for (size_t i = 0; i < count; i++) {
        uint32_t at = 0;
        if (literals[i].target == EX_NODE_DEAD) continue;
        t->twigs[0].n_below++;
        for (size_t k = 0; k < literals[i].length; k++) {
            at = find_twig(builder, t, at, (uint8_t)literals[i].text[k]);
            if (at == NONE) return false;
            t->twigs[at].n_below++;
        }
        if (t->twigs[at].literal == NONE) t->twigs[at].literal = (uint32_t)i + 1;
    }
    t->values = ex_allocate(t->count, sizeof *t->values);
    if (!t->values) ex_build_fail(builder, ex_fail_memory(builder->error, "a grammar"));
    return t->values != NULL;
}

static void fell(tree *t) {
    free(t->twigs);
    free(t->values);
}

/* Edges to the children's nodes, which are in `values`, in order. */
static size_t edges_of(const tree *t, uint32_t at, ex_grammar_edge edges[BYTE_COUNT + 1]) {
    uint32_t targets[BYTE_COUNT] = {0};
    size_t count = 0;
    for (uint32_t child = t->twigs[at].child; child != NONE; child = t->twigs[child].sibling)
        targets[t->twigs[child].byte] = t->values[child];
    for (size_t byte = 0; byte < BYTE_COUNT; byte++) {
        if (targets[byte] == EX_NODE_DEAD) continue;
        edges[count++] = (ex_grammar_edge){(uint8_t)byte, (uint8_t)byte, targets[byte]};
    }
    return count;
}

uint32_t ex_build_literals(ex_builder *builder, const ex_literal *literals, size_t count) {
    tree t;
    ex_grammar_edge edges[BYTE_COUNT + 1];
    uint32_t root = EX_NODE_DEAD;
    if (plant(builder, &t, literals, count)) {
        for (size_t at = t.count; at-- > 0;) {
            const uint32_t ends = t.twigs[at].literal;
            const uint32_t on = ex_build_bytes(builder, edges, edges_of(&t, (uint32_t)at, edges));
            t.values[at] = ex_build_either(builder, on, ends == NONE ? EX_NODE_DEAD : literals[ends - 1].target);
        }
        root = t.values[0];
    }
    fell(&t);
    return root;
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

static uint32_t add_object(ex_builder *builder, const ex_literal *names, const uint32_t *required, size_t count) {
    ex_grammar *grammar = builder->grammar;
    ex_grammar_object object = {.n = (uint32_t)count, .required = add_words(builder, required, count + 1),
                                .starts = add_words(builder, NULL, count)};
    if (!grow(builder, (void **)&grammar->objects, grammar->n_objects, &builder->objects_capacity, 1, sizeof object,
              EX_GRAMMAR_NODES_MAX))
        return 0;
    for (size_t i = 0; i < count; i++) grammar->words[object.starts + i] = names[i].target;
    grammar->objects[grammar->n_objects] = object;
    return (uint32_t)grammar->n_objects++;
}

/* Which properties lie below each twig: lists one after the other, `values` is where each begins. */
static bool list_names(ex_builder *builder, tree *t, const ex_literal *names, size_t count) {
    size_t n_words = 0;
    for (size_t at = 0; at < t->count; at++) n_words += t->twigs[at].n_below;
    uint32_t first = add_words(builder, NULL, n_words);
    if (builder->code != EX_OK) return false;
    for (size_t at = 0; at < t->count; at++) {
        t->values[at] = first;
        first += t->twigs[at].n_below;
        t->twigs[at].n_below = 0;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t at = 0;
        if (names[i].target == EX_NODE_DEAD) continue;
        for (size_t k = 0;; k++) {
            builder->grammar->words[t->values[at] + t->twigs[at].n_below++] = (uint32_t)i;
            if (k == names[i].length) break;
            at = find_twig(builder, t, at, (uint8_t)names[i].text[k]);
        }
    }
    return true;
}

static uint32_t other_after(const ex_grammar *grammar, uint32_t other, uint8_t byte) {
    const ex_grammar_node *node = &grammar->nodes[other];
    for (uint32_t i = 0; i < node->count; i++) {
        const ex_grammar_edge *edge = &grammar->edges[node->first + i];
        if (edge->low <= byte && byte <= edge->high) return edge->target;
    }
    return EX_NODE_DEAD;
}

/* Nodes of all twigs, one after the other in the order of the tree, so that the first is the root. */
static uint32_t add_key_nodes(ex_builder *builder, tree *t, const ex_literal *names, uint32_t object, uint32_t other) {
    ex_grammar *grammar = builder->grammar;
    const uint32_t root = (uint32_t)grammar->n_nodes;
    for (size_t at = 0; at < t->count; at++) {
        const ex_grammar_node node = {.kind = EX_NODE_KEYS, .object = object, .names = t->values[at],
                                      .n_names = t->twigs[at].n_below};
        new_node(builder, node);
    }
    if (builder->code != EX_OK) return EX_NODE_DEAD;
    grammar->nodes[root].other = other;
    for (size_t at = 0; at < t->count; at++) t->values[at] = root + (uint32_t)at;
    for (size_t at = 0; at < t->count; at++) {
        ex_grammar_edge edges[BYTE_COUNT + 1];
        size_t count = edges_of(t, (uint32_t)at, edges);
        for (size_t i = 0; i < count; i++)
            grammar->nodes[edges[i].target].other = other_after(grammar, grammar->nodes[root + at].other, edges[i].low);
        if (t->twigs[at].literal != NONE) {
            size_t place = count++;
            for (; place > 0 && edges[place - 1].low > '"'; place--) edges[place] = edges[place - 1];
            edges[place] = (ex_grammar_edge){'"', '"', names[t->twigs[at].literal - 1].target};
        }
        ex_build_set_bytes(builder, root + (uint32_t)at, edges, count);
    }
    return root;
}

uint32_t ex_build_keys(ex_builder *builder, const ex_literal *names, const uint32_t *required, size_t count,
                       uint32_t other) {
    tree t;
    uint32_t root = EX_NODE_DEAD;
    const uint32_t object = add_object(builder, names, required, count);
    if (plant(builder, &t, names, count) && list_names(builder, &t, names, count))
        root = add_key_nodes(builder, &t, names, object, other);
    fell(&t);
    return root;
}

uint32_t ex_build_enter(ex_builder *builder, uint32_t root, uint32_t position) {
    if (root == EX_NODE_DEAD) return EX_NODE_DEAD;
    const ex_grammar *grammar = builder->grammar;
    const ex_grammar_node *keys = &grammar->nodes[root];
    if (position == EX_ADDITIONAL ? keys->other == EX_NODE_DEAD : position >= grammar->objects[keys->object].n)
        return EX_NODE_DEAD;
    return new_node(builder, (ex_grammar_node){
                                 .kind = EX_NODE_ENTER, .entered = keys->object, .root = root, .position = position});
}
