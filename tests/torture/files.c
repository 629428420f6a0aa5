/* files.c - files while the disk is full, while the program is killed, and while somebody cuts what it reads: what had
 * a name before is whole, or what is new is. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

enum { MOMENTS = 20, PAGE = 4096 };
enum { CHANGES = 1U << FAULT_OPEN | 1U << FAULT_WRITE | 1U << FAULT_SYNC | 1U << FAULT_RENAME };

static const fault_plan no_fault = {0};

/* ---- cut while it is read --------------------------------------------------------------------------------------- */

static const struct { const char *row, *file; } cut_rows[] = {
    {"run", "model.gguf"}, {"run, chains", "model.gguf"}, {"perplexity", "model.gguf"}, {"tokenize", "model.gguf"},
    {"info", "model.gguf"}, {"quantize", "model.gguf"}, {"calibrate", "model.gguf"},
    {"convert", "folder/model.safetensors"},
};

static const torture_row *row_of(const char *name) {
    for (size_t i = 0; i < n_torture_rows; i++)
        if (strcmp(torture_rows[i].name, name) == 0) return &torture_rows[i];
    abort();
}

static void cut_at(torture *t, const torture_row *row, const char *file, unsigned long at, const outcome *good) {
    const fault_plan plan = {.kinds = (1U << FAULT_KINDS) - 1, .action = FAULT_CUT, .at = at, .cut = file};
    char where[LINE_LENGTH];
    file_list old;
    outcome o;
    torture_reset(t, row);
    torture_list(t, row, &old);
    torture_run(t, row, &plan, &o);
    torture_copy(t, "whole", file);
    snprintf(where, sizeof where, "%s: cut %lu", row->name, at);
    torture_judge(t, row, where, &old, good, &o);
}

void torture_cuts(torture *t) {
    const torture before = *t;
    for (size_t i = 0; i < sizeof cut_rows / sizeof *cut_rows; i++) {
        unsigned long calls[FAULT_KINDS], n = 0;
        const torture_row *row = row_of(cut_rows[i].row);
        outcome good;
        torture_copy(t, cut_rows[i].file, "whole");
        if (!torture_count(t, row, &good, calls)) return;
        for (int kind = 0; kind < FAULT_KINDS; kind++) n += calls[kind];
        const unsigned long step = t->is_full ? 1 : n / 8 + 1;
        for (unsigned long at = 1; at <= n; at += step) cut_at(t, row, cut_rows[i].file, at, &good);
    }
    torture_print("cut", t, &before);
}

/* ---- killed ----------------------------------------------------------------------------------------------------- */

static const char *const killed_rows[] = {"quantize", "convert", "calibrate", "run, trace", "plot, svg", "eval report"};

/* Whole files, and a run after it that does what it should. */
static void judge_killed(torture *t, const torture_row *row, const char *where, const file_list *old,
                         const outcome *good, outcome *o) {
    char why[LINE_LENGTH];
    t->n_faults++;
    if (o->status != STATUS_SIGNAL + SIGKILL && o->status != STATUS_GOOD) {
        torture_wrong(t, where, "it was not killed, and yet it fails", o);
        return;
    }
    torture_forget_parts(&o->files);
    if (!torture_is_whole(&o->files, old, &good->files, why)) {
        torture_wrong(t, where, why, o);
        return;
    }
    torture_run(t, row, &no_fault, o);
    torture_forget_parts(&o->files);
    if (o->status == STATUS_GOOD && torture_same_files(&good->files, &o->files, why)) t->n_survived++;
    else torture_wrong(t, where, "after a kill, it does not do its work", o);
}

static void kill_at_call(torture *t, const torture_row *row, unsigned long at, const outcome *good) {
    const fault_plan plan = {.kinds = CHANGES, .action = FAULT_KILL, .at = at};
    char where[LINE_LENGTH];
    file_list old;
    outcome o;
    torture_reset(t, row);
    torture_list(t, row, &old);
    torture_run(t, row, &plan, &o);
    snprintf(where, sizeof where, "%s: killed at call %lu", row->name, at);
    judge_killed(t, row, where, &old, good, &o);
}

static void kill_after(torture *t, const torture_row *row, int64_t nanoseconds, const outcome *good) {
    const struct timespec pause = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    char where[LINE_LENGTH];
    file_list old;
    outcome o;
    torture_reset(t, row);
    torture_list(t, row, &old);
    const pid_t child = torture_start(t, row, &no_fault);
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    torture_wait(t, row, child, &o);
    t->n_runs++;
    snprintf(where, sizeof where, "%s: killed after %ld us", row->name, (long)(nanoseconds / 1000));
    judge_killed(t, row, where, &old, good, &o);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * (int64_t)1000000000 + time.tv_nsec;
}

static void kill_row(torture *t, const torture_row *row) {
    unsigned long calls[FAULT_KINDS];
    outcome good;
    const int64_t start = now();
    if (!torture_count(t, row, &good, calls)) return;
    const int64_t duration = now() - start;
    const unsigned long n = calls[FAULT_OPEN] + calls[FAULT_WRITE] + calls[FAULT_SYNC] + calls[FAULT_RENAME];
    const unsigned long moments = t->is_full ? 200 : MOMENTS, most = n < moments ? n : moments;
    /* The last ones are where files get their names. */
    for (unsigned long i = 0; i < most; i++)
        kill_at_call(t, row, i < most / 2 ? 1 + i * n / most : n - (most - i) + 1, &good);
    for (unsigned long i = 0; i < moments; i++)
        kill_after(t, row, duration * (int64_t)(i + 1) / (int64_t)(moments + 1), &good);
}

void torture_kills(torture *t) {
    const torture before = *t;
    for (size_t i = 0; i < sizeof killed_rows / sizeof *killed_rows; i++) kill_row(t, row_of(killed_rows[i]));
    torture_print("killed", t, &before);
}

/* ---- full disks ------------------------------------------------------------------------------------------------- */

static bool names_output(const torture_row *row, const outcome *o) {
    char names[LINE_LENGTH], *rest = NULL;
    snprintf(names, sizeof names, "%s", row->outputs ? row->outputs : "run");
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        if (strstr(o->text, name)) return true;
    return false;
}

static void judge_full(torture *t, const torture_row *row, const char *where, const file_list *old, const outcome *good,
                       outcome *o) {
    o->fired = 1;
    if (o->status == STATUS_REFUSED && !names_output(row, o)) torture_wrong(t, where, "it does not name the file", o);
    else torture_judge(t, row, where, old, good, o);
}

/* A limit on the size of a file, as ulimit -f sets it. */
static void limit_size(torture *t, const torture_row *row, uint64_t bytes, const outcome *good) {
    const fault_plan plan = {.file_bytes = bytes};
    char where[LINE_LENGTH];
    file_list old;
    outcome o;
    torture_reset(t, row);
    torture_list(t, row, &old);
    torture_run(t, row, &plan, &o);
    snprintf(where, sizeof where, "%s: files of %lu bytes", row->name, (unsigned long)bytes);
    judge_full(t, row, where, &old, good, &o);
}

static bool resize(const torture *t, unsigned long flags, uint64_t bytes) {
    char out[PATH_LENGTH], size[64];
    torture_path(t, out, "out");
    snprintf(size, sizeof size, "size=%lu", (unsigned long)bytes);
    return mount("torture", out, "tmpfs", flags, size) == 0;
}

static void fill_disk(torture *t, const torture_row *row, uint64_t bytes, const outcome *good) {
    char where[LINE_LENGTH];
    file_list old;
    outcome o;
    torture_reset(t, row);
    torture_list(t, row, &old);
    if (!resize(t, MS_REMOUNT, bytes)) {
        torture_wrong(t, row->name, strerror(errno), good);
        return;
    }
    torture_run(t, row, &no_fault, &o);
    if (!resize(t, MS_REMOUNT, 64 << 20)) abort();
    snprintf(where, sizeof where, "%s: a disk of %lu bytes", row->name, (unsigned long)bytes);
    judge_full(t, row, where, &old, good, &o);
}

/* Bytes of all that the row writes. */
static uint64_t size_of_outputs(const torture *t, const outcome *good) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < good->files.n; i++) {
        char path[PATH_LENGTH], name[NAME_LENGTH + 4];
        struct stat status;
        snprintf(name, sizeof name, "out/%s", good->files.entries[i].name);
        torture_path(t, path, name);
        if (stat(path, &status) == 0) bytes += (uint64_t)status.st_size;
    }
    return bytes;
}

static bool write_setting(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    const bool good = file && fputs(text, file) >= 0;
    return file && fclose(file) == 0 && good;
}

/* As any user may who may have a name space of his own. */
static const char *make_disk(const torture *t) {
    char users[64], groups[64];
    snprintf(users, sizeof users, "%ld %ld 1", (long)geteuid(), (long)geteuid());
    snprintf(groups, sizeof groups, "%ld %ld 1", (long)getegid(), (long)getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return strerror(errno);
    if (!write_setting("/proc/self/uid_map", users) || !write_setting("/proc/self/setgroups", "deny") ||
        !write_setting("/proc/self/gid_map", groups)) return strerror(errno);
    return resize(t, 0, 64 << 20) ? NULL : strerror(errno);
}

static const char *const full_rows[] = {"quantize", "convert", "calibrate", "run, trace", "plot, html", "eval"};

static void fill_rows(torture *t, void (*fill)(torture *, const torture_row *, uint64_t, const outcome *)) {
    for (size_t i = 0; i < sizeof full_rows / sizeof *full_rows; i++) {
        const torture_row *row = row_of(full_rows[i]);
        unsigned long calls[FAULT_KINDS];
        outcome good;
        if (!torture_count(t, row, &good, calls)) return;
        const uint64_t bytes = size_of_outputs(t, &good);
        for (uint64_t part = 1; part <= 4; part++)
            if (bytes * part / 5 > PAGE) fill(t, row, bytes * part / 5 / PAGE * PAGE, &good);
    }
}

static void print_to_full(torture *t) {
    for (size_t i = 0; i < n_torture_rows; i++) {
        const torture_row *row = &torture_rows[i];
        const fault_plan plan = {.printed = "/dev/full"};
        outcome o;
        unsigned long calls[FAULT_KINDS];
        if (row->flags & ROW_SLOW || !torture_count(t, row, &o, calls) || o.printed == HASH_OF_NOTHING) continue;
        torture_reset(t, row);
        torture_run(t, row, &plan, &o);
        t->n_faults++;
        if (o.status == STATUS_REFUSED && strstr(o.text, "standard output")) t->n_refused++;
        else torture_wrong(t, row->name, "standard output is full, and it does not say so", &o);
    }
}

void torture_full_disks(torture *t) {
    const torture before = *t;
    print_to_full(t);
    torture_print("/dev/full", t, &before);
    const torture before_limits = *t;
    fill_rows(t, limit_size);
    torture_print("size limit", t, &before_limits);
    const char *reason = make_disk(t);
    if (reason) {
        printf("%-16s skipped: no tmpfs here: %s\n", "disk full", reason);
        return;
    }
    const torture before_disks = *t;
    fill_rows(t, fill_disk);
    torture_print("disk full", t, &before_disks);
}
