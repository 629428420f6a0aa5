/* limited.c - a child with little memory and time, and how it ended. */
#include "limited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 5, MEGABYTES = 256 };

#ifndef EX_TEST_ADDRESS_SANITIZER
#define EX_TEST_ADDRESS_SANITIZER 0
#endif

/* AddressSanitizer reserves terabytes of addresses, so it runs without the limit. */
static void limit_memory(size_t file_bytes) {
    rlim_t bytes = (rlim_t)file_bytes + ((rlim_t)MEGABYTES << 20);
    if (!EX_TEST_ADDRESS_SANITIZER) setrlimit(RLIMIT_AS, &(struct rlimit){bytes, bytes});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(SECONDS * (EX_TEST_ADDRESS_SANITIZER ? 4 : 1));
}

static void read_lines(int descriptor, outcome *o) {
    char piece[512];
    size_t used = 0;
    for (ssize_t n; (n = read(descriptor, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR);)
        for (ssize_t i = 0; i < n; i++) {
            o->n_lines += piece[i] == '\n';
            if (used + 1 < sizeof o->text) o->text[used++] = piece[i];
        }
}

outcome run_limited(void (*body)(const void *context), void (*meanwhile)(const void *context), const void *context,
                    size_t file_bytes, int both) {
    outcome o = {0};
    int ends[2], status = 0;
    fflush(stdout);
    if (pipe(ends) != 0) abort();
    pid_t child = fork();
    if (child == 0) {
        int nothing = open("/dev/null", O_RDWR);
        dup2(nothing, STDIN_FILENO);
        dup2(both ? ends[1] : nothing, STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        limit_memory(file_bytes);
        body(context);
        _exit(127);
    }
    close(ends[1]);
    if (meanwhile) meanwhile(context);
    read_lines(ends[0], &o);
    close(ends[0]);
    waitpid(child, &status, 0);
    o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return o;
}
