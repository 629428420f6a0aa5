/* stage.c - how stages change logits and drop tokens. As long as every token is there nothing is copied: the maxima of
 * blocks, which the measuring pass has left, lead to the few that pass a threshold. */
#include "sampler/stage.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "sampler/mass.h"

static const double NATS = 1.4426950408889634; /* bits in one */

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t count_blocks(const ex_stage_run *run) {
    return (run->input->n_vocab + EX_LOGITS_BLOCK - 1) / EX_LOGITS_BLOCK;
}

static size_t block_length(const ex_stage_run *run, size_t block) {
    return smaller(EX_LOGITS_BLOCK, run->input->n_vocab - block * EX_LOGITS_BLOCK);
}

/* ---- logits --------------------------------------------------------------------------------------------------- */

static void copy_logits(ex_stage_run *run) {
    ex_chain *chain = run->chain;
    if (run->logits == chain->logits) return;
    memcpy(chain->logits, run->logits, run->input->n_vocab * sizeof *chain->logits);
    memcpy(chain->block_maxima, run->block_maxima, count_blocks(run) * sizeof *chain->block_maxima);
    run->logits = chain->logits;
    run->block_maxima = chain->block_maxima;
}

static void set_logit(ex_stage_run *run, int32_t token, float logit) {
    ex_chain *chain = run->chain;
    const size_t block = (size_t)token / EX_LOGITS_BLOCK;
    const float before = chain->logits[token];
    chain->logits[token] = logit;
    if (logit >= chain->block_maxima[block])
        chain->block_maxima[block] = logit;
    else if (before == chain->block_maxima[block])
        chain->block_maxima[block] =
            run->input->math->maximum(chain->logits + block * EX_LOGITS_BLOCK, block_length(run, block));
}

static void find_maximum(ex_stage_run *run) {
    float maximum = -INFINITY;
    if (run->is_dense)
        for (size_t block = 0; block < count_blocks(run); block++) maximum = fmaxf(maximum, run->block_maxima[block]);
    else
        for (size_t i = 0; i < run->count; i++) maximum = fmaxf(maximum, run->entries[i].logit);
    if (maximum != run->maximum) run->is_weighed = false;
    run->maximum = maximum;
}

/* A block of logits without those that are not allowed; returns the largest. */
static float mask_block(const ex_stage_run *run, size_t block, float *masked) {
    const uint64_t *allowed = run->step->allowed;
    const size_t first = block * EX_LOGITS_BLOCK, n = block_length(run, block);
    const float *logits = run->logits + first;
    for (size_t i = 0; i < n; i += 64) {
        const uint64_t bits = allowed[(first + i) / 64];
        for (size_t k = i; k < n && k < i + 64; k++) masked[first + k] = bits >> (k - i) & 1 ? logits[k] : -INFINITY;
    }
    return run->input->math->maximum(masked + first, n);
}

void ex_stage_allow(ex_stage_run *run) {
    ex_chain *chain = run->chain;
    if (!run->step->allowed) return;
    for (size_t block = 0; block < count_blocks(run); block++)
        chain->block_maxima[block] = mask_block(run, block, chain->logits);
    run->logits = chain->logits;
    run->block_maxima = chain->block_maxima;
    find_maximum(run);
}

typedef double (*adjustment)(const ex_stage_run *run, int32_t token, uint32_t mark, double value);

static float adjust_one(const ex_stage_run *run, adjustment adjusted, int32_t token, float logit) {
    double value = adjusted(run, token, run->chain->marks[token], (double)logit / run->divisor);
    return (float)(value * run->divisor);
}

void ex_stage_adjust(ex_stage_run *run, size_t n_marked, adjustment adjusted) {
    ex_chain *chain = run->chain;
    if (n_marked == 0) return;
    if (run->is_dense) {
        copy_logits(run);
        for (size_t i = 0; i < n_marked; i++) {
            const int32_t token = chain->marked[i];
            set_logit(run, token, adjust_one(run, adjusted, token, chain->logits[token]));
        }
    } else {
        for (size_t i = 0; i < run->count; i++) {
            ex_stage_entry *entry = &run->entries[i];
            if (chain->marks[entry->token] != 0) entry->logit = adjust_one(run, adjusted, entry->token, entry->logit);
        }
        run->is_sorted = run->is_weighed = false;
    }
    for (size_t i = 0; i < n_marked; i++) chain->marks[chain->marked[i]] = 0;
    find_maximum(run);
}

/* ---- from all tokens to entries ------------------------------------------------------------------------------- */

/* Entries for all logits that are at least `threshold` and above -infinity. */
static void take_entries(ex_stage_run *run, float threshold) {
    const ex_filter_input *input = run->input;
    size_t count = 0;
    threshold = fmaxf(threshold, -FLT_MAX);
    for (size_t block = 0; block < count_blocks(run); block++) {
        if (!(run->block_maxima[block] >= threshold)) continue;
        const size_t first = block * EX_LOGITS_BLOCK, n = block_length(run, block);
        size_t found = input->math->select_at_least(run->logits + first, n, threshold, run->memory->selected, n);
        for (size_t i = 0; i < found; i++) {
            size_t token = first + (size_t)run->memory->selected[i];
            run->entries[count++] = (ex_stage_entry){.logit = run->logits[token], .token = (int32_t)token};
        }
    }
    run->count = count;
    run->is_dense = run->is_weighed = run->is_sorted = false;
}

void ex_stage_weigh(ex_stage_run *run) {
    if (run->is_dense) take_entries(run, -FLT_MAX);
    if (run->is_weighed || run->is_reweighed) return;
    for (size_t i = 0; i < run->count; i++)
        run->entries[i].weight = exp(ex_stage_exponent(run, run->entries[i].logit));
    run->is_weighed = true;
}

static ex_exponential_sums dense_sums(const ex_stage_run *run) {
    const ex_filter_input *input = run->input;
    const float *logits = run->logits;
    if (run->divisor != 1) {
        const float factor = (float)(1 / run->divisor);
        float *scaled = run->chain->scaled;
        for (size_t i = 0; i < input->n_vocab; i++) scaled[i] = (logits[i] - run->maximum) * factor;
        logits = scaled;
    }
    return input->math->exponential_sums(logits, input->n_vocab, NULL);
}

static double sparse_total(ex_stage_run *run, double *entropy) {
    ex_mass mass = {0};
    double sum_x = 0;
    ex_stage_weigh(run);
    for (size_t i = 0; i < run->count; i++) {
        const ex_stage_entry *entry = &run->entries[i];
        ex_mass_add(&mass, entry->weight);
        if (entry->weight > 0) sum_x += entry->weight * ex_stage_exponent(run, entry->logit);
    }
    double total = ex_mass_value(mass);
    if (entropy) *entropy = fmax(0, log(total) - sum_x / total);
    return total;
}

double ex_stage_total(ex_stage_run *run, double *entropy) {
    const ex_logits_summary *summary = &run->input->summary;
    if (!run->is_dense) return sparse_total(run, entropy);
    if (run->logits == run->input->logits && run->divisor == 1) {
        if (entropy) *entropy = summary->entropy / NATS;
        return exp(summary->log_sum);
    }
    ex_exponential_sums sums = dense_sums(run);
    if (entropy) *entropy = fmax(0, log(sums.sum) - sums.sum_x / sums.sum);
    return sums.sum;
}

double ex_stage_whole(const ex_stage_run *run) {
    double maximum = -INFINITY;
    for (size_t block = 0; block < count_blocks(run); block++)
        maximum = fmax(maximum, (double)run->block_maxima[block]);
    return dense_sums(run).sum * exp((maximum - (double)run->maximum) / run->divisor);
}

size_t ex_stage_count(const ex_stage_run *run) {
    if (!run->is_dense) return run->count;
    return run->input->math->select_at_least(run->logits, run->input->n_vocab, -FLT_MAX, NULL, 0);
}

/* ---- dropping ------------------------------------------------------------------------------------------------- */

/* A logit that everything of this weight reaches: a little too low, because the exact comparison comes later. */
static float reached_by_weight(const ex_stage_run *run, double least) {
    if (least <= 0) return -FLT_MAX;
    double drop = run->divisor * log(least), lowest = (double)run->maximum + drop;
    lowest -= 1e-9 * (fabs((double)run->maximum) + fabs(drop));
    return lowest <= -(double)FLT_MAX ? -FLT_MAX : nextafterf((float)lowest, -INFINITY);
}

void ex_stage_keep_weight(ex_stage_run *run, double least) {
    if (least <= 0) return;
    least = fmin(least, 1); /* the likeliest has 1 */
    if (run->is_dense) take_entries(run, reached_by_weight(run, least));
    ex_stage_weigh(run);
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++)
        if (run->entries[i].weight >= least) run->entries[kept++] = run->entries[i];
    run->count = kept;
}

void ex_stage_keep_logit(ex_stage_run *run, double lowest) {
    lowest = fmin(lowest, (double)run->maximum);
    if (run->is_dense) take_entries(run, lowest <= -(double)FLT_MAX ? -FLT_MAX : nextafterf((float)lowest, -INFINITY));
    size_t kept = 0;
    for (size_t i = 0; i < run->count; i++)
        if ((double)run->entries[i].logit >= lowest) run->entries[kept++] = run->entries[i];
    run->count = kept;
}

static size_t find_likeliest(ex_stage_run *run, size_t limit, const ex_survivor **likeliest) {
    *likeliest = run->memory->likeliest;
    if (run->logits == run->input->logits && run->input->n_likeliest >= limit) return limit;
    ex_filter_memory memory = *run->memory;
    ex_filter_input input = *run->input;
    memory.block_maxima = run->logits == run->chain->logits ? run->chain->block_maxima : memory.block_maxima;
    memory.likeliest = run->chain->likeliest;
    input.logits = run->logits;
    *likeliest = memory.likeliest;
    return ex_find_likeliest(&memory, &input, limit);
}

static bool count_down(void *context, const ex_stage_entry *next) {
    size_t *left = context;
    (void)next;
    return (*left)-- > 0;
}

static void take_likeliest(ex_stage_run *run, const ex_survivor *likeliest, size_t count) {
    for (size_t i = 0; i < count; i++)
        run->entries[i] = (ex_stage_entry){.logit = likeliest[i].logit, .token = likeliest[i].token};
    run->count = count;
    run->is_dense = run->is_weighed = false;
    run->is_sorted = true;
}

void ex_stage_keep_likeliest(ex_stage_run *run, size_t limit) {
    if (run->is_dense && limit <= EX_FOUND_MAX && limit <= run->input->n_vocab) {
        const ex_survivor *likeliest;
        const size_t count = find_likeliest(run, limit, &likeliest);
        take_likeliest(run, likeliest, count);
        return;
    }
    ex_stage_weigh(run);
    size_t left = limit;
    if (limit < run->count) ex_stage_keep_first(run, EX_LIKELIEST_FIRST, 0, count_down, &left);
}

void ex_stage_dropped(ex_stage_run *run) {
    run->is_sorted = false;
    find_maximum(run);
}

/* ---- entries in order ----------------------------------------------------------------------------------------- */

typedef struct entry_heap {
    ex_stage_entry *entries;
    size_t count;
    double maximum, divisor, centre;
} entry_heap;

typedef bool (*comes_before)(const entry_heap *heap, const ex_stage_entry *a, const ex_stage_entry *b);

static bool is_likelier(const entry_heap *heap, const ex_stage_entry *a, const ex_stage_entry *b) {
    (void)heap;
    return a->logit != b->logit ? a->logit > b->logit : a->token < b->token;
}

static bool is_less_likely(const entry_heap *heap, const ex_stage_entry *a, const ex_stage_entry *b) {
    return is_likelier(heap, b, a);
}

static double distance(const entry_heap *heap, const ex_stage_entry *entry) {
    return fabs(((double)entry->logit - heap->maximum) / heap->divisor - heap->centre);
}

static bool is_more_typical(const entry_heap *heap, const ex_stage_entry *a, const ex_stage_entry *b) {
    double of_a = distance(heap, a), of_b = distance(heap, b);
    return of_a != of_b ? of_a < of_b : is_likelier(heap, a, b);
}

static bool is_heavier(const entry_heap *heap, const ex_stage_entry *a, const ex_stage_entry *b) {
    (void)heap;
    return a->weight != b->weight ? a->weight > b->weight : a->token < b->token;
}

static inline void sift_down(const entry_heap *heap, size_t parent, comes_before before) {
    ex_stage_entry moving = heap->entries[parent];
    for (size_t child = 2 * parent + 1; child < heap->count; child = 2 * parent + 1) {
        if (child + 1 < heap->count && before(heap, &heap->entries[child + 1], &heap->entries[child])) child++;
        if (!before(heap, &heap->entries[child], &moving)) break;
        heap->entries[parent] = heap->entries[child];
        parent = child;
    }
    heap->entries[parent] = moving;
}

static void reverse(ex_stage_entry *entries, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        ex_stage_entry moving = entries[i];
        entries[i] = entries[count - 1 - i];
        entries[count - 1 - i] = moving;
    }
}

typedef bool (*continuation)(void *context, const ex_stage_entry *next);

/* The heap gives the entries up one by one to the end of the array, the first to the very end. */
static inline size_t take_in_order(ex_stage_entry *entries, entry_heap heap, comes_before before, continuation goes_on,
                                   void *context) {
    const size_t n = heap.count;
    for (size_t i = n / 2; i-- > 0;) sift_down(&heap, i, before);
    while (heap.count > 0 && (!goes_on || goes_on(context, &entries[0]) || heap.count == n)) {
        ex_stage_entry first = entries[0];
        entries[0] = entries[--heap.count];
        if (heap.count > 0) sift_down(&heap, 0, before);
        entries[heap.count] = first;
    }
    const size_t kept = n - heap.count;
    reverse(entries + heap.count, kept);
    memmove(entries, entries + heap.count, kept * sizeof *entries);
    return kept;
}

static size_t take_sorted(const ex_stage_run *run, continuation goes_on, void *context) {
    size_t kept = 0;
    while (kept < run->count && (!goes_on || goes_on(context, &run->entries[kept]) || kept == 0)) kept++;
    return kept;
}

void ex_stage_keep_first(ex_stage_run *run, ex_stage_order order, double centre, continuation goes_on, void *context) {
    ex_stage_entry *entries = run->entries;
    entry_heap heap = {entries, run->count, (double)run->maximum, run->divisor, centre};
    switch (order) {
    case EX_LIKELIEST_FIRST:
        run->count = run->is_sorted ? take_sorted(run, goes_on, context)
                                    : take_in_order(entries, heap, is_likelier, goes_on, context);
        run->is_sorted = true;
        return;
    case EX_LEAST_LIKELY_FIRST:
        run->count = take_in_order(entries, heap, is_less_likely, goes_on, context);
        break;
    case EX_MOST_TYPICAL_FIRST:
        run->count = take_in_order(entries, heap, is_more_typical, goes_on, context);
        break;
    case EX_HEAVIEST_FIRST:
        run->count = take_in_order(entries, heap, is_heavier, goes_on, context);
        return;
    }
    ex_stage_dropped(run);
}

bool ex_stage_keep_head(ex_stage_run *run, continuation goes_on, void *context) {
    const ex_stage_run before = *run;
    const ex_survivor *likeliest;
    if (!run->is_dense || run->input->n_vocab <= EX_FOUND_MAX) return false;
    /* As many as there are blocks: their maxima then tell a threshold. */
    const size_t count = find_likeliest(run, smaller(EX_FOUND_MAX, count_blocks(run)), &likeliest);
    take_likeliest(run, likeliest, count);
    ex_stage_weigh(run);
    run->count = take_sorted(run, goes_on, context);
    if (run->count < count) return true;
    *run = before;
    return false;
}
