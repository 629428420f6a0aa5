/* rule_parse.h - a condition or formula to its program. */
#ifndef EX_SAMPLER_RULE_PARSE_H
#define EX_SAMPLER_RULE_PARSE_H

#include "sampler/rule_program.h"
#include "sampler/rule_text.h"

typedef enum ex_value_kind { EX_VALUE_NUMBER, EX_VALUE_TRUTH } ex_value_kind;

/* Reads the rest of the line, which must be of this kind, and appends its program to the code of the rules. */
ex_code ex_rule_parse(ex_rules *rules, ex_rule_text *text, ex_value_kind kind, ex_program *program);

#endif
