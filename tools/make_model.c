/* make_model.c - writes a GGUF file of any Llama shape and type with seeded random weights, for benchmarks and tests of
 * shapes that nobody wants to download. With no options: the shape of Llama-3.2-1B in Q8_0.
 *
 * Weights are drawn block by block from a pool of encoded blocks, so a file is written about as fast as the disk takes
 * it. Rows differ from each other; only blocks repeat. The same options give the same file on any number of threads. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/team.h"
#include "base/utf8.h"
#include "file/gguf.h"
#include "kernel/kernel.h"
#include "model/recipe.h"

enum {
    POOL_WEIGHTS = 1 << 21,
    PIECE = 32, /* weights drawn together for types without blocks */
    N_BYTE_TOKENS = 256,
    BEGINNING = 256, /* token ids after the bytes */
    END = 257,
    LOWEST_VOCABULARY = 258,
    SLAB_BYTES = 4 << 20
};

typedef struct shape {
    uint64_t n_embd, n_layer, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_context, seed;
    double deviation, rope_base, epsilon;
    bool untied;
    const ex_recipe *recipe;
    const char *output;
} shape;

/* ---- options ---- */

typedef struct option_row {
    const char *name, *help;
    size_t offset;
    uint64_t lowest, highest;
} option_row;

#define FIELD(name) offsetof(shape, name)

static const option_row numbers[] = {
    {"n-embd", "width of the residual stream", FIELD(n_embd), 32, 1 << 20},
    {"n-layer", "layers", FIELD(n_layer), 1, 512},
    {"n-head", "query heads", FIELD(n_head), 1, 1 << 12},
    {"n-head-kv", "key and value heads", FIELD(n_head_kv), 1, 1 << 12},
    {"head-dim", "width of a head (default: n-embd / n-head)", FIELD(head_dim), 2, 1 << 12},
    {"n-ff", "width of the feed-forward layers", FIELD(n_ff), 32, 1 << 20},
    {"n-vocab", "tokens", FIELD(n_vocab), LOWEST_VOCABULARY, 1 << 24},
    {"context", "positions", FIELD(n_context), 1, 1 << 24},
    {"seed", "of the weights", FIELD(seed), 0, UINT64_MAX},
};

enum {
    N_NUMBERS = sizeof numbers / sizeof *numbers,
    OPTION_TYPE = N_NUMBERS,
    OPTION_DEVIATION,
    OPTION_UNTIED,
    OPTION_HELP
};

static shape default_shape(void) {
    return (shape){.n_embd = 2048,
                   .n_layer = 16,
                   .n_head = 32,
                   .n_head_kv = 8,
                   .n_ff = 8192,
                   .n_vocab = 128256,
                   .n_context = 8192,
                   .seed = 1,
                   .deviation = 0.02,
                   .rope_base = 500000,
                   .epsilon = 1e-5,
                   .recipe = ex_recipe_find("Q8_0")};
}

static void print_help(void) {
    shape s = default_shape();
    char types[200];
    ex_recipe_names(types, sizeof types);
    printf("usage: make_model [options] -o FILE\n\nWrites a Llama model with random weights.\n\n");
    for (size_t i = 0; i < N_NUMBERS; i++) {
        uint64_t value;
        memcpy(&value, (char *)&s + numbers[i].offset, sizeof value);
        printf("  --%-10s N  %s", numbers[i].name, numbers[i].help);
        if (value) printf(" (%" PRIu64 ")", value);
        printf("\n");
    }
    printf("  --type       T  %s (Q8_0)\n  --deviation  X  standard deviation of the weights (0.02)\n"
           "  --untied        an output matrix of its own\n",
           types);
}

static bool parse_number(const char *text, const option_row *row, uint64_t *out) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value < row->lowest || value > row->highest) {
        fprintf(stderr, "make_model: --%s %s: give a number from %" PRIu64 " to %" PRIu64 "\n", row->name, text,
                row->lowest, row->highest);
        return false;
    }
    *out = value;
    return true;
}

static bool take_option(shape *s, int option, const char *text) {
    if (option < N_NUMBERS)
        return parse_number(text, &numbers[option], (uint64_t *)(void *)((char *)s + numbers[option].offset));
    char types[200], *end;
    switch (option) {
    case OPTION_TYPE:
        s->recipe = ex_recipe_find(text);
        ex_recipe_names(types, sizeof types);
        if (!s->recipe) fprintf(stderr, "make_model: --type %s: choose one of %s\n", text, types);
        return s->recipe != NULL;
    case OPTION_DEVIATION:
        s->deviation = strtod(text, &end);
        if (end != text && !*end && s->deviation > 0 && s->deviation < 100) return true;
        fprintf(stderr, "make_model: --deviation %s: give a number above 0 and below 100\n", text);
        return false;
    case OPTION_UNTIED:
        s->untied = true;
        return true;
    case 'o':
        s->output = text;
        return true;
    default:
        return false;
    }
}

static bool check_shape(shape *s) {
    if (!s->head_dim) s->head_dim = s->n_embd / s->n_head;
    const char *wrong = NULL;
    if (!s->output)
        wrong = "say where to write: -o FILE";
    else if (s->n_embd % 32 || s->n_ff % 32 || s->n_head * s->head_dim % 32)
        wrong = "--n-embd, --n-ff and heads times --head-dim must be multiples of 32";
    else if (s->n_head % s->n_head_kv)
        wrong = "--n-head must be a multiple of --n-head-kv";
    else if (s->head_dim < 2 || s->head_dim % 2)
        wrong = "--head-dim must be even";
    if (wrong) fprintf(stderr, "make_model: %s\n", wrong);
    return !wrong;
}

static bool parse_options(shape *s, int argc, char **argv) {
    struct option options[N_NUMBERS + 5] = {0};
    for (int i = 0; i < N_NUMBERS; i++) options[i] = (struct option){numbers[i].name, required_argument, NULL, i};
    options[N_NUMBERS] = (struct option){"type", required_argument, NULL, OPTION_TYPE};
    options[N_NUMBERS + 1] = (struct option){"deviation", required_argument, NULL, OPTION_DEVIATION};
    options[N_NUMBERS + 2] = (struct option){"untied", no_argument, NULL, OPTION_UNTIED};
    options[N_NUMBERS + 3] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    for (int option; (option = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        if (option == OPTION_HELP) {
            print_help();
            exit(0);
        }
        if (!take_option(s, option, optarg)) return false;
    }
    if (optind == argc) return check_shape(s);
    fprintf(stderr, "make_model: '%s' is not an option\n", argv[optind]);
    return false;
}

/* ---- keys and vocabulary ---- */

static ex_code write_keys(ex_writer *writer, const shape *s, ex_error *error) {
    const struct {
        const char *name;
        uint64_t value;
    } keys[] = {
        {"general.file_type", s->recipe->file_type}, {"general.quantization_version", 2},
        {"llama.context_length", s->n_context},      {"llama.embedding_length", s->n_embd},
        {"llama.block_count", s->n_layer},           {"llama.feed_forward_length", s->n_ff},
        {"llama.attention.head_count", s->n_head},   {"llama.attention.head_count_kv", s->n_head_kv},
        {"llama.attention.key_length", s->head_dim}, {"llama.attention.value_length", s->head_dim},
        {"llama.rope.dimension_count", s->head_dim}, {"llama.vocab_size", s->n_vocab},
    };
    ex_code code = ex_writer_string(writer, "general.architecture", "llama", 5, error);
    if (code == EX_OK) code = ex_writer_string(writer, "general.name", "random weights", 14, error);
    for (size_t i = 0; i < sizeof keys / sizeof *keys && code == EX_OK; i++)
        code = ex_writer_u32(writer, keys[i].name, (uint32_t)keys[i].value, error);
    if (code == EX_OK) code = ex_writer_f32(writer, "llama.rope.freq_base", (float)s->rope_base, error);
    if (code == EX_OK) code = ex_writer_f32(writer, "llama.attention.layer_norm_rms_epsilon", (float)s->epsilon, error);
    return code;
}

/* The letter that byte-level BPE writes for a byte: itself when it is printable, else one from U+0100 on. */
static uint32_t letter_of_byte(uint32_t byte) {
    uint32_t next = 0x100;
    for (uint32_t b = 0; b <= byte; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte) return printable ? b : next;
        if (!printable) next++;
    }
    return 0;
}

typedef struct vocabulary {
    char (*texts)[24];
    ex_string *tokens;
    int32_t *types;
} vocabulary;

/* Bytes, the two ends of a sequence, then fillers: ordinary tokens that no text gives, but a random model does. */
static void fill_vocabulary(vocabulary *v, uint64_t n_vocab) {
    enum { NORMAL = 1, CONTROL = 3 };
    for (uint32_t i = 0; i < n_vocab; i++) {
        char *text = v->texts[i];
        size_t length;
        if (i < N_BYTE_TOKENS)
            length = ex_utf8_encode(letter_of_byte(i), text);
        else if (i == BEGINNING)
            length = (size_t)snprintf(text, sizeof v->texts[i], "<|begin_of_text|>");
        else if (i == END)
            length = (size_t)snprintf(text, sizeof v->texts[i], "<|end_of_text|>");
        else
            length = (size_t)snprintf(text, sizeof v->texts[i], "<|t%u|>", i);
        v->tokens[i] = (ex_string){text, length};
        v->types[i] = i == BEGINNING || i == END ? CONTROL : NORMAL;
    }
}

static ex_code write_vocabulary(ex_writer *writer, const vocabulary *v, uint64_t n_vocab, ex_error *error) {
    ex_code code = ex_writer_string(writer, "tokenizer.ggml.model", "gpt2", 4, error);
    if (code == EX_OK) code = ex_writer_string(writer, "tokenizer.ggml.pre", "llama-bpe", 9, error);
    if (code == EX_OK) code = ex_writer_string_array(writer, "tokenizer.ggml.tokens", v->tokens, n_vocab, error);
    if (code == EX_OK) code = ex_writer_i32_array(writer, "tokenizer.ggml.token_type", v->types, n_vocab, error);
    if (code == EX_OK) code = ex_writer_string_array(writer, "tokenizer.ggml.merges", NULL, 0, error);
    if (code == EX_OK) code = ex_writer_u32(writer, "tokenizer.ggml.bos_token_id", BEGINNING, error);
    if (code == EX_OK) code = ex_writer_u32(writer, "tokenizer.ggml.eos_token_id", END, error);
    return code == EX_OK ? ex_writer_bool(writer, "tokenizer.ggml.add_bos_token", true, error) : code;
}

static ex_code add_vocabulary(ex_writer *writer, uint64_t n_vocab, ex_error *error) {
    vocabulary v = {ex_allocate(n_vocab, sizeof *v.texts), ex_allocate(n_vocab, sizeof *v.tokens),
                    ex_allocate(n_vocab, sizeof *v.types)};
    ex_code code = ex_fail_memory(error, "the vocabulary");
    if (v.texts && v.tokens && v.types) {
        fill_vocabulary(&v, n_vocab);
        code = write_vocabulary(writer, &v, n_vocab, error);
    }
    free(v.texts);
    free(v.tokens);
    free(v.types);
    return code;
}

/* ---- tensors ---- */

typedef struct matrix {
    char name[40];
    uint64_t n_columns, n_rows; /* n_rows 0: a norm */
    uint32_t type;
} matrix;

typedef struct matrices {
    matrix *list;
    size_t count;
} matrices;

static void add_matrix(matrices *m, const shape *s, const char *name, uint64_t n_columns, uint64_t n_rows) {
    matrix *added = &m->list[m->count++];
    snprintf(added->name, sizeof added->name, "%s", name);
    added->n_columns = n_columns;
    added->n_rows = n_rows;
    ex_string text = {added->name, strlen(added->name)};
    added->type = n_rows ? ex_recipe_type(s->recipe, text, n_columns, s->n_layer) : (uint32_t)EX_TYPE_F32;
}

static void add_layer(matrices *m, const shape *s, uint64_t layer) {
    const uint64_t n_q = s->n_head * s->head_dim, n_kv = s->n_head_kv * s->head_dim;
    const struct {
        const char *name;
        uint64_t n_columns, n_rows;
    } parts[] = {{"attn_norm", s->n_embd, 0},      {"attn_q", s->n_embd, n_q},      {"attn_k", s->n_embd, n_kv},
                 {"attn_v", s->n_embd, n_kv},      {"attn_output", n_q, s->n_embd}, {"ffn_norm", s->n_embd, 0},
                 {"ffn_gate", s->n_embd, s->n_ff}, {"ffn_up", s->n_embd, s->n_ff},  {"ffn_down", s->n_ff, s->n_embd}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[40];
        snprintf(name, sizeof name, "blk.%u.%s.weight", (unsigned)layer, parts[i].name);
        add_matrix(m, s, name, parts[i].n_columns, parts[i].n_rows);
    }
}

static ex_code list_matrices(matrices *m, const shape *s, ex_error *error) {
    m->list = ex_allocate(s->n_layer * 9 + 3, sizeof *m->list);
    if (!m->list) return ex_fail_memory(error, "the list of tensors");
    add_matrix(m, s, "token_embd.weight", s->n_embd, s->n_vocab);
    for (uint64_t layer = 0; layer < s->n_layer; layer++) add_layer(m, s, layer);
    add_matrix(m, s, "output_norm.weight", s->n_embd, 0);
    if (s->untied) add_matrix(m, s, "output.weight", s->n_embd, s->n_vocab);
    return EX_OK;
}

static ex_code declare(ex_writer *writer, const matrices *m, ex_error *error) {
    ex_code code = EX_OK;
    for (size_t i = 0; i < m->count && code == EX_OK; i++) {
        const matrix *t = &m->list[i];
        ex_string name = {t->name, strlen(t->name)};
        uint64_t ne[2] = {t->n_columns, t->n_rows};
        code = ex_writer_declare(writer, name, t->type, t->n_rows ? 2 : 1, ne, error);
    }
    return code;
}

/* ---- weights ---- */

/* Sums of four random bytes: close to a normal distribution, and four numbers for one call of the generator. */
static void fill_normal(float *out, size_t n, double mean, double deviation, uint64_t seed, uint32_t stream) {
    const double byte_deviation = 147.8; /* of a sum of four bytes: sqrt(4 * (256^2 - 1) / 12) */
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (size_t i = 0; i < n; i += 4) {
        uint32_t random[4], counter[4] = {(uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), stream, 0};
        ex_philox(counter, key, random);
        for (size_t j = 0; j < 4 && i + j < n; j++) {
            uint32_t r = random[j];
            double sum = (double)((r & 255) + (r >> 8 & 255) + (r >> 16 & 255) + (r >> 24));
            out[i + j] = (float)(mean + deviation * (sum - 510) / byte_deviation);
        }
    }
}

typedef struct pool { /* encoded pieces of one type */
    uint32_t type;
    size_t piece_weights, piece_bytes, n_pieces;
    unsigned char *pieces;
} pool;

typedef struct factory {
    const shape *shape;
    ex_writer *writer;
    ex_team *team;
    float *values; /* the pool before it is encoded */
    pool *pool;    /* being filled */
    pool pools[EX_TYPE_COUNT];
    unsigned char *slab;
    const pool *from;
    uint32_t tensor;   /* the slab belongs to this one */
    uint64_t first, n; /* its pieces */
} factory;

static void encode_pool(void *context, ex_worker *worker) {
    factory *f = context;
    pool *p = f->pool;
    const ex_format *format = ex_format_find(p->type);
    size_t first, last;
    while (ex_worker_next(worker, p->n_pieces, 64, &first, &last))
        format->encode(f->values + first * p->piece_weights, (last - first) * p->piece_weights,
                       p->pieces + first * p->piece_bytes);
}

static ex_code fill_pool(factory *f, uint32_t type, ex_error *error) {
    pool *p = &f->pools[type];
    if (p->pieces) return EX_OK;
    uint32_t block = ex_type_find(type)->block_elements;
    uint64_t bytes = 0;
    p->type = type;
    p->piece_weights = block > PIECE ? block : PIECE;
    ex_type_row_bytes(type, p->piece_weights, &bytes);
    p->piece_bytes = bytes;
    p->n_pieces = POOL_WEIGHTS / p->piece_weights;
    p->pieces = ex_allocate(p->n_pieces, p->piece_bytes);
    if (!p->pieces) return ex_fail_memory(error, "the pool of weights");
    f->pool = p;
    ex_team_run(f->team, encode_pool, f);
    return EX_OK;
}

/* Pieces four by four: one call of the generator chooses four. */
static void draw_pieces(void *context, ex_worker *worker) {
    const factory *f = context;
    const pool *p = f->from;
    const uint32_t key[2] = {(uint32_t)f->shape->seed, (uint32_t)(f->shape->seed >> 32)};
    size_t first, last;
    while (ex_worker_next(worker, f->n, 4096, &first, &last)) {
        for (size_t i = first; i < last; i += 4) {
            uint64_t at = (f->first + i) / 4;
            uint32_t random[4], counter[4] = {(uint32_t)at, (uint32_t)(at >> 32), f->tensor, 1};
            ex_philox(counter, key, random);
            for (size_t j = 0; j < 4 && i + j < last; j++)
                memcpy(f->slab + (i + j) * p->piece_bytes, p->pieces + random[j] % p->n_pieces * p->piece_bytes,
                       p->piece_bytes);
        }
    }
}

static ex_code write_matrix(factory *f, const matrix *m, uint32_t index, ex_error *error) {
    ex_code code = fill_pool(f, m->type, error);
    f->from = &f->pools[m->type];
    f->tensor = index;
    uint64_t n_pieces = m->n_columns * m->n_rows / f->from->piece_weights;
    uint64_t most = SLAB_BYTES / f->from->piece_bytes / 4 * 4;
    for (f->first = 0; f->first < n_pieces && code == EX_OK; f->first += f->n) {
        f->n = n_pieces - f->first < most ? n_pieces - f->first : most;
        ex_team_run(f->team, draw_pieces, f);
        code = ex_writer_data(f->writer, f->slab, f->n * f->from->piece_bytes, error);
    }
    return code;
}

static ex_code write_norm(factory *f, const matrix *m, uint32_t index, ex_error *error) {
    const uint32_t norm_streams = 1; /* stream 0 is the pool's */
    float *values = ex_allocate(m->n_columns, sizeof *values);
    if (!values) return ex_fail_memory(error, "a norm");
    fill_normal(values, m->n_columns, 1.0, 0.05, f->shape->seed, norm_streams + index);
    ex_code code = ex_writer_data(f->writer, values, m->n_columns * sizeof *values, error);
    free(values);
    return code;
}

static ex_code write_weights(factory *f, const matrices *m, ex_error *error) {
    ex_code code = ex_team_open(&f->team, ex_cpu_cores(), error);
    if (code != EX_OK) return code;
    f->values = ex_allocate(POOL_WEIGHTS, sizeof *f->values);
    f->slab = ex_allocate_aligned(SLAB_BYTES, 1);
    if (!f->values || !f->slab) return ex_fail_memory(error, "the weights");
    fill_normal(f->values, POOL_WEIGHTS, 0, f->shape->deviation, f->shape->seed, 0);
    for (size_t i = 0; i < m->count && code == EX_OK; i++) {
        const matrix *t = &m->list[i];
        code = t->n_rows ? write_matrix(f, t, (uint32_t)i, error) : write_norm(f, t, (uint32_t)i, error);
    }
    return code;
}

static void free_factory(factory *f) {
    ex_team_close(f->team);
    free(f->values);
    free(f->slab);
    for (size_t i = 0; i < EX_TYPE_COUNT; i++) free(f->pools[i].pieces);
}

static ex_code make_model(const shape *s, ex_error *error) {
    factory f = {.shape = s};
    matrices m = {0};
    ex_code code = list_matrices(&m, s, error);
    if (code == EX_OK) code = ex_writer_open(&f.writer, s->output, error);
    if (code == EX_OK) code = write_keys(f.writer, s, error);
    if (code == EX_OK) code = add_vocabulary(f.writer, s->n_vocab, error);
    if (code == EX_OK) code = declare(f.writer, &m, error);
    if (code == EX_OK) code = write_weights(&f, &m, error);
    if (code == EX_OK) {
        code = ex_writer_finish(f.writer, error);
        f.writer = NULL;
    }
    ex_writer_abandon(f.writer);
    free_factory(&f);
    free(m.list);
    return code;
}

int main(int argc, char **argv) {
    shape s = default_shape();
    if (!parse_options(&s, argc, argv)) return 2;
    ex_error error;
    if (make_model(&s, &error) == EX_OK) return 0;
    fprintf(stderr, "make_model: %s\n", error.message);
    return 2;
}
