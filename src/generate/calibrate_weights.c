/* calibrate_weights.c - weights of the score by a proper scoring rule. The score is a logarithm, so softmax of the
 * scores is a distribution over the candidates, and the text says which of them came. The mean log score is concave in
 * the weights; Newton's method with halved steps finds its maximum. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "generate/calibrate.h"

enum { N = EX_SCORE_WEIGHTS, NEWTON_STEPS = 50, HALVINGS = 30 };
static const double RIDGE = 10, RIDGE_LEAST = 0.0016; /* at the latter a weight of 25 costs half a nat */
static const double GRADIENT_SMALL = 1e-7, WEIGHT_LARGEST = 100;

static const size_t weight_offsets[N] = {
    offsetof(ex_policy, score_logits_entropy),    offsetof(ex_policy, score_attn_entropy),
    offsetof(ex_policy, score_logits_varentropy), offsetof(ex_policy, score_attn_varentropy),
    offsetof(ex_policy, score_agreement),         offsetof(ex_policy, score_interaction),
};

void ex_set_score_weights(ex_policy *policy, const double weights[EX_SCORE_WEIGHTS]) {
    for (size_t i = 0; i < N; i++) memcpy((char *)policy + weight_offsets[i], &weights[i], sizeof *weights);
}

void ex_get_score_weights(const ex_policy *policy, double weights[EX_SCORE_WEIGHTS]) {
    for (size_t i = 0; i < N; i++) memcpy(&weights[i], (const char *)policy + weight_offsets[i], sizeof *weights);
}

/* Probabilities of the candidates; returns ln of the truth's. */
static double probabilities(const ex_tried *tried, const double *weights, double *out) {
    double highest = -INFINITY, sum = 0;
    for (size_t c = 0; c < EX_TRIED; c++) {
        out[c] = tried->log_probability[c];
        for (size_t i = 0; i < N; i++) out[c] += weights[i] * tried->features[c][i];
        highest = fmax(highest, out[c]);
    }
    const double truth = out[tried->truth] - highest;
    for (size_t c = 0; c < EX_TRIED; c++) sum += out[c] = exp(out[c] - highest);
    for (size_t c = 0; c < EX_TRIED; c++) out[c] /= sum;
    return truth - log(sum);
}

double ex_log_score(const ex_tried *tried, const double weights[EX_SCORE_WEIGHTS], bool *won) {
    double p[EX_TRIED];
    const double score = probabilities(tried, weights, p);
    *won = true;
    for (int32_t c = 0; c < EX_TRIED; c++)
        if (p[c] > p[tried->truth] || (p[c] == p[tried->truth] && c < tried->truth)) *won = false;
    return score / log(2);
}

typedef struct problem {
    const ex_tried *tried;
    size_t n;
    double ridge[N]; /* of each weight: RIDGE mean squares of what it multiplies within a choice, or RIDGE_LEAST */
} problem;

static double objective(const problem *p, const double *weights) {
    double sum = 0, unused[EX_TRIED];
    for (size_t i = 0; i < p->n; i++) sum += probabilities(&p->tried[i], weights, unused);
    for (size_t i = 0; i < N; i++) sum -= p->ridge[i] * weights[i] * weights[i] / 2;
    return sum;
}

static void find_ridge(problem *p) {
    memset(p->ridge, 0, sizeof p->ridge);
    for (size_t k = 0; k < p->n; k++)
        for (size_t i = 0; i < N; i++) {
            double mean = 0;
            for (size_t c = 0; c < EX_TRIED; c++) mean += p->tried[k].features[c][i] / EX_TRIED;
            for (size_t c = 0; c < EX_TRIED; c++) {
                const double difference = p->tried[k].features[c][i] - mean;
                p->ridge[i] += RIDGE * difference * difference / (EX_TRIED * (double)p->n);
            }
        }
    for (size_t i = 0; i < N; i++)
        p->ridge[i] = fmax(p->ridge[i], RIDGE_LEAST);
}

/* Of the objective: its gradient, and its second derivatives with the sign changed. */
static void derivatives(const problem *p, const double *weights, double *gradient, double curvature[N][N]) {
    memset(curvature, 0, sizeof(double[N][N]));
    for (size_t i = 0; i < N; i++) {
        gradient[i] = -p->ridge[i] * weights[i];
        curvature[i][i] = p->ridge[i];
    }
    for (size_t k = 0; k < p->n; k++) {
        const ex_tried *tried = &p->tried[k];
        double share[EX_TRIED], mean[N] = {0};
        probabilities(tried, weights, share);
        for (size_t c = 0; c < EX_TRIED; c++)
            for (size_t i = 0; i < N; i++) mean[i] += share[c] * tried->features[c][i];
        for (size_t i = 0; i < N; i++) gradient[i] += tried->features[tried->truth][i] - mean[i];
        for (size_t c = 0; c < EX_TRIED; c++)
            for (size_t i = 0; i < N; i++)
                for (size_t j = 0; j < N; j++)
                    curvature[i][j] += share[c] * (tried->features[c][i] - mean[i]) * (tried->features[c][j] - mean[j]);
    }
}

/* Solves curvature · out = gradient by Cholesky's method; the ridge makes the matrix positive definite. */
static void solve(double curvature[N][N], const double *gradient, double *out) {
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = curvature[i][j];
            for (size_t k = 0; k < j; k++) sum -= curvature[i][k] * curvature[j][k];
            curvature[i][j] = i == j ? sqrt(fmax(sum, 1e-300)) : sum / curvature[j][j];
        }
    for (size_t i = 0; i < N; i++) {
        out[i] = gradient[i];
        for (size_t k = 0; k < i; k++) out[i] -= curvature[i][k] * out[k];
        out[i] /= curvature[i][i];
    }
    for (size_t i = N; i-- > 0;) {
        for (size_t k = i + 1; k < N; k++) out[i] -= curvature[k][i] * out[k];
        out[i] /= curvature[i][i];
    }
}

/* Moves as far along `step` as the objective rises. */
static bool advance(const problem *p, double *weights, const double *step) {
    const double before = objective(p, weights);
    double length = 1;
    for (int tries = 0; tries < HALVINGS; tries++, length /= 2) {
        double moved[N];
        for (size_t i = 0; i < N; i++) moved[i] = weights[i] + length * step[i];
        if (!(objective(p, moved) > before)) continue;
        memcpy(weights, moved, sizeof moved);
        return true;
    }
    return false;
}

static double four_digits(double value) {
    if (value == 0 || !isfinite(value)) return 0;
    const double unit = pow(10, 3 - floor(log10(fabs(value))));
    return fmin(fmax(round(value * unit) / unit, -WEIGHT_LARGEST), WEIGHT_LARGEST);
}

void ex_fit_weights(const ex_tried *tried, size_t n, double weights[EX_SCORE_WEIGHTS]) {
    problem p = {.tried = tried, .n = n};
    memset(weights, 0, N * sizeof *weights);
    if (n == 0) return;
    find_ridge(&p);
    for (int k = 0; k < NEWTON_STEPS; k++) {
        double gradient[N], step[N], curvature[N][N], size = 0;
        derivatives(&p, weights, gradient, curvature);
        for (size_t i = 0; i < N; i++) size = fmax(size, fabs(gradient[i]) / sqrt(p.ridge[i]));
        if (size < GRADIENT_SMALL * (double)n) break;
        solve(curvature, gradient, step);
        if (!advance(&p, weights, step)) break;
    }
    for (size_t i = 0; i < N; i++) weights[i] = four_digits(weights[i]);
}
