/* bench_kernels.c - entropix bench --kernels: every kernel table beside the portable one, a line as soon as it is
 * measured. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "interrupt.h"
#include "json_output.h"
#include "terminal.h"

typedef struct kernel_listing {
    emitter *json;            /* NULL: a table for people */
    double portable;          /* speed of the function in hand, which the others are compared with */
    const char *function;     /* of the last line */
    bool interrupted;
} kernel_listing;

static double speed_of(const ex_kernel_report *r) {
    return r->operations_per_second > 0 ? r->operations_per_second : r->bytes_per_second;
}

/* Billions a second, or nothing. */
static void print_rate(double per_second) {
    if (per_second > 0) printf(" %8.2f |", per_second * 1e-9);
    else printf(" %8s |", "");
}

static void print_line(kernel_listing *listing, const ex_kernel_report *r) {
    if (strcmp(r->kernels, "portable") == 0) listing->portable = speed_of(r);
    const char *name = listing->function && strcmp(listing->function, r->function) == 0 ? "" : r->function;
    listing->function = r->function;
    printf("| %-16s | %-7s | %-8s | %7.1e |", name, r->type, r->kernels, r->error);
    print_rate(r->bytes_per_second);
    print_rate(r->operations_per_second);
    printf(" %8.1f |\n", speed_of(r) / listing->portable);
}

static void emit_line(emitter *json, const ex_kernel_report *r) {
    emit_object_begin(json, NULL);
    emit_text(json, "function", r->function);
    if (r->type[0]) emit_text(json, "type", r->type);
    else emit_null(json, "type");
    emit_text(json, "kernels", r->kernels);
    emit_real(json, "error", r->error);
    if (r->bytes_per_second > 0) emit_real(json, "bytes_per_second", r->bytes_per_second);
    else emit_null(json, "bytes_per_second");
    if (r->operations_per_second > 0) emit_real(json, "operations_per_second", r->operations_per_second);
    else emit_null(json, "operations_per_second");
    emit_object_end(json);
}

static bool list(void *context, const ex_kernel_report *r) {
    kernel_listing *listing = context;
    if (listing->json) emit_line(listing->json, r);
    else print_line(listing, r);
    listing->interrupted = interrupt_seen();
    return !listing->interrupted && output_flush() == OUTPUT_OK;
}

static ex_code list_for_people(kernel_listing *listing, ex_error *error) {
    printf("One thread, operands in its caches. Error: from portable, relative to the largest value. For a matmul GB/s "
           "are\nweights that meet one token, GOP/s multiplications and additions for 64 tokens.\n\n"
           "| function         | type    | kernels  | error   |     GB/s |    GOP/s | portable |\n"
           "| ---------------- | ------- | -------- | ------: | -------: | -------: | -------: |\n");
    return ex_kernels_compare(list, listing, error);
}

static ex_code list_as_json(kernel_listing *listing, ex_error *error) {
    emitter json = {.out = stdout};
    listing->json = &json;
    emit_object_begin(&json, NULL);
    emit_text(&json, "version", ex_version());
    emit_array_begin(&json, "functions");
    ex_code code = ex_kernels_compare(list, listing, error);
    emit_array_end(&json);
    emit_object_end(&json);
    emit_line_end(&json);
    return code;
}

int bench_kernels(const cli_options *options) {
    kernel_listing listing = {0};
    ex_error error;
    ex_code code = option_flag(options, OPTION_JSON) ? list_as_json(&listing, &error)
                                                     : list_for_people(&listing, &error);
    if (listing.interrupted) {
        message("stopped by Ctrl-C before all was measured");
        return STATUS_INTERRUPTED;
    }
    output_state written = output_flush();
    if (written != OUTPUT_OK) return output_status(written, STATUS_OK);
    return code == EX_OK ? STATUS_OK : report(&error);
}
