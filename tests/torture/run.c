/* run.c - starts the program under a plan of faults, and looks at how it ended and what it left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

enum { SECONDS = 10, ARGUMENTS = 48 };

static const char old_text[] = "what was there before\n";

void torture_path(const torture *t, char path[PATH_LENGTH], const char *name) {
    if (snprintf(path, PATH_LENGTH, "%s/%s", t->folder, name) >= PATH_LENGTH) abort();
}

void torture_write(const torture *t, const char *name, const void *data, size_t length) {
    char path[PATH_LENGTH];
    torture_path(t, path, name);
    FILE *file = fopen(path, "wbe");
    if (!file || fwrite(data, 1, length, file) != length || fclose(file) != 0) abort();
}

void torture_copy(const torture *t, const char *from, const char *to) {
    static char bytes[4 << 20];
    char path[PATH_LENGTH];
    torture_path(t, path, from);
    FILE *file = fopen(path, "rbe");
    if (!file) abort();
    const size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    torture_write(t, to, bytes, n);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static uint64_t hash_file(const char *path) {
    unsigned char piece[1 << 14];
    uint64_t hash = HASH_OF_NOTHING;
    FILE *file = fopen(path, "rbe");
    if (!file) return 0;
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        for (size_t i = 0; i < n; i++) hash = (hash ^ piece[i]) * 0x100000001b3;
    fclose(file);
    return hash;
}

/* Every file below a folder, by its path from there. */
static void list_folder(const char *folder, size_t prefix, file_list *list) {
    DIR *stream = opendir(folder);
    if (!stream) return;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        char path[PATH_LENGTH];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= PATH_LENGTH) abort();
        if (lstat(path, &status) != 0) continue;
        if (S_ISDIR(status.st_mode)) {
            list_folder(path, prefix, list);
            continue;
        }
        if (list->n == ENTRIES) abort();
        file_entry *found = &list->entries[list->n++];
        snprintf(found->name, sizeof found->name, "%s", path + prefix);
        found->hash = hash_file(path);
    }
    closedir(stream);
}

/* Of a file that tells times, only whether it ends as it should. */
static uint64_t hash_end(const char *path) {
    char end[2] = "";
    FILE *file = fopen(path, "rbe");
    if (file && fseek(file, -1, SEEK_END) == 0 && fread(end, 1, 1, file) != 1) end[0] = 0;
    if (file) fclose(file);
    return end[0] == '\n';
}

void torture_list(const torture *t, const torture_row *row, file_list *list) {
    char path[PATH_LENGTH];
    torture_path(t, path, "out");
    list->n = 0;
    list_folder(path, strlen(path) + 1, list);
    for (size_t i = 0; i < list->n && row->timed; i++) {
        if (row->timed[0] != '*' && !strstr(row->timed, list->entries[i].name)) continue;
        char name[NAME_LENGTH + 4];
        snprintf(name, sizeof name, "out/%s", list->entries[i].name);
        torture_path(t, path, name);
        list->entries[i].hash = hash_end(path);
    }
}

static void empty_folder(const char *folder) {
    DIR *stream = opendir(folder);
    if (!stream) return;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        char path[PATH_LENGTH];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= PATH_LENGTH) abort();
        if (unlink(path) == 0) continue;
        empty_folder(path);
        rmdir(path);
    }
    closedir(stream);
}

void torture_remove(const torture *t) {
    empty_folder(t->folder);
    rmdir(t->folder);
}

void torture_reset(const torture *t, const torture_row *row) {
    char path[PATH_LENGTH], names[LINE_LENGTH], *rest = NULL;
    torture_path(t, path, "out");
    empty_folder(path);
    if (!row->outputs) return;
    snprintf(names, sizeof names, "%s", row->outputs);
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        snprintf(path, sizeof path, "out/%s", name);
        torture_write(t, path, old_text, sizeof old_text - 1);
    }
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

void torture_keep(const torture *t, const torture_row *row) {
    char name[NAME_LENGTH];
    snprintf(name, sizeof name, "out/%s", row->outputs);
    torture_copy(t, name, "kept");
}

bool torture_is_beginning(const torture *t, const torture_row *row) {
    char path[PATH_LENGTH], kept[PATH_LENGTH];
    int last = EOF, byte = EOF;
    snprintf(kept, sizeof kept, "out/%s", row->outputs);
    torture_path(t, path, kept);
    torture_path(t, kept, "kept");
    FILE *now = fopen(path, "rbe"), *whole = fopen(kept, "rbe");
    while (now && whole && (byte = getc(now)) != EOF && getc(whole) == byte) last = byte;
    const bool is_beginning = now && whole && byte == EOF && last == '\n';
    if (now) fclose(now);
    if (whole) fclose(whole);
    return is_beginning;
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */

void torture_forget_parts(file_list *list) {
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        const char *end = strrchr(list->entries[i].name, '.');
        if (!end || strcmp(end, ".part") != 0) list->entries[n++] = list->entries[i];
    }
    list->n = n;
}

static const file_entry *find_file(const file_list *list, const char *name) {
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->entries[i].name, name) == 0) return &list->entries[i];
    return NULL;
}

static bool has_file(const file_list *list, const file_entry *entry) {
    const file_entry *found = find_file(list, entry->name);
    return found && found->hash == entry->hash;
}

bool torture_is_whole(const file_list *now, const file_list *old, const file_list *new, char why[LINE_LENGTH]) {
    for (size_t i = 0; i < now->n; i++) {
        const file_entry *entry = &now->entries[i];
        if (has_file(old, entry) || has_file(new, entry)) continue;
        const bool is_known = find_file(old, entry->name) || find_file(new, entry->name);
        snprintf(why, LINE_LENGTH, is_known ? "%s is half a file" : "%s was left behind", entry->name);
        return false;
    }
    for (size_t i = 0; i < old->n; i++) {
        if (find_file(now, old->entries[i].name)) continue;
        snprintf(why, LINE_LENGTH, "%s is gone", old->entries[i].name);
        return false;
    }
    return true;
}

bool torture_same_files(const file_list *a, const file_list *b, char why[LINE_LENGTH]) {
    for (size_t i = 0; i < a->n; i++) {
        if (has_file(b, &a->entries[i])) continue;
        snprintf(why, LINE_LENGTH, "%s is not what it should be", a->entries[i].name);
        return false;
    }
    if (a->n != b->n) snprintf(why, LINE_LENGTH, "there are %zu files, not %zu", a->n, b->n);
    return a->n == b->n;
}

/* ---- processes -------------------------------------------------------------------------------------------------- */

void torture_plan(const torture *t, const fault_plan *plan) {
    fault_page *page = t->page;
    atomic_store(&page->kinds, plan->kinds);
    atomic_store(&page->action, plan->action);
    atomic_store(&page->number, plan->number);
    atomic_store(&page->at, plan->at);
    atomic_store(&page->seen, 0);
    atomic_store(&page->fired, 0);
    snprintf(page->cut, sizeof page->cut, "%s", plan->cut ? plan->cut : "");
    for (int kind = 0; kind < FAULT_KINDS; kind++) atomic_store(&page->calls[kind], 0);
}

static void redirect(const char *path, int flags, int descriptor) {
    int opened = open(path, flags | O_CLOEXEC, 0666);
    if (opened < 0 || dup2(opened, descriptor) < 0) _exit(125);
}

static void execute(const torture *t, const torture_row *row) {
    char words[LINE_LENGTH], *arguments[ARGUMENTS] = {(char *)(uintptr_t)t->program}, *rest = NULL;
    size_t n = 1;
    snprintf(words, sizeof words, "%s", row->arguments);
    for (char *word = strtok_r(words, " ", &rest); word && n + 1 < ARGUMENTS; word = strtok_r(NULL, " ", &rest)) {
        for (char *at = word; *at; at++)
            if (*at == '~') *at = ' ';
        arguments[n++] = word;
    }
    char page[PATH_LENGTH];
    torture_path(t, page, "page");
    setenv("FAULT_PAGE", page, 1);
    setenv("LD_PRELOAD", t->library, 1);
    setenv("ENTROPIX_MODEL", "model.gguf", 1);
    setenv("XDG_STATE_HOME", t->folder, 1);
    setenv("LC_ALL", "C", 1);
    setenv("GLIBC_TUNABLES", "glibc.malloc.perturb=165", 1); /* what is in memory that was freed, or never set */
    execv(t->program, arguments);
    _exit(127);
}

pid_t torture_start(const torture *t, const torture_row *row, const fault_plan *plan) {
    torture_plan(t, plan);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) abort();
    if (child > 0) return child;
    if (chdir(t->folder) != 0) _exit(125);
    redirect(row->input ? row->input : "/dev/null", O_RDONLY, STDIN_FILENO);
    redirect(plan->printed ? plan->printed : "stdout", O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect("stderr", O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    if (plan->file_bytes) setrlimit(RLIMIT_FSIZE, &(struct rlimit){plan->file_bytes, plan->file_bytes});
    const char *patience = getenv("TORTURE_SECONDS"); /* for builds that are slow, with sanitizers */
    alarm(plan->seconds ? plan->seconds : patience ? (unsigned)strtoul(patience, NULL, 10) : SECONDS);
    execute(t, row);
    _exit(127);
}

static void read_start(const torture *t, const char *name, char text[TEXT_LENGTH]) {
    char path[PATH_LENGTH];
    torture_path(t, path, name);
    FILE *file = fopen(path, "rbe");
    text[0] = 0;
    if (!file) return;
    text[fread(text, 1, TEXT_LENGTH - 1, file)] = 0;
    fclose(file);
}

void torture_wait(const torture *t, const torture_row *row, pid_t child, outcome *o) {
    char path[PATH_LENGTH];
    int status = 0;
    *o = (outcome){0};
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    o->status = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
    o->fired = atomic_load(&t->page->fired);
    torture_path(t, path, "stdout");
    o->printed = hash_file(path);
    read_start(t, "stdout", o->text);
    o->names_error = strstr(o->text, "\"error\"") != NULL;
    read_start(t, "stderr", o->text);
    for (const char *at = o->text; *at; at++) o->n_lines += *at == '\n';
    torture_list(t, row, &o->files);
}

void torture_run(torture *t, const torture_row *row, const fault_plan *plan, outcome *o) {
    torture_wait(t, row, torture_start(t, row, plan), o);
    t->n_runs++;
}

void torture_wrong(torture *t, const char *where, const char *why, const outcome *o) {
    t->n_wrong++;
    printf("%s: %s; status %d: %s\n", where, why, o->status, o->text);
}
