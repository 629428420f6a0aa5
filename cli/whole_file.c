/* whole_file.c - what a file was before stays when the disk is full, or the program ends, in the middle of writing. */
#include "whole_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"

static bool write_and_sync(FILE *file, const char *bytes, size_t n_bytes) {
    return fwrite(bytes, 1, n_bytes, file) == n_bytes && fflush(file) == 0 && fsync(fileno(file)) == 0;
}

int whole_file_write(const char *path, const char *bytes, size_t n_bytes) {
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.%ld.part", path, (long)getpid()) < 0) return report_memory();
    FILE *file = fopen(temporary, "wxe");
    bool written = file && write_and_sync(file, bytes, n_bytes);
    int reason = errno;
    if (file && fclose(file) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written && rename(temporary, path) != 0) {
        written = false;
        reason = errno;
    }
    if (!written) message("%s: cannot write: %s", path, strerror(reason));
    if (!written && file) unlink(temporary);
    free(temporary);
    return written ? STATUS_OK : STATUS_INPUT;
}
