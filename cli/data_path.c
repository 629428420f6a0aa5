#include "data_path.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* From the program's folder. The build makes the first one of links, and says the second. */
static const char *const folders[DATA_PLACES] = {"share/entropix", ENTROPIX_DATA_FROM_PROGRAM};

/* With its slash; symbolic links have been followed. */
static size_t find_own_folder(char path[DATA_PATH_SIZE]) {
    const ssize_t n = readlink("/proc/self/exe", path, DATA_PATH_SIZE - 1);
    if (n <= 0) return 0;
    path[n] = '\0';
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

size_t data_places(char places[DATA_PLACES][DATA_PATH_SIZE], const char *name) {
    char own[DATA_PATH_SIZE];
    const size_t length = find_own_folder(own);
    size_t n = 0;
    for (size_t i = 0; length > 0 && i < DATA_PLACES; i++) {
        const int written = snprintf(places[n], DATA_PATH_SIZE, "%.*s%s/%s", (int)length, own, folders[i], name);
        if (written > 0 && written < DATA_PATH_SIZE) n++;
    }
    return n;
}

void data_path(char path[DATA_PATH_SIZE], const char *name) {
    char places[DATA_PLACES][DATA_PATH_SIZE];
    const size_t n = data_places(places, name);
    snprintf(path, DATA_PATH_SIZE, "%s", name);
    for (size_t i = 0; i < n; i++) {
        memcpy(path, places[i], DATA_PATH_SIZE);
        if (access(path, R_OK) == 0) return;
    }
}
