/* sandbox_calls.c - system calls: tables of what is allowed and what is deadly, made into a seccomp filter. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "failure.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#if defined(ARCHITECTURE) && !defined(SERVER_WITHOUT_SANDBOX)

/* With any arguments. */
static const int allowed[] = {
    /* descriptors that are open */
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_lseek, SYS_close, SYS_fstat, SYS_newfstatat,
    SYS_sendfile, SYS_shutdown, SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg, SYS_accept, SYS_accept4,
    SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_epoll_ctl, SYS_epoll_pwait, SYS_ppoll,
    /* memory */
    SYS_brk, SYS_munmap, SYS_mremap, SYS_madvise,
    /* threads and signals */
    SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_sched_yield, SYS_sched_getaffinity, SYS_getcpu, SYS_gettid,
    SYS_getpid, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_sigaltstack,
    SYS_restart_syscall, SYS_exit, SYS_exit_group,
    /* the time, and chance */
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom,
#ifdef __x86_64__
    SYS_epoll_wait, SYS_poll, SYS_time,
#endif
};

/* No path of the server or its libraries leads to these. */
static const int deadly[] = {
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_umount2,
    SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_open_by_handle_at, SYS_init_module, SYS_finit_module,
    SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_bpf, SYS_perf_event_open,
    SYS_userfaultfd, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_io_uring_setup, SYS_pidfd_getfd,
};

typedef struct condition { /* allowed where (argument & mask) == value; several rows of a call: where one holds */
    int call;
    uint32_t argument;
    uint64_t mask, value;
} condition;

enum { INT_MASK = 0x7fffffff };

static const condition conditions[] = {
    {SYS_mmap, 2, PROT_EXEC, 0},
    {SYS_mprotect, 2, PROT_EXEC, 0},
    {SYS_clone, 0, CLONE_THREAD, CLONE_THREAD},
    {SYS_fcntl, 1, INT_MASK, F_GETFL},
    {SYS_fcntl, 1, INT_MASK, F_SETFL},
    {SYS_ioctl, 1, INT_MASK, TCGETS},         /* isatty */
    {SYS_prlimit64, 2, UINT64_MAX, 0},        /* asks only */
};

/* New files for traces, and taking away one that could not be written. */
static const condition file_conditions[] = {
    {SYS_openat, 2, O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC, O_WRONLY | O_CREAT | O_EXCL},
    {SYS_unlinkat, 2, INT_MASK, 0},
};

/* ---- the program of the filter ---- */

enum {
    N_ALLOWED = sizeof allowed / sizeof allowed[0],
    N_DEADLY = sizeof deadly / sizeof deadly[0],
    N_CONDITIONS = sizeof conditions / sizeof conditions[0],
    N_FILE_CONDITIONS = sizeof file_conditions / sizeof file_conditions[0],
    PER_CALL = 2,
    PER_CONDITION = 9,
    PER_HEAD = 6, /* the head, and the answer to what no row names */
    STEPS_MAX = PER_HEAD + PER_CALL * (N_ALLOWED + N_DEADLY + 1) +
                PER_CONDITION * (N_CONDITIONS + N_FILE_CONDITIONS + 1)
};

typedef struct filter {
    struct sock_filter steps[STEPS_MAX];
    unsigned short count;
} filter;

static void step(filter *out, uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
    out->steps[out->count++] = (struct sock_filter){code, if_true, if_false, value};
}

static void load(filter *out, size_t offset) { step(out, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0); }

static void answer(filter *out, uint32_t action) { step(out, BPF_RET | BPF_K, action, 0, 0); }

/* Passes over so many steps where the loaded word is another. */
static void unless_equal_skip(filter *out, uint32_t value, uint8_t n_steps) {
    step(out, BPF_JMP | BPF_JEQ | BPF_K, value, 0, n_steps);
}

static void load_call(filter *out) { load(out, offsetof(struct seccomp_data, nr)); }

static void add_call(filter *out, int call, uint32_t action) {
    unless_equal_skip(out, (uint32_t)call, 1);
    answer(out, action);
}

/* Half of an argument: both processors are little-endian. */
static void compare_half(filter *out, const condition *row, size_t half, uint8_t n_steps) {
    load(out, offsetof(struct seccomp_data, args) + sizeof(uint64_t) * row->argument + sizeof(uint32_t) * half);
    step(out, BPF_ALU | BPF_AND | BPF_K, (uint32_t)(row->mask >> 32 * half), 0, 0);
    unless_equal_skip(out, (uint32_t)(row->value >> 32 * half), n_steps);
}

static void add_condition(filter *out, const condition *row) {
    unless_equal_skip(out, (uint32_t)row->call, 8);
    compare_half(out, row, 0, 4);
    compare_half(out, row, 1, 1);
    answer(out, SECCOMP_RET_ALLOW);
    load_call(out);
}

static void make_filter(filter *out, bool makes_files) {
    out->count = 0;
    load(out, offsetof(struct seccomp_data, arch));
    unless_equal_skip(out, ARCHITECTURE, 1);
    step(out, BPF_JMP | BPF_JA, 1, 0, 0);
    answer(out, SECCOMP_RET_KILL_PROCESS);
    load_call(out);
    for (size_t i = 0; i < N_ALLOWED; i++) add_call(out, allowed[i], SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < N_CONDITIONS; i++) add_condition(out, &conditions[i]);
    for (size_t i = 0; i < N_FILE_CONDITIONS && makes_files; i++) add_condition(out, &file_conditions[i]);
    const condition own_threads = {SYS_tgkill, 0, INT_MASK, (uint64_t)getpid()};
    add_condition(out, &own_threads);
    /* Its flags cannot be read from here. The C library then starts a thread with SYS_clone. */
    add_call(out, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
    for (size_t i = 0; i < N_DEADLY; i++) add_call(out, deadly[i], SECCOMP_RET_KILL_PROCESS);
    answer(out, SECCOMP_RET_ERRNO | EPERM);
}

/* What libraries read when they first need it: the time zone, and the seed of jansson's tables, without which a client
 * could choose keys that collide. */
static void read_early(void) {
    tzset();
    json_object_seed(0);
}

ex_code sandbox_limit_calls(bool makes_files, ex_error *error) {
    filter made;
    make_filter(&made, makes_files);
    const struct sock_fprog program = {made.count, made.steps};
    read_early();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0)
        return EX_OK;
    return server_fail(error, EX_ERROR_UNSUPPORTED, 0,
                       "this kernel has no seccomp filters, which would keep the server from other system calls");
}

#else

ex_code sandbox_limit_calls(bool makes_files, ex_error *error) {
    (void)makes_files;
    return server_fail(error, EX_ERROR_UNSUPPORTED, 0,
                       "this build is instrumented, or for a processor whose system calls have no table here");
}

#endif
