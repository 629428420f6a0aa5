/* quantize.h - what entropix quantize did to each tensor, and how it is shown. */
#ifndef CLI_QUANTIZE_H
#define CLI_QUANTIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "entropix.h"

typedef struct quantized_row {
    char name[72];
    uint32_t before, type, wanted;
    uint64_t n_weights, n_bytes_before, n_bytes;
    double relative_error, largest_error;
} quantized_row;

typedef struct quantize_result {
    const char *input, *output, *type;
    double seconds;
    quantized_row *rows;
    size_t n_rows, capacity;
} quantize_result;

/* False when there is no memory. */
bool quantize_add(quantize_result *result, const ex_quantized *tensor);

void quantize_print(const quantize_result *result); /* a table for people */
void quantize_json(const quantize_result *result);  /* one object */

#endif
