/* quantize_output.c - the errors of quantising: a table for people, one object for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_output.h"
#include "quantize.h"
#include "terminal.h"

typedef struct totals {
    uint64_t n_weights, before, after; /* bytes */
    size_t n_kept;                     /* tensors whose type is what it was */
    const quantized_row *worst;        /* NULL: no tensor has an error */
} totals;

bool quantize_add(quantize_result *result, const ex_quantized *tensor) {
    if (result->n_rows == result->capacity) {
        size_t capacity = result->capacity ? 2 * result->capacity : 256;
        quantized_row *rows = realloc(result->rows, capacity * sizeof *rows);
        if (!rows) return false;
        result->rows = rows;
        result->capacity = capacity;
    }
    const ex_tensor *old = tensor->tensor;
    quantized_row *row = &result->rows[result->n_rows++];
    *row = (quantized_row){.before = old->type,
                           .type = tensor->type,
                           .wanted = tensor->wanted,
                           .n_weights = old->ne[0] * old->ne[1] * old->ne[2] * old->ne[3],
                           .n_bytes_before = old->n_bytes,
                           .n_bytes = tensor->n_bytes,
                           .relative_error = tensor->relative_error,
                           .largest_error = tensor->largest_error};
    size_t length = old->name.length < sizeof row->name ? old->name.length : sizeof row->name - 1;
    memcpy(row->name, old->name.data, length);
    return true;
}

static totals add_up(const quantize_result *result) {
    totals sum = {0};
    for (size_t i = 0; i < result->n_rows; i++) {
        const quantized_row *row = &result->rows[i];
        sum.n_weights += row->n_weights;
        sum.before += row->n_bytes_before;
        sum.after += row->n_bytes;
        sum.n_kept += row->type == row->before;
        if (row->relative_error > (sum.worst ? sum.worst->relative_error : 0)) sum.worst = row;
    }
    return sum;
}

static double bits(uint64_t n_bytes, uint64_t n_weights) {
    return n_weights ? 8 * (double)n_bytes / (double)n_weights : 0;
}

static int name_width(const quantize_result *result) {
    size_t width = sizeof "tensor" - 1;
    for (size_t i = 0; i < result->n_rows; i++) {
        size_t length = strlen(result->rows[i].name);
        if (result->rows[i].type != result->rows[i].before && length > width) width = length;
    }
    return (int)width;
}

static void print_row(cli_painter *painter, const quantized_row *row, int width, const quantized_row *worst) {
    char types[32], size[32];
    const char *style = row == worst ? style_bold : NULL;
    snprintf(types, sizeof types, "%s -> %s%s", ex_type_name(row->before), ex_type_name(row->type),
             row->type == row->wanted ? "" : " *");
    paint(painter, style, row->name, strlen(row->name));
    paint_format(painter, style, "%*s  %-16s %10s  %#9.3g  %#9.3g%s\n", width - (int)strlen(row->name), "", types,
                 format_bytes(size, row->n_bytes), row->relative_error, row->largest_error,
                 row == worst ? "  largest" : "");
}

static void print_totals(const quantize_result *result, const totals *sum) {
    char before[32], after[32];
    if (sum->n_kept) printf("%zu tensors kept their type\n", sum->n_kept);
    printf("%s: %s, %s -> %s (%.0f %%), %.2f -> %.2f bits a weight, %.1f s\n", result->output, result->type,
           format_bytes(before, sum->before), format_bytes(after, sum->after),
           sum->before ? 100 * (double)sum->after / (double)sum->before : 0, bits(sum->before, sum->n_weights),
           bits(sum->after, sum->n_weights), result->seconds);
}

void quantize_print(const quantize_result *result) {
    totals sum = add_up(result);
    cli_painter painter = painter_for(stdout, "auto");
    painter.guarded = true; /* names are from a file of somebody else */
    int width = name_width(result);
    if (sum.n_kept < result->n_rows)
        paint_format(&painter, style_dim, "%-*s  %-16s %10s  %9s  %9s\n", width, "tensor", "type", "size", "rms error",
                     "largest");
    bool fallback = false;
    for (size_t i = 0; i < result->n_rows; i++) {
        const quantized_row *row = &result->rows[i];
        if (row->type != row->before) print_row(&painter, row, width, sum.worst);
        fallback |= row->type != row->wanted;
    }
    paint_end(&painter);
    if (fallback) printf("* the rows are no whole number of blocks of the type that %s asks for\n", result->type);
    print_totals(result, &sum);
}

static void emit_row(emitter *json, const quantized_row *row) {
    emit_object_begin(json, NULL);
    emit_bytes(json, "name", (ex_string){row->name, strlen(row->name)});
    emit_text(json, "type_before", ex_type_name(row->before));
    emit_text(json, "type", ex_type_name(row->type));
    emit_text(json, "type_wanted", ex_type_name(row->wanted));
    emit_count(json, "n_weights", row->n_weights);
    emit_count(json, "bytes_before", row->n_bytes_before);
    emit_count(json, "bytes", row->n_bytes);
    emit_real(json, "relative_error", row->relative_error);
    emit_real(json, "largest_error", row->largest_error);
    emit_object_end(json);
}

void quantize_json(const quantize_result *result) {
    totals sum = add_up(result);
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_text(&json, "input", result->input);
    emit_text(&json, "output", result->output);
    emit_text(&json, "type", result->type);
    emit_count(&json, "n_weights", sum.n_weights);
    emit_count(&json, "bytes_before", sum.before);
    emit_count(&json, "bytes", sum.after);
    emit_real(&json, "bits_per_weight", bits(sum.after, sum.n_weights));
    emit_real(&json, "seconds", result->seconds);
    if (sum.worst)
        emit_bytes(&json, "worst_tensor", (ex_string){sum.worst->name, strlen(sum.worst->name)});
    else
        emit_null(&json, "worst_tensor");
    emit_array_begin(&json, "tensors");
    for (size_t i = 0; i < result->n_rows; i++) emit_row(&json, &result->rows[i]);
    emit_array_end(&json);
    emit_object_end(&json);
    emit_line_end(&json);
}
