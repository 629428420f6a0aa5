/* test_sandbox.c - what a process can still do in the server's sandbox, each attempt in a child of its own; and the
 * program, which does all its work in there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../server/sandbox.h"
#include "http_client.h"
#include "server_program.h"
#include "support.h"

enum { NEW_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, LACKS = 250 };

static char base[] = "/tmp/entropix-sandbox-XXXXXX", traces[64], outside[64], inside[64];
static int folder, tcp; /* open before the sandbox */
static const char *mapped;

/* ---- attempts: 0 or errno ---- */

static int result(long value) { return value < 0 ? errno : 0; }

static int make_trace(void) { return result(openat(folder, "new.jsonl", NEW_FILE, 0600)); }
static int write_trace(void) {
    const int file = openat(folder, "new.jsonl", NEW_FILE, 0600);
    return result(write(file, "{}\n", 3));
}
static int remove_trace(void) { return result(unlinkat(folder, "old.jsonl", 0)); }
static int rewrite_trace(void) { return result(openat(folder, "old.jsonl", O_WRONLY)); }
static int make_above(void) { return result(openat(folder, "../new", NEW_FILE, 0600)); }
static int make_outside(void) { return result(open("/tmp/entropix-sandbox-new", NEW_FILE, 0600)); }
static int make_in_memory(void) { return result(open("/dev/shm/entropix-sandbox-new", NEW_FILE, 0600)); }
static int write_outside(void) { return result(open(outside, O_WRONLY)); }
static int truncate_outside(void) { return result(truncate(outside, 0)); }
static int remove_outside(void) { return result(unlinkat(AT_FDCWD, outside, 0)); }
static int remove_folder(void) { return result(rmdir(traces)); }
static int move_outside(void) { return result(rename(outside, inside)); }
static int link_outside(void) { return result(link(outside, inside)); }
static int make_folder(void) { return result(mkdirat(folder, "x", 0700)); }
static int change_mode(void) { return result(chmod(outside, 0777)); }
static int read_outside(void) { return result(open(outside, O_RDONLY)); }
static int read_passwords(void) { return result(open("/etc/passwd", O_RDONLY)); }

static int open_socket(void) { return result(socket(AF_INET, SOCK_STREAM, 0)); }
static int open_local_socket(void) { return result(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int connect_out(void) {
    const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return result(connect(tcp, (const struct sockaddr *)&at, sizeof at));
}
static int listen_more(void) { return result(listen(tcp, 1)); }

static int run_shell(void) {
    char *const arguments[] = {(char[]){"/bin/sh"}, NULL};
    return result(execv("/bin/sh", arguments));
}
static int start_process(void) { return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }
static int trace_parent(void) { return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)); }
static int signal_parent(void) { return result(kill(getppid(), 0)); }
static int signal_other_thread(void) { return result(syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int mount_over(void) { return result(syscall(SYS_mount, "none", traces, "tmpfs", 0, NULL)); }
static int open_ring(void) { return result(syscall(SYS_io_uring_setup, 1, NULL)); }
static int make_namespace(void) { return result(syscall(SYS_unshare, 0x10000000)); }
static int become_other(void) { return result(setuid(getuid() + 1)); }
static int raise_limit(void) {
    const struct rlimit limit = {64, 64};
    return result(setrlimit(RLIMIT_NOFILE, &limit));
}
static int type_into_terminal(void) { return result(ioctl(0, TIOCSTI, "x")); }
static int name_thread(void) { return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }
static int filter_anew(void) { return result(syscall(SYS_seccomp, 2, 0, &(unsigned){0})); }

static int map_with(int protection) {
    void *memory = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? errno : 0;
}
static int map_memory(void) { return map_with(PROT_READ | PROT_WRITE); }
static int map_code(void) { return map_with(PROT_READ | PROT_EXEC); }
static int make_executable(void) {
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? 0 : result(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int read_map(void) { return strcmp(mapped, "model") == 0 ? 0 : EIO; }
static int read_clock(void) {
    const time_t now = time(NULL);
    struct tm parts;
    return localtime_r(&now, &parts) ? 0 : EINVAL;
}
static int ask_limit(void) {
    struct rlimit limit;
    return result(getrlimit(RLIMIT_NOFILE, &limit));
}

static void *allocate(void *context) {
    for (int i = 0; i < 1000; i++) free(malloc((size_t)i * 1000));
    *(int *)context = socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
    return NULL;
}
static int start_thread(void) {
    pthread_t thread;
    int refused = 0;
    if (pthread_create(&thread, NULL, allocate, &refused) != 0 || pthread_join(thread, NULL) != 0) return EAGAIN;
    return refused == EPERM ? 0 : EIO;
}

static atomic_int earlier_may_try, earlier_tried;
static void *wait_and_try(void *context) {
    (void)context;
    while (!atomic_load(&earlier_may_try)) rest(1);
    atomic_store(&earlier_tried, 1000 + open_socket());
    return NULL;
}
static int try_in_earlier_thread(void) {
    atomic_store(&earlier_may_try, 1);
    for (int i = 0; i < 5000 && !atomic_load(&earlier_tried); i++) rest(1);
    return atomic_load(&earlier_tried) - 1000;
}
static int abort_here(void) { abort(); }

/* ---- each in a process of its own ---- */

typedef struct attempt {
    const char *name;
    int (*make)(void);
    int expected; /* errno, or a signal as its negative */
} attempt;

typedef struct sandbox {
    bool files, calls, with_folder;
} sandbox;

static ex_code enter(const sandbox *which) {
    ex_code code = which->files ? sandbox_limit_files(which->with_folder ? traces : NULL, NULL) : EX_OK;
    pthread_t thread;
    if (code == EX_OK) code = pthread_create(&thread, NULL, wait_and_try, NULL) == 0 ? EX_OK : EX_ERROR_MEMORY;
    if (code == EX_OK && which->calls) code = sandbox_limit_calls(which->with_folder, NULL);
    return code;
}

static int outcome(const sandbox *which, int (*make)(void)) {
    int status;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        _exit(enter(which) == EX_OK ? make() : LACKS);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void check_attempts(const sandbox *which, const attempt *rows, size_t n_rows) {
    size_t n_wrong = 0;
    for (size_t i = 0; i < n_rows; i++) {
        const int got = outcome(which, rows[i].make);
        unlinkat(folder, "new.jsonl", 0);
        close(openat(folder, "old.jsonl", O_WRONLY | O_CREAT, 0600));
        if (got == rows[i].expected) continue;
        print_message("%s: %d (%s), expected %d\n", rows[i].name, got, strerror(got), rows[i].expected);
        n_wrong++;
    }
    assert_int_equal(n_wrong, 0);
}

static int nothing(void) { return 0; }

/* Whether kernel and build have it; says so where not. */
static bool has(const sandbox *which) {
    if (outcome(which, nothing) != LACKS) return true;
    print_message("skipped: this kernel has no Landlock or no seccomp filters, or this build is instrumented\n");
    return false;
}

static void test_server(void **state) {
    (void)state;
    static const sandbox both = {true, true, true};
    static const attempt rows[] = {
        {"make a trace", make_trace, 0}, {"write a trace", write_trace, 0},
        {"remove a trace", remove_trace, 0}, {"rewrite a trace", rewrite_trace, EPERM},
        {"make a file above", make_above, EACCES}, {"make a file outside", make_outside, EACCES},
        {"make a file in memory", make_in_memory, EACCES}, {"write outside", write_outside, EPERM},
        {"truncate", truncate_outside, EPERM}, {"remove outside", remove_outside, EACCES},
        {"remove a folder", remove_folder, EPERM}, {"move", move_outside, EPERM}, {"link", link_outside, EPERM},
        {"make a folder", make_folder, EPERM}, {"change a mode", change_mode, EPERM},
        {"read outside", read_outside, EPERM}, {"read passwords", read_passwords, EPERM},
        {"open a socket", open_socket, EPERM}, {"open a local socket", open_local_socket, EPERM},
        {"connect", connect_out, EPERM}, {"listen", listen_more, EPERM}, {"run a program", run_shell, -SIGSYS},
        {"start a process", start_process, EPERM}, {"trace", trace_parent, -SIGSYS},
        {"signal the parent", signal_parent, EPERM}, {"signal another's thread", signal_other_thread, EPERM},
        {"mount", mount_over, -SIGSYS}, {"io_uring", open_ring, -SIGSYS}, {"namespace", make_namespace, -SIGSYS},
        {"become another user", become_other, EPERM}, {"set a limit", raise_limit, EPERM},
        {"type into the terminal", type_into_terminal, EPERM}, {"prctl", name_thread, EPERM},
        {"another filter", filter_anew, EPERM}, {"map memory", map_memory, 0}, {"map code", map_code, EPERM},
        {"make memory executable", make_executable, EPERM}, {"read what is mapped", read_map, 0},
        {"read the clock", read_clock, 0}, {"ask for a limit", ask_limit, 0}, {"start a thread", start_thread, 0},
        {"in an earlier thread", try_in_earlier_thread, EPERM}, {"abort", abort_here, -SIGABRT},
    };
    if (!has(&both)) skip();
    check_attempts(&both, rows, sizeof rows / sizeof rows[0]);
}

static void test_without_folder(void **state) {
    (void)state;
    static const sandbox both = {true, true, false};
    static const attempt rows[] = {{"make a trace", make_trace, EPERM}, {"remove a trace", remove_trace, EPERM},
                                   {"make a file outside", make_outside, EPERM}, {"read", read_outside, EPERM}};
    if (!has(&both)) skip();
    check_attempts(&both, rows, sizeof rows / sizeof rows[0]);
}

/* What holds while the model is read. */
static void test_files_alone(void **state) {
    (void)state;
    static const sandbox files = {true, false, true};
    static const attempt rows[] = {
        {"read outside", read_outside, 0}, {"make a trace", make_trace, 0},
        {"make a file outside", make_outside, EACCES}, {"write outside", write_outside, EACCES},
        {"remove outside", remove_outside, EACCES},
        {"remove a folder", remove_folder, EACCES}, {"link", link_outside, EACCES},
        {"make a folder", make_folder, EACCES}, {"run a program", run_shell, EACCES},
    };
    if (!has(&files)) skip();
    check_attempts(&files, rows, sizeof rows / sizeof rows[0]);
}

/* ---- the program ---- */

static int field_of(const char *path, const char *name) {
    char line[200];
    int value = -1;
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    while (value < 0 && fgets(line, sizeof line, in))
        if (strncmp(line, name, strlen(name)) == 0) value = atoi(line + strlen(name));
    fclose(in);
    return value;
}

/* Every thread. */
static void check_confined(server_program server) {
    char path[300];
    int n_threads = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)server.pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", (int)server.pid, entry->d_name);
        assert_int_equal(field_of(path, "Seccomp:"), 2);
        assert_int_equal(field_of(path, "NoNewPrivs:"), 1);
        n_threads++;
    }
    closedir(tasks);
    assert_true(n_threads >= 3); /* this one, the connections', the scheduler's */
}

static void ask(server_program server, const char *method, const char *path, const char *body, const char *expected) {
    http_answer_read answer;
    const int status = client_exchange(server.port, method, path, NULL, body, &answer);
    if (status != 200 || !strstr(answer.body, expected))
        fail_msg("%s: %d %.300s", path, status, answer.body ? answer.body : "");
    answer_free(&answer);
}

static void ask_everything(server_program server) {
    static const struct { const char *path, *body, *expected; } rows[] = {
        {"/v1/chat/completions",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":8,\"entropix\":{}}", "\"summary\""},
        {"/v1/completions", "{\"prompt\":\"The sea\",\"max_tokens\":40,\"n\":4,\"stream\":true}", "[DONE]"},
        {"/v1/completions",
         "{\"prompt\":\"The\",\"max_tokens\":20,\"response_format\":{\"type\":\"json_object\"}}", "{"},
        {"/tokenize", "{\"content\":\"The sea\"}", "tokens"},
        {"/metrics", NULL, "entropix_tokens_total"},
        {"/props", NULL, "build_info"},
        {"/v1/entropix", NULL, "presets"},
        {"/", NULL, "<html"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ask(server, rows[i].body ? "POST" : "GET", rows[i].path, rows[i].body, rows[i].expected);
}

/* The trace that the first question asked for, in the folder and from the server. */
static void check_trace(server_program server) {
    char path[400];
    assert_int_equal(count_files(inside), 1);
    DIR *entries = opendir(inside);
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/v1/traces/%.*s", (int)strcspn(entry->d_name, "."), entry->d_name);
        ask(server, "GET", path, NULL, "\"summary\"");
    }
    closedir(entries);
}

static void test_program(void **state) {
    (void)state;
    static const sandbox both = {true, true, true};
    if (access(SHIPPED_MODEL, R_OK) != 0) test_skip("the model that ships is not there");
    if (!has(&both)) skip();
    assert_int_equal(mkdir(inside, 0700), 0);
    server_program server =
        server_program_start((const char *const[]){"--sandbox", "required", "--trace-folder", inside, NULL});
    for (int i = 0; i < 500 && count_files(inside) == 0; i++) {
        check_confined(server);
        ask_everything(server);
    }
    check_trace(server);
    assert_int_equal(server_program_stop(server), 0);
}

/* The same answers without. */
static void test_program_without(void **state) {
    (void)state;
    char path[64];
    if (access(SHIPPED_MODEL, R_OK) != 0) test_skip("the model that ships is not there");
    server_program server = server_program_start((const char *const[]){"--sandbox", "off", NULL});
    ask_everything(server);
    snprintf(path, sizeof path, "/proc/%d/status", (int)server.pid);
    assert_int_equal(field_of(path, "Seccomp:"), field_of("/proc/self/status", "Seccomp:"));
    assert_int_equal(server_program_stop(server), 0);
}

/* ---- */

static int begin(void **state) {
    (void)state;
    if (!mkdtemp(base)) return -1;
    snprintf(traces, sizeof traces, "%s/traces", base);
    snprintf(outside, sizeof outside, "%s/outside", base);
    snprintf(inside, sizeof inside, "%s/served", base);
    FILE *file = fopen(outside, "w");
    if (!file || fputs("model", file) < 0 || fclose(file) != 0 || mkdir(traces, 0700) != 0) return -1;
    const int model = open(outside, O_RDONLY);
    mapped = mmap(NULL, 6, PROT_READ, MAP_PRIVATE, model, 0);
    close(model);
    folder = open(traces, O_RDONLY | O_DIRECTORY);
    tcp = socket(AF_INET, SOCK_STREAM, 0);
    close(openat(folder, "old.jsonl", O_WRONLY | O_CREAT, 0600));
    return folder < 0 || tcp < 0 || mapped == MAP_FAILED ? -1 : 0;
}

static int end(void **state) {
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", base);
    close(folder);
    close(tcp);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server),   cmocka_unit_test(test_without_folder), cmocka_unit_test(test_files_alone),
        cmocka_unit_test(test_program), cmocka_unit_test(test_program_without),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
