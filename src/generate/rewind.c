/* rewind.c - taking tokens back: by a rule (`resample`, `rewind`) or because a banned text is complete. The token at
 * the place gone back to is excluded there, with all that were excluded there before. Only tokens that were not
 * delivered can be taken back, so what may happen decides how long a token waits. */
#include <string.h>

#include "generate/generator.h"
#include "sampler/rule.h"

static const ex_policy *policy_of(const ex_generator *generator) { return ex_sampler_policy(generator->sampler); }

static bool rules_may(const ex_generator *generator, ex_action action) {
    return ex_rules_may(ex_sampler_rules(generator->sampler), action) &&
           generator->n_rewinds < (size_t)policy_of(generator)->rewind_limit;
}

static bool is_uncertain(const ex_generator *generator, const ex_entry *entry) {
    return entry->kind == EX_EVENT_TOKEN &&
           entry->choice.metrics.logits_entropy >= policy_of(generator)->uncertain_entropy;
}

/* ---- going back ------------------------------------------------------------------------------------------------ */

static int32_t token_before(const ex_generator *generator, size_t index) {
    return index > 0 ? ex_queue_at(&generator->queue, index - 1)->token : generator->last_token;
}

static void remember_retry(ex_generator *generator, const ex_entry *entry) {
    if (generator->n_retried > 0 && generator->retry_position != entry->position) generator->n_retried = 0;
    generator->retry_position = entry->position;
    generator->retried[generator->n_retried++] = entry->token;
}

/* What is excluded is known for one place at a time, so going back to two by turns would have no end by itself. */
static bool may_retry(const ex_generator *generator, const ex_entry *entry) {
    if (entry->kind != EX_EVENT_TOKEN || generator->n_back == EX_BACK_MAX) return false;
    if (generator->n_retried == 0 || generator->retry_position != entry->position) return true;
    return generator->n_retried < EX_EXCLUDED_MAX && entry->choice.distribution.count > 1;
}

static void follow_queue(ex_generator *generator) {
    ex_constraint_copy(generator->constraint, &generator->decided, &generator->delivered);
    for (size_t i = 0; i < generator->queue.count; i++)
        ex_constraint_accept(generator->constraint, &generator->decided, ex_queue_at(&generator->queue, i)->token);
}

ex_code ex_generator_return_to(ex_generator *generator, size_t position, ex_error *error) {
    generator->pending = token_before(generator, generator->queue.count);
    return ex_session_rewind(generator->session, position - 1, error);
}

static ex_code go_back(ex_generator *generator, size_t index, const char *reason, ex_error *error) {
    const ex_entry *entry = ex_queue_at(&generator->queue, index);
    const ex_entry *newest = ex_queue_at(&generator->queue, generator->queue.count - 1);
    const ex_traced_rewind rewind = {entry->position, newest->position + 1, entry->token, reason};
    remember_retry(generator, entry);
    generator->effort.n_rewound++;
    generator->n_back++;
    generator->effort.n_taken_back += generator->queue.count - index;
    generator->n_generated -= generator->queue.count - index;
    generator->queue.count = index;
    follow_queue(generator);
    generator->attempt++;
    const ex_code traced = ex_tracer_rewind(generator->tracer, &rewind, error);
    ex_code code = ex_generator_return_to(generator, entry->position, error);
    if (code == EX_OK) code = ex_sampler_rewind(generator->sampler, entry->n_accepted, error);
    for (size_t i = 0; i < generator->n_retried; i++)
        ex_sampler_exclude(generator->sampler, generator->retried[i]);
    return code == EX_OK ? traced : code;
}

/* ---- by a rule ------------------------------------------------------------------------------------------------- */

/* The index of the newest entry within reach that fits, or the count of the queue. */
static size_t find_uncertain(const ex_generator *generator) {
    const size_t count = generator->queue.count, reach = (size_t)policy_of(generator)->rewind;
    for (size_t back = 1; back <= count && back <= reach; back++) {
        const ex_entry *entry = ex_queue_at(&generator->queue, count - back);
        if (is_uncertain(generator, entry) && may_retry(generator, entry)) return count - back;
    }
    return count;
}

static size_t find_oldest(const ex_generator *generator) {
    const size_t count = generator->queue.count, reach = (size_t)policy_of(generator)->rewind;
    for (size_t index = count > reach ? count - reach : 0; index < count; index++)
        if (may_retry(generator, ex_queue_at(&generator->queue, index))) return index;
    return count;
}

static ex_code go_back_to(ex_generator *generator, size_t index, ex_action action, ex_error *error) {
    if (index == generator->queue.count || !rules_may(generator, action))
        return ex_generator_take_token(generator, error);
    generator->n_rewinds++;
    ex_code code = ex_generator_trace(generator, EX_TRACE_TOKEN, generator->choice.draw.token, error);
    return code == EX_OK ? go_back(generator, index, ex_action_name(action), error) : code;
}

ex_code ex_resample(ex_generator *generator, ex_error *error) {
    return go_back_to(generator, find_uncertain(generator), EX_ACTION_RESAMPLE, error);
}

ex_code ex_rewind(ex_generator *generator, ex_error *error) {
    return go_back_to(generator, find_oldest(generator), EX_ACTION_REWIND, error);
}

/* ---- banned texts ---------------------------------------------------------------------------------------------- */

typedef struct waiting_text { /* of the entries in the queue */
    char *bytes;
    size_t length;
} waiting_text;

/* The end of what the queue spells, as far as a banned text can reach. `starts` receives where each entry begins;
 * entries before the first that fits begin at 0 too. */
static size_t spell(const ex_generator *generator, char *bytes, size_t capacity, size_t *starts) {
    const size_t count = generator->queue.count;
    size_t first = count, length = 0;
    while (first > 0) {
        ex_string text = ex_token_text(generator->tokenizer, ex_queue_at(&generator->queue, first - 1)->token, false);
        if (length + text.length > capacity) break;
        length += text.length;
        first--;
    }
    length = 0;
    for (size_t i = 0; i < count; i++) {
        starts[i] = length;
        if (i < first) continue;
        ex_string text = ex_token_text(generator->tokenizer, ex_queue_at(&generator->queue, i)->token, false);
        memcpy(bytes + length, text.data, text.length);
        length += text.length;
    }
    return length;
}

static size_t entry_at(const ex_generator *generator, const size_t *starts, size_t byte) {
    size_t index = generator->queue.count - 1;
    while (index > 0 && starts[index] > byte) index--;
    return index;
}

enum { SPELLED_MAX = 4096, WAITING_MAX = 1024 };

ex_code ex_avoid_banned(ex_generator *generator, ex_error *error) {
    if (generator->banned.count == 0) return EX_OK;
    char bytes[SPELLED_MAX];
    size_t starts[WAITING_MAX];
    const size_t length = spell(generator, bytes, sizeof bytes, starts);
    for (size_t i = 0; i < generator->banned.count; i++) {
        const ex_string *banned = &generator->banned.texts[i];
        const char *found = memmem(bytes, length, banned->data, banned->length);
        if (!found) continue;
        const size_t index = entry_at(generator, starts, (size_t)(found - bytes));
        if (!may_retry(generator, ex_queue_at(&generator->queue, index))) continue;
        return go_back(generator, index, "banned", error);
    }
    return EX_OK;
}

/* Bytes at the end of the text that could begin a banned one. */
static size_t could_begin(const ex_string *banned, const char *bytes, size_t length) {
    size_t longest = banned->length - 1 < length ? banned->length - 1 : length;
    while (longest > 0 && memcmp(bytes + length - longest, banned->data, longest) != 0) longest--;
    return longest;
}

static size_t settled_of_banned(const ex_generator *generator) {
    char bytes[SPELLED_MAX];
    size_t starts[WAITING_MAX], held = 0;
    const size_t length = spell(generator, bytes, sizeof bytes, starts);
    for (size_t i = 0; i < generator->banned.count; i++) {
        size_t waiting = could_begin(&generator->banned.texts[i], bytes, length);
        if (waiting > held) held = waiting;
    }
    return held > 0 ? entry_at(generator, starts, length - held) : generator->queue.count;
}

/* ---- what waits ------------------------------------------------------------------------------------------------ */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t settled_of_resample(const ex_generator *generator) {
    const size_t count = generator->queue.count, reach = (size_t)policy_of(generator)->rewind;
    for (size_t back = 1; back <= count && back <= reach; back++)
        if (is_uncertain(generator, ex_queue_at(&generator->queue, count - back))) return count - back;
    return count;
}

static size_t settled_of_rewind(const ex_generator *generator) {
    const size_t count = generator->queue.count, reach = (size_t)policy_of(generator)->rewind;
    return count > reach ? count - reach : 0;
}

/* Tokens without text can make a banned text wait for ever: what comes next must still have a place. */
static bool is_full(const ex_generator *generator) {
    const size_t next = (size_t)policy_of(generator)->branch_tokens + 1;
    return generator->queue.count + next > generator->queue.capacity;
}

size_t ex_settled_count(const ex_generator *generator) {
    size_t settled = generator->queue.count;
    if (settled == 0 || ex_queue_at(&generator->queue, settled - 1)->kind == EX_EVENT_END) return settled;
    if (ex_generator_room(generator) == 0) return settled;
    if (rules_may(generator, EX_ACTION_RESAMPLE)) settled = smaller(settled, settled_of_resample(generator));
    if (rules_may(generator, EX_ACTION_REWIND)) settled = smaller(settled, settled_of_rewind(generator));
    if (generator->banned.count > 0) settled = smaller(settled, settled_of_banned(generator));
    return settled == 0 && is_full(generator) ? 1 : settled;
}

size_t ex_unsettled_max(const ex_generator *generator) {
    const ex_policy *policy = policy_of(generator);
    const ex_rules *rules = ex_sampler_rules(generator->sampler);
    size_t count = 1;
    if (ex_rules_may(rules, EX_ACTION_RESAMPLE) || ex_rules_may(rules, EX_ACTION_REWIND))
        count += (size_t)policy->rewind;
    count += (size_t)policy->branch_tokens;
    for (size_t i = 0; i < generator->banned.count; i++) count += generator->banned.texts[i].length;
    return count + 1; /* and the end */
}
