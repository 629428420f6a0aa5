/* replay.c - runs a fuzz target on every file of a folder, for compilers without libFuzzer: fuzz_NAME FOLDER. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static bool run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    uint8_t *data = malloc(1 << 20);
    size_t size = data ? fread(data, 1, 1 << 20, file) : 0;
    fclose(file);
    /* A block of just this size, so that a sanitizer sees what reads past it. */
    uint8_t *exact = malloc(size ? size : 1);
    for (size_t i = 0; exact && i < size; i++) exact[i] = data[i];
    free(data);
    if (!exact) return false;
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return true;
}

int main(int argc, char **argv) {
    struct dirent **entries;
    int n_run = 0, count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    if (count < 0) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        char path[1000];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            printf("%s\n", path);
            fflush(stdout);
            n_run += run_file(path);
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs\n", n_run);
    return n_run == 0;
}
