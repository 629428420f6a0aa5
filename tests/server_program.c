#include "server_program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

enum { ARGUMENTS_MAX = 32 };

void rest(int milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static void become_server(const char *const *options) {
    const char *arguments[ARGUMENTS_MAX] = {EX_PROGRAM, "serve", "--port", "0", "-m", SHIPPED_MODEL};
    for (size_t n = 6; *options && n < ARGUMENTS_MAX - 1; n++) arguments[n] = *options++;
    execv(EX_PROGRAM, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

/* The address is the first line that it prints. */
static uint16_t read_port(int descriptor) {
    char text[200] = "";
    FILE *in = fdopen(descriptor, "r");
    assert_non_null(in);
    const char *line = fgets(text, sizeof text, in);
    fclose(in);
    return line ? (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10) : 0;
}

server_program server_program_start(const char *const *options) {
    int out[2];
    assert_int_equal(pipe(out), 0);
    server_program server = {.pid = fork()};
    assert_true(server.pid >= 0);
    if (server.pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        become_server(options);
    }
    close(out[1]);
    server.port = read_port(out[0]);
    if (server.port == 0) {
        kill(server.pid, SIGKILL);
        waitpid(server.pid, NULL, 0);
        fail_msg("the server did not start");
    }
    return server;
}

int server_program_wait(server_program server) {
    int status = 0;
    for (int i = 0; i < 6000; i++, rest(10))
        if (waitpid(server.pid, &status, WNOHANG) == server.pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    kill(server.pid, SIGKILL);
    waitpid(server.pid, &status, 0);
    return -1000;
}

int server_program_stop(server_program server) {
    kill(server.pid, SIGTERM);
    return server_program_wait(server);
}
