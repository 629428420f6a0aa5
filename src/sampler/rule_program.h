/* rule_program.h - what rules are compiled to: postfix programs over two stacks, one of numbers and one of truths. A
 * program's needs are known when it is compiled, so running it checks nothing. */
#ifndef EX_SAMPLER_RULE_PROGRAM_H
#define EX_SAMPLER_RULE_PROGRAM_H

#include "sampler/rule.h"

enum {
    EX_RULE_COUNT_MAX = 32,
    EX_RULE_NAME_MAX = 32,    /* bytes with the terminator */
    EX_RULE_CODE_MAX = 2048,  /* instructions of all rules together */
    EX_RULE_STACK_MAX = 32,   /* numbers, and as many truths */
    EX_RULE_DEPTH_MAX = 48,   /* of parentheses, functions and signs within each other */
    EX_RULE_WINDOW_MAX = 1024,
    EX_RULE_UNTIL_MAX = 64    /* bits of ex_carried.held */
};

typedef enum ex_operation { /* in groups, of which rule_evaluate.c knows the borders */
    EX_OPERATION_NUMBER,    /* one number more */
    EX_OPERATION_METRIC,
    EX_OPERATION_LAYER,
    EX_OPERATION_KEY_NUMBER,
    EX_OPERATION_KEY_INTEGER,
    EX_OPERATION_MEAN,
    EX_OPERATION_LOWEST,
    EX_OPERATION_HIGHEST,
    EX_OPERATION_VARIANCE,
    EX_OPERATION_NEGATE,    /* a number to a number */
    EX_OPERATION_FLOOR,
    EX_OPERATION_ROUND,
    EX_OPERATION_ABS,
    EX_OPERATION_SQRT,
    EX_OPERATION_LOG2,
    EX_OPERATION_EXP2,
    EX_OPERATION_ADD,       /* two numbers to a number */
    EX_OPERATION_SUBTRACT,
    EX_OPERATION_MULTIPLY,
    EX_OPERATION_DIVIDE,
    EX_OPERATION_MIN,
    EX_OPERATION_MAX,
    EX_OPERATION_CLIP,      /* three numbers to a number */
    EX_OPERATION_LESS,      /* two numbers to a truth */
    EX_OPERATION_AT_MOST,
    EX_OPERATION_GREATER,
    EX_OPERATION_AT_LEAST,
    EX_OPERATION_MAY_INSERT, /* one truth more */
    EX_OPERATION_FIRST_TOKEN,
    EX_OPERATION_NOT,        /* a truth to a truth */
    EX_OPERATION_AND,        /* two truths to a truth */
    EX_OPERATION_OR,
    EX_OPERATION_UNTIL,
    EX_OPERATION_COUNT
} ex_operation;

enum { EX_METRIC_VARENTROPY = -1, EX_METRIC_NONE = -2 }; /* in `metric`: the policy's varentropy; none at all */

typedef struct ex_instruction {
    uint8_t operation; /* ex_operation */
    int16_t metric;    /* of METRIC, LAYER and windows: index; of comparisons: the one that names their margin */
    int16_t layer;     /* of LAYER: from the last when negative */
    uint16_t count;    /* of windows: positions; of UNTIL: its bit */
    union {
        double number;  /* of NUMBER */
        size_t offset;  /* of keys, in ex_policy */
        bool layer_metric; /* of comparisons: `metric` is one of a layer */
    } operand;
} ex_instruction;

typedef struct ex_program {
    uint16_t first, count; /* in the code of the rules; count 0: there is none */
} ex_program;

typedef enum ex_formula {
    EX_FORMULA_TEMPERATURE,
    EX_FORMULA_TOP_P,
    EX_FORMULA_TOP_K,
    EX_FORMULA_MIN_P,
    EX_FORMULA_CANDIDATES,
    EX_FORMULA_COUNT
} ex_formula;

typedef struct ex_rule {
    char name[EX_RULE_NAME_MAX];
    const char *words; /* the condition as written, in the text of the rules */
    ex_action action;
    bool has_until;
    ex_program condition;
    ex_program formulas[EX_FORMULA_COUNT];
} ex_rule;

struct ex_rules {
    size_t n_rules, n_code, n_until, n_text, window;
    ex_rule rules[EX_RULE_COUNT_MAX];
    ex_instruction code[EX_RULE_CODE_MAX];
    char text[EX_RULES_MAX]; /* the conditions, each terminated */
};

/* Compiles the text of a policy's rules. Complaints begin with "NAME:LINE:COLUMN: "; `line` is that of the text's first
 * line in the file. `rules` is all zero before, and not to be used after a failure. */
ex_code ex_rules_compile(ex_rules *rules, const char *text, size_t length, const char *name, size_t line,
                         ex_error *error);
/* Writes the text as policies hold it: from the first section on, without blanks at the ends of lines and lines at the
 * end that say nothing. Compiles it, to see whether it is good. */
ex_code ex_rules_clean(char out[EX_RULES_MAX], const char *text, size_t length, const char *name, size_t line,
                       ex_error *error);

#endif
