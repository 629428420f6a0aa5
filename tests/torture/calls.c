/* calls.c - the n-th call of each kind fails, for every row and every n (or a spread of them). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "torture.h"

typedef struct sweep {
    const char *name;
    unsigned kinds, action;
    int number;
    unsigned long quick, full; /* how many n of a row at most */
} sweep;

#define KIND(kind) (1U << FAULT_##kind)

static const sweep sweeps[] = {
    {"allocate", KIND(ALLOCATE), FAULT_ONCE, 0, 30, ULONG_MAX},
    {"allocate, ever", KIND(ALLOCATE), FAULT_EVER, 0, 5, 100},
    {"map", KIND(MAP), FAULT_ONCE, 0, 6, 500},
    {"thread", KIND(THREAD), FAULT_ONCE, 0, 3, 500},
    {"open", KIND(OPEN), FAULT_ONCE, 0, 8, 500},
    {"open, ever", KIND(OPEN), FAULT_EVER, 0, 2, 100},
    {"read", KIND(READ), FAULT_ONCE, 0, 8, 500},
    {"read, ever", KIND(READ), FAULT_EVER, 0, 2, 100},
    {"write", KIND(WRITE), FAULT_ONCE, 0, 8, 500},
    {"write, disk full", KIND(WRITE), FAULT_EVER, ENOSPC, 4, 100},
    {"sync", KIND(SYNC), FAULT_ONCE, 0, 4, 500},
    {"rename", KIND(RENAME), FAULT_ONCE, 0, 4, 500},
    {"state", KIND(STATE), FAULT_ONCE, 0, 4, 500},
};

static const fault_plan no_fault = {0};

static bool is_same(const torture_row *row, const outcome *o, const outcome *good, char why[LINE_LENGTH]) {
    if (!(row->flags & ROW_VARIES) && o->printed != good->printed) {
        snprintf(why, LINE_LENGTH, "it says that all went well, but its output differs");
        return false;
    }
    return torture_same_files(&good->files, &o->files, why);
}

/* The same command again, without a fault, must end as if there had been none. */
static bool goes_on(torture *t, const torture_row *row, const outcome *good, outcome *o, char why[LINE_LENGTH]) {
    if (!(row->flags & ROW_CONTINUES)) return true;
    torture_run(t, row, &no_fault, o);
    if (o->status != STATUS_GOOD) snprintf(why, LINE_LENGTH, "it does not go on after a fault");
    return o->status == STATUS_GOOD && torture_same_files(&good->files, &o->files, why);
}

static bool is_whole(const torture *t, const torture_row *row, const file_list *now, const file_list *old,
                     const file_list *new, char why[LINE_LENGTH]) {
    if (torture_is_whole(now, old, new, why)) return true;
    return row->flags & ROW_LINES && now->n == 1 && torture_is_beginning(t, row);
}

void torture_judge(torture *t, const torture_row *row, const char *where, const file_list *old, const outcome *good,
                   outcome *o) {
    char why[LINE_LENGTH];
    if (o->fired) t->n_faults++;
    if (o->status == STATUS_GOOD) {
        if (!is_same(row, o, good, why)) torture_wrong(t, where, why, o);
        else if (o->fired) t->n_survived++;
        return;
    }
    if (!o->fired) torture_wrong(t, where, "no fault, and yet it fails", o);
    else if (o->status >= STATUS_SIGNAL) torture_wrong(t, where, "it was killed or took too long", o);
    else if (o->status > STATUS_REFUSED) torture_wrong(t, where, "no status that is documented", o);
    else if (o->n_lines == 0 && !(row->flags & ROW_ANSWERS && o->names_error)) torture_wrong(t, where, "no reason", o);
    else if (!(row->flags & ROW_CONTINUES) && !is_whole(t, row, &o->files, old, &good->files, why))
        torture_wrong(t, where, why, o);
    else if (!goes_on(t, row, good, o, why)) torture_wrong(t, where, why, o);
    else t->n_refused++;
}

static void try_plan(torture *t, const torture_row *row, const char *name, const fault_plan *plan,
                     const outcome *good) {
    char where[LINE_LENGTH];
    file_list old;
    outcome o;
    torture_reset(t, row);
    torture_list(t, row, &old);
    torture_run(t, row, plan, &o);
    snprintf(where, sizeof where, "%s: %s %lu", row->name, name, plan->at);
    torture_judge(t, row, where, &old, good, &o);
}

/* How often the row makes calls of each kind. */
bool torture_count(torture *t, const torture_row *row, outcome *good, unsigned long calls[FAULT_KINDS]) {
    torture_reset(t, row);
    torture_run(t, row, &no_fault, good);
    for (int kind = 0; kind < FAULT_KINDS; kind++) calls[kind] = atomic_load(&t->page->calls[kind]);
    if (row->flags & ROW_LINES) torture_keep(t, row);
    if (good->status == STATUS_GOOD) return true;
    torture_wrong(t, row->name, "fails without a fault", good);
    return false;
}

static unsigned long calls_of(const sweep *s, const unsigned long calls[FAULT_KINDS]) {
    unsigned long n = 0;
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        if (s->kinds & 1U << kind) n += calls[kind];
    return n;
}

static void sweep_row(torture *t, const torture_row *row, const sweep *s, unsigned long n_calls, const outcome *good) {
    const unsigned long wanted = t->is_full ? s->full : s->quick, few = t->is_full ? 20 : s == sweeps;
    const unsigned long most = row->flags & ROW_SLOW && few < wanted ? few : wanted;
    const unsigned long n = n_calls < most ? n_calls : most;
    for (unsigned long i = 0; i < n; i++) {
        const unsigned long at = n < 2 ? 1 : 1 + i * (n_calls - 1) / (n - 1);
        const fault_plan plan = {.kinds = s->kinds, .action = s->action, .number = s->number, .at = at};
        try_plan(t, row, s->name, &plan, good);
    }
}

void torture_print(const char *name, const torture *t, const torture *before) {
    printf("%-16s %6lu faults: %6lu survived, %6lu refused with a reason, %lu wrong\n", name,
           t->n_faults - before->n_faults, t->n_survived - before->n_survived, t->n_refused - before->n_refused,
           t->n_wrong - before->n_wrong);
}

void torture_calls(torture *t) {
    static outcome goods[64];
    static unsigned long calls[64][FAULT_KINDS];
    for (size_t i = 0; i < n_torture_rows; i++)
        if (!torture_count(t, &torture_rows[i], &goods[i], calls[i])) return;
    for (size_t j = 0; j < sizeof sweeps / sizeof *sweeps; j++) {
        const torture before = *t;
        for (size_t i = 0; i < n_torture_rows; i++)
            sweep_row(t, &torture_rows[i], &sweeps[j], calls_of(&sweeps[j], calls[i]), &goods[i]);
        torture_print(sweeps[j].name, t, &before);
    }
}

void torture_one(torture *t, const char *row, const char *kind, unsigned long at) {
    outcome good;
    unsigned long calls[FAULT_KINDS];
    for (size_t i = 0; i < n_torture_rows; i++) {
        if (strcmp(torture_rows[i].name, row) != 0 || !torture_count(t, &torture_rows[i], &good, calls)) continue;
        for (size_t j = 0; j < sizeof sweeps / sizeof *sweeps; j++) {
            const sweep *s = &sweeps[j];
            const fault_plan plan = {.kinds = s->kinds, .action = s->action, .number = s->number, .at = at};
            if (strcmp(s->name, kind) != 0) continue;
            printf("%s: %s %lu of %lu\n", row, kind, at, calls_of(s, calls));
            try_plan(t, &torture_rows[i], kind, &plan, &good);
        }
    }
}
