/* info.c - entropix info: a GGUF file in words. */
#include "info.h"

#include <stdlib.h>

#include "commands.h"
#include "model.h"
#include "terminal.h"

enum { LABEL = 14, TEXT_MAX = 72, LISTED_MAX = 8 };

const char *value_type_name(ex_value_type type) {
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return (unsigned)type < sizeof names / sizeof *names ? names[type] : "unknown";
}

static void label(const char *text) { printf("%-*s", LABEL, text); }

/* From a file of somebody else: quoted, and nothing in it can steer the terminal. */
static void quote(ex_string text) {
    cli_painter plain = {.out = stdout};
    bool whole = text.length <= TEXT_MAX;
    if (!whole) text.length = TEXT_MAX;
    paint_quoted(&plain, NULL, text);
    if (!whole) fputs("...", stdout);
}

static void print_name(ex_string name) {
    cli_painter plain = {.out = stdout, .guarded = true};
    paint(&plain, NULL, name.data, name.length);
}

static void print_model(const cli_description *d) {
    char number[32];
    label("file");
    fputs(ex_file_path(d->file), stdout);
    if (ex_file_part_count(d->file) > 1) printf(" and on, %zu files", ex_file_part_count(d->file));
    printf(", %s, GGUF version %u\n", format_bytes(number, ex_file_size(d->file)), ex_file_version(d->file));
    label("model");
    if (d->name.length)
        quote(d->name);
    else
        fputs("unnamed,", stdout);
    fputs(" of the architecture ", stdout);
    quote(d->architecture);
    if (d->n_weights)
        printf(", %s parameters\n", format_count(number, d->n_weights));
    else
        fputs(", no tensors: a vocabulary alone\n", stdout);
}

static void print_shape(const cli_description *d) {
    char number[32];
    const int64_t *shape = d->shape;
    if (shape[0] < 0 || shape[1] < 0) return;
    label("shape");
    printf("%lld layers, width %lld", (long long)shape[0], (long long)shape[1]);
    if (shape[2] >= 0) printf(", %lld heads", (long long)shape[2]);
    if (shape[3] >= 0) printf(" (%lld for keys and values)", (long long)shape[3]);
    if (shape[4] >= 0) printf(" of %lld", (long long)shape[4]);
    if (shape[5] >= 0) printf(", feed-forward %lld", (long long)shape[5]);
    if (shape[7] > 0) printf(", %lld experts, %lld used", (long long)shape[7], (long long)shape[8]);
    fputc('\n', stdout);
    if (shape[6] < 0) return;
    label("context");
    printf("%s positions\n", format_count(number, (uint64_t)shape[6]));
}

static void print_types(const cli_description *d) {
    for (size_t i = 0; i < d->n_types; i++) {
        const type_share *share = &d->types[i];
        char number[32], type[24];
        label(i == 0 ? "weights" : "");
        printf("%-8s %5llu tensor%s %10s, %.2f bits a weight\n", type_label(type, share->type),
               (unsigned long long)share->n_tensors, share->n_tensors == 1 ? ", " : "s,",
               format_bytes(number, share->n_bytes), bits_per_weight(share->n_bytes, share->n_weights));
    }
    if (d->n_types < 2) return;
    label("");
    printf("%.2f bits a weight in all\n", bits_per_weight(d->tensor_bytes, d->n_weights));
}

static void print_tokenizer(const cli_description *d) {
    char number[32];
    label("tokenizer");
    if (d->tokenizer_model.length == 0) {
        fputs("none in the file\n", stdout);
        return;
    }
    quote(d->tokenizer_model);
    if (d->tokenizer_pre.length) fputs(", pre-tokeniser ", stdout), quote(d->tokenizer_pre);
    printf(", %s tokens\n", format_count(number, d->n_vocab));
    for (size_t i = 0; i < d->n_specials; i++) {
        label(i == 0 ? "special" : "");
        print_name(d->specials[i].role);
        printf(" %lld ", (long long)d->specials[i].token);
        quote(d->specials[i].text);
        fputc('\n', stdout);
    }
    label("chat template");
    if (!d->template_bytes) fputs("none\n", stdout);
    else if (!d->renders) printf("cannot be used: %s\n", d->template_error.message);
    else printf("yes, %llu bytes\n", (unsigned long long)d->template_bytes);
}

static void print_support(const cli_description *d) {
    char number[32];
    label("licence");
    if (d->licence.length)
        quote(d->licence);
    else
        fputs("not stated in the file", stdout);
    fputc('\n', stdout);
    if (!d->tokenizes && d->tokenizer_model.length) printf("cannot tokenize here: %s\n", d->tokenizer_error.message);
    if (!d->n_weights) return;
    if (!d->runs) {
        printf("cannot run here: %s\n", d->run_error.message);
        return;
    }
    label("runs here");
    printf("yes, with the %s kernels and %d thread%s\n", d->engine.kernels, d->engine.n_threads,
           d->engine.n_threads == 1 ? "" : "s");
    label("reads");
    printf("%s of weights for a token; the KV cache takes", format_bytes(number, d->engine.bytes_per_token));
    printf(" %s a position\n", format_bytes(number, d->engine.kv_bytes_per_position));
}

static void print_element(const ex_key *key, uint64_t index) {
    int64_t integer;
    double number;
    ex_string text;
    if (ex_key_string(key, index, &text))
        quote(text);
    else if (key->element == EX_VALUE_BOOL && ex_key_integer(key, index, &integer))
        fputs(integer ? "true" : "false", stdout);
    else if (ex_key_integer(key, index, &integer))
        printf("%lld", (long long)integer);
    else if (ex_key_number(key, index, &number))
        printf("%.9g", number);
}

static void print_key(const ex_key *key) {
    char number[32];
    print_name(key->name);
    if (key->type != EX_VALUE_ARRAY) {
        printf(" %s = ", value_type_name(key->type));
        print_element(key, 0);
    } else {
        printf(" array of %s %s", format_count(number, key->count), value_type_name(key->element));
        for (uint64_t i = 0; i < key->count && i < LISTED_MAX; i++)
            fputs(i ? ", " : " = ", stdout), print_element(key, i);
        if (key->count > LISTED_MAX) fputs(", ...", stdout);
    }
    fputc('\n', stdout);
}

static void print_tensor(const cli_description *d, const ex_tensor *tensor) {
    char number[32], type[24];
    print_name(tensor->name);
    printf(" %s", type_label(type, tensor->type));
    for (uint32_t i = 0; i < tensor->n_dims; i++) printf(" %s%llu", i ? "x " : "", (unsigned long long)tensor->ne[i]);
    printf(", %s at %llu", format_bytes(number, tensor->n_bytes), (unsigned long long)tensor->offset);
    if (ex_file_part_count(d->file) > 1) printf(" of file %u", tensor->part + 1);
    fputc('\n', stdout);
}

static void print_words(const cli_description *d, bool verbose) {
    print_model(d);
    print_shape(d);
    print_types(d);
    print_tokenizer(d);
    print_support(d);
    if (!verbose) return;
    fputs("\nkeys\n", stdout);
    for (size_t i = 0; i < ex_file_key_count(d->file); i++) print_key(ex_file_key(d->file, i));
    fputs("\ntensors\n", stdout);
    for (size_t i = 0; i < ex_file_tensor_count(d->file); i++) print_tensor(d, ex_file_tensor(d->file, i));
}

static int describe_file(const char *path, const cli_options *options) {
    ex_file *file;
    ex_error error;
    if (ex_file_open(&file, path, &error) != EX_OK) return report(&error);
    cli_description description;
    const ex_code code = describe(&description, file, &error);
    if (code == EX_OK && option_flag(options, OPTION_JSON))
        info_json(&description);
    else if (code == EX_OK)
        print_words(&description, option_flag(options, OPTION_VERBOSE));
    ex_file_close(file);
    return code == EX_OK ? STATUS_OK : report(&error);
}

int command_info(const cli_options *options) {
    if (options->n_operands && option_text(options, OPTION_MODEL)) {
        message("info describes one file; give it with -m or as an argument, not both");
        return STATUS_INPUT;
    }
    char *found = NULL;
    int status = options->n_operands ? STATUS_OK : model_path(&found, options);
    if (status == STATUS_OK) status = describe_file(options->n_operands ? options->operands[0] : found, options);
    free(found);
    return status;
}
