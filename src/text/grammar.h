/* grammar.h - which bytes may come next: an automaton over bytes with a stack, as a schema is compiled to it.
 *
 * A state is a set of readings of the text so far ("threads"), each with a stack of its own. It is a plain value that
 * depends on the text alone. Every reading that is kept can be completed: paths that lead nowhere are taken out when
 * the grammar is built, and what would need a deeper stack than there is does not begin. Where more readings are open
 * than fit, the last ones are dropped, which permits less and never anything wrong. */
#ifndef EX_TEXT_GRAMMAR_H
#define EX_TEXT_GRAMMAR_H

#include "entropix.h"

enum {
    EX_GRAMMAR_DEPTH = 64,    /* frames of a stack */
    EX_GRAMMAR_THREADS = 64,  /* of a state */
    EX_GRAMMAR_FRAMES = 1024, /* of all stacks of a state; those that begin alike share them */
    EX_NODE_DEAD = 0,         /* leads nowhere */
    EX_NODE_END = 1           /* the end of what was called */
};

#define EX_UNLIMITED UINT32_MAX  /* repetitions */
#define EX_ADDITIONAL UINT32_MAX /* in the place of a position in an object: a name that is not declared */
#define EX_NEED_MAX UINT32_MAX   /* no stack is deep enough */

typedef enum ex_node_kind {
    EX_NODE_BYTES,  /* one byte, then the target of the edge that has it */
    EX_NODE_FORK,   /* any of its targets, nothing read */
    EX_NODE_CALL,   /* `body` up to its end, then `next` */
    EX_NODE_REPEAT, /* `body` between `min` and `max` times, then `next` */
    EX_NODE_STOP,   /* the end of what was called: EX_NODE_END alone */
    EX_NODE_KEYS,   /* a place in the tree of an object's names: see ex_grammar_object */
    EX_NODE_ENTER   /* the root of such a tree, at a position */
} ex_node_kind;

/* What a node makes of plain bytes: printable ASCII but for the quote and the backslash. */
typedef enum ex_plain_bytes {
    EX_PLAIN_ANY, /* nothing is known */
    EX_PLAIN_STAY, /* each leads back to it */
    EX_PLAIN_END   /* each leads to EX_NODE_END */
} ex_plain_bytes;

static inline bool ex_is_plain_byte(uint8_t byte) {
    return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

typedef struct ex_grammar_edge { /* those of a node are disjoint and in order */
    uint8_t low, high;
    uint32_t target;
} ex_grammar_edge;

typedef struct ex_grammar_node {
    uint8_t kind;
    bool is_lexical; /* inside a text, where nearly every token fits: results are worth keeping */
    uint8_t plain;   /* ex_plain_bytes */
    uint32_t first, count; /* BYTES, KEYS: edges; FORK: targets in `words` */
    union {
        struct { /* CALL, REPEAT */
            uint32_t body, next, min, max;
        };
        struct { /* KEYS, ENTER */
            uint32_t object, names, n_names; /* KEYS: the properties below it, ascending, in `words` */
            uint32_t other;                  /* KEYS: where a name that is not declared is, after the same bytes */
        };
        struct {
            uint32_t entered, root, position; /* ENTER; `entered` is the object */
        };
    };
} ex_grammar_node;

/* The properties of an object come in order, and optional ones may be left out: at position i, any from i up to the
 * first required one may come. The tree holds the names of all; a thread in it has its position in `count`. */
typedef struct ex_grammar_object {
    uint32_t n;        /* properties */
    uint32_t required; /* [n + 1] in `words`: the first required one from here on; n: none */
    uint32_t starts;   /* [n] in `words`: the node behind the name's closing quote */
} ex_grammar_object;

struct ex_grammar {
    ex_grammar_node *nodes;
    ex_grammar_edge *edges;
    uint32_t *words;
    ex_grammar_object *objects;
    uint32_t *needs; /* [n_nodes] frames that the way to the end needs at least; EX_NEED_MAX: there is none */
    size_t n_nodes, n_edges, n_words, n_objects;
    uint32_t root;
};

typedef struct ex_grammar_frame { /* where to go on after what was called; of REPEAT, how often it came */
    uint32_t node, count;
} ex_grammar_frame;

typedef struct ex_grammar_thread {
    uint32_t node; /* BYTES, KEYS, or EX_NODE_END at depth 0: the text may end here */
    uint32_t count;
    uint16_t first, depth; /* its stack: frames[first .. first + depth), the newest last */
} ex_grammar_thread;

typedef struct ex_grammar_state {
    uint16_t n_threads, n_frames;
    ex_grammar_thread threads[EX_GRAMMAR_THREADS];
    ex_grammar_frame frames[EX_GRAMMAR_FRAMES];
} ex_grammar_state;

/* Before the first byte. */
void ex_grammar_begin(const ex_grammar *grammar, ex_grammar_state *state);
/* After one byte more; false, and no thread, where it may not come. `to` is another state than `from`. */
bool ex_grammar_step(const ex_grammar *grammar, const ex_grammar_state *from, uint8_t byte, ex_grammar_state *to);
/* After all of a text; `scratch` is overwritten. False leaves `state` anywhere. */
bool ex_grammar_read(const ex_grammar *grammar, ex_grammar_state *state, const char *text, size_t length,
                     ex_grammar_state *scratch);
/* The text may end here. */
bool ex_grammar_is_complete(const ex_grammar_state *state);
/* A copy of what is in use. */
void ex_grammar_copy(ex_grammar_state *to, const ex_grammar_state *from);

/* Adds to `to`, as a thread of its own, one that stands at `node` above the first `depth` frames of a thread of
 * `from`, and all that it leads to without a byte. */
void ex_grammar_add(const ex_grammar *grammar, ex_grammar_state *to, uint32_t node, uint32_t count,
                    const ex_grammar_state *from, const ex_grammar_thread *stack, uint16_t depth);
/* So many plain bytes may come here, whichever they are; not more, unless it is 0, which says nothing. */
uint32_t ex_grammar_absorbs(const ex_grammar *grammar, const ex_grammar_state *state);
/* Frames that the thread needs beyond its own depth. */
uint32_t ex_grammar_need(const ex_grammar *grammar, const ex_grammar_thread *thread);

#endif
