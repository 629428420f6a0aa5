/* statistics_bootstrap.c - intervals by drawing questions, and the randomisation test beside them. */
#include "statistics.h"
#include "statistics_random.h"

#include <math.h>
#include <stdlib.h>

static const double normal_97_5 = 1.959963984540054;

typedef struct questions {
    double *numerators, *denominators; /* means over the complete pairs; denominators NULL: 1 */
    size_t n, n_pairs;
} questions;

static size_t resamples_of(const eval_bootstrap *bootstrap) {
    return bootstrap && bootstrap->n_resamples ? bootstrap->n_resamples : EVAL_RESAMPLES;
}

/* A stream for each use, so that intervals and tests of one call do not share their luck. */
static uint64_t random_state(const eval_bootstrap *bootstrap, uint64_t stream) {
    uint64_t state = (bootstrap ? bootstrap->seed : 0) ^ stream * 0xd1342543de82ef95u;
    return eval_random(&state);
}

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double mean_of(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    return sum / (double)n;
}

/* Quantile 0.975 of Student's t by its expansion around the normal one (Abramowitz and Stegun 26.7.5): three digits
 * from five degrees of freedom on, too small below. */
static double student_97_5(double freedom) {
    double z = normal_97_5, z2 = z * z;
    double g1 = z * (z2 + 1) / 4, g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
    double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    return z + (g1 + (g2 + g3 / freedom) / freedom) / freedom;
}

/* Share of the resamples below the interval: less than 0.025, see statistics.h. */
static double tail_share(size_t n) {
    double size = (double)n;
    return 0.5 * erfc(student_97_5(size - 1) * sqrt(size / (size - 1)) / sqrt(2));
}

static double quantile(const double *sorted, size_t n, double share) {
    double place = share * (double)(n - 1);
    size_t below = (size_t)place;
    if (below + 1 >= n) return sorted[n - 1];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static double draw(const questions *from, uint64_t *state) {
    double numerator = 0, denominator = 0;
    for (size_t i = 0; i < from->n; i++) {
        size_t drawn = eval_random_index(state, from->n);
        numerator += from->numerators[drawn];
        if (from->denominators) denominator += from->denominators[drawn];
    }
    return numerator / (from->denominators ? denominator : (double)from->n);
}

static bool resample(const questions *from, const eval_bootstrap *bootstrap, eval_interval *out) {
    *out = (eval_interval){NAN, NAN, NAN};
    if (from->n == 0) return true;
    out->value = mean_of(from->numerators, from->n);
    if (from->denominators) out->value /= mean_of(from->denominators, from->n);
    if (from->n == 1) return true;

    size_t n_resamples = resamples_of(bootstrap);
    double *drawn = calloc(n_resamples, sizeof *drawn);
    if (!drawn) return false;
    uint64_t state = random_state(bootstrap, 1);
    for (size_t i = 0; i < n_resamples; i++) drawn[i] = draw(from, &state);
    qsort(drawn, n_resamples, sizeof *drawn, compare_doubles);
    double tail = tail_share(from->n);
    out->low = quantile(drawn, n_resamples, tail);
    out->high = quantile(drawn, n_resamples, 1 - tail);
    free(drawn);
    return true;
}

/* Shares of answers move in steps of one answer, and resamples know the steps alone: half a step more on each side (the
 * continuity correction of a lattice). */
static void widen(eval_interval *interval, size_t n_answers, double smallest, double largest) {
    double half = 0.5 / (double)n_answers;
    interval->low = fmax(smallest, interval->low - half);
    interval->high = fmin(largest, interval->high + half);
}

static void questions_free(questions *of) {
    free(of->numerators);
    free(of->denominators);
}

static bool questions_allocate(questions *out, size_t n_questions, bool with_denominators) {
    *out = (questions){0};
    if (n_questions == 0) return true;
    out->numerators = calloc(n_questions, sizeof *out->numerators);
    if (with_denominators) out->denominators = calloc(n_questions, sizeof *out->denominators);
    if (out->numerators && (!with_denominators || out->denominators)) return true;
    questions_free(out);
    return false;
}

static bool all_are(const double *values, size_t n, double value) {
    for (size_t i = 0; i < n; i++)
        if (values[i] != value) return false;
    return n > 0;
}

static bool question_means(const double *values, size_t n_questions, size_t n_seeds, questions *out) {
    if (!questions_allocate(out, n_questions, false)) return false;
    for (size_t question = 0; question < n_questions; question++) {
        double sum = 0;
        size_t n = 0;
        for (size_t i = question * n_seeds; i < (question + 1) * n_seeds; i++) {
            if (!isfinite(values[i])) continue;
            sum += values[i];
            n++;
        }
        if (n == 0) continue;
        out->numerators[out->n++] = sum / (double)n;
        out->n_pairs += n;
    }
    return true;
}

bool eval_mean(const double *values, size_t n_questions, size_t n_seeds, const eval_bootstrap *bootstrap,
               eval_interval *mean) {
    questions from;
    if (!question_means(values, n_questions, n_seeds, &from)) return false;
    bool ok = resample(&from, bootstrap, mean);
    questions_free(&from);
    return ok;
}

bool eval_accuracy(const double *scores, size_t n_questions, size_t n_seeds, const eval_bootstrap *bootstrap,
                   eval_interval *accuracy) {
    questions from;
    if (!question_means(scores, n_questions, n_seeds, &from)) return false;
    bool ok = true;
    if (all_are(from.numerators, from.n, 0) || all_are(from.numerators, from.n, 1)) {
        *accuracy = eval_wilson(from.numerators[0] * (double)from.n, from.n);
    } else {
        ok = resample(&from, bootstrap, accuracy);
        if (ok && from.n > 1) widen(accuracy, from.n_pairs, 0, 1);
    }
    questions_free(&from);
    return ok;
}

bool eval_ratio(const double *numerators, const double *denominators, size_t n_questions, size_t n_seeds,
                const eval_bootstrap *bootstrap, eval_interval *ratio) {
    questions from;
    if (!questions_allocate(&from, n_questions, true)) return false;
    for (size_t question = 0; question < n_questions; question++) {
        double numerator = 0, denominator = 0;
        size_t n = 0;
        for (size_t i = question * n_seeds; i < (question + 1) * n_seeds; i++) {
            if (!isfinite(numerators[i]) || !isfinite(denominators[i]) || denominators[i] <= 0) continue;
            numerator += numerators[i];
            denominator += denominators[i];
            n++;
        }
        if (n == 0) continue;
        from.numerators[from.n] = numerator / (double)n;
        from.denominators[from.n++] = denominator / (double)n;
    }
    bool ok = resample(&from, bootstrap, ratio);
    questions_free(&from);
    return ok;
}

/* Moves those that are not zero to the front and returns their number. */
static size_t keep_nonzero(double *values, size_t n) {
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        if (values[i] != 0) values[n_kept++] = values[i];
    return n_kept;
}

/* Exchanging a and b within a question turns the sign of its difference; where there is none, nothing changes. */
static double sum_of_random_signs(const double *differences, size_t n, uint64_t *state) {
    static const double sign[2] = {-1, 1};
    double sum = 0;
    for (size_t begin = 0; begin < n; begin += 64) {
        uint64_t signs = eval_random(state);
        size_t end = n - begin < 64 ? n : begin + 64;
        for (size_t i = begin; i < end; i++, signs >>= 1) sum += sign[signs & 1] * differences[i];
    }
    return sum;
}

static double randomisation_p(const double *differences, size_t n, const eval_bootstrap *bootstrap) {
    double seen = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        seen += differences[i];
        scale += fabs(differences[i]);
    }
    double reach = fabs(seen) - 1e-9 * scale; /* sums that are equal but for rounding count as equal */
    size_t n_resamples = resamples_of(bootstrap), n_reached = 0;
    uint64_t state = random_state(bootstrap, 2);
    for (size_t i = 0; i < n_resamples; i++) n_reached += fabs(sum_of_random_signs(differences, n, &state)) >= reach;
    return (double)(n_reached + 1) / (double)(n_resamples + 1);
}

static bool differences_of(const double *a, const double *b, size_t n_questions, size_t n_seeds, questions *out) {
    if (!questions_allocate(out, n_questions, false)) return false;
    for (size_t question = 0; question < n_questions; question++) {
        double sum = 0;
        size_t n = 0;
        for (size_t i = question * n_seeds; i < (question + 1) * n_seeds; i++) {
            if (!isfinite(a[i]) || !isfinite(b[i])) continue;
            sum += a[i] - b[i];
            n++;
        }
        if (n == 0) continue;
        out->numerators[out->n++] = sum / (double)n;
        out->n_pairs += n;
    }
    return true;
}

bool eval_paired_difference(const double *a, const double *b, size_t n_questions, size_t n_seeds,
                            const eval_bootstrap *bootstrap, eval_difference *difference) {
    questions from;
    if (!differences_of(a, b, n_questions, n_seeds, &from)) return false;
    *difference = (eval_difference){.n_questions = from.n, .n_pairs = from.n_pairs};
    for (size_t i = 0; i < from.n; i++) {
        difference->n_questions_better += from.numerators[i] > 0;
        difference->n_questions_worse += from.numerators[i] < 0;
    }
    bool ok = true;
    if (all_are(from.numerators, from.n, 0)) {
        double unseen = eval_wilson(0, from.n).high;
        difference->difference = (eval_interval){0, -unseen, unseen};
    } else {
        ok = resample(&from, bootstrap, &difference->difference);
        if (ok && from.n > 1) widen(&difference->difference, from.n_pairs, -1, 1);
    }
    size_t n_nonzero = keep_nonzero(from.numerators, from.n);
    difference->p = from.n ? randomisation_p(from.numerators, n_nonzero, bootstrap) : NAN;
    questions_free(&from);
    return ok;
}

eval_interval eval_wilson(double n_right, size_t n) {
    if (n == 0) return (eval_interval){NAN, NAN, NAN};
    double size = (double)n, z2 = normal_97_5 * normal_97_5, share = n_right / size;
    double middle = (n_right + z2 / 2) / (size + z2);
    double half = normal_97_5 * sqrt(share * (1 - share) * size + z2 / 4) / (size + z2);
    return (eval_interval){share, fmax(0, middle - half), fmin(1, middle + half)};
}
