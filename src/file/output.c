#include "file/output.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 18,
    NAME_TRIES = 1000 /* temporary names: others may be left over from killed programs */
};

struct ex_output {
    char *path, *temporary;
    int descriptor;   /* -1 when closed */
    uint64_t written; /* bytes that the system has taken */
    size_t buffered;
    unsigned char buffer[BUFFER_BYTES];
};

static ex_code fail_write(const ex_output *output, ex_error *error) {
    static const struct {
        int number;
        const char *reason;
    } limits[] = {
        {ENOSPC, "the disk is full"}, {EDQUOT, "the disk quota is used up"}, {EFBIG, "the file is too large"}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (errno == limits[i].number)
            return ex_fail(error, EX_ERROR_IO, output->written,
                           "%s: %s after %" PRIu64 " bytes; the unfinished file is removed", output->path,
                           limits[i].reason, output->written);
    return ex_fail_system(error, output->path, "write the file");
}

static ex_code write_through(ex_output *output, const unsigned char *data, uint64_t n_bytes, ex_error *error) {
    const uint64_t most = 1 << 30; /* one call writes at most 2^31 bytes on Linux */
    while (n_bytes > 0) {
        ssize_t n = write(output->descriptor, data, (size_t)(n_bytes < most ? n_bytes : most));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_write(output, error);
        output->written += (uint64_t)n;
        data += n;
        n_bytes -= (uint64_t)n;
    }
    return EX_OK;
}

ex_code ex_output_flush(ex_output *output, ex_error *error) {
    size_t n = output->buffered;
    output->buffered = 0;
    return write_through(output, output->buffer, n, error);
}

ex_code ex_output_write(ex_output *output, const void *data, uint64_t n_bytes, ex_error *error) {
    if (n_bytes > BUFFER_BYTES - output->buffered) {
        ex_code code = ex_output_flush(output, error);
        if (code != EX_OK) return code;
    }
    if (n_bytes >= BUFFER_BYTES) return write_through(output, data, n_bytes, error);
    if (n_bytes > 0) memcpy(output->buffer + output->buffered, data, (size_t)n_bytes);
    output->buffered += (size_t)n_bytes;
    return EX_OK;
}

ex_code ex_output_patch(ex_output *output, uint64_t offset, const void *data, size_t n_bytes, ex_error *error) {
    ex_code code = ex_output_flush(output, error);
    if (code != EX_OK) return code;
    ssize_t n = pwrite(output->descriptor, data, n_bytes, (off_t)offset);
    return n == (ssize_t)n_bytes ? EX_OK : fail_write(output, error);
}

uint64_t ex_output_size(const ex_output *output) { return output->written + output->buffered; }

const char *ex_output_path(const ex_output *output) { return output->path; }

const char *ex_output_temporary(const ex_output *output) { return output->temporary; }

/* Fresh, beside the target and with the permissions that a plain new file would have (mkstemp's would be private). */
static ex_code create_temporary(ex_output *output, ex_error *error) {
    for (int i = 0; i < NAME_TRIES; i++) {
        free(output->temporary);
        if (asprintf(&output->temporary, "%s.%ld-%d.part", output->path, (long)getpid(), i) < 0) {
            output->temporary = NULL;
            return ex_fail_memory(error, "a file name");
        }
        output->descriptor = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->descriptor >= 0) return EX_OK;
        if (errno != EEXIST) break;
    }
    ex_code code = ex_fail_system(error, output->path, "create the file (or a temporary one beside it)");
    free(output->temporary); /* it is not ours to delete */
    output->temporary = NULL;
    return code;
}

ex_code ex_output_open(ex_output **out, const char *path, ex_error *error) {
    *out = NULL;
    if (!path || !*path) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "no file to write was named");
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return ex_fail(error, EX_ERROR_IO, 0, "%s: exists and is not a regular file; give another name", path);
    ex_output *output = ex_allocate(1, sizeof *output);
    if (!output) return ex_fail_memory(error, "a file buffer");
    output->descriptor = -1;
    output->path = strdup(path);
    ex_code code = output->path ? create_temporary(output, error) : ex_fail_memory(error, "a file name");
    if (code != EX_OK) {
        ex_output_abandon(output);
        return code;
    }
    *out = output;
    return EX_OK;
}

/* The new name is on the disk only when its folder is. Some file systems cannot do this; the file is whole anyway. */
static void sync_folder(const char *path) {
    char *folder = strdup(path);
    if (!folder) return;
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = 0;
    int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

ex_code ex_output_finish(ex_output *output, ex_error *error) {
    ex_code code = ex_output_flush(output, error);
    if (code == EX_OK && fsync(output->descriptor) != 0) code = fail_write(output, error);
    if (code == EX_OK) {
        int closed = close(output->descriptor);
        output->descriptor = -1;
        if (closed != 0) code = fail_write(output, error);
    }
    if (code == EX_OK && rename(output->temporary, output->path) != 0)
        code = ex_fail_system(error, output->path, "give the finished file its name");
    if (code == EX_OK) {
        sync_folder(output->path);
        free(output->temporary);
        output->temporary = NULL;
    }
    ex_output_abandon(output);
    return code;
}

void ex_output_abandon(ex_output *output) {
    if (!output) return;
    if (output->descriptor >= 0) close(output->descriptor);
    if (output->temporary) unlink(output->temporary);
    free(output->temporary);
    free(output->path);
    free(output);
}
