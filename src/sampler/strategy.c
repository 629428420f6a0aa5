/* strategy.c - the strategies as one table: when each holds and what it makes of the base parameters. A new strategy is
 * a new row. The order of rows is the order of checks; the first that holds wins. */
#include "sampler/strategy.h"

#include <math.h>

typedef enum rule_quantity { LOGITS_ENTROPY, VARENTROPY } rule_quantity;
typedef enum rule_relation { BELOW, ABOVE, AT_LEAST } rule_relation;

typedef struct rule_condition {
    rule_quantity quantity;
    rule_relation relation;
    size_t threshold; /* offset of a double in ex_policy */
} rule_condition;

typedef struct strategy_row {
    const char *name, *words;
    size_t n_conditions;
    rule_condition conditions[2];
    bool clarified; /* holds only when the clarification may not be inserted */
    void (*adjust)(const ex_policy *policy, const ex_metrics *metrics, ex_decision *decision);
} strategy_row;

double ex_policy_varentropy(const ex_policy *policy, const ex_metrics *metrics) {
    return policy->varentropy == EX_VARENTROPY_SEQUENCE ? metrics->sequence_varentropy : metrics->logits_varentropy;
}

static double clip(double value, double lowest, double highest) { return fmin(fmax(value, lowest), highest); }

/* No limit (0) stays no limit: the formulas would turn it into the smallest one. */
static int32_t scaled_top_k(const ex_policy *policy, double value, int32_t lowest, int32_t highest) {
    return policy->top_k == 0 ? 0 : (int32_t)clip(value, lowest, highest);
}

static void take_likeliest(const ex_policy *policy, const ex_metrics *metrics, ex_decision *decision) {
    (void)policy, (void)metrics;
    decision->temperature = 0;
    decision->top_p = 1;
    decision->top_k = 1;
    decision->min_p = 0;
}

static void sample_hotter(const ex_policy *policy, const ex_metrics *metrics, ex_decision *decision) {
    double factor = policy->helv_offset + policy->helv_coef * metrics->attn_entropy;
    decision->temperature = fmin(policy->helv_max_temp, policy->temperature * factor);
}

static void explore(const ex_policy *policy, const ex_metrics *metrics, ex_decision *decision) {
    double factor = policy->lehv_offset + policy->lehv_coef * metrics->interaction_strength;
    double width = policy->top_k * (1 + policy->lehv_top_k_coef * (1 - metrics->agreement));
    decision->temperature = fmin(policy->lehv_max_temp, policy->temperature * factor);
    decision->top_k = scaled_top_k(policy, floor(width), policy->lehv_min_top_k, INT32_MAX);
}

static void risk(const ex_policy *policy, const ex_metrics *metrics, ex_decision *decision) {
    double factor = policy->hehv_offset + policy->hehv_coef * metrics->attn_varentropy;
    double top_p = policy->top_p - policy->hehv_top_p_coef * metrics->attn_entropy;
    decision->temperature = fmax(policy->hehv_min_temp, policy->temperature * factor);
    decision->top_p = clip(top_p, policy->hehv_min_top_p, 1);
}

static void adapt(const ex_policy *policy, const ex_metrics *metrics, ex_decision *decision) {
    double logits = metrics->logits_entropy + ex_policy_varentropy(policy, metrics);
    double attention = metrics->attn_entropy + metrics->attn_varentropy;
    decision->temperature = policy->temperature * (1 + policy->ada_temp_logits * logits +
                                                   policy->ada_temp_attn * attention -
                                                   policy->ada_temp_agree * metrics->agreement);
    double mass = policy->top_p * (1 + policy->ada_top_p * metrics->attn_varentropy);
    double width = policy->top_k * (1 + policy->ada_top_k_int * metrics->interaction_strength -
                                    policy->ada_top_k_agree * metrics->agreement);
    double floor_p = policy->min_p * (1 - policy->ada_min_p * logits);
    decision->top_p = clip(mass, policy->ada_min_top_p, policy->ada_max_top_p);
    decision->top_k = scaled_top_k(policy, rint(width), policy->ada_min_top_k, policy->ada_max_top_k);
    decision->min_p = clip(floor_p, policy->ada_min_min_p, policy->ada_max_min_p);
}

static void keep_base(const ex_policy *policy, const ex_metrics *metrics, ex_decision *decision) {
    (void)policy, (void)metrics, (void)decision;
}

#define THRESHOLD(key) offsetof(ex_policy, key)

static const strategy_row strategies[EX_STRATEGY_COUNT] = {
    [EX_STRATEGY_GREEDY] = {"greedy", "entropy < low_entropy and varentropy < low_varentropy", 2,
        {{LOGITS_ENTROPY, BELOW, THRESHOLD(low_entropy)}, {VARENTROPY, BELOW, THRESHOLD(low_varentropy)}},
        false, take_likeliest},
    [EX_STRATEGY_CLARIFY] = {"clarify", "entropy > clarify_entropy and varentropy < low_varentropy", 2,
        {{LOGITS_ENTROPY, ABOVE, THRESHOLD(clarify_entropy)}, {VARENTROPY, BELOW, THRESHOLD(low_varentropy)}},
        false, sample_hotter},
    [EX_STRATEGY_CLARIFY_RESAMPLE] = {"clarify_resample", "entropy > clarify_entropy and varentropy < low_varentropy, "
        "when the clarification was just emitted or may not be inserted now", 2,
        {{LOGITS_ENTROPY, ABOVE, THRESHOLD(clarify_entropy)}, {VARENTROPY, BELOW, THRESHOLD(low_varentropy)}},
        true, sample_hotter},
    [EX_STRATEGY_EXPLORE] = {"explore", "entropy < explore_entropy and varentropy > high_varentropy", 2,
        {{LOGITS_ENTROPY, BELOW, THRESHOLD(explore_entropy)}, {VARENTROPY, ABOVE, THRESHOLD(high_varentropy)}},
        false, explore},
    [EX_STRATEGY_HIGH_UNCERTAINTY] = {"high_uncertainty", "entropy >= high_entropy and varentropy > high_varentropy", 2,
        {{LOGITS_ENTROPY, AT_LEAST, THRESHOLD(high_entropy)}, {VARENTROPY, ABOVE, THRESHOLD(high_varentropy)}},
        false, risk},
    [EX_STRATEGY_ADAPTIVE] = {"adaptive", "none of the others", 0, {{0}}, false, adapt},
    [EX_STRATEGY_PLAIN] = {"plain", "strategies = false", 0, {{0}}, false, keep_base},
};

const char *ex_strategy_name(ex_strategy strategy) {
    return (unsigned)strategy < EX_STRATEGY_COUNT ? strategies[strategy].name : "unknown";
}

const char *ex_strategy_condition(ex_strategy strategy) {
    return (unsigned)strategy < EX_STRATEGY_COUNT ? strategies[strategy].words : "";
}

static const char *quantity_name(const ex_policy *policy, rule_quantity quantity) {
    if (quantity == LOGITS_ENTROPY) return "logits_entropy";
    return policy->varentropy == EX_VARENTROPY_SEQUENCE ? "sequence_varentropy" : "logits_varentropy";
}

/* How far the quantity is past its threshold: positive when the condition has room to spare. */
static double room_to_spare(const rule_condition *condition, const ex_policy *policy, const ex_metrics *metrics) {
    double threshold = *(const double *)((const char *)policy + condition->threshold);
    double value =
        condition->quantity == LOGITS_ENTROPY ? metrics->logits_entropy : ex_policy_varentropy(policy, metrics);
    return condition->relation == BELOW ? threshold - value : value - threshold;
}

static bool holds(const rule_condition *condition, const ex_policy *policy, const ex_metrics *metrics) {
    double room = room_to_spare(condition, policy, metrics);
    return condition->relation == AT_LEAST ? room >= 0 : room > 0;
}

static bool all_hold(const strategy_row *row, const ex_policy *policy, const ex_metrics *metrics) {
    for (size_t i = 0; i < row->n_conditions; i++)
        if (!holds(&row->conditions[i], policy, metrics)) return false;
    return true;
}

static ex_strategy choose(const ex_policy *policy, const ex_metrics *metrics, bool clarified) {
    if (!policy->strategies) return EX_STRATEGY_PLAIN;
    for (int i = 0; i < EX_STRATEGY_ADAPTIVE; i++) {
        if (i == EX_STRATEGY_CLARIFY && clarified) continue;
        if (strategies[i].clarified && !clarified) continue;
        if (all_hold(&strategies[i], policy, metrics)) return (ex_strategy)i;
    }
    return EX_STRATEGY_ADAPTIVE;
}

/* Of a rule that fired: its condition with the least room. */
static void margin_of_rule(const strategy_row *row, const ex_policy *policy, const ex_metrics *metrics,
                           ex_decision *decision) {
    for (size_t i = 0; i < row->n_conditions; i++) {
        double room = room_to_spare(&row->conditions[i], policy, metrics);
        if (i > 0 && room >= decision->margin) continue;
        decision->margin = room;
        decision->margin_metric = quantity_name(policy, row->conditions[i].quantity);
    }
}

/* Where no rule fired: the rule that lacks least, by the condition that it lacks most. */
static void margin_of_adaptive(const ex_policy *policy, const ex_metrics *metrics, ex_decision *decision) {
    for (int i = 0; i < EX_STRATEGY_ADAPTIVE; i++) {
        const strategy_row *row = &strategies[i];
        double lacking = -1;
        rule_quantity worst = LOGITS_ENTROPY;
        for (size_t j = 0; j < row->n_conditions; j++) {
            if (holds(&row->conditions[j], policy, metrics)) continue;
            double short_by = -room_to_spare(&row->conditions[j], policy, metrics);
            if (short_by <= lacking) continue;
            lacking = short_by;
            worst = row->conditions[j].quantity;
        }
        if (i > 0 && lacking >= decision->margin) continue;
        decision->margin = lacking;
        decision->margin_metric = quantity_name(policy, worst);
    }
}

void ex_decide(const ex_policy *policy, const ex_metrics *metrics, bool clarified, ex_decision *decision) {
    ex_strategy chosen = choose(policy, metrics, clarified);
    *decision = (ex_decision){.strategy = chosen,
                              .temperature = policy->temperature,
                              .top_p = policy->top_p,
                              .min_p = policy->min_p,
                              .top_k = policy->top_k,
                              .margin_metric = ""};
    strategies[chosen].adjust(policy, metrics, decision);
    if (policy->temperature == 0 || decision->temperature <= 0) take_likeliest(policy, metrics, decision);
    if (chosen == EX_STRATEGY_ADAPTIVE)
        margin_of_adaptive(policy, metrics, decision);
    else
        margin_of_rule(&strategies[chosen], policy, metrics, decision);
}
