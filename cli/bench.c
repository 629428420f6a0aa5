/* bench.c - entropix bench: measures on tokens of a fixed seed. What is compared alternates in short blocks (decode
 * with statistics and without; decode and reading memory), so that drift of machine and position meets both alike. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "commands.h"
#include "interrupt.h"
#include "model.h"
#include "terminal.h"

enum {
    BLOCK = 2,         /* decoded tokens between two switches of the statistics */
    HASH_PREFILL = 24, /* tokens of the fixed prompt that are evaluated together */
    HASH_DECODE = 24,  /* and one by one: so many that the weights have then moved to where decoding reads them */
    BANDWIDTH_BYTES = 1 << 29, /* more than any last-level cache */
    SHARE_ROUNDS = 15,         /* of SHARE_SWEEPS through memory and then SHARE_TOKENS decoded */
    SHARE_SWEEPS = 5,
    SHARE_TOKENS = 8,
    DEPTH_PIECE = 256 /* tokens of the depth between two looks at Ctrl-C */
};

typedef struct bench_state {
    const cli_options *options;
    ex_engine *engine;
    ex_session *session;
    int32_t *tokens;    /* enough for the longest measurement */
    size_t start;       /* the position at which measurements begin: the depth, once it is filled */
    double *seconds[2]; /* samples of decode without and with statistics; of prefill, and its shares of the peak */
    size_t n_samples[2];
    cli_progress bar;
    uint64_t done, total; /* tokens, for the bar */
    bench_result result;
} bench_state;

static double mean(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    return sum / (double)n;
}

static int advance(bench_state *bench, size_t n_tokens, const char *what) {
    bench->done += n_tokens;
    progress_show(&bench->bar, seconds_now(), bench->done, bench->total, what);
    return interrupt_seen() ? STATUS_INTERRUPTED : STATUS_OK;
}

static int evaluate(bench_state *bench, const int32_t *tokens, size_t n_tokens, ex_step *step) {
    ex_error error;
    ex_code code = ex_session_evaluate(bench->session, tokens, n_tokens, NULL, step, &error);
    return code == EX_OK ? STATUS_OK : report(&error);
}

static int rewind_to_start(bench_state *bench) {
    ex_error error;
    return ex_session_rewind(bench->session, bench->start, &error) == EX_OK ? STATUS_OK : report(&error);
}

static int fill_depth(bench_state *bench) {
    size_t n_tokens = (size_t)bench->result.n_depth;
    int status = rewind_to_start(bench);
    ex_step step;
    for (size_t i = 0; i < n_tokens && status == STATUS_OK; i += DEPTH_PIECE) {
        size_t n = n_tokens - i < DEPTH_PIECE ? n_tokens - i : DEPTH_PIECE;
        status = evaluate(bench, bench->tokens + i, n, &step);
        if (status == STATUS_OK) status = advance(bench, n, "depth");
    }
    bench->start = n_tokens;
    return status;
}

/* The part of a tensor's weights that a token meets: of the experts, those that are used. */
static double active_share(const bench_state *bench, const ex_tensor *tensor) {
    const ex_string architecture = bench->result.info.architecture;
    char name[96];
    double used;
    if (tensor->n_dims < 3) return 1;
    snprintf(name, sizeof name, "%.*s.expert_used_count", (int)architecture.length, architecture.data);
    const ex_key *key = ex_file_find_key(ex_engine_file(bench->engine), name);
    return key && ex_key_number(key, 0, &used) ? used / (double)tensor->ne[2] : 1;
}

/* Multiplications and additions in the matrices of the layers. Attention and, once a prompt, the logits come on top. */
static double layer_operations(const bench_state *bench) {
    const ex_file *file = ex_engine_file(bench->engine);
    double weights = 0;
    for (size_t i = 0; i < ex_file_tensor_count(file); i++) {
        const ex_tensor *tensor = ex_file_tensor(file, i);
        if (tensor->n_dims < 2 || tensor->name.length < 4 || memcmp(tensor->name.data, "blk.", 4) != 0) continue;
        weights += (double)(tensor->ne[0] * tensor->ne[1] * tensor->ne[2]) * active_share(bench, tensor);
    }
    return 2 * weights;
}

static int measure_prefill(bench_state *bench) {
    size_t n_tokens = (size_t)bench->result.n_prompt;
    bench->result.operations_per_token = layer_operations(bench);
    int status = STATUS_OK;
    ex_step step;
    for (int i = 0; i < bench->result.n_repeat && status == STATUS_OK; i++) {
        status = rewind_to_start(bench);
        if (status != STATUS_OK) break;
        double peak = ex_integer_peak(bench->engine), start = seconds_now();
        status = evaluate(bench, bench->tokens, n_tokens, &step);
        double seconds = seconds_now() - start;
        bench->seconds[0][i] = seconds;
        bench->seconds[1][i] = bench->result.operations_per_token * (double)n_tokens / seconds / peak;
        if (peak > bench->result.integer_peak) bench->result.integer_peak = peak;
        if (status == STATUS_OK) status = advance(bench, n_tokens, "prefill");
    }
    if (status != STATUS_OK) return status;
    bench->result.prefill_rate = (double)n_tokens / bench_median(bench->seconds[0], (size_t)bench->result.n_repeat);
    bench->result.prefill_share = bench_median(bench->seconds[1], (size_t)bench->result.n_repeat);
    return STATUS_OK;
}

/* An even number, so that every position is decoded both ways. */
static int decode_passes(const bench_state *bench) { return bench->result.n_repeat + bench->result.n_repeat % 2; }

static int decode_once(bench_state *bench, int repeat) {
    size_t n_tokens = (size_t)bench->result.n_generate;
    ex_step step;
    int status = rewind_to_start(bench);
    for (size_t i = 0; i < n_tokens && status == STATUS_OK; i++) {
        bool on = (i / BLOCK + (size_t)repeat) % 2 == 0;
        ex_session_set_statistics(bench->session, on);
        double start = seconds_now();
        status = evaluate(bench, bench->tokens + i, 1, &step);
        bench->seconds[on][bench->n_samples[on]++] = seconds_now() - start;
        if (status == STATUS_OK) status = advance(bench, 1, "decode");
    }
    ex_session_set_statistics(bench->session, true);
    return status;
}

static int measure_decode(bench_state *bench) {
    int status = STATUS_OK;
    for (int i = 0; i < decode_passes(bench) && status == STATUS_OK; i++) status = decode_once(bench, i);
    if (status != STATUS_OK) return status;
    bench->result.decode_rate_without = 1 / bench_median(bench->seconds[0], bench->n_samples[0]);
    bench->result.decode_rate_mean = 1 / mean(bench->seconds[1], bench->n_samples[1]);
    bench->result.decode_rate = 1 / bench_median(bench->seconds[1], bench->n_samples[1]);
    return STATUS_OK;
}

/* After a prompt, which is the prefix that the candidates share. */
static int measure_batch(bench_state *bench) {
    ex_step step;
    int status = rewind_to_start(bench);
    if (status == STATUS_OK) status = evaluate(bench, bench->tokens, (size_t)bench->result.n_prompt, &step);
    return status == STATUS_OK ? bench_batch(bench->session, bench->tokens, &bench->result) : status;
}

static uint64_t hash_logits(uint64_t hash, const ex_step *step) {
    const unsigned char *bytes = (const unsigned char *)step->logits;
    for (size_t i = 0; i < (size_t)step->n_vocab * sizeof *step->logits; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return hash;
}

/* FNV-1a over the bytes of the logits after the prefill of a fixed prompt and after each of some decoded tokens. */
static int hash_prompt(bench_state *bench, ex_step *step) {
    uint64_t hash = 0xCBF29CE484222325u;
    int status = rewind_to_start(bench);
    for (int i = 0; i <= HASH_DECODE && status == STATUS_OK; i++) {
        size_t first = i == 0 ? 0 : (size_t)(HASH_PREFILL + i - 1);
        status = evaluate(bench, bench->tokens + first, i == 0 ? HASH_PREFILL : 1, step);
        if (status == STATUS_OK) hash = hash_logits(hash, step);
    }
    bench->result.logits_hash = hash;
    return status;
}

/* Reads memory, decodes a little, and gives the share of the one's speed that the other reaches. */
static int share_round(bench_state *bench, ex_bandwidth *memory, double *bandwidth, double *share) {
    double rates[SHARE_SWEEPS], seconds[SHARE_TOKENS];
    ex_step step;
    for (size_t i = 0; i < SHARE_SWEEPS; i++) rates[i] = ex_bandwidth_sweep(memory);
    *bandwidth = bench_median(rates, SHARE_SWEEPS);
    int status = rewind_to_start(bench);
    for (size_t i = 0; i < SHARE_TOKENS && status == STATUS_OK; i++) {
        double start = seconds_now();
        status = evaluate(bench, bench->tokens + i, 1, &step);
        seconds[i] = seconds_now() - start;
    }
    *share = (double)bench->result.bytes_per_token / bench_median(seconds, SHARE_TOKENS) / *bandwidth;
    return status == STATUS_OK ? advance(bench, SHARE_TOKENS, "decode and memory") : status;
}

static int measure_bandwidth(bench_state *bench) {
    double bandwidths[SHARE_ROUNDS], shares[SHARE_ROUNDS];
    ex_bandwidth *memory;
    ex_error error;
    if (ex_bandwidth_open(&memory, bench->engine, BANDWIDTH_BYTES, &error) != EX_OK) return report(&error);
    int status = STATUS_OK;
    for (size_t i = 0; i < SHARE_ROUNDS && status == STATUS_OK; i++)
        status = share_round(bench, memory, &bandwidths[i], &shares[i]);
    ex_bandwidth_close(memory);
    if (status != STATUS_OK) return status;
    bench->result.bandwidth = bench_median(bandwidths, SHARE_ROUNDS);
    bench->result.bandwidth_share = bench_median(shares, SHARE_ROUNDS);
    return STATUS_OK;
}

static int prepare(bench_state *bench, const cli_options *options) {
    bench_result *result = &bench->result;
    size_t longest = HASH_PREFILL + HASH_DECODE, depth = (size_t)result->n_depth;
    if (longest < (size_t)result->n_prompt) longest = (size_t)result->n_prompt;
    if (longest < (size_t)result->n_generate) longest = (size_t)result->n_generate;
    size_t n_context = depth + longest + BENCH_CANDIDATES;
    if (longest < depth) longest = depth;
    size_t n_decoded = (size_t)decode_passes(bench) * (size_t)result->n_generate;
    bench->tokens = malloc(longest * sizeof *bench->tokens);
    for (int on = 0; on < 2; on++) bench->seconds[on] = malloc(n_decoded * sizeof *bench->seconds[on]);
    if (!bench->tokens || !bench->seconds[0] || !bench->seconds[1]) return report_memory();
    uint64_t state = 1;
    for (size_t i = 0; i < longest; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        bench->tokens[i] = (int32_t)((state >> 33) % (uint64_t)result->info.n_vocab);
    }
    bench->total =
        depth + (uint64_t)result->n_prompt * (uint64_t)result->n_repeat + n_decoded + SHARE_ROUNDS * SHARE_TOKENS;
    ex_session_options session_options = ex_session_options_default();
    session_options.n_context = n_context;
    session_options.kv_type = cache_type(options, EX_KV_F16);
    static const uint64_t of_32[EX_KV_TYPE_COUNT] = {[EX_KV_F16] = 64, [EX_KV_F32] = 128, [EX_KV_Q8_0] = 34};
    const uint64_t cached = result->info.kv_bytes_per_position * of_32[session_options.kv_type] / of_32[EX_KV_F16];
    result->bytes_per_token = result->info.bytes_per_token + depth * cached;
    ex_error error;
    ex_code code = ex_session_open(&bench->session, bench->engine, &session_options, &error);
    return code == EX_OK ? STATUS_OK : report(&error);
}

static int measure(bench_state *bench) {
    ex_step step;
    int status = hash_prompt(bench, &step); /* first: it also brings the weights into memory */
    if (status == STATUS_OK) status = bench_sampling(&step, &bench->result);
    if (status == STATUS_OK) status = fill_depth(bench);
    if (status == STATUS_OK) status = measure_prefill(bench);
    if (status == STATUS_OK) status = measure_decode(bench);
    if (status == STATUS_OK) status = measure_batch(bench);
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) bench->result.peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
    if (status == STATUS_OK) status = measure_bandwidth(bench); /* after the peak: it takes memory of its own */
    return status;
}

int command_bench(const cli_options *options) {
    const bool kernels = option_flag(options, OPTION_KERNELS), costs = option_flag(options, OPTION_OPTION_COSTS);
    if (kernels && costs) {
        message("--kernels and --options measure different things; choose one");
        return STATUS_INPUT;
    }
    if (option_flag(options, OPTION_CSV) && (!costs || option_flag(options, OPTION_JSON))) {
        message("--csv is a form of --options, and --json another; choose one");
        return STATUS_INPUT;
    }
    if (kernels || costs) return kernels ? bench_kernels(options) : bench_options(options);
    bench_state bench = {.options = options, .bar = progress_begin()};
    bench.result.n_prompt = (int)option_integer(options, OPTION_BENCH_PROMPT);
    bench.result.n_generate = (int)option_integer(options, OPTION_BENCH_GENERATE);
    bench.result.n_depth = (int)option_integer(options, OPTION_BENCH_DEPTH);
    bench.result.n_repeat = (int)option_integer(options, OPTION_REPEAT);
    double start = seconds_now();
    int status = model_open(&bench.engine, options);
    if (status == STATUS_OK) {
        bench.result.info = ex_engine_get_info(bench.engine);
        status = prepare(&bench, options);
        bench.result.load_seconds = seconds_now() - start;
    }
    if (status == STATUS_OK) status = measure(&bench);
    progress_end(&bench.bar);
    if (status == STATUS_INTERRUPTED) message("stopped by Ctrl-C before all was measured");
    if (status == STATUS_OK && option_flag(options, OPTION_JSON))
        bench_json(&bench.result);
    else if (status == STATUS_OK)
        bench_print(&bench.result);
    ex_session_close(bench.session);
    ex_engine_close(bench.engine);
    free(bench.tokens);
    for (int on = 0; on < 2; on++) free(bench.seconds[on]);
    return status;
}
