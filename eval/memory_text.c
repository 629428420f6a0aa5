/* memory_text.c - open_memstream loses what it has no memory for, and neither ferror nor fclose tell. */
#include "memory_text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { FIRST_CAPACITY = 256 };

typedef struct memory_text {
    char **text;
    size_t *length, capacity;
} memory_text;

static bool reserve(memory_text *memory, size_t n) {
    size_t capacity = memory->capacity;
    while (capacity - *memory->length <= n && capacity < SIZE_MAX / 2) capacity *= 2;
    if (capacity - *memory->length <= n) return false;
    if (capacity == memory->capacity) return true;
    char *larger = realloc(*memory->text, capacity);
    if (!larger) return false;
    *memory->text = larger;
    memory->capacity = capacity;
    return true;
}

static ssize_t take(void *cookie, const char *bytes, size_t n) {
    memory_text *memory = cookie;
    if (!reserve(memory, n)) return 0; /* the stream's error flag is set */
    memcpy(*memory->text + *memory->length, bytes, n);
    *memory->length += n;
    (*memory->text)[*memory->length] = '\0';
    return (ssize_t)n;
}

static int finish(void *cookie) {
    free(cookie);
    return 0;
}

FILE *eval_memory_open(char **text, size_t *length) {
    memory_text *memory = malloc(sizeof *memory);
    *text = calloc(FIRST_CAPACITY, 1);
    *length = 0;
    FILE *out = NULL;
    if (memory && *text) {
        *memory = (memory_text){text, length, FIRST_CAPACITY};
        out = fopencookie(memory, "w", (cookie_io_functions_t){.write = take, .close = finish});
    }
    if (out) return out;
    free(memory);
    free(*text);
    *text = NULL;
    return NULL;
}

bool eval_memory_close(FILE *out, char **text) {
    const bool good = fflush(out) == 0 && !ferror(out);
    if (fclose(out) != 0 || !good) {
        free(*text);
        *text = NULL;
    }
    return *text != NULL;
}
