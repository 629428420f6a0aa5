/* wants.c - what generators want evaluated, gathered from any number of them and evaluated in one pass over the
 * weights. One generator alone goes the same way. */
#include "generate/generator.h"

/* A generator's rows are not parted, so that it goes on as a whole or not at all: with many times the rows of a pass,
 * few passes have room left. */
enum { ROWS_MAX = 8 * 32 };
_Static_assert(ROWS_MAX >= (int)EX_DRAWS_MAX && (int)EX_DRAWS_MAX >= (int)EX_BRANCHES_MAX, "one generator's wants fit");

typedef struct gathering {
    ex_generator *generators[ROWS_MAX];
    size_t n_generators;
    ex_session *sessions[ROWS_MAX];
    int32_t tokens[ROWS_MAX];
    ex_step steps[ROWS_MAX];
    size_t n_rows;
} gathering;

void ex_generator_want(ex_generator *generator, ex_session *session, int32_t token) {
    ex_wants *wants = &generator->wants;
    wants->sessions[wants->count] = session;
    wants->tokens[wants->count++] = token;
}

static void add(gathering *all, ex_generator *generator) {
    const ex_wants *wants = &generator->wants;
    all->generators[all->n_generators++] = generator;
    for (size_t i = 0; i < wants->count; i++, all->n_rows++) {
        all->sessions[all->n_rows] = wants->sessions[i];
        all->tokens[all->n_rows] = wants->tokens[i];
    }
}

static ex_code resume(ex_generator *generator, const ex_step *steps, ex_error *error) {
    for (size_t i = 0; i < generator->wants.count; i++) generator->wants.steps[i] = steps[i];
    generator->effort.n_forwarded += generator->wants.count;
    ex_code code = ex_generator_resume(generator, error);
    return code == EX_OK ? ex_generator_go_on(generator, error) : code;
}

/* The first error is the one that is told. */
static void keep_first(ex_code *first, ex_code code, const ex_error *reason, ex_error *error) {
    if (*first != EX_OK || code == EX_OK) return;
    *first = code;
    if (error) *error = *reason;
}

/* All of them go on, also where one fails. */
static void evaluate(gathering *all, ex_code *first, ex_error *error) {
    ex_error reason;
    ex_code code = EX_OK;
    if (all->n_rows > 0)
        code = ex_sessions_evaluate(all->sessions, all->tokens, all->n_rows, all->steps, &reason);
    keep_first(first, code, &reason, error);
    const ex_step *steps = all->steps;
    for (size_t i = 0; i < all->n_generators && code == EX_OK; i++) {
        const size_t n_rows = all->generators[i]->wants.count;
        keep_first(first, resume(all->generators[i], steps, &reason), &reason, error);
        steps += n_rows;
    }
    all->n_generators = all->n_rows = 0;
}

ex_code ex_generators_evaluate(ex_generator *const *generators, size_t count, ex_error *error) {
    gathering all;
    ex_error reason;
    ex_code first = EX_OK;
    all.n_generators = all.n_rows = 0;
    for (size_t i = 0; i < count; i++) {
        keep_first(&first, ex_generator_go_on(generators[i], &reason), &reason, error);
        const size_t n_rows = generators[i]->wants.count;
        if (n_rows == 0) continue;
        if (all.n_rows + n_rows > ROWS_MAX) evaluate(&all, &first, error);
        add(&all, generators[i]);
    }
    evaluate(&all, &first, error);
    return first;
}
