/* sandbox.h - what the server gives up before it answers, so that a fault in it can do little. Both steps are for
 * Linux, cannot be undone, and need no privilege. Each fails with EX_ERROR_UNSUPPORTED where the kernel lacks it, and
 * in builds with sanitizers or coverage, which write files and make calls of their own. */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H

#include "entropix.h"

/* Landlock: from now on the calling thread, and every thread that it starts, changes nothing in the file system but
 * that it makes files in `folder` (NULL: nowhere) and removes them, starts no program and connects to no TCP port.
 * Files that are open stay open. */
ex_code sandbox_limit_files(const char *folder, ex_error *error);

/* seccomp: from now on all threads of the process have the system calls of a server that runs, and no others: no file
 * is opened but new ones for writing (where `makes_files`), no socket, no process, no memory that can be executed.
 * Other calls fail with EPERM; those that only an intruder makes end the process with SIGSYS. */
ex_code sandbox_limit_calls(bool makes_files, ex_error *error);

#endif
