/* run_folder.c - the folder of a run: one process at a time, whole lines only, and going on where it stood. */
#include "run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"

enum { PATH_SIZE = 4096, BUFFER = 1 << 16 };

static ex_code path_of(char path[PATH_SIZE], const char *folder, const char *name, ex_error *error) {
    const int length = snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    if (length > 0 && length < PATH_SIZE) return EX_OK;
    return eval_fail(error, EX_ERROR_ARGUMENT, 0, "%.80s…: the name of the folder is too long", folder);
}

/* ---- folder and lock ------------------------------------------------------------------------------------------- */

static ex_code make_folders(const char *path, ex_error *error) {
    char copy[PATH_SIZE];
    ex_code code = path_of(copy, path, "", error);
    for (char *at = copy + 1; code == EX_OK && *at; at++) {
        if (*at != '/') continue;
        *at = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) return eval_fail_system(error, copy, "make the folder");
        *at = '/';
    }
    return code;
}

ex_code eval_folder_open(eval_folder *folder, const char *path, ex_error *error) {
    char name[PATH_SIZE];
    *folder = (eval_folder){.path = path, .lock = -1, .results = -1, .times = -1};
    ex_code code = make_folders(path, error);
    if (code == EX_OK) code = path_of(name, path, "lock", error);
    if (code != EX_OK) return code;
    folder->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (folder->lock < 0) return eval_fail_system(error, name, "write");
    if (flock(folder->lock, LOCK_EX | LOCK_NB) == 0) return EX_OK;
    const bool is_taken = errno == EWOULDBLOCK;
    close(folder->lock);
    folder->lock = -1;
    if (!is_taken) return eval_fail_system(error, name, "lock");
    return eval_fail(error, EX_ERROR_IO, 0, "%s: another process is working on this folder", path);
}

static void close_descriptor(int *descriptor) {
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
}

void eval_folder_close(eval_folder *folder) {
    if (folder->results >= 0) fsync(folder->results);
    close_descriptor(&folder->results);
    close_descriptor(&folder->times);
    close_descriptor(&folder->lock);
}

/* ---- run.json -------------------------------------------------------------------------------------------------- */

static ex_code write_all(int descriptor, const char *path, const char *text, size_t length, ex_error *error) {
    while (length > 0) {
        const ssize_t n = write(descriptor, text, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return eval_fail_system(error, path, "write");
        text += n;
        length -= (size_t)n;
    }
    return EX_OK;
}

ex_code eval_file_write(const char *folder, const char *name, const char *text, size_t length, ex_error *error) {
    char path[PATH_SIZE], temporary[PATH_SIZE + 32];
    ex_code code = path_of(path, folder, name, error);
    if (code != EX_OK) return code;
    snprintf(temporary, sizeof temporary, "%s.%ld.part", path, (long)getpid());
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0) return eval_fail_system(error, temporary, "write");
    code = write_all(descriptor, temporary, text, length, error);
    if (code == EX_OK && fsync(descriptor) != 0) code = eval_fail_system(error, temporary, "write");
    close(descriptor);
    if (code == EX_OK && rename(temporary, path) != 0) code = eval_fail_system(error, path, "write");
    if (code != EX_OK) unlink(temporary);
    return code;
}

static const char *scalar(const json_t *value, char text[64]) {
    char *dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    snprintf(text, 64, "%.60s", dumped ? dumped : "nothing");
    free(dumped);
    return text;
}

/* Where two values differ first: the way to it is appended to `where`. */
static void find_difference(const json_t *old, const json_t *new, char *where, size_t size, const json_t **a,
                            const json_t **b) {
    const char *key;
    const json_t *value;
    *a = old, *b = new;
    const size_t length = strlen(where);
    if (json_is_object(old) && json_is_object(new)) {
        json_object_foreach((json_t *)(uintptr_t)new, key, value) {
            const json_t *before = json_object_get(old, key);
            if (json_equal(before, value)) continue;
            snprintf(where + length, size - length, "%s%s", length ? "." : "", key);
            find_difference(before, value, where, size, a, b);
            return;
        }
    }
    if (!json_is_array(old) || !json_is_array(new)) return;
    for (size_t i = 0; i < json_array_size(new) && json_array_size(new) == json_array_size(old); i++) {
        if (json_equal(json_array_get(old, i), json_array_get(new, i))) continue;
        snprintf(where + length, size - length, "[%zu]", i);
        find_difference(json_array_get(old, i), json_array_get(new, i), where, size, a, b);
        return;
    }
}

static ex_code name_difference(const char *path, const char *text, ex_error *error) {
    char where[128] = "", before[64], after[64];
    const json_t *a, *b;
    json_t *old = json_load_file(path, JSON_ALLOW_NUL, NULL), *new = json_loads(text, JSON_ALLOW_NUL, NULL);
    if (old) find_difference(old, new, where, sizeof where, &a, &b);
    ex_code code = old ? eval_fail(error, EX_ERROR_ARGUMENT, 0,
                                   "%s is of another run: %s was %s and is now %s; give another folder, or the same "
                                   "arguments", path, where, scalar(a, before), scalar(b, after))
                       : eval_fail(error, EX_ERROR_FORMAT, 0, "%s is no run.json; give another folder", path);
    json_decref(old);
    json_decref(new);
    return code;
}

/* 1: equal, 0: not, -1: there is no such file. */
static int compare_file(const char *path, const char *text, size_t length) {
    char buffer[BUFFER];
    FILE *file = fopen(path, "rbe");
    if (!file) return -1;
    size_t n, at = 0;
    bool is_equal = true;
    while (is_equal && (n = fread(buffer, 1, sizeof buffer, file)) > 0) {
        is_equal = n <= length - at && memcmp(buffer, text + at, n) == 0;
        at += n;
    }
    is_equal = is_equal && at == length && !ferror(file);
    fclose(file);
    return is_equal;
}

ex_code eval_folder_describe(eval_folder *folder, const eval_run *run, ex_error *error) {
    char path[PATH_SIZE], *text;
    size_t length;
    ex_code code = path_of(path, folder->path, "run.json", error);
    if (code == EX_OK) code = eval_run_format(run, &text, &length, error);
    if (code != EX_OK) return code;
    const int is_equal = compare_file(path, text, length);
    if (is_equal < 0) code = eval_file_write(folder->path, "run.json", text, length, error);
    if (is_equal == 0) code = name_difference(path, text, error);
    free(text);
    return code;
}

/* ---- lines ----------------------------------------------------------------------------------------------------- */

/* Counts the whole lines and cuts off what follows the last of them. */
static ex_code open_lines(int *descriptor, const eval_folder *folder, const char *name, size_t *n_lines,
                          ex_error *error) {
    char path[PATH_SIZE], buffer[BUFFER];
    off_t at = 0, whole = 0;
    ssize_t n;
    ex_code code = path_of(path, folder->path, name, error);
    if (code != EX_OK) return code;
    *n_lines = 0;
    *descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*descriptor < 0) return eval_fail_system(error, path, "write");
    while ((n = read(*descriptor, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] != '\n') continue;
            whole = at + i + 1;
            ++*n_lines;
        }
        at += n;
    }
    if (n < 0) return eval_fail_system(error, path, "read");
    if (whole < at && ftruncate(*descriptor, whole) != 0) return eval_fail_system(error, path, "shorten");
    return lseek(*descriptor, whole, SEEK_SET) < 0 ? eval_fail_system(error, path, "write") : EX_OK;
}

ex_code eval_folder_continue(eval_folder *folder, ex_error *error) {
    size_t n_times;
    ex_code code = open_lines(&folder->results, folder, "results.jsonl", &folder->n_lines, error);
    return code == EX_OK ? open_lines(&folder->times, folder, "times.jsonl", &n_times, error) : code;
}

ex_code eval_folder_append(eval_folder *folder, const char *line, size_t length, double seconds, ex_error *error) {
    char time[96];
    const int n = snprintf(time, sizeof time, "{\"line\":%zu,\"seconds\":%.6g}\n", folder->n_lines,
                           isfinite(seconds) ? seconds : 0);
    ex_code code = write_all(folder->times, folder->path, time, (size_t)n, error);
    if (code == EX_OK) code = write_all(folder->results, folder->path, line, length, error);
    folder->n_lines += code == EX_OK;
    return code;
}
