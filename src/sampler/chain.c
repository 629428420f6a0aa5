/* chain.c - the list of stages: compiled from the policy, run on one row of logits, finished as candidates. */
#include "sampler/chain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "sampler/bias.h"
#include "sampler/stage.h"

/* ---- the stages there are --------------------------------------------------------------------------------------- */

static bool has_bias(const ex_policy *policy) { return policy->logit_bias[0] != 0; }

static bool has_penalties(const ex_policy *policy) {
    return policy->repeat_last_n != 0 &&
           (policy->repeat_penalty != 1 || policy->frequency_penalty != 0 || policy->presence_penalty != 0);
}

static bool has_dry(const ex_policy *policy) { return policy->dry_multiplier > 0 && policy->dry_penalty_last_n != 0; }
static bool has_top_n_sigma(const ex_policy *policy) { return policy->top_n_sigma > 0; }
static bool has_typical(const ex_policy *policy) { return policy->typical_p < 1; }
static bool has_top_h(const ex_policy *policy) { return policy->top_h < 1; }
static bool has_eta(const ex_policy *policy) { return policy->eta_cutoff > 0; }
static bool has_epsilon(const ex_policy *policy) { return policy->epsilon_cutoff > 0; }
static bool has_xtc(const ex_policy *policy) { return policy->xtc_probability > 0; }
static bool has_mirostat(const ex_policy *policy) { return policy->mirostat > 0; }
static bool has_adaptive(const ex_policy *policy) { return policy->adaptive_target >= 0; }

/* In the order in which stages go that are switched on and not listed. */
static const ex_stage stages[] = {
    /* name, alias, place, drops tokens, is on, function */
    {"logit_bias", NULL, EX_STAGE_FIRST, false, has_bias, ex_stage_logit_bias},
    {"penalties", NULL, EX_STAGE_FIRST, false, has_penalties, ex_stage_penalties},
    {"dry", NULL, EX_STAGE_FIRST, false, has_dry, ex_stage_dry},
    {"top_n_sigma", NULL, EX_STAGE_FIRST, true, has_top_n_sigma, ex_stage_top_n_sigma},
    {"temperature", "temp", EX_STAGE_LISTED, false, NULL, ex_stage_temperature},
    {"min_p", NULL, EX_STAGE_LISTED, true, NULL, ex_stage_min_p},
    {"top_k", NULL, EX_STAGE_LISTED, true, NULL, ex_stage_top_k},
    {"top_p", NULL, EX_STAGE_LISTED, true, NULL, ex_stage_top_p},
    {"top_p_ascending", NULL, EX_STAGE_LISTED, true, NULL, ex_stage_top_p_ascending},
    {"typ_p", "typical", EX_STAGE_AFTER, true, has_typical, ex_stage_typical},
    {"top_h", NULL, EX_STAGE_AFTER, true, has_top_h, ex_stage_top_h},
    {"epsilon", NULL, EX_STAGE_AFTER, true, has_epsilon, ex_stage_epsilon},
    {"eta", NULL, EX_STAGE_AFTER, true, has_eta, ex_stage_eta},
    {"xtc", NULL, EX_STAGE_AFTER, true, has_xtc, ex_stage_xtc},
    {"mirostat", NULL, EX_STAGE_LAST, false, has_mirostat, ex_stage_mirostat},
    {"adaptive_p", NULL, EX_STAGE_LAST, false, has_adaptive, ex_stage_adaptive},
};

#define STAGE_COUNT (sizeof stages / sizeof *stages)

_Static_assert(STAGE_COUNT <= EX_STAGES_MAX, "a chain has a place for every stage");

static const ex_stage *find_stage(const char *name) {
    for (size_t i = 0; i < STAGE_COUNT; i++)
        if (strcmp(stages[i].name, name) == 0 || (stages[i].alias && strcmp(stages[i].alias, name) == 0))
            return &stages[i];
    return NULL;
}

/* ---- compiling -------------------------------------------------------------------------------------------------- */

typedef struct stage_list {
    const ex_stage *items[EX_STAGES_MAX];
    size_t count;
} stage_list;

static bool has_stage(const stage_list *list, const ex_stage *stage) {
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == stage) return true;
    return false;
}

static ex_code fail_stage(const char *name, ex_error *error) {
    char names[300] = "";
    size_t length = 0;
    for (size_t i = 0; i < STAGE_COUNT && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "", stages[i].name);
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "samplers: there is no stage \"%.30s\"; there are %s", name, names);
}

/* One name of the list; blanks around it do not count, and - stands for _. Returns what is behind it. */
static const char *read_name(const char *text, char *name, size_t size) {
    size_t length = 0, end = strcspn(text, ";"), first = strspn(text, " \t");
    for (size_t i = first; i < end && length + 1 < size; i++) name[length++] = text[i] == '-' ? '_' : text[i];
    while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\t')) length--;
    name[length] = 0;
    return text[end] ? text + end + 1 : text + end;
}

static ex_code read_list(const char *text, stage_list *list, ex_error *error) {
    char name[64];
    while (*text) {
        text = read_name(text, name, sizeof name);
        if (!*name && !*text) break;
        const ex_stage *stage = find_stage(name);
        if (!stage) return fail_stage(name, error);
        if (has_stage(list, stage))
            return ex_fail(error, EX_ERROR_ARGUMENT, 0, "samplers: the stage \"%s\" is listed twice", name);
        list->items[list->count++] = stage;
    }
    return EX_OK;
}

typedef struct choice {
    const ex_policy *policy;
    const stage_list *listed;
    bool mirostat_instead; /* of all that drops tokens: mirostat is switched on and not listed */
} choice;

static void add_unlisted(const choice *chosen, ex_stage_place place, stage_list *out) {
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        const ex_stage *stage = &stages[i];
        bool is_wanted = stage->place == place && !has_stage(chosen->listed, stage) && stage->is_on(chosen->policy);
        if (is_wanted && !(chosen->mirostat_instead && stage->drops)) out->items[out->count++] = stage;
    }
}

static void add_listed(const choice *chosen, bool last, stage_list *out) {
    for (size_t i = 0; i < chosen->listed->count; i++) {
        const ex_stage *stage = chosen->listed->items[i];
        bool is_wanted = (stage->place == EX_STAGE_LAST) == last && (!stage->is_on || stage->is_on(chosen->policy));
        if (is_wanted && !(chosen->mirostat_instead && stage->drops)) out->items[out->count++] = stage;
    }
}

static ex_code compile(const ex_policy *policy, stage_list *out, ex_error *error) {
    stage_list listed = {{0}, 0};
    *out = listed;
    ex_code code = read_list(policy->samplers, &listed, error);
    if (code != EX_OK) return code;
    if (has_mirostat(policy) && has_adaptive(policy))
        return ex_fail(error, EX_ERROR_ARGUMENT, 0,
                       "mirostat and adaptive_target both steer the surprise: set one of them only");
    choice chosen = {.policy = policy, .listed = &listed};
    chosen.mirostat_instead = has_mirostat(policy) && !has_stage(&listed, find_stage("mirostat"));
    add_unlisted(&chosen, EX_STAGE_FIRST, out);
    add_listed(&chosen, false, out);
    add_unlisted(&chosen, EX_STAGE_AFTER, out);
    add_listed(&chosen, true, out);
    add_unlisted(&chosen, EX_STAGE_LAST, out);
    return EX_OK;
}

ex_code ex_chain_check(const ex_policy *policy, ex_error *error) {
    stage_list list;
    ex_bias *biases;
    size_t n_biases;
    ex_text_list banned;
    ex_code code = compile(policy, &list, error);
    if (code == EX_OK) code = ex_bias_read(&biases, &n_biases, policy->logit_bias, INT32_MAX, error);
    if (code != EX_OK) return code;
    free(biases);
    code = ex_breakers_check(policy->dry_sequence_breakers, error);
    if (code == EX_OK) code = ex_text_list_read(&banned, "banned_strings", policy->banned_strings, error);
    if (code == EX_OK) ex_text_list_free(&banned);
    return code;
}

/* ---- the handle -------------------------------------------------------------------------------------------------- */

static size_t window_of(int32_t last_n) { return last_n < 0 ? EX_CONTEXT_MAX : (size_t)last_n; }

static bool runs(const ex_chain *chain, void (*run)(ex_stage_run *)) {
    for (size_t i = 0; i < chain->n_stages; i++)
        if (chain->stages[i]->run == run) return true;
    return false;
}

static void size_context(ex_chain *chain) {
    size_t penalties = runs(chain, ex_stage_penalties) ? window_of(chain->policy.repeat_last_n) : 0;
    size_t dry = runs(chain, ex_stage_dry) ? window_of(chain->policy.dry_penalty_last_n) : 0;
    chain->context = penalties > dry ? penalties : dry;
}

static ex_code open_memory(ex_chain *chain, ex_error *error) {
    const size_t n = chain->n_vocab, n_blocks = (n + EX_LOGITS_BLOCK - 1) / EX_LOGITS_BLOCK;
    chain->logits = ex_allocate(n, sizeof *chain->logits);
    chain->block_maxima = ex_allocate(n_blocks, sizeof *chain->block_maxima);
    chain->scaled = ex_allocate(n, sizeof *chain->scaled);
    chain->entries = ex_allocate(n, sizeof *chain->entries);
    chain->likeliest = ex_allocate(EX_FOUND_MAX, sizeof *chain->likeliest);
    chain->marks = ex_allocate(n, sizeof *chain->marks);
    chain->marked = ex_allocate(n, sizeof *chain->marked);
    chain->recent = ex_allocate(chain->context, sizeof *chain->recent);
    chain->repeats = ex_allocate(chain->context, sizeof *chain->repeats);
    chain->entering = ex_allocate(n, sizeof *chain->entering);
    bool complete = chain->logits && chain->block_maxima && chain->scaled && chain->entries && chain->likeliest &&
                    chain->marks && chain->marked && chain->recent && chain->repeats && chain->entering;
    return complete ? EX_OK : ex_fail_memory(error, "the stages of a sampler");
}

ex_code ex_chain_open(ex_chain **out, const ex_policy *policy, size_t n_vocab, ex_error *error) {
    *out = NULL;
    stage_list list;
    ex_code code = ex_chain_check(policy, error);
    if (code == EX_OK) code = compile(policy, &list, error);
    if (code != EX_OK) return code;
    ex_chain *chain = ex_allocate(1, sizeof *chain);
    if (!chain) return ex_fail_memory(error, "the stages of a sampler");
    chain->policy = *policy;
    chain->n_vocab = n_vocab;
    memcpy(chain->stages, list.items, sizeof chain->stages);
    chain->n_stages = list.count;
    size_context(chain);
    code = ex_bias_read(&chain->biases, &chain->n_biases, policy->logit_bias, n_vocab, error);
    if (code == EX_OK) code = open_memory(chain, error);
    if (code != EX_OK) {
        ex_chain_close(chain);
        return code;
    }
    *out = chain;
    return EX_OK;
}

void ex_chain_close(ex_chain *chain) {
    if (!chain) return;
    free(chain->biases);
    ex_breakers_close(&chain->breakers);
    free(chain->logits);
    free(chain->block_maxima);
    free(chain->scaled);
    free(chain->entries);
    free(chain->likeliest);
    free(chain->marks);
    free(chain->marked);
    free(chain->recent);
    free(chain->repeats);
    free(chain->entering);
    free(chain);
}

ex_code ex_chain_set_vocabulary(ex_chain *chain, ex_text_of text_of, const void *context, ex_error *error) {
    if (!runs(chain, ex_stage_dry)) return EX_OK;
    return ex_breakers_open(&chain->breakers, chain->policy.dry_sequence_breakers, chain->n_vocab, text_of, context,
                            error);
}

bool ex_chain_is_plain(const ex_chain *chain) {
    static void (*const plain[])(ex_stage_run *) = {ex_stage_temperature, ex_stage_min_p, ex_stage_top_k,
                                                    ex_stage_top_p};
    if (chain->n_stages != sizeof plain / sizeof *plain || chain->policy.dynatemp_range > 0) return false;
    for (size_t i = 0; i < chain->n_stages; i++)
        if (chain->stages[i]->run != plain[i]) return false;
    return true;
}

size_t ex_chain_context(const ex_chain *chain) { return chain->context; }
size_t ex_chain_count(const ex_chain *chain) { return chain->n_stages; }
const char *ex_chain_name(const ex_chain *chain, size_t index) { return chain->stages[index]->name; }

/* ---- one step ---------------------------------------------------------------------------------------------------- */

static bool changes_logits(const ex_stage *stage) {
    return stage->run == ex_stage_logit_bias || stage->run == ex_stage_penalties || stage->run == ex_stage_dry;
}

/* Entries in order of likelihood, without those of no probability. */
static void order_entries(ex_stage_run *run) {
    ex_stage_weigh(run);
    ex_stage_keep_first(run, run->is_reweighed ? EX_HEAVIEST_FIRST : EX_LIKELIEST_FIRST, 0, NULL, NULL);
    while (run->count > 1 && run->entries[run->count - 1].weight == 0) run->count--;
}

static size_t finish(ex_stage_run *run) {
    const ex_filter_input *input = run->input;
    double total = 0;
    order_entries(run);
    for (size_t i = 0; i < run->count; i++) total += run->entries[i].weight;
    for (size_t i = 0; i < run->count; i++) {
        const ex_stage_entry *entry = &run->entries[i];
        ex_candidate *candidate = &run->memory->candidates[i];
        *candidate = (ex_candidate){.token = entry->token, .probability = entry->weight / total};
        candidate->log_probability = (double)input->logits[entry->token];
        candidate->log_probability -= (double)input->summary.maximum + input->summary.log_sum;
        candidate->score = candidate->log_probability + input->confidence;
        if (run->chain->steered)
            run->chain->entering[i] = exp(ex_stage_exponent(run, entry->logit)) / run->entering;
    }
    return run->count;
}

size_t ex_chain_filter(ex_chain *chain, const ex_filter_memory *memory, const ex_filter_input *input,
                       const ex_decision *decision, const ex_chain_step *step) {
    ex_stage_run run = {.chain = chain, .policy = &chain->policy, .memory = memory, .input = input,
                        .decision = decision, .step = step, .is_dense = true, .logits = input->logits,
                        .block_maxima = memory->block_maxima, .entries = chain->entries,
                        .maximum = input->summary.maximum, .divisor = 1};
    const ex_stage_run untouched = run;
    const bool is_greedy = decision->temperature == 0;
    chain->steered = false;
    ex_stage_allow(&run);
    ex_stage_exclude(&run);
    for (size_t i = 0; i < chain->n_stages && run.maximum > -INFINITY; i++)
        if (!is_greedy || changes_logits(chain->stages[i])) chain->stages[i]->run(&run);
    const bool is_nothing_left = run.maximum == -INFINITY;
    if (is_nothing_left) { /* the likeliest of all that is allowed, whatever spoke against it */
        run = untouched;
        ex_stage_allow(&run);
    }
    if (is_greedy || is_nothing_left) ex_stage_keep_likeliest(&run, 1);
    return finish(&run);
}

size_t ex_chain_find_allowed(ex_chain *chain, const ex_filter_memory *memory, const ex_filter_input *input,
                             const uint64_t *allowed, size_t limit, const ex_survivor **likeliest) {
    const ex_chain_step step = {.allowed = allowed};
    ex_stage_run run = {.chain = chain, .memory = memory, .input = input, .step = &step, .is_dense = true,
                        .logits = input->logits, .block_maxima = memory->block_maxima};
    ex_filter_memory masked = *memory;
    ex_filter_input rest = *input;
    ex_stage_allow(&run);
    masked.block_maxima = chain->block_maxima;
    masked.likeliest = chain->likeliest;
    rest.logits = chain->logits;
    *likeliest = chain->likeliest;
    return ex_find_likeliest(&masked, &rest, limit);
}

bool ex_chain_copy_step(ex_chain *to, const ex_chain *from, size_t n_candidates) {
    to->steered = from->steered;
    if (from->steered) memcpy(to->entering, from->entering, n_candidates * sizeof *to->entering);
    return from->steered;
}

void ex_chain_accept(const ex_chain *chain, const ex_distribution *distribution, int32_t token, ex_carried *carried) {
    if (!chain->steered) return;
    for (size_t i = 0; i < distribution->count; i++) {
        if (distribution->candidates[i].token != token) continue;
        if (chain->policy.mirostat > 0)
            ex_mirostat_accept(&chain->policy, chain->entering[i], carried);
        else
            ex_adaptive_accept(&chain->policy, chain->entering[i], carried);
        return;
    }
}
