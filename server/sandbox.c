/* sandbox.c - the file system: Landlock. Its numbers are written out here because the headers of many systems are older
 * than their kernel; what the kernel does not know yet is left out. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"

#ifndef SERVER_WITHOUT_SANDBOX

enum { LANDLOCK_CREATE = 444, LANDLOCK_ADD = 445, LANDLOCK_RESTRICT = 446 }; /* system calls, on every processor */
enum { ASK_VERSION = 1, RULE_PATH = 1 };

enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    REMOVE_FOLDER = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_DEVICE = 1 << 6 | 1 << 11,
    MAKE_FOLDER = 1 << 7,
    MAKE_FILE = 1 << 8,
    MAKE_SOCKET = 1 << 9,
    MAKE_PIPE = 1 << 10,
    MAKE_LINK = 1 << 12,
    MOVE = 1 << 13,
    TRUNCATE = 1 << 14,
    CONTROL_DEVICE = 1 << 15
};
enum { CONNECT_TCP = 1 << 1 };
enum { ABSTRACT_SOCKETS = 1 << 0, SIGNALS = 1 << 1 };

typedef struct ruleset { /* as the kernel reads it: what is forbidden unless a rule allows it */
    uint64_t files, network, scope;
} ruleset;

typedef struct __attribute__((packed)) path_rule { /* as the kernel reads it */
    uint64_t allowed;
    int32_t folder;
} path_rule;

static const struct { /* what each version of the interface added */
    long version;
    ruleset forbids;
} versions[] = {
    {1, {.files = EXECUTE | WRITE_FILE | REMOVE_FOLDER | REMOVE_FILE | MAKE_DEVICE | MAKE_FOLDER | MAKE_FILE |
                  MAKE_SOCKET | MAKE_PIPE | MAKE_LINK}},
    {2, {.files = MOVE}},
    {3, {.files = TRUNCATE}},
    {4, {.network = CONNECT_TCP}},
    {5, {.files = CONTROL_DEVICE}},
    {6, {.scope = ABSTRACT_SOCKETS | SIGNALS}},
};

static ruleset rules_of(long version) {
    ruleset rules = {0};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (versions[i].version > version) break;
        rules.files |= versions[i].forbids.files;
        rules.network |= versions[i].forbids.network;
        rules.scope |= versions[i].forbids.scope;
    }
    return rules;
}

static ex_code allow_folder(int rules, const char *path, ex_error *error) {
    path_rule rule = {WRITE_FILE | MAKE_FILE | REMOVE_FILE, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (rule.folder < 0) return server_fail_system(error, path, "open the folder for traces");
    const long failed = syscall(LANDLOCK_ADD, rules, RULE_PATH, &rule, 0);
    const ex_code code = failed ? server_fail_system(error, path, "except the folder from the sandbox") : EX_OK;
    close(rule.folder);
    return code;
}

static ex_code enter(int rules, const char *folder, ex_error *error) {
    const ex_code code = folder ? allow_folder(rules, folder, error) : EX_OK;
    if (code != EX_OK) return code;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(LANDLOCK_RESTRICT, rules, 0) == 0) return EX_OK;
    return server_fail_system(error, "sandbox", "limit what files are written");
}

ex_code sandbox_limit_files(const char *folder, ex_error *error) {
    const long version = syscall(LANDLOCK_CREATE, NULL, 0, ASK_VERSION);
    if (version < 1)
        return server_fail(error, EX_ERROR_UNSUPPORTED, 0,
                           "this kernel has no Landlock, which would keep the server from writing files");
    const ruleset forbidden = rules_of(version);
    const int rules = (int)syscall(LANDLOCK_CREATE, &forbidden, sizeof forbidden, 0);
    if (rules < 0) return server_fail_system(error, "sandbox", "make rules for files");
    const ex_code code = enter(rules, folder, error);
    close(rules);
    return code;
}

#else

ex_code sandbox_limit_files(const char *folder, ex_error *error) {
    (void)folder;
    return server_fail(error, EX_ERROR_UNSUPPORTED, 0, "this build is instrumented, and has no sandbox");
}

#endif
