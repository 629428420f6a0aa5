/* template_tree.h - a template as tokens and as a tree. Both live in the template's arena. */
#ifndef EX_TEXT_TEMPLATE_TREE_H
#define EX_TEXT_TEMPLATE_TREE_H

#include "text/template_value.h"

enum {
    EX_JINJA_SOURCE_MAX = 1 << 20,        /* bytes; the longest template that is known has 17 thousand */
    EX_JINJA_NESTING_MAX = 200,           /* brackets, operators and blocks inside each other */
    EX_JINJA_TREE_MEMORY_MAX = 128 << 20, /* bytes */
    EX_JINJA_NAME_BUCKETS = 4096
};

/* ---- tokens ---- */

typedef enum ex_jinja_token_kind {
    EX_JINJA_TOKEN_DATA,
    EX_JINJA_TOKEN_OUTPUT_BEGIN,
    EX_JINJA_TOKEN_OUTPUT_END,
    EX_JINJA_TOKEN_BLOCK_BEGIN,
    EX_JINJA_TOKEN_BLOCK_END,
    EX_JINJA_TOKEN_NAME,
    EX_JINJA_TOKEN_TEXT,
    EX_JINJA_TOKEN_INTEGER,
    EX_JINJA_TOKEN_NUMBER,
    EX_JINJA_TOKEN_OPERATOR,
    EX_JINJA_TOKEN_END
} ex_jinja_token_kind;

/* Operators of one character are that character; these are the others. */
typedef enum ex_jinja_operator {
    EX_JINJA_OP_EQUAL = 128,
    EX_JINJA_OP_NOT_EQUAL,
    EX_JINJA_OP_AT_LEAST,
    EX_JINJA_OP_AT_MOST,
    EX_JINJA_OP_FLOOR_DIVIDE,
    EX_JINJA_OP_POWER,
    EX_JINJA_OP_IN,
    EX_JINJA_OP_NOT_IN
} ex_jinja_operator;

typedef struct ex_jinja_token {
    uint8_t kind, operator;
    uint32_t line, column; /* from 1; columns count characters */
    const char *bytes;     /* of data, names and texts (escapes decoded) */
    size_t length;
    union {
        int64_t integer;
        double number;
    } as;
} ex_jinja_token;

typedef struct ex_jinja_tokens {
    ex_template_arena arena;
    ex_jinja_token *items;
    size_t count, capacity;
} ex_jinja_tokens;

/* ---- tree ---- */

typedef struct ex_jinja_name { /* one for each name in the template: equal names are equal pointers */
    ex_jinja_text text;
    uint64_t hash;
    /* What the name means as a method of each kind of subject, as a global, as an attribute of `loop`; or NULL. */
    const ex_jinja_function *text_method, *list_method, *map_method, *global;
    struct ex_jinja_name *next;
} ex_jinja_name;

typedef enum ex_jinja_node_kind { /* what is in a, b, c and items */
    /* expressions */
    EX_JINJA_NODE_LITERAL,   /* value */
    EX_JINJA_NODE_NAME,      /* name */
    EX_JINJA_NODE_LIST,      /* items */
    EX_JINJA_NODE_TUPLE,     /* items */
    EX_JINJA_NODE_MAP,       /* items: key, value, key, value … */
    EX_JINJA_NODE_ATTRIBUTE, /* a.name */
    EX_JINJA_NODE_ITEM,      /* a[b] */
    EX_JINJA_NODE_SLICE,     /* items[0][a:b:c], each of a, b, c may be NULL */
    EX_JINJA_NODE_CALL,      /* a(items, keywords) */
    EX_JINJA_NODE_FILTER,    /* a | name(items, keywords) */
    EX_JINJA_NODE_TEST,      /* a is name(items, keywords) */
    EX_JINJA_NODE_NOT,       /* not a */
    EX_JINJA_NODE_UNARY,     /* operator a */
    EX_JINJA_NODE_BINARY,    /* a operator b */
    EX_JINJA_NODE_AND,       /* a and b */
    EX_JINJA_NODE_OR,        /* a or b */
    EX_JINJA_NODE_COMPARE,   /* a, then items: OPERANDs */
    EX_JINJA_NODE_OPERAND,   /* operator a */
    EX_JINJA_NODE_CONCAT,    /* items joined with ~ */
    EX_JINJA_NODE_CONDITION, /* a if b else c; c may be NULL */
    EX_JINJA_NODE_CAPTURED,  /* the text that the filter block or block set around it collected */
    /* statements */
    EX_JINJA_NODE_BODY,      /* items */
    EX_JINJA_NODE_DATA,      /* value */
    EX_JINJA_NODE_OUTPUT,    /* a */
    EX_JINJA_NODE_IF,        /* items: condition, body, condition, body …; c: else or NULL */
    EX_JINJA_NODE_FOR,       /* target a in b if items[0] (or NULL): body c, else items[1] (or NULL) */
    EX_JINJA_NODE_SET,       /* target a = b */
    EX_JINJA_NODE_SET_BLOCK, /* target a = body c through b, filters around CAPTURED */
    EX_JINJA_NODE_MACRO,     /* name(keywords) c */
    EX_JINJA_NODE_CALL_BLOCK, /* call a with body c, which takes keywords */
    EX_JINJA_NODE_FILTER_BLOCK, /* body c through b, filters around CAPTURED */
    EX_JINJA_NODE_WITH,      /* items: target, value, target, value …; body c */
    EX_JINJA_NODE_BREAK,
    EX_JINJA_NODE_CONTINUE,
    EX_JINJA_NODE_COUNT
} ex_jinja_node_kind;

typedef struct ex_jinja_node ex_jinja_node;

typedef struct ex_jinja_keyword { /* name=value of a call; a parameter with its default (or NULL) of a macro */
    const ex_jinja_name *name;
    ex_jinja_node *value;
} ex_jinja_keyword;

enum { /* ex_jinja_node.flags of a macro: names that its body uses */
    EX_JINJA_USES_CALLER = 1,
    EX_JINJA_USES_VARARGS = 2,
    EX_JINJA_USES_KWARGS = 4
};

struct ex_jinja_node {
    uint8_t kind, operator, flags;
    uint32_t line, column;
    const ex_jinja_name *name;
    const ex_jinja_function *function; /* of a filter or test; NULL when nobody has one of this name */
    ex_value value;
    ex_jinja_node *a, *b, *c;
    ex_jinja_node **items;
    size_t n_items;
    ex_jinja_keyword *keywords;
    size_t n_keywords;
};

struct ex_template {
    ex_template_arena arena;
    char *label; /* the template's name in messages */
    const char *source;
    size_t length;
    ex_jinja_name *names[EX_JINJA_NAME_BUCKETS];
    const ex_jinja_name *loop, *caller, *varargs, *kwargs;
    ex_jinja_node *body;
};

ex_code ex_jinja_lex(ex_template *template, ex_jinja_tokens *tokens, ex_error *error);
ex_code ex_jinja_parse(ex_template *template, const ex_jinja_tokens *tokens, ex_error *error);

/* The one name of this spelling; NULL when memory is out. */
const ex_jinja_name *ex_jinja_intern(ex_template *template, const char *bytes, size_t length);
ex_code ex_jinja_tree_memory(const ex_template *template, ex_error *error);

/* How Python's str.isspace sees it. */
bool ex_jinja_is_space(uint32_t codepoint);
/* Length of the white space at the beginning or the end of some text. */
size_t ex_jinja_leading_space(const char *bytes, size_t length);
size_t ex_jinja_trailing_space(const char *bytes, size_t length);

#endif
