#include "sampler/near_name.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 48 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Levenshtein's: one row of the table at a time. */
static size_t distance_of(const char *a, size_t n_a, const char *b, size_t n_b) {
    size_t row[NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= n_b; j++) row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(changed, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[n_b];
}

void ex_near_name_try(ex_near_name *near, const char *name) {
    size_t length = strlen(name);
    if (length > NAME_MAX_BYTES || near->length > NAME_MAX_BYTES) return;
    size_t distance = distance_of(near->typed, near->length, name, length);
    if (distance > near->length / 4 + 1 || (near->nearest && distance >= near->distance)) return;
    near->nearest = name;
    near->distance = distance;
}

const char *ex_near_name_advice(const ex_near_name *near, char *text, size_t size) {
    if (near->nearest)
        snprintf(text, size, "; did you mean \"%s\"?", near->nearest);
    else
        text[0] = 0;
    return text;
}
