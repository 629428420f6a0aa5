/* faults.h - the page that a driver and the program under it share: which calls fail, and how many there were. The
 * driver makes the file, names it in FAULT_PAGE and puts faults.so before the program's libraries. */
#ifndef EX_TESTS_TORTURE_FAULTS_H
#define EX_TESTS_TORTURE_FAULTS_H

#include <stdatomic.h>

enum { /* kinds of calls; a fault may be of several */
    FAULT_ALLOCATE, FAULT_MAP, FAULT_THREAD, FAULT_OPEN, FAULT_READ, FAULT_WRITE, FAULT_SYNC, FAULT_RENAME, FAULT_STATE,
    FAULT_SOCKET, FAULT_ACCEPT, FAULT_KINDS
};

enum { /* what happens at the call */
    FAULT_ONCE, /* it fails */
    FAULT_EVER, /* it fails, and every one after it */
    FAULT_KILL, /* the program is killed before it */
    FAULT_CUT   /* it works, but before it the file `cut` becomes 4096 bytes long */
};

typedef struct fault_page {
    atomic_uint kinds;   /* a bit for each kind */
    atomic_uint action;
    atomic_int number;   /* errno of reading and writing what is no socket; 0: EIO */
    atomic_ulong at;     /* this one of the calls of those kinds, from 1; 0: none */
    atomic_ulong seen;   /* calls of those kinds */
    atomic_ulong fired;  /* faults that were injected */
    atomic_ulong calls[FAULT_KINDS];
    char cut[256];
} fault_page;

#endif
