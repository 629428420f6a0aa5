/* test_torture.c - the program while the system fails it: the n-th allocation, read, write and so on.
 *
 *   test_torture PROGRAM FAULTS_LIBRARY FOLDER                        a spread of n
 *   test_torture PROGRAM FAULTS_LIBRARY FOLDER full|quick [SECTION]   every n; calls, cuts, kills, server, disks
 *   test_torture PROGRAM FAULTS_LIBRARY FOLDER ROW SWEEP N            one of them; its inputs stay in FOLDER
 *
 * The last line counts. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "torture.h"

static fault_page *make_page(const torture *t) {
    char path[PATH_LENGTH];
    torture_path(t, path, "page");
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || ftruncate(descriptor, sizeof(fault_page)) != 0) abort();
    void *page = mmap(NULL, sizeof(fault_page), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (page == MAP_FAILED) abort();
    return page;
}

static const struct { const char *name; void (*run)(torture *t); } sections[] = {
    {"calls", torture_calls}, {"cuts", torture_cuts}, {"kills", torture_kills}, {"server", torture_server},
    {"disks", torture_full_disks}, /* the last: from there on the process is in a name space of its own */
};

static void run_sections(torture *t, const char *wanted) {
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (!wanted || strcmp(sections[i].name, wanted) == 0) sections[i].run(t);
}

int main(int n_arguments, char **arguments) {
    if (n_arguments < 4 || n_arguments > 7) return 2;
    const bool is_one = n_arguments == 7;
    torture t = {.program = arguments[1], .library = arguments[2]};
    t.is_full = n_arguments > 4 && !is_one && strcmp(arguments[4], "full") == 0;
    if (snprintf(t.folder, sizeof t.folder, "%s/torture-%ld", arguments[3], (long)getpid()) >= PATH_LENGTH) return 2;
    if (mkdir(t.folder, 0700) != 0) {
        fprintf(stderr, "%s: %s\n", t.folder, strerror(errno));
        return 2;
    }
    t.page = make_page(&t);
    torture_make_inputs(&t);
    if (is_one) torture_one(&t, arguments[4], arguments[5], strtoul(arguments[6], NULL, 10));
    else if (t.n_wrong == 0) run_sections(&t, n_arguments == 6 ? arguments[5] : NULL);
    if (!is_one) torture_remove(&t);
    printf("%lu faults injected in %lu runs: %lu survived, %lu refused with a reason, %lu wrong\n", t.n_faults,
           t.n_runs, t.n_survived, t.n_refused, t.n_wrong);
    return t.n_wrong ? 1 : 0;
}
