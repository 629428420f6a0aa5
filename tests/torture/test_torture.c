/* test_torture.c - the program while the system fails it: the n-th allocation, read, write and so on.
 *
 *   test_torture PROGRAM FAULTS_LIBRARY FOLDER          a spread of n
 *   test_torture PROGRAM FAULTS_LIBRARY FOLDER full     every n
 *   test_torture PROGRAM FAULTS_LIBRARY FOLDER ROW SWEEP N   one of them; its inputs stay in FOLDER
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

static void run_all(torture *t) {
    if (getenv("X")) { torture_server(t); return; }
    torture_calls(t);
    torture_cuts(t);
    torture_kills(t);
    torture_server(t);
    torture_full_disks(t); /* the last: from here on it is in a name space of its own */
}

int main(int n_arguments, char **arguments) {
    if (n_arguments != 4 && n_arguments != 5 && n_arguments != 7) return 2;
    torture t = {.program = arguments[1], .library = arguments[2]};
    t.is_full = n_arguments == 5 && strcmp(arguments[4], "full") == 0;
    if (snprintf(t.folder, sizeof t.folder, "%s/torture-%ld", arguments[3], (long)getpid()) >= PATH_LENGTH) return 2;
    if (mkdir(t.folder, 0700) != 0) {
        fprintf(stderr, "%s: %s\n", t.folder, strerror(errno));
        return 2;
    }
    t.page = make_page(&t);
    torture_make_inputs(&t);
    if (n_arguments == 7) torture_one(&t, arguments[4], arguments[5], strtoul(arguments[6], NULL, 10));
    else if (t.n_wrong == 0) run_all(&t);
    if (n_arguments != 7) torture_remove(&t);
    printf("%lu faults injected in %lu runs: %lu survived, %lu refused with a reason, %lu wrong\n", t.n_faults,
           t.n_runs, t.n_survived, t.n_refused, t.n_wrong);
    return t.n_wrong ? 1 : 0;
}
