/* whole_text.c - memory that runs out in the middle of a text, and disks that are full in the middle of a file. */
#include "whole_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"

/* When the last reallocation fails, fclose says that all went well and leaves NULL. */
bool whole_text_close(FILE *out, char **text) {
    bool good = ferror(out) == 0;
    if (fclose(out) != 0 || !good) {
        free(*text);
        *text = NULL;
    }
    return *text != NULL;
}

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
