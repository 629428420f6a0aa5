/* server_program.h - the program `entropix serve` as a child of a test. */
#ifndef EX_TESTS_SERVER_PROGRAM_H
#define EX_TESTS_SERVER_PROGRAM_H

#include <stdint.h>
#include <sys/types.h>

#define SHIPPED_MODEL EX_SOURCE_DIR "/models/entropix-40m-q6_k.gguf"

typedef struct server_program {
    pid_t pid;
    uint16_t port;
} server_program;

/* At a free port, with the shipped model and more options, which end with NULL. Fails the test if it does not start. */
server_program server_program_start(const char *const *options);
/* The exit status, after a minute at most; a signal as its negative. */
int server_program_wait(server_program server);
int server_program_stop(server_program server); /* SIGTERM, and its exit status */

void rest(int milliseconds);

#endif
