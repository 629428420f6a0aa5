/* split_model.c - writes a GGUF model as N files for the tests of the program: `split_model IN PREFIX N` makes
 * PREFIX-00001-of-0000N.gguf and so on, each with an equal share of the tensors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file/gguf.h"

static void stop_if(ex_code code, const ex_error *error) {
    if (code == EX_OK) return;
    fprintf(stderr, "split_model: %s\n", error->message);
    exit(1);
}

/* Keys of the model are in the first file alone. The writer reads a file back under a name that no part may have, so
 * that these keys get their real names later. */
static void write_keys(ex_writer *writer, const ex_file *file, uint32_t part, uint32_t n_parts) {
    ex_error error;
    for (size_t i = 0; part == 0 && i < ex_file_key_count(file); i++)
        stop_if(ex_writer_copy_key(writer, ex_file_key(file, i), &error), &error);
    stop_if(ex_writer_u32(writer, "split-no", part, &error), &error);
    stop_if(ex_writer_u32(writer, "split-count", n_parts, &error), &error);
    stop_if(ex_writer_u32(writer, "split-tensors.count", (uint32_t)ex_file_tensor_count(file), &error), &error);
}

/* Turns the first `name` in the file, which begins with "split-", into "split.…". */
static void rename_key(FILE *file, const char *name) {
    static char head[1 << 22];
    rewind(file);
    size_t n = fread(head, 1, sizeof head, file);
    const char *at = memmem(head, n, name, strlen(name));
    if (!at || fseek(file, (long)(at - head) + 5, SEEK_SET) != 0 || fputc('.', file) == EOF) exit(1);
}

static void rename_keys(const char *path) {
    FILE *file = fopen(path, "r+");
    if (!file) exit(1);
    rename_key(file, "split-no");
    rename_key(file, "split-count");
    rename_key(file, "split-tensors.count");
    if (fclose(file) != 0) exit(1);
}

static void write_part(const ex_file *file, const char *prefix, uint32_t part, uint32_t n_parts) {
    char path[1024];
    ex_error error;
    ex_writer *writer;
    size_t n = ex_file_tensor_count(file), first = n * part / n_parts, last = n * (part + 1) / n_parts;
    snprintf(path, sizeof path, "%s-%05u-of-%05u.gguf", prefix, part + 1, n_parts);
    stop_if(ex_writer_open(&writer, path, &error), &error);
    write_keys(writer, file, part, n_parts);
    for (size_t i = first; i < last; i++) {
        const ex_tensor *tensor = ex_file_tensor(file, i);
        stop_if(ex_writer_declare(writer, tensor->name, tensor->type, tensor->n_dims, tensor->ne, &error), &error);
    }
    for (size_t i = first; i < last; i++) {
        const ex_tensor *tensor = ex_file_tensor(file, i);
        stop_if(ex_writer_data(writer, tensor->data, tensor->n_bytes, &error), &error);
    }
    stop_if(ex_writer_finish(writer, &error), &error);
    rename_keys(path);
}

int main(int n_arguments, char **arguments) {
    ex_error error;
    ex_file *file;
    uint32_t n_parts = n_arguments == 4 ? (uint32_t)strtoul(arguments[3], NULL, 10) : 0;
    if (n_parts < 1 || n_parts > 99) {
        fputs("usage: split_model IN PREFIX N\n", stderr);
        return 2;
    }
    stop_if(ex_file_open(&file, arguments[1], &error), &error);
    for (uint32_t part = 0; part < n_parts; part++) write_part(file, arguments[2], part, n_parts);
    ex_file_close(file);
    return 0;
}
