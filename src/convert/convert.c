/* convert.c - a Hugging Face folder as one GGUF file. Weights stream through row by row: memory does not grow with the
 * model. The same folder gives the same bytes. */
#include "base/error.h"
#include "base/tensor_type.h"
#include "base/utf8.h"
#include "convert/tokenizer.h"
#include "convert/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct job {
    const char *folder;
    ex_source source; /* config.json */
    ex_config config;
    ex_safetensors tensors;
    ex_plan plan;
    ex_writer *writer;
    ex_progress progress;
    void *context;
    ex_error *error;
} job;

static ex_code find_type(const char *name, int32_t *type, ex_error *error) {
    static const uint32_t types[] = {EX_TYPE_F16, EX_TYPE_BF16, EX_TYPE_F32};
    *type = -1;
    if (!name) return EX_OK;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcasecmp(name, ex_type_find(types[i])->name) == 0) *type = (int32_t)types[i];
    if (*type >= 0) return EX_OK;
    return ex_fail(error, EX_ERROR_ARGUMENT, 0,
                   "type '%.40s' cannot be written here; choose F16, BF16 or F32 and quantise the result", name);
}

/* The last part of the folder's real path; nothing when that is no text. */
static ex_code write_name(const job *j) {
    char *path = realpath(j->folder, NULL);
    if (!path) return ex_fail_system(j->error, j->folder, "find the folder");
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : "";
    size_t length = strlen(name);
    ex_code code = EX_OK;
    if (length && ex_utf8_valid_prefix(name, length) == length)
        code = ex_writer_string(j->writer, "general.name", name, length, j->error);
    free(path);
    return code;
}

static ex_code write_keys(const job *j) {
    const char *architecture = j->config.family->architecture;
    ex_code code = ex_writer_string(j->writer, "general.architecture", architecture, strlen(architecture), j->error);
    if (code == EX_OK) code = ex_writer_string(j->writer, "general.type", "model", 5, j->error);
    if (code == EX_OK) code = write_name(j);
    if (code == EX_OK)
        code = ex_writer_u32(j->writer, "general.file_type", (uint32_t)j->plan.file_type, j->error);
    if (code == EX_OK) code = ex_config_write(&j->config, j->writer, j->error);
    char name[64];
    snprintf(name, sizeof name, "%s.vocab_size", architecture);
    if (code == EX_OK) code = ex_writer_u32(j->writer, name, (uint32_t)j->plan.n_vocab, j->error);
    if (code != EX_OK) return code;
    return ex_tokenizer_convert(j->folder, &j->source, (size_t)j->plan.n_vocab, j->writer, j->error);
}

static ex_code write_file(job *j, const char *output) {
    ex_code code = ex_writer_open(&j->writer, output, j->error);
    if (code != EX_OK) return code;
    code = write_keys(j);
    if (code == EX_OK) code = ex_plan_declare(&j->plan, j->writer, j->error);
    if (code == EX_OK) code = ex_plan_write(&j->plan, j->writer, j->progress, j->context, j->error);
    if (code == EX_OK) return ex_writer_finish(j->writer, j->error);
    ex_writer_abandon(j->writer);
    return code;
}

ex_code ex_convert(const char *folder, const char *output, const char *type, ex_progress progress, void *context,
                   ex_error *error) {
    if (!folder || !output) return ex_fail(error, EX_ERROR_ARGUMENT, 0, "convert needs a folder and an output");
    job j = {.folder = folder, .progress = progress, .context = context, .error = error};
    int32_t type_id;
    ex_code code = find_type(type, &type_id, error);
    if (code == EX_OK) code = ex_source_open(&j.source, folder, "config.json", true, error);
    if (code == EX_OK) code = ex_config_read(&j.config, &j.source, error);
    if (code == EX_OK) code = ex_safetensors_open(&j.tensors, folder, error);
    if (code == EX_OK) code = ex_plan_open(&j.plan, &j.config, &j.tensors, type_id, folder, error);
    if (code == EX_OK) code = write_file(&j, output);
    ex_plan_close(&j.plan);
    ex_safetensors_close(&j.tensors);
    ex_source_close(&j.source);
    return code;
}
