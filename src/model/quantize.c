/* quantize.c - a model's matrices in another type. Weights stream through in slabs: memory does not grow with the
 * model. A slab is dealt to threads in chunks that are whole blocks of every type, so rows need not be told apart; one
 * of the threads writes the slab before it meanwhile. What a type makes of the weights is measured on the way. */
#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/team.h"
#include "base/text.h"
#include "file/gguf.h"
#include "kernel/kernel.h"
#include "model/recipe.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 8192, /* weights; a multiple of every block */
    SLAB_CHUNKS = 256,
    SLAB = SLAB_CHUNKS * CHUNK,
    LONGEST_NAME = 64,
    QUANTIZATION_VERSION = 2
};

typedef struct lane { /* what one thread needs */
    float values[CHUNK], decoded[CHUNK];
    uint64_t bad; /* lowest weight that cannot be stored, or UINT64_MAX */
    float bad_value;
} lane;

typedef struct deviation { /* of decoded weights from what they were */
    double squares, errors; /* sums of squares: of the weights, of the differences */
    double largest;         /* absolute difference */
} deviation;

typedef struct conversion { /* of one tensor */
    const ex_tensor *tensor;
    uint32_t type;
    const ex_format *from, *to; /* `to` is NULL when the bytes are only copied */
    uint64_t n_weights;
    uint64_t from_chunk_bytes, to_chunk_bytes;
    float limit;       /* largest magnitude that the target holds */
    uint64_t first, n; /* the slab, in weights */
    unsigned char *out;
    lane *lanes;
    deviation *chunks; /* of the slab: added up in order, the sums do not depend on the number of threads */
    deviation sum;
} conversion;

typedef struct job {
    const ex_file *input;
    const char *path; /* of the input, for messages */
    ex_writer *writer;
    ex_team *team;
    const ex_recipe *recipe;
    uint64_t n_layer;
    lane *lanes;
    deviation *chunks;
    unsigned char *slabs[2]; /* one is filled while the other is written */
    int filled;              /* of them */
    const void *waiting;     /* converted and not yet written */
    uint64_t n_waiting;
    uint64_t done, total; /* bytes of the input's tensors */
    ex_progress progress;
    void (*report)(void *context, const ex_quantized *result);
    void *context;
    ex_error *error;
} job;

/* ---- what happens to each tensor ---- */

static bool ends_with(ex_string name, const char *ending) {
    size_t n = strlen(ending);
    return name.length >= n && memcmp(name.data + name.length - n, ending, n) == 0;
}

static bool contains(ex_string name, const char *part) { return memmem(name.data, name.length, part, strlen(part)); }

/* Norms, biases and small matrices that steer (routers, convolutions) keep what they have: they are a vanishing share
 * of the bytes and errors in them cost most. */
static bool is_converted(const ex_tensor *tensor) {
    static const char *const kept[] = {"norm",           "rope_",         "ffn_gate_inp", "ssm_conv1d",
                                       "shortconv.conv", "position_embd", "token_types",  "attn_rot_embd"};
    if (tensor->n_dims < 2 || tensor->ne[1] < 2 || !ends_with(tensor->name, ".weight")) return false;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (contains(tensor->name, kept[i])) return false;
    return ex_format_find(tensor->type) != NULL;
}

static uint32_t target_type(const job *j, const ex_tensor *tensor) {
    return is_converted(tensor) ? ex_recipe_type(j->recipe, tensor->name, tensor->ne[0], j->n_layer) : tensor->type;
}

static uint32_t wanted_type(const job *j, const ex_tensor *tensor) {
    return is_converted(tensor) ? ex_recipe_wanted(j->recipe, tensor->name, j->n_layer) : tensor->type;
}

/* Offsets in messages are those of the part that the tensor lies in. */
static const char *part_path(const job *j, const ex_tensor *tensor) {
    return ex_file_part_path(j->input, tensor->part);
}

/* A quantised matrix of a type that cannot be decoded would silently stay as it is. */
static ex_code check_source_type(const job *j, const ex_tensor *tensor) {
    const ex_type_shape *shape = ex_type_find(tensor->type);
    if (shape->block_elements == 1 || ex_format_find(tensor->type)) return EX_OK;
    return ex_fail(j->error, EX_ERROR_UNSUPPORTED, tensor->offset,
                   "%s: tensor '%.*s' has type %s, which this build cannot convert", part_path(j, tensor),
                   (int)tensor->name.length, tensor->name.data, shape->name);
}

/* ---- conversion ---- */

static uint64_t chunk_bytes(uint32_t type) {
    const ex_type_shape *shape = ex_type_find(type);
    return (uint64_t)CHUNK / shape->block_elements * shape->block_bytes;
}

/* Scales of all block types are half precision, so nothing beyond its range fits into a block. */
static float largest_magnitude(uint32_t type) {
    return type == EX_TYPE_F32 ? 0x1.FFFFFEp127f : type == EX_TYPE_BF16 ? 0x1.FEp127f : 65504.0f;
}

static void check_values(lane *own, uint64_t first, size_t n, float limit) {
    bool fit = true;
    for (size_t i = 0; i < n; i++) fit &= fabsf(own->values[i]) <= limit; /* NaN compares false */
    for (size_t i = 0; !fit && i < n && first + i < own->bad; i++) {
        if (fabsf(own->values[i]) <= limit) continue;
        own->bad = first + i;
        own->bad_value = own->values[i];
    }
}

static deviation measure_deviation(const float *values, const float *decoded, size_t n) {
    enum { SUMS = 8 }; /* side by side: one addition need not wait for the one before */
    double squares[SUMS] = {0}, errors[SUMS] = {0}, largest[SUMS] = {0};
    for (size_t i = 0; i + SUMS <= n; i += SUMS) {
        for (size_t k = 0; k < SUMS; k++) {
            double value = (double)values[i + k], error = fabs(value - (double)decoded[i + k]);
            squares[k] += value * value;
            errors[k] += error * error;
            largest[k] = error > largest[k] ? error : largest[k];
        }
    }
    deviation sum = {0};
    for (size_t k = 0; k < SUMS; k++) {
        size_t i = n / SUMS * SUMS + k;
        double value = i < n ? (double)values[i] : 0, error = i < n ? fabs(value - (double)decoded[i]) : 0;
        sum.squares += squares[k] + value * value;
        sum.errors += errors[k] + error * error;
        sum.largest = fmax(sum.largest, fmax(largest[k], error));
    }
    return sum;
}

static void convert_chunk(conversion *c, lane *own, size_t chunk) {
    uint64_t first = c->first + chunk * CHUNK;
    uint64_t rest = c->first + c->n - first;
    size_t n = rest < CHUNK ? (size_t)rest : CHUNK;
    unsigned char *out = c->out + chunk * c->to_chunk_bytes;
    c->from->decode((const unsigned char *)c->tensor->data + first / CHUNK * c->from_chunk_bytes, n, own->values);
    check_values(own, first, n, c->limit);
    if (!c->to || own->bad != UINT64_MAX) return;
    c->to->encode(own->values, n, out);
    c->to->decode(out, n, own->decoded);
    c->chunks[chunk] = measure_deviation(own->values, own->decoded, n);
}

static ex_code write_waiting(job *j) {
    ex_code code = ex_writer_data(j->writer, j->waiting, j->n_waiting, j->error);
    j->n_waiting = 0;
    return code;
}

typedef struct slab_work {
    job *job;
    conversion *conversion;
    ex_code written;
} slab_work;

/* The first piece of work is to write the slab before this one; whoever takes it leaves the chunks to the others. */
static void convert_slab_pieces(void *context, ex_worker *worker) {
    slab_work *work = context;
    conversion *c = work->conversion;
    size_t n_pieces = 1 + (size_t)((c->n + CHUNK - 1) / CHUNK), piece, end;
    while (ex_worker_next(worker, n_pieces, 1, &piece, &end)) {
        if (piece == 0)
            work->written = work->job->n_waiting ? write_waiting(work->job) : EX_OK;
        else
            convert_chunk(c, &c->lanes[worker->index], piece - 1);
    }
}

static void add_deviations(conversion *c) {
    for (size_t i = 0; c->to && i < (size_t)((c->n + CHUNK - 1) / CHUNK); i++) {
        c->sum.squares += c->chunks[i].squares;
        c->sum.errors += c->chunks[i].errors;
        c->sum.largest = fmax(c->sum.largest, c->chunks[i].largest);
    }
}

static ex_code report_bad_weight(const job *j, const conversion *c) {
    const lane *worst = &c->lanes[0];
    for (int32_t i = 1; i < ex_team_size(j->team); i++)
        if (c->lanes[i].bad < worst->bad) worst = &c->lanes[i];
    if (worst->bad == UINT64_MAX) return EX_OK;
    const ex_tensor *tensor = c->tensor;
    uint64_t row = worst->bad / tensor->ne[0], column = worst->bad % tensor->ne[0];
    char reason[64] = "is not finite";
    if (isfinite(worst->bad_value)) snprintf(reason, sizeof reason, "is too large for %s", ex_type_name(c->type));
    return ex_fail(j->error, EX_ERROR_NUMBER, tensor->offset,
                   "%s: tensor '%.*s': weight %" PRIu64 " (row %" PRIu64 ", column %" PRIu64 ") is %g, which %s",
                   part_path(j, tensor), (int)tensor->name.length, tensor->name.data, worst->bad, row, column,
                   (double)worst->bad_value, reason);
}

static ex_code tell_progress(job *j, const char *what) {
    if (!j->progress || j->progress(j->context, j->done, j->total, what)) return EX_OK;
    return ex_fail(j->error, EX_ERROR_ARGUMENT, 0, "stopped on request; nothing was written");
}

static ex_code convert_slab(job *j, conversion *c) {
    slab_work work = {.job = j, .conversion = c, .written = EX_OK};
    c->out = j->slabs[j->filled];
    if (c->from)
        ex_team_run(j->team, convert_slab_pieces, &work);
    else if (j->n_waiting)
        work.written = write_waiting(j);
    ex_code code = work.written == EX_OK ? report_bad_weight(j, c) : work.written;
    if (code != EX_OK) return code;
    add_deviations(c);
    uint64_t from_bytes = 0;
    ex_type_row_bytes(c->tensor->type, c->n, &from_bytes);
    ex_type_row_bytes(c->type, c->n, &j->n_waiting);
    j->waiting = c->to ? c->out : (const unsigned char *)c->tensor->data + c->first / CHUNK * c->from_chunk_bytes;
    j->filled ^= 1;
    j->done += from_bytes;
    return EX_OK;
}

static void report_tensor(const job *j, const conversion *c) {
    ex_quantized result = {.tensor = c->tensor,
                           .type = c->type,
                           .wanted = wanted_type(j, c->tensor),
                           .relative_error = c->sum.squares > 0 ? sqrt(c->sum.errors / c->sum.squares) : 0,
                           .largest_error = c->sum.largest};
    ex_type_row_bytes(c->type, c->n_weights, &result.n_bytes);
    if (j->report) j->report(j->context, &result);
}

static ex_code convert_tensor(job *j, const ex_tensor *tensor) {
    uint32_t type = target_type(j, tensor);
    bool copied = type == tensor->type;
    conversion c = {.tensor = tensor,
                    .type = type,
                    .from = ex_format_find(tensor->type),
                    .to = copied ? NULL : ex_format_find(type),
                    .n_weights = tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3],
                    .from_chunk_bytes = chunk_bytes(tensor->type),
                    .to_chunk_bytes = chunk_bytes(type),
                    .limit = largest_magnitude(copied ? EX_TYPE_F32 : type),
                    .lanes = j->lanes,
                    .chunks = j->chunks};
    char what[LONGEST_NAME + 1] = "";
    memcpy(what, tensor->name.data, tensor->name.length);
    ex_code code = EX_OK;
    for (; c.first < c.n_weights && code == EX_OK; c.first += c.n) {
        c.n = c.n_weights - c.first < SLAB ? c.n_weights - c.first : SLAB;
        code = convert_slab(j, &c);
        if (code == EX_OK) code = tell_progress(j, what);
    }
    if (code == EX_OK) report_tensor(j, &c);
    return code;
}

/* ---- the file around them ---- */

static ex_code write_keys(job *j) {
    static const char *const replaced[] = {"general.file_type", "general.quantization_version"};
    const uint32_t values[] = {j->recipe->file_type, QUANTIZATION_VERSION};
    ex_code code = EX_OK;
    for (size_t i = 0; i < ex_file_key_count(j->input) && code == EX_OK; i++) {
        const ex_key *key = ex_file_key(j->input, i);
        if (!ex_string_is(key->name, replaced[0]) && !ex_string_is(key->name, replaced[1]))
            code = ex_writer_copy_key(j->writer, key, j->error);
    }
    for (size_t i = 0; i < 2 && code == EX_OK; i++) code = ex_writer_u32(j->writer, replaced[i], values[i], j->error);
    return code;
}

static ex_code declare_tensors(job *j) {
    ex_code code = EX_OK;
    for (size_t i = 0; i < ex_file_tensor_count(j->input) && code == EX_OK; i++) {
        const ex_tensor *tensor = ex_file_tensor(j->input, i);
        code = check_source_type(j, tensor);
        if (code == EX_OK)
            code = ex_writer_declare(j->writer, tensor->name, target_type(j, tensor), tensor->n_dims, tensor->ne,
                                     j->error);
    }
    return code;
}

static ex_code write_model(job *j) {
    ex_code code = write_keys(j);
    if (code == EX_OK) code = declare_tensors(j);
    for (size_t i = 0; i < ex_file_tensor_count(j->input) && code == EX_OK; i++)
        code = convert_tensor(j, ex_file_tensor(j->input, i));
    return code == EX_OK && j->n_waiting ? write_waiting(j) : code;
}

static ex_code survey(job *j) {
    size_t n_tensors = ex_file_tensor_count(j->input);
    if (n_tensors == 0) return ex_fail(j->error, EX_ERROR_FORMAT, 0, "%s: holds no tensors to convert", j->path);
    for (size_t i = 0; i < n_tensors; i++) {
        const ex_tensor *tensor = ex_file_tensor(j->input, i);
        ex_string rest;
        int64_t layer = ex_tensor_layer(tensor->name, &rest);
        if (layer >= (int64_t)j->n_layer) j->n_layer = (uint64_t)layer + 1;
        j->total += tensor->n_bytes;
    }
    return EX_OK;
}

static ex_code take_memory(job *j, int32_t n_threads) {
    ex_code code = ex_team_open(&j->team, n_threads ? n_threads : ex_cpu_cores(), j->error);
    if (code != EX_OK) return code;
    size_t n_lanes = (size_t)ex_team_size(j->team);
    j->lanes = ex_allocate(n_lanes, sizeof *j->lanes);
    j->chunks = ex_allocate(SLAB_CHUNKS, sizeof *j->chunks);
    for (int i = 0; i < 2; i++) j->slabs[i] = ex_allocate_aligned(SLAB, sizeof(float));
    if (!j->lanes || !j->chunks || !j->slabs[0] || !j->slabs[1])
        return ex_fail_memory(j->error, "the conversion of weights");
    for (size_t i = 0; i < n_lanes; i++) j->lanes[i].bad = UINT64_MAX;
    return EX_OK;
}

static ex_code run_job(job *j, const char *output, int32_t n_threads) {
    ex_code code = survey(j);
    if (code == EX_OK) code = take_memory(j, n_threads);
    if (code == EX_OK) code = ex_writer_open(&j->writer, output, j->error);
    if (code != EX_OK) return code;
    code = write_model(j);
    if (code == EX_OK) return ex_writer_finish(j->writer, j->error);
    ex_writer_abandon(j->writer);
    return code;
}

static ex_code find_recipe(const ex_recipe **out, const char *type, ex_error *error) {
    *out = ex_recipe_find(type);
    if (*out) return EX_OK;
    char names[200];
    ex_recipe_names(names, sizeof names);
    return ex_fail(error, EX_ERROR_ARGUMENT, 0, "type '%.40s' cannot be written; choose one of %s", type, names);
}

ex_code ex_quantize(const char *input, const char *output, const char *type, int32_t n_threads, ex_progress progress,
                    void (*report)(void *context, const ex_quantized *result), void *context, ex_error *error) {
    if (!input || !output || !type)
        return ex_fail(error, EX_ERROR_ARGUMENT, 0, "quantize needs input, output and type");
    job j = {.path = input, .progress = progress, .report = report, .context = context, .error = error};
    ex_code code = find_recipe(&j.recipe, type, error);
    ex_file *file = NULL;
    if (code == EX_OK) code = ex_file_open(&file, input, error);
    j.input = file;
    if (code == EX_OK) code = ex_file_check_types(file, error);
    if (code == EX_OK) code = run_job(&j, output, n_threads);
    ex_team_close(j.team);
    free(j.lanes);
    free(j.chunks);
    for (int i = 0; i < 2; i++) free(j.slabs[i]);
    ex_file_close(file);
    return code;
}
