/* filter.c - the filters. All three keep a head of the tokens in order of logit (lower id first among equals), so the
 * work is to find that head without sorting the vocabulary: the maxima of blocks, which the measuring pass has left,
 * tell the few blocks that can hold any of it, a vectorised comparison finds what passes a threshold there, and a
 * bounded heap keeps the likeliest of them. The metrics need the head first; a filter that it is long enough for
 * takes it from there. Otherwise a second heap gives tokens up in order until top_p is reached. */
#include "sampler/filter.h"

#include <float.h>
#include <math.h>

#include "sampler/mass.h"

typedef bool (*order)(ex_survivor a, ex_survivor b); /* a is nearer to the root of the heap */

static bool is_likelier(ex_survivor a, ex_survivor b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

static bool is_less_likely(ex_survivor a, ex_survivor b) { return is_likelier(b, a); }

static inline void sift_down(ex_survivor *heap, size_t count, size_t parent, order before) {
    ex_survivor moving = heap[parent];
    for (size_t child = 2 * parent + 1; child < count; child = 2 * parent + 1) {
        if (child + 1 < count && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], moving)) break;
        heap[parent] = heap[child];
        parent = child;
    }
    heap[parent] = moving;
}

static inline void make_heap(ex_survivor *heap, size_t count, order before) {
    for (size_t i = count / 2; i-- > 0;) sift_down(heap, count, i, before);
}

/* A logit that every token with p >= min_p * max p reaches: a little too low, because the exact comparison comes later
 * in double precision. -infinity never passes. */
static float lowest_logit(const ex_logits_summary *summary, const ex_decision *decision) {
    if (decision->min_p <= 0) return -FLT_MAX;
    double drop = decision->temperature * log(decision->min_p);
    double lowest = (double)summary->maximum + drop;
    lowest -= 1e-9 * (fabs((double)summary->maximum) + fabs(drop));
    return lowest <= -FLT_MAX ? -FLT_MAX : fmaxf(-FLT_MAX, nextafterf((float)lowest, -INFINITY));
}

/* Adds a survivor to those kept, the `limit` likeliest, with the least likely at the root once they are so many.
 * Returns how many there are. */
static inline size_t keep_likeliest(ex_survivor *heap, size_t count, size_t limit, ex_survivor survivor) {
    if (count < limit) {
        heap[count++] = survivor;
        if (count == limit) make_heap(heap, count, is_less_likely);
    } else if (is_likelier(survivor, heap[0])) {
        heap[0] = survivor;
        sift_down(heap, count, 0, is_less_likely);
    }
    return count;
}

static size_t count_blocks(const ex_filter_input *input) {
    return (input->n_vocab + EX_LOGITS_BLOCK - 1) / EX_LOGITS_BLOCK;
}

/* As many tokens as `limit` reach this: the maxima of so many blocks. -infinity where there are not so many blocks. */
static float reached_by(const ex_filter_memory *memory, const ex_filter_input *input, size_t limit) {
    const size_t n_blocks = count_blocks(input);
    if (n_blocks < limit) return -INFINITY;
    for (size_t block = 0, count = 0; block < n_blocks; block++) {
        ex_survivor first = {memory->block_maxima[block], (int32_t)block};
        count = keep_likeliest(memory->survivors, count, limit, first);
    }
    return memory->survivors[0].logit;
}

/* The `limit` likeliest tokens whose logit is at least `threshold`, in no order. Most blocks have none and are not
 * read. Once the heap is full, a later token, whose id is higher, must be above its least likely one. */
static size_t collect(const ex_filter_memory *memory, const ex_filter_input *input, float threshold, size_t limit) {
    threshold = fmaxf(threshold, reached_by(memory, input, limit));
    size_t count = 0;
    for (size_t block = 0; block < count_blocks(input); block++) {
        if (!(memory->block_maxima[block] >= threshold)) continue;
        const size_t first = block * EX_LOGITS_BLOCK, left = input->n_vocab - first;
        const size_t n = left < EX_LOGITS_BLOCK ? left : EX_LOGITS_BLOCK;
        size_t found = input->math->select_at_least(input->logits + first, n, threshold, memory->selected, n);
        for (size_t i = 0; i < found; i++) {
            size_t token = first + (size_t)memory->selected[i];
            ex_survivor survivor = {input->logits[token], (int32_t)token};
            count = keep_likeliest(memory->survivors, count, limit, survivor);
        }
        if (count == limit) threshold = fmaxf(threshold, nextafterf(memory->survivors[0].logit, INFINITY));
    }
    return count;
}

size_t ex_find_likeliest(const ex_filter_memory *memory, const ex_filter_input *input, size_t limit) {
    ex_survivor *heap = memory->survivors;
    const size_t count = collect(memory, input, -FLT_MAX, limit);
    make_heap(heap, count, is_likelier);
    for (size_t i = 0, left = count; i < count; i++) {
        memory->likeliest[i] = heap[0];
        heap[0] = heap[--left];
        if (left > 0) sift_down(heap, left, 0, is_likelier);
    }
    return count;
}

typedef struct weight_scale { /* e^((logit - maximum) / temperature): probabilities before they are normalised */
    double maximum, temperature, least;
} weight_scale;

/* 0 for what min_p removes; the likeliest token has 1. */
static double weight_of(const weight_scale *scale, ex_survivor survivor) {
    double weight = exp(((double)survivor.logit - scale->maximum) / scale->temperature);
    return weight >= scale->least ? weight : 0;
}

static ex_candidate weighted_candidate(ex_survivor survivor, double weight) {
    return (ex_candidate){.token = survivor.token,
                          .probability = weight, /* of all kept ones: completed by finish */
                          .log_probability = (double)survivor.logit};
}

/* The first `limit` of the likeliest, as far as min_p and top_p reach. */
static size_t take_head(const ex_filter_memory *memory, size_t limit, const weight_scale *scale, double top_p) {
    ex_mass mass = {0};
    double before = 0;
    size_t reached = 0, kept = 0;
    for (; reached < limit; reached++) {
        double weight = weight_of(scale, memory->likeliest[reached]);
        if (weight == 0) break;
        memory->candidates[reached] = weighted_candidate(memory->likeliest[reached], weight);
        ex_mass_add(&mass, weight);
    }
    const double total = ex_mass_value(mass);
    while (kept < reached && (top_p >= 1 || before <= top_p * total)) before += memory->candidates[kept++].probability;
    return kept;
}

/* Takes survivors in order while the mass before them is at most top_p, and returns how many. Weights are left in
 * `probability`. */
static size_t take_nucleus(const ex_filter_memory *memory, size_t count, const weight_scale *scale, double top_p) {
    ex_survivor *heap = memory->survivors;
    ex_mass mass = {0};
    double before = 0;
    for (size_t i = 0; i < count; i++) ex_mass_add(&mass, weight_of(scale, heap[i]));
    const double total = ex_mass_value(mass);
    make_heap(heap, count, is_likelier);
    size_t kept = 0;
    while (count > 0 && (top_p >= 1 || before <= top_p * total)) {
        double weight = weight_of(scale, heap[0]);
        if (weight == 0) break;
        memory->candidates[kept++] = weighted_candidate(heap[0], weight);
        before += weight;
        heap[0] = heap[--count];
        if (count > 0) sift_down(heap, count, 0, is_likelier);
    }
    return kept;
}

static size_t take_likeliest(const ex_filter_memory *memory, const ex_filter_input *input) {
    size_t block = 0;
    while (memory->block_maxima[block] != input->summary.maximum) block++;
    size_t token = block * EX_LOGITS_BLOCK;
    while (input->logits[token] != input->summary.maximum) token++;
    memory->candidates[0] =
        (ex_candidate){.token = (int32_t)token, .probability = 1, .log_probability = (double)input->summary.maximum};
    return 1;
}

static void finish(const ex_filter_memory *memory, size_t count, const ex_filter_input *input) {
    double total = 0;
    for (size_t i = 0; i < count; i++) total += memory->candidates[i].probability;
    for (size_t i = 0; i < count; i++) {
        ex_candidate *candidate = &memory->candidates[i];
        candidate->probability /= total;
        candidate->log_probability -= (double)input->summary.maximum + input->summary.log_sum;
        candidate->score = candidate->log_probability + input->confidence;
    }
}

size_t ex_filter(const ex_filter_memory *memory, const ex_filter_input *input, const ex_decision *decision) {
    size_t count;
    if (decision->temperature == 0) {
        count = take_likeliest(memory, input);
    } else {
        size_t limit = input->n_vocab;
        if (decision->top_k > 0 && (size_t)decision->top_k < limit) limit = (size_t)decision->top_k;
        weight_scale scale = {(double)input->summary.maximum, decision->temperature, decision->min_p};
        if (limit <= input->n_likeliest) {
            count = take_head(memory, limit, &scale, decision->top_p);
            finish(memory, count, input);
            return count;
        }
        count = collect(memory, input, lowest_logit(&input->summary, decision), limit);
        count = take_nucleus(memory, count, &scale, decision->top_p);
    }
    finish(memory, count, input);
    return count;
}
