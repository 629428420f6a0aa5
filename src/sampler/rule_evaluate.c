/* rule_evaluate.c - running the programs, and the decision that they make. A truth carries its margin: how far the
 * metric that decides it is from its threshold. Truths are ordered by it: `and` is the least, `or` the greatest. */
#include <math.h>

#include "sampler/rule_program.h"

typedef struct truth {
    double room;        /* at least 0 when it holds, at most 0 when it does not; infinite: no metric decides */
    const char *metric; /* that decides */
    bool holds;
} truth;

typedef struct value_stacks {
    double numbers[EX_RULE_STACK_MAX + 1]; /* place 0 is below the first, for a uniform "top" */
    truth truths[EX_RULE_STACK_MAX + 1];
} value_stacks;

static int varentropy_index(const ex_policy *policy) {
    const size_t offset = policy->varentropy == EX_VARENTROPY_SEQUENCE ? offsetof(ex_metrics, sequence_varentropy)
                                                                       : offsetof(ex_metrics, logits_varentropy);
    return (int)(offset / sizeof(double));
}

static size_t resolve(const ex_policy *policy, int metric) {
    return (size_t)(metric == EX_METRIC_VARENTROPY ? varentropy_index(policy) : metric);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static double layer_value(const ex_rule_input *input, const ex_instruction *instruction) {
    int32_t layer = instruction->layer < 0 ? input->n_layer + instruction->layer : instruction->layer;
    if (!input->layers || layer < 0 || layer >= input->n_layer) return 0;
    return ex_layer_metric_value(&input->layers[layer], (size_t)instruction->metric);
}

static double window_value(const ex_rule_input *input, const ex_instruction *instruction) {
    size_t metric = resolve(input->policy, instruction->metric);
    double value = ex_metric_value(input->metrics, metric), sum = value, lowest = value, highest = value;
    ex_running_variance variance = ex_variance_add((ex_running_variance){0}, value);
    size_t count = 1;
    for (size_t back = 0; input->history && count < instruction->count; back++) {
        const ex_record *record = ex_history_newest(input->history, back);
        if (!record) break;
        if (!record->measured) continue;
        value = ex_metric_value(&record->metrics, metric);
        variance = ex_variance_add(variance, value);
        sum += value;
        lowest = fmin(lowest, value);
        highest = fmax(highest, value);
        count++;
    }
    switch (instruction->operation) {
    case EX_OPERATION_MEAN:
        return sum / (double)count;
    case EX_OPERATION_LOWEST:
        return lowest;
    case EX_OPERATION_HIGHEST:
        return highest;
    default:
        return variance.squares / variance.count;
    }
}

static double load(const ex_rule_input *input, const ex_instruction *instruction) {
    const char *policy = (const char *)input->policy;
    switch (instruction->operation) {
    case EX_OPERATION_NUMBER:
        return instruction->operand.number;
    case EX_OPERATION_METRIC:
        return ex_metric_value(input->metrics, resolve(input->policy, instruction->metric));
    case EX_OPERATION_LAYER:
        return layer_value(input, instruction);
    case EX_OPERATION_KEY_NUMBER:
        return *(const double *)(policy + instruction->operand.offset);
    case EX_OPERATION_KEY_INTEGER:
        return *(const int32_t *)(policy + instruction->operand.offset);
    default:
        return window_value(input, instruction);
    }
}

static double apply_one(int operation, double a) {
    switch (operation) {
    case EX_OPERATION_NEGATE:
        return -a;
    case EX_OPERATION_FLOOR:
        return floor(a);
    case EX_OPERATION_ROUND:
        return rint(a);
    case EX_OPERATION_ABS:
        return fabs(a);
    case EX_OPERATION_SQRT:
        return sqrt(a);
    case EX_OPERATION_LOG2:
        return log2(a);
    default:
        return exp2(a);
    }
}

static double apply_two(int operation, double a, double b) {
    switch (operation) {
    case EX_OPERATION_ADD:
        return a + b;
    case EX_OPERATION_SUBTRACT:
        return a - b;
    case EX_OPERATION_MULTIPLY:
        return a * b;
    case EX_OPERATION_DIVIDE:
        return a / b;
    case EX_OPERATION_MIN:
        return fmin(a, b);
    default:
        return fmax(a, b);
    }
}

/* ---- truths ------------------------------------------------------------------------------------------------------ */

static truth without_metric(bool holds) { return (truth){holds ? INFINITY : -INFINITY, "", holds}; }

static const char *metric_name(const ex_rule_input *input, const ex_instruction *comparison) {
    if (comparison->operand.layer_metric) return ex_layer_metric_name((size_t)comparison->metric);
    return ex_metric_name(resolve(input->policy, comparison->metric));
}

/* What is no number is neither below nor above anything. */
static truth compare(const ex_rule_input *input, const ex_instruction *comparison, double a, double b) {
    bool wants_less = comparison->operation == EX_OPERATION_LESS || comparison->operation == EX_OPERATION_AT_MOST;
    bool strict = comparison->operation == EX_OPERATION_LESS || comparison->operation == EX_OPERATION_GREATER;
    double room = a == b ? 0 : wants_less ? b - a : a - b;
    bool holds = strict ? room > 0 : room >= 0;
    if (comparison->metric == EX_METRIC_NONE || isnan(room)) return without_metric(holds);
    return (truth){room, metric_name(input, comparison), holds};
}

/* Where two have no room at all, the one that does not hold is less. */
static bool is_less(const truth *a, const truth *b) {
    return a->room != b->room ? a->room < b->room : !a->holds && b->holds;
}

static truth both(truth a, truth b) { return is_less(&b, &a) ? b : a; }
static truth either(truth a, truth b) { return is_less(&a, &b) ? b : a; }
static truth opposite(truth a) { return (truth){-a.room, a.metric, !a.holds}; }

/* It holds from where `begin` does until `end` does; `end` is stronger where both do. */
static truth until(truth begin, truth end, unsigned bit, uint64_t *held) {
    truth result = both(either(without_metric(*held >> bit & 1), begin), opposite(end));
    *held = (*held & ~(UINT64_C(1) << bit)) | (uint64_t)result.holds << bit;
    return result;
}

/* ---- programs ---------------------------------------------------------------------------------------------------- */

static double *run_number(double *number, const ex_instruction *at, const ex_rule_input *input) {
    if (at->operation < EX_OPERATION_NEGATE) {
        number[1] = load(input, at);
        return number + 1;
    }
    if (at->operation < EX_OPERATION_ADD) {
        number[0] = apply_one(at->operation, number[0]);
        return number;
    }
    if (at->operation < EX_OPERATION_CLIP) {
        number[-1] = apply_two(at->operation, number[-1], number[0]);
        return number - 1;
    }
    number[-2] = fmin(fmax(number[-2], number[-1]), number[0]);
    return number - 2;
}

static truth *run_truth(truth *fact, const ex_instruction *at, const ex_rule_input *input, uint64_t *held) {
    switch (at->operation) {
    case EX_OPERATION_MAY_INSERT:
        fact[1] = without_metric(input->may_insert);
        return fact + 1;
    case EX_OPERATION_FIRST_TOKEN:
        fact[1] = without_metric(input->history && input->history->count == 0);
        return fact + 1;
    case EX_OPERATION_NOT:
        fact[0] = opposite(fact[0]);
        return fact;
    case EX_OPERATION_AND:
        fact[-1] = both(fact[-1], fact[0]);
        return fact - 1;
    case EX_OPERATION_OR:
        fact[-1] = either(fact[-1], fact[0]);
        return fact - 1;
    default:
        fact[-1] = until(fact[-1], fact[0], at->count, held);
        return fact - 1;
    }
}

static void run(value_stacks *stacks, const ex_instruction *code, ex_program program, const ex_rule_input *input,
                uint64_t *held) {
    double *number = stacks->numbers; /* the newest */
    truth *fact = stacks->truths;
    const ex_instruction *end = code + program.first + program.count;
    for (const ex_instruction *at = code + program.first; at < end; at++) {
        if (at->operation < EX_OPERATION_LESS) {
            number = run_number(number, at, input);
        } else if (at->operation < EX_OPERATION_MAY_INSERT) {
            number -= 2;
            *++fact = compare(input, at, number[1], number[2]);
        } else {
            fact = run_truth(fact, at, input, held);
        }
    }
}

static truth evaluate_condition(const ex_rules *rules, const ex_rule *rule, const ex_rule_input *input,
                                uint64_t *held) {
    value_stacks stacks;
    run(&stacks, rules->code, rule->condition, input, held);
    return stacks.truths[1];
}

/* The base value where there is no formula, or where it gives no finite number. */
static double evaluate_formula(const ex_rules *rules, const ex_rule *rule, ex_formula formula,
                               const ex_rule_input *input, double base) {
    value_stacks stacks;
    uint64_t none = 0;
    if (rule->formulas[formula].count == 0) return base;
    run(&stacks, rules->code, rule->formulas[formula], input, &none);
    return isfinite(stacks.numbers[1]) ? stacks.numbers[1] : base;
}

/* ---- decision ---------------------------------------------------------------------------------------------------- */

static double clip(double value, double lowest, double highest) { return fmin(fmax(value, lowest), highest); }

/* No limit (0) stays no limit: most formulas would turn it into the smallest one. */
static int32_t top_k_of(const ex_rules *rules, const ex_rule *rule, const ex_rule_input *input) {
    int32_t base = input->policy->top_k;
    double value = base == 0 ? 0 : evaluate_formula(rules, rule, EX_FORMULA_TOP_K, input, base);
    return value == 0 ? 0 : (int32_t)clip(rint(value), 1, INT32_MAX);
}

static void take_likeliest(ex_decision *decision) {
    decision->temperature = 0;
    decision->top_p = 1;
    decision->top_k = 1;
    decision->min_p = 0;
}

static void apply(const ex_rules *rules, const ex_rule *rule, const ex_rule_input *input, ex_decision *decision) {
    const ex_policy *policy = input->policy;
    decision->action = rule->action == EX_ACTION_INSERT && !input->may_insert ? EX_ACTION_SAMPLE : rule->action;
    decision->temperature = evaluate_formula(rules, rule, EX_FORMULA_TEMPERATURE, input, policy->temperature);
    decision->top_p = clip(evaluate_formula(rules, rule, EX_FORMULA_TOP_P, input, policy->top_p), 0, 1);
    decision->top_k = top_k_of(rules, rule, input);
    decision->min_p = clip(evaluate_formula(rules, rule, EX_FORMULA_MIN_P, input, policy->min_p), 0, 1);
    double candidates = evaluate_formula(rules, rule, EX_FORMULA_CANDIDATES, input, 1);
    decision->candidates = (int32_t)clip(rint(candidates), 1, EX_DRAWS_MAX);
}

/* The first rule that holds. `deciding` is its truth, or where it has no condition that of the rule above it which
 * lacks least. Every `until` is brought up to date, those of later rules too. */
static size_t choose(const ex_rules *rules, const ex_rule_input *input, uint64_t *held, truth *deciding) {
    size_t chosen = rules->n_rules;
    *deciding = without_metric(false);
    for (size_t i = 0; i < rules->n_rules; i++) {
        const ex_rule *rule = &rules->rules[i];
        bool open = chosen == rules->n_rules;
        if (rule->condition.count == 0 && open) chosen = i;
        if (rule->condition.count == 0 || (!open && !rule->has_until)) continue;
        truth found = evaluate_condition(rules, rule, input, held);
        if (!open) continue;
        if (found.holds) chosen = i;
        if (found.holds || is_less(deciding, &found)) *deciding = found;
    }
    return chosen;
}

void ex_rules_decide(const ex_rules *rules, const ex_rule_input *input, uint64_t *held, ex_decision *decision) {
    const ex_policy *policy = input->policy;
    truth deciding;
    size_t chosen = choose(rules, input, held, &deciding);
    bool firm = isfinite(deciding.room);
    *decision = (ex_decision){.rule = (int32_t)chosen,
                              .strategy = ex_rules_name(rules, chosen),
                              .temperature = policy->temperature,
                              .top_p = policy->top_p,
                              .min_p = policy->min_p,
                              .top_k = policy->top_k,
                              .candidates = 1,
                              .margin_metric = firm ? deciding.metric : "",
                              .margin = firm ? fabs(deciding.room) : 0};
    if (chosen < rules->n_rules) apply(rules, &rules->rules[chosen], input, decision);
    if (policy->temperature == 0 || decision->temperature <= 0 || decision->action == EX_ACTION_GREEDY)
        take_likeliest(decision);
}
