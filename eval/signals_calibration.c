/* signals_calibration.c - how well probabilities of being right hold, in bins. */
#include "signals_order.h"

#include <math.h>

static void add(eval_bin *bin, double probability, bool right) {
    if (bin->n == 0) bin->probability = bin->share = 0;
    bin->n++;
    bin->probability += probability;
    bin->share += right;
}

static void fill_equal_width(const eval_order *order, const bool *right, size_t n_bins, eval_bin *bins) {
    for (size_t k = 0; k < n_bins; k++) {
        bins[k].low = (double)k / (double)n_bins;
        bins[k].high = (double)(k + 1) / (double)n_bins;
    }
    for (size_t i = 0; i < order->n; i++) {
        double place = fmin(1, fmax(0, order->entries[i].value)) * (double)n_bins;
        size_t k = (size_t)place < n_bins ? (size_t)place : n_bins - 1;
        add(&bins[k], order->entries[i].value, right[order->entries[i].index]);
    }
}

/* A run of equal probabilities goes to the bin in which its middle lies. */
static void fill_equal_mass(const eval_order *order, const bool *right, size_t n_bins, eval_bin *bins) {
    for (size_t begin = 0, end; begin < order->n; begin = end) {
        end = eval_order_tie(order, begin);
        double middle = ((double)begin + (double)end) / 2;
        size_t k = (size_t)(middle * (double)n_bins / (double)order->n);
        double value = order->entries[begin].value;
        if (bins[k].n == 0) bins[k].low = value;
        bins[k].high = value;
        for (size_t i = begin; i < end; i++) add(&bins[k], value, right[order->entries[i].index]);
    }
}

static void finish_bins(size_t n_bins, eval_bin *bins, eval_calibration *calibration) {
    calibration->error = calibration->maximum_error = 0;
    for (size_t k = 0; k < n_bins; k++) {
        if (bins[k].n == 0) continue;
        bins[k].probability /= (double)bins[k].n;
        bins[k].share /= (double)bins[k].n;
        double distance = fabs(bins[k].share - bins[k].probability);
        calibration->error += (double)bins[k].n / (double)calibration->n * distance;
        calibration->maximum_error = fmax(calibration->maximum_error, distance);
    }
}

bool eval_calibration_error(const double *probability, const bool *right, size_t n, eval_binning binning, size_t n_bins,
                            eval_bin *bins, eval_calibration *calibration) {
    *calibration = (eval_calibration){.error = NAN, .maximum_error = NAN, .brier = NAN};
    for (size_t k = 0; k < n_bins; k++) bins[k] = (eval_bin){.low = NAN, .high = NAN, .probability = NAN, .share = NAN};
    eval_order order;
    if (!eval_order_open(&order, probability, n)) return false;
    calibration->n = order.n;
    if (order.n > 0 && n_bins > 0) {
        if (binning == EVAL_EQUAL_WIDTH) fill_equal_width(&order, right, n_bins, bins);
        else fill_equal_mass(&order, right, n_bins, bins);
        finish_bins(n_bins, bins, calibration);
        calibration->brier = 0;
        for (size_t i = 0; i < order.n; i++) {
            double distance = order.entries[i].value - right[order.entries[i].index];
            calibration->brier += distance * distance / (double)order.n;
        }
    }
    eval_order_close(&order);
    return true;
}
