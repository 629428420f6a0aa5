/* calibrate_policy.c - a calibrated policy as a file that says where it comes from. */
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "eval/memory_text.h"
#include "metric_fields.h"

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Names come from files: what is no printable character must not end the comment. */
static void put_name(FILE *out, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) fputc((unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i], out);
}

static void put_origin(FILE *out, const calibrate_result *result) {
    const ex_calibration *found = result->found;
    fputs("# Calibrated from the policy ", out);
    put_name(out, file_name(result->policy), strlen(file_name(result->policy)));
    fputs(" for the model ", out);
    put_name(out, result->model.name.data, result->model.name.length);
    fprintf(out, "\n# on %zu positions of ", found->n_positions);
    if (!result->held_out) fputs("the first half of ", out);
    put_name(out, file_name(result->text), strlen(file_name(result->text)));
    fprintf(out, ", in windows of %zu without the first %zu,\n# and checked on %zu positions of ", result->n_window,
            result->n_warm_up, found->n_held_out);
    const char *held_out = result->held_out ? file_name(result->held_out) : "its second half";
    put_name(out, held_out, strlen(held_out));
    fputs(".\n", out);
}

static void put_shares(FILE *out, const ex_calibration *found) {
    fputs("#\n# share of tokens    wanted  expected  measured\n", out);
    for (size_t i = 0; i < EX_SHARE_COUNT; i++)
        fprintf(out, "# %-17s  %7.4f   %7.4f   %7.4f\n", found->shares[i].strategy, found->shares[i].wanted,
                found->shares[i].expected, found->shares[i].measured);
    fprintf(out, "# score weights: log score %.4f bits held out, %.4f with weights 0%s\n", found->fitted.measured,
            found->without.measured, found->weights_help ? "" : "; no clear help, so they are 0");
}

static void put_quantiles(FILE *out, const ex_calibration *found) {
    fprintf(out, "#\n# %-26s", "quantiles");
    for (size_t q = 0; q < EX_QUANTILE_COUNT; q++) fprintf(out, " %8g", ex_calibration_quantile(q));
    for (size_t metric = 0; metric < METRIC_COUNT; metric++) {
        fprintf(out, "\n# %-26s", ex_metric_name(metric));
        for (size_t q = 0; q < EX_QUANTILE_COUNT; q++)
            fprintf(out, " %8.4g", ex_metric_value(&found->quantiles[q], metric));
    }
    fputs("\n\n", out);
}

char *calibrate_policy_text(const calibrate_result *result) {
    char *text = NULL;
    size_t length = 0, policy_length = 0;
    ex_policy_format(&result->found->policy, NULL, 0, &policy_length);
    char *policy = malloc(policy_length + 1);
    FILE *out = policy ? eval_memory_open(&text, &length) : NULL;
    if (out) {
        ex_policy_format(&result->found->policy, policy, policy_length + 1, &policy_length);
        put_origin(out, result);
        put_shares(out, result->found);
        put_quantiles(out, result->found);
        fputs(policy, out);
        eval_memory_close(out, &text);
    }
    free(policy);
    return text;
}
