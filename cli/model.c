/* model.c - where models are looked for, and how options become handles. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "data_path.h"
#include "terminal.h"

#define SHIPPED_MODEL "entropix-40m-q6_k.gguf"
enum { CONTEXT_COMMON = 4096, PLACES_MAX = DATA_PLACES + 1 };

static size_t shipped_places(char places[PLACES_MAX][DATA_PATH_SIZE]) {
    size_t n = data_places(places, SHIPPED_MODEL);
    snprintf(places[n++], DATA_PATH_SIZE, "models/" SHIPPED_MODEL);
    return n;
}

static int copy_path(char **copy, const char *path) {
    *copy = strdup(path);
    return *copy ? STATUS_OK : report_memory();
}

static int shipped_model(char **path) {
    const char *named = getenv("ENTROPIX_MODEL");
    if (named && *named) return copy_path(path, named);
    char places[PLACES_MAX][DATA_PATH_SIZE];
    const size_t n = shipped_places(places);
    for (size_t i = 0; i < n; i++)
        if (access(places[i], R_OK) == 0) return copy_path(path, places[i]);
    message("no model: -m FILE names one. Without it these places are looked at:");
    fputs("  $ENTROPIX_MODEL (not set)\n", stderr);
    for (size_t i = 0; i < n; i++) fprintf(stderr, "  %s\n", places[i]);
    return STATUS_INPUT;
}

int model_path(char **path, const cli_options *options) {
    const char *named = option_text(options, OPTION_MODEL);
    *path = NULL;
    return named ? copy_path(path, named) : shipped_model(path);
}

int model_open(ex_engine **out, const cli_options *options) {
    char *path;
    int status = model_path(&path, options);
    if (status != STATUS_OK) return status;
    ex_engine_options engine_options = ex_engine_options_default();
    engine_options.n_threads = (int32_t)option_integer(options, OPTION_THREADS);
    engine_options.kernels = option_text(options, OPTION_CPU);
    ex_error error;
    ex_code code = ex_engine_open(out, path, &engine_options, &error);
    free(path);
    return code == EX_OK ? STATUS_OK : report(&error);
}

void ending_options(ex_generator_options *out, const cli_options *options) {
    const option_value *stop = &options->values[OPTION_STOP];
    out->stop = stop->texts;
    out->n_stop = stop->n_texts;
    out->ignore_end = option_flag(options, OPTION_IGNORE_END);
}

uint64_t seed_choose(const cli_options *options) {
    if (options->values[OPTION_SEED].given) return (uint64_t)option_integer(options, OPTION_SEED);
    uint32_t seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = (uint32_t)time(NULL);
    return seed;
}

ex_kv_type cache_type(const cli_options *options, ex_kv_type otherwise) {
    const char *name = option_text(options, OPTION_CACHE_TYPE);
    if (!name) return otherwise;
    return strcmp(name, "f32") == 0 ? EX_KV_F32 : strcmp(name, "q8_0") == 0 ? EX_KV_Q8_0 : EX_KV_F16;
}

int session_open(ex_session **out, ex_engine *engine, const cli_options *options, size_t n_wanted) {
    ex_session_options session_options = ex_session_options_default();
    size_t trained = (size_t)ex_engine_get_info(engine).n_context;
    session_options.no_attention_statistics = option_flag(options, OPTION_NO_STATISTICS);
    session_options.kv_type = cache_type(options, EX_KV_F16);
    session_options.n_context = (size_t)option_integer(options, OPTION_CONTEXT);
    if (session_options.n_context == 0) {
        size_t wanted = n_wanted > CONTEXT_COMMON ? n_wanted : CONTEXT_COMMON;
        session_options.n_context = wanted < trained ? wanted : trained;
    }
    ex_error error;
    return ex_session_open(out, engine, &session_options, &error) == EX_OK ? STATUS_OK : report(&error);
}

char *read_text(const char *path, size_t *length) {
    bool standard_input = strcmp(path, "-") == 0;
    FILE *file = standard_input ? stdin : fopen(path, "rbe");
    if (!file) {
        message("%s: cannot read: %s", path, strerror(errno));
        return NULL;
    }
    size_t capacity = 1 << 16, n = 0;
    char *text = malloc(capacity);
    while (text) {
        n += fread(text + n, 1, capacity - n - 1, file);
        if (n + 1 < capacity) break;
        char *larger = realloc(text, capacity *= 2);
        if (!larger) free(text);
        text = larger;
    }
    bool failed = ferror(file) != 0;
    if (failed) message("%s: cannot read: %s", path, strerror(errno));
    if (!text) report_memory();
    if (!standard_input) fclose(file);
    if (failed || !text) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    *length = n;
    return text;
}
