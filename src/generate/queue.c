/* queue.c - decisions that wait to be delivered. An entry owns copies of the lists that its choice points to, because
 * the sampler's are overwritten by the next step. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/generator.h"

typedef struct entry_lists {
    ex_candidate candidates[EX_ENTRY_CANDIDATES];
    ex_outlook ahead[EX_DRAWS_MAX];
} entry_lists;

ex_code ex_queue_open(ex_entry_queue *queue, size_t capacity, int32_t n_layer, size_t n_likeliest, ex_error *error) {
    *queue = (ex_entry_queue){.capacity = capacity};
    const size_t entry_bytes =
        sizeof(entry_lists) + n_likeliest * sizeof(ex_candidate) + (size_t)n_layer * sizeof(ex_layer_metrics);
    queue->entries = ex_allocate(capacity, sizeof *queue->entries);
    queue->memory = ex_allocate(capacity, entry_bytes);
    if (!queue->entries || !queue->memory) {
        ex_queue_close(queue);
        return ex_fail_memory(error, "a generator's queue");
    }
    for (size_t i = 0; i < capacity; i++) {
        entry_lists *lists = (entry_lists *)((char *)queue->memory + i * entry_bytes);
        queue->entries[i].candidates = lists->candidates;
        queue->entries[i].ahead = lists->ahead;
        queue->entries[i].likeliest = (ex_candidate *)(lists + 1);
        queue->entries[i].layers = (ex_layer_metrics *)(queue->entries[i].likeliest + n_likeliest);
    }
    return EX_OK;
}

void ex_queue_close(ex_entry_queue *queue) {
    free(queue->entries);
    free(queue->memory);
    *queue = (ex_entry_queue){0};
}

void ex_queue_clear(ex_entry_queue *queue) { queue->count = 0; }

ex_entry *ex_queue_at(const ex_entry_queue *queue, size_t index) {
    return &queue->entries[(queue->first + index) % queue->capacity];
}

ex_entry *ex_queue_push(ex_entry_queue *queue, const ex_entry *entry) {
    ex_entry *kept = ex_queue_at(queue, queue->count++);
    ex_candidate *candidates = kept->candidates;
    ex_layer_metrics *layers = kept->layers;
    ex_outlook *ahead = kept->ahead;
    ex_candidate *likeliest = kept->likeliest;
    *kept = *entry;
    kept->candidates = candidates;
    kept->layers = layers;
    kept->ahead = ahead;
    kept->likeliest = likeliest;
    ex_choice *choice = &kept->choice;
    size_t *count = &choice->distribution.count;
    if (*count > EX_ENTRY_CANDIDATES) *count = EX_ENTRY_CANDIDATES;
    if (*count > 0) memcpy(candidates, choice->distribution.candidates, *count * sizeof *candidates);
    if (choice->n_layer > 0) memcpy(layers, choice->layers, (size_t)choice->n_layer * sizeof *layers);
    if (choice->n_ahead > 0) memcpy(ahead, choice->ahead, choice->n_ahead * sizeof *ahead);
    if (choice->n_likeliest > 0) memcpy(likeliest, choice->likeliest, choice->n_likeliest * sizeof *likeliest);
    choice->distribution.candidates = candidates;
    choice->layers = layers;
    choice->ahead = ahead;
    choice->likeliest = likeliest;
    return kept;
}
