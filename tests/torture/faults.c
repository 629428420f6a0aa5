/* faults.c - put before the C library with LD_PRELOAD: calls of chosen kinds fail as the page says (faults.h). They are
 * counted between the beginning and the end of main. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "faults.h"

static _Atomic(fault_page *) active; /* while main runs */

/* The function of this name that would be called without this file; `name` is also its type's. */
#define NEXT(name, ...) ((__typeof__(&(name)))next(&next_##name, #name))(__VA_ARGS__)
#define DECLARE_NEXT(name) static _Atomic(void *) next_##name

static void *next(_Atomic(void *) *known, const char *name) {
    void *function = atomic_load_explicit(known, memory_order_relaxed);
    if (function) return function;
    function = dlsym(RTLD_NEXT, name);
    if (!function) _exit(126);
    atomic_store_explicit(known, function, memory_order_relaxed);
    return function;
}

static bool fails(int kind) {
    fault_page *page = atomic_load_explicit(&active, memory_order_acquire);
    if (!page) return false;
    atomic_fetch_add(&page->calls[kind], 1);
    if (!(atomic_load(&page->kinds) & 1U << kind)) return false;
    const unsigned long at = atomic_load(&page->at), n = atomic_fetch_add(&page->seen, 1) + 1;
    const unsigned action = atomic_load(&page->action);
    if (at == 0 || (action == FAULT_EVER ? n < at : n != at)) return false;
    atomic_fetch_add(&page->fired, 1);
    if (action == FAULT_KILL) kill(getpid(), SIGKILL);
    if (action != FAULT_CUT) return true;
    if (truncate(page->cut, 4096) != 0) _exit(124);
    return false;
}

static bool fails_with(int kind, int number) {
    if (!fails(kind)) return false;
    errno = number;
    return true;
}

/* ---- main ------------------------------------------------------------------------------------------------------ */

typedef int main_function(int n_arguments, char **arguments, char **environment);
int __libc_start_main(main_function *function, int n_arguments, char **arguments, void (*before)(void),
                      void (*after)(void), void (*linker)(void), void *stack_end);
DECLARE_NEXT(__libc_start_main);
static main_function *program_main;

static fault_page *map_page(void) {
    const char *path = getenv("FAULT_PAGE");
    int descriptor = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0) return NULL;
    void *page = mmap(NULL, sizeof(fault_page), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    return page == MAP_FAILED ? NULL : page;
}

static int counted_main(int n_arguments, char **arguments, char **environment) {
    atomic_store(&active, map_page());
    const int status = program_main(n_arguments, arguments, environment);
    atomic_store(&active, NULL);
    return status;
}

int __libc_start_main(main_function *function, int n_arguments, char **arguments, void (*before)(void),
                      void (*after)(void), void (*linker)(void), void *stack_end) {
    program_main = function;
    return NEXT(__libc_start_main, counted_main, n_arguments, arguments, before, after, linker, stack_end);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

#define FAULTY_ALLOCATION(name, parameters, ...)                                                                      \
    DECLARE_NEXT(name);                                                                                                \
    void *name parameters { return fails_with(FAULT_ALLOCATE, ENOMEM) ? NULL : NEXT(name, __VA_ARGS__); }

FAULTY_ALLOCATION(malloc, (size_t size), size)
FAULTY_ALLOCATION(calloc, (size_t count, size_t size), count, size)
FAULTY_ALLOCATION(realloc, (void *memory, size_t size), memory, size)
FAULTY_ALLOCATION(memalign, (size_t alignment, size_t size), alignment, size)
FAULTY_ALLOCATION(aligned_alloc, (size_t alignment, size_t size), alignment, size)

DECLARE_NEXT(posix_memalign);
int posix_memalign(void **out, size_t alignment, size_t size) {
    return fails(FAULT_ALLOCATE) ? ENOMEM : NEXT(posix_memalign, out, alignment, size);
}

DECLARE_NEXT(mmap);
void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
    if (fails_with(FAULT_MAP, ENOMEM)) return MAP_FAILED;
    return NEXT(mmap, address, length, protection, flags, descriptor, offset);
}

/* ---- threads --------------------------------------------------------------------------------------------------- */

DECLARE_NEXT(pthread_create);
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), void *argument) {
    if (fails(FAULT_THREAD)) return EAGAIN;
    return NEXT(pthread_create, thread, attributes, function, argument);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static mode_t mode_of(int flags, va_list arguments) {
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

#define FAULTY_OPEN(name)                                                                                             \
    DECLARE_NEXT(name);                                                                                                \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        const mode_t mode = mode_of(flags, arguments);                                                                 \
        va_end(arguments);                                                                                             \
        return fails_with(FAULT_OPEN, EMFILE) ? -1 : NEXT(name, path, flags, mode);                                    \
    }
FAULTY_OPEN(open)
FAULTY_OPEN(open64)

#define FAULTY_OPENAT(name)                                                                                           \
    DECLARE_NEXT(name);                                                                                                \
    int name(int folder, const char *path, int flags, ...) {                                                           \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        const mode_t mode = mode_of(flags, arguments);                                                                 \
        va_end(arguments);                                                                                             \
        return fails_with(FAULT_OPEN, EMFILE) ? -1 : NEXT(name, folder, path, flags, mode);                            \
    }
FAULTY_OPENAT(openat)
FAULTY_OPENAT(openat64)

/* A function that fails with `failure` and `number` at a fault of that kind. */
#define FAULTY(kind, number, failure, type, name, parameters, ...)                                                    \
    DECLARE_NEXT(name);                                                                                                \
    type name parameters { return fails_with(kind, number) ? (failure) : NEXT(name, __VA_ARGS__); }

FAULTY(FAULT_OPEN, EMFILE, NULL, FILE *, fopen, (const char *path, const char *mode), path, mode)
FAULTY(FAULT_OPEN, EMFILE, NULL, FILE *, fopen64, (const char *path, const char *mode), path, mode)
FAULTY(FAULT_OPEN, EACCES, -1, int, mkdir, (const char *path, mode_t mode), path, mode)
FAULTY(FAULT_SYNC, EIO, -1, int, fsync, (int descriptor), descriptor)
FAULTY(FAULT_SYNC, EIO, -1, int, fdatasync, (int descriptor), descriptor)
FAULTY(FAULT_RENAME, EACCES, -1, int, rename, (const char *from, const char *to), from, to)
FAULTY(FAULT_RENAME, EACCES, -1, int, renameat, (int a, const char *from, int b, const char *to), a, from, b, to)
FAULTY(FAULT_RENAME, EACCES, -1, int, link, (const char *from, const char *to), from, to)
FAULTY(FAULT_STATE, EIO, -1, int, fstat, (int descriptor, struct stat *out), descriptor, out)
FAULTY(FAULT_STATE, EIO, -1, int, ftruncate, (int descriptor, off_t length), descriptor, length)
FAULTY(FAULT_STATE, EIO, -1, off_t, lseek, (int descriptor, off_t offset, int from), descriptor, offset, from)
FAULTY(FAULT_STATE, EIO, -1, int, fseek, (FILE *file, long offset, int from), file, offset, from)

/* ---- sockets --------------------------------------------------------------------------------------------------- */

FAULTY(FAULT_SOCKET, EMFILE, -1, int, socket, (int domain, int type, int protocol), domain, type, protocol)
FAULTY(FAULT_SOCKET, EADDRINUSE, -1, int, bind, (int socket, const struct sockaddr *to, socklen_t n), socket, to, n)
FAULTY(FAULT_SOCKET, EADDRINUSE, -1, int, listen, (int socket, int n), socket, n)
FAULTY(FAULT_SOCKET, EMFILE, -1, int, epoll_create1, (int flags), flags)
FAULTY(FAULT_SOCKET, EMFILE, -1, int, eventfd, (unsigned value, int flags), value, flags)
FAULTY(FAULT_SOCKET, EMFILE, -1, int, pipe2, (int ends[2], int flags), ends, flags)
FAULTY(FAULT_ACCEPT, EMFILE, -1, int, accept, (int socket, struct sockaddr *from, socklen_t *n), socket, from, n)
FAULTY(FAULT_ACCEPT, EMFILE, -1, int, accept4, (int socket, struct sockaddr *from, socklen_t *n, int flags), socket,
       from, n, flags)

/* ---- reading and writing --------------------------------------------------------------------------------------- */

/* Files, sockets and standard input and output; never standard error, where the reason is told, nor the pipes that a
 * program wakes itself with, which cannot fail. */
static bool transfer_fails(int kind, int descriptor) {
    struct stat status;
    const int before = errno;
    fault_page *page = atomic_load(&active);
    if (!page || descriptor < 0 || descriptor == STDERR_FILENO) return false;
    const bool is_known = NEXT(fstat, descriptor, &status) == 0;
    errno = before;
    if (!is_known) return false;
    const bool is_socket = S_ISSOCK(status.st_mode);
    if (!is_socket && !S_ISREG(status.st_mode) && descriptor > STDOUT_FILENO) return false;
    const int number = atomic_load(&page->number);
    return fails_with(kind, is_socket ? ECONNRESET : number && kind == FAULT_WRITE ? number : EIO);
}

static bool stream_fails(int kind, FILE *file) {
    const int before = errno, descriptor = fileno(file); /* there is none under a text in memory */
    if (descriptor < 0) errno = before;
    if (!transfer_fails(kind, descriptor)) return false;
    file->_flags |= _IO_ERR_SEEN;
    return true;
}

#define FAULTY_TRANSFER(kind, type, name, parameters, ...)                                                            \
    DECLARE_NEXT(name);                                                                                                \
    type name parameters { return transfer_fails(kind, descriptor) ? -1 : NEXT(name, __VA_ARGS__); }

FAULTY_TRANSFER(FAULT_READ, ssize_t, read, (int descriptor, void *data, size_t n), descriptor, data, n)
FAULTY_TRANSFER(FAULT_READ, ssize_t, pread, (int descriptor, void *data, size_t n, off_t at), descriptor, data, n, at)
FAULTY_TRANSFER(FAULT_READ, ssize_t, recv, (int descriptor, void *data, size_t n, int flags), descriptor, data, n,
                flags)
FAULTY_TRANSFER(FAULT_WRITE, ssize_t, write, (int descriptor, const void *data, size_t n), descriptor, data, n)
FAULTY_TRANSFER(FAULT_WRITE, ssize_t, pwrite, (int descriptor, const void *data, size_t n, off_t at), descriptor, data,
                n, at)
FAULTY_TRANSFER(FAULT_WRITE, ssize_t, writev, (int descriptor, const struct iovec *parts, int n), descriptor, parts, n)
FAULTY_TRANSFER(FAULT_WRITE, ssize_t, send, (int descriptor, const void *data, size_t n, int flags), descriptor, data,
                n, flags)
FAULTY_TRANSFER(FAULT_WRITE, ssize_t, sendmsg, (int descriptor, const struct msghdr *message, int flags), descriptor,
                message, flags)

#define FAULTY_STREAM(kind, failure, type, name, parameters, ...)                                                     \
    DECLARE_NEXT(name);                                                                                                \
    type name parameters { return stream_fails(kind, file) ? (failure) : NEXT(name, __VA_ARGS__); }

FAULTY_STREAM(FAULT_READ, 0, size_t, fread, (void *data, size_t size, size_t n, FILE *file), data, size, n, file)
FAULTY_STREAM(FAULT_READ, NULL, char *, fgets, (char *text, int n, FILE *file), text, n, file)
FAULTY_STREAM(FAULT_READ, EOF, int, fgetc, (FILE *file), file)
FAULTY_STREAM(FAULT_READ, EOF, int, getc, (FILE *file), file)
FAULTY_STREAM(FAULT_READ, -1, ssize_t, getline, (char **line, size_t *n, FILE *file), line, n, file)
FAULTY_STREAM(FAULT_READ, -1, ssize_t, getdelim, (char **line, size_t *n, int end, FILE *file), line, n, end, file)
FAULTY_STREAM(FAULT_WRITE, 0, size_t, fwrite, (const void *data, size_t size, size_t n, FILE *file), data, size, n,
              file)
FAULTY_STREAM(FAULT_WRITE, EOF, int, fputs, (const char *text, FILE *file), text, file)
FAULTY_STREAM(FAULT_WRITE, EOF, int, fputc, (int byte, FILE *file), byte, file)
FAULTY_STREAM(FAULT_WRITE, EOF, int, putc, (int byte, FILE *file), byte, file)
FAULTY_STREAM(FAULT_WRITE, -1, int, vfprintf, (FILE *file, const char *format, va_list arguments), file, format,
              arguments)

int puts(const char *text) { return fputs(text, stdout) == EOF || fputc('\n', stdout) == EOF ? EOF : 0; }

int putchar(int byte) { return fputc(byte, stdout); }

int printf(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int n = vfprintf(stdout, format, arguments);
    va_end(arguments);
    return n;
}

int fprintf(FILE *file, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int n = vfprintf(file, format, arguments);
    va_end(arguments);
    return n;
}

DECLARE_NEXT(fflush);
int fflush(FILE *file) {
    if (file && __fpending(file) > 0 && stream_fails(FAULT_WRITE, file)) return EOF;
    return NEXT(fflush, file);
}

/* What was not written is lost, but the descriptor is closed all the same. */
DECLARE_NEXT(fclose);
int fclose(FILE *file) {
    const bool failed = __fwritable(file) && stream_fails(FAULT_WRITE, file);
    const int number = errno;
    if (failed) __fpurge(file);
    const int status = NEXT(fclose, file);
    if (failed) errno = number;
    return failed ? EOF : status;
}
