/* fuzz.c - numbers and pieces from an input, files for what reads paths. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void take(fuzz_input *input, void *out, size_t size) {
    size_t n = input->left < size ? input->left : size;
    memset(out, 0, size);
    if (n) memcpy(out, input->data, n);
    input->data += n;
    input->left -= n;
}

uint8_t fuzz_byte(fuzz_input *input) {
    uint8_t value;
    take(input, &value, sizeof value);
    return value;
}

uint32_t fuzz_u32(fuzz_input *input) {
    uint32_t value;
    take(input, &value, sizeof value);
    return value;
}

float fuzz_float(fuzz_input *input) {
    float value;
    take(input, &value, sizeof value);
    return value;
}

double fuzz_double(fuzz_input *input) {
    double value;
    take(input, &value, sizeof value);
    return value;
}

char *fuzz_piece(fuzz_input *input, size_t *length) {
    static const char mark[] = "\n====\n";
    const size_t n_mark = sizeof mark - 1;
    const uint8_t *found = input->left ? memmem(input->data, input->left, mark, n_mark) : NULL;
    *length = found ? (size_t)(found - input->data) : input->left;
    char *text = malloc(*length + 1);
    fuzz_require(text);
    size_t n_taken = *length + (found ? n_mark : 0);
    take(input, text, *length);
    text[*length] = 0;
    input->data += n_taken - *length;
    input->left -= n_taken - *length;
    return text;
}

const char *fuzz_file(const void *data, size_t size) {
    static char path[64];
    static int file = -1;
    if (file >= 0) close(file);
    file = memfd_create("fuzz", MFD_CLOEXEC);
    fuzz_require(file >= 0);
    fuzz_require(!size || write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return path;
}

static char folder[64];

static void remove_folder(void) {
    DIR *entries = opendir(folder);
    if (!entries) return;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (entry->d_name[0] != '.') unlinkat(dirfd(entries), entry->d_name, 0);
    closedir(entries);
    rmdir(folder);
}

const char *fuzz_path(const char *name) {
    static char paths[4][160];
    static unsigned turn;
    if (!folder[0]) {
        const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(folder, sizeof folder, "%s/entropix_fuzz.XXXXXX", root);
        fuzz_require(mkdtemp(folder));
        atexit(remove_folder);
    }
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void fuzz_write(const char *name, const void *data, size_t size) {
    FILE *file = fopen(fuzz_path(name), "wb");
    fuzz_require(file);
    fuzz_require(fwrite(data, 1, size, file) == size);
    fuzz_require(fclose(file) == 0);
}

void fuzz_touch(const void *data, size_t size) {
    static volatile uint8_t sum;
    for (size_t i = 0; i < size; i++) sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
}

void fuzz_check(bool holds, const char *condition, const char *file, int line) {
    if (holds) return;
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}
