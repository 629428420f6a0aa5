/* bench_output.c - a table for people, nested objects for programs. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "json_output.h"
#include "terminal.h"

void bench_print(const bench_result *r) {
    char number[32], test[64], depth[32] = "";
    cli_painter plain = {.out = stdout, .guarded = true};
    fputs("model      ", stdout);
    paint(&plain, NULL, r->info.name.data, r->info.name.length);
    printf(" (%.*s), %s parameters,", (int)r->info.architecture.length, r->info.architecture.data,
           format_count(number, r->info.n_parameters));
    printf(" %s of weights\n", format_bytes(number, r->info.weight_bytes));
    printf("machine    %s kernels, %d thread%s, reads %s/s\n\n", r->info.kernels, r->info.n_threads,
           r->info.n_threads == 1 ? "" : "s", format_bytes(number, (uint64_t)r->bandwidth));
    printf("| test                            | tokens/s |\n| ------------------------------- | -------: |\n");
    if (r->n_depth > 0) snprintf(depth, sizeof depth, " after %d", r->n_depth);
    snprintf(test, sizeof test, "pp%d%s", r->n_prompt, depth);
    printf("| %-31s | %8.2f |\n", test, r->prefill_rate);
    snprintf(test, sizeof test, "tg%d%s", r->n_generate, depth);
    printf("| %-31s | %8.2f |\n", test, r->decode_rate);
    snprintf(test, sizeof test, "tg%d%s, no statistics", r->n_generate, depth);
    printf("| %-31s | %8.2f |\n\n", test, r->decode_rate_without);
    printf("statistics decode at %.3f of the speed without them\n", r->decode_rate / r->decode_rate_without);
    printf("bandwidth  %s of %s for a token; decode reaches %.2f of what the memory gives\n",
           format_bytes(number, r->bytes_per_token), r->n_depth > 0 ? "weights and cache" : "weights",
           r->bandwidth_share);
    printf("arithmetic %.2f GOP for a token; prefill reaches %.2f of %.0f GOP/s, the peak of byte products\n",
           r->operations_per_token * 1e-9, r->prefill_share, r->integer_peak * 1e-9);
    printf("batch      %d sessions with one token each in %.1f ms: %.2f of one token or a prompt of as many\n",
           BENCH_CANDIDATES, 1e3 * r->batch_seconds, r->batch_ratio);
    printf("sampling   %.0f microseconds for one step over %d logits\n", 1e6 * r->sampling_seconds, r->info.n_vocab);
    for (int i = 0; i < BENCH_SIZES; i++)
        printf("           %.0f when made with a peak, %.0f when flat, over %d\n", 1e6 * r->sampling_peaked[i],
               1e6 * r->sampling_flat[i], i == 0 ? r->info.n_vocab : BENCH_LARGE_VOCABULARY);
    printf("load       %.3f s, peak memory %s\n", r->load_seconds, format_bytes(number, r->peak_bytes));
    printf("logits     hash %016llx\n", (unsigned long long)r->logits_hash);
}

static void emit_model(emitter *json, const ex_engine_info *info) {
    emit_object_begin(json, "model");
    emit_bytes(json, "name", info->name);
    emit_bytes(json, "architecture", info->architecture);
    emit_count(json, "n_parameters", info->n_parameters);
    emit_count(json, "weight_bytes", info->weight_bytes);
    emit_count(json, "bytes_per_token", info->bytes_per_token);
    emit_count(json, "kv_bytes_per_position", info->kv_bytes_per_position);
    emit_whole(json, "n_vocab", info->n_vocab);
    emit_object_end(json);
}

void bench_json(const bench_result *r) {
    emitter json = {.out = stdout};
    char hash[24];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->logits_hash);
    emit_object_begin(&json, NULL);
    emit_text(&json, "version", ex_version());
    emit_model(&json, &r->info);
    emit_text(&json, "kernels", r->info.kernels);
    emit_whole(&json, "threads", r->info.n_threads);
    emit_whole(&json, "repeat", r->n_repeat);
    emit_whole(&json, "depth", r->n_depth);
    emit_object_begin(&json, "prefill");
    emit_whole(&json, "tokens", r->n_prompt);
    emit_real(&json, "tokens_per_second", r->prefill_rate);
    emit_real(&json, "operations_per_token", r->operations_per_token);
    emit_real(&json, "peak_operations_per_second", r->integer_peak);
    emit_real(&json, "peak_share", r->prefill_share);
    emit_object_end(&json);
    emit_object_begin(&json, "decode");
    emit_whole(&json, "tokens", r->n_generate);
    emit_real(&json, "tokens_per_second", r->decode_rate);
    emit_real(&json, "tokens_per_second_mean", r->decode_rate_mean);
    emit_real(&json, "tokens_per_second_without_statistics", r->decode_rate_without);
    emit_real(&json, "statistics_ratio", r->decode_rate / r->decode_rate_without);
    emit_real(&json, "bytes_per_second", r->decode_rate * (double)r->bytes_per_token);
    emit_count(&json, "bytes_per_token", r->bytes_per_token);
    emit_real(&json, "bandwidth_share", r->bandwidth_share);
    emit_object_end(&json);
    emit_object_begin(&json, "batch");
    emit_whole(&json, "sessions", BENCH_CANDIDATES);
    emit_real(&json, "milliseconds", 1e3 * r->batch_seconds);
    emit_real(&json, "ratio", r->batch_ratio);
    emit_object_end(&json);
    emit_object_begin(&json, "memory");
    emit_real(&json, "read_bytes_per_second", r->bandwidth);
    emit_count(&json, "peak_bytes", r->peak_bytes);
    emit_object_end(&json);
    emit_object_begin(&json, "sampling");
    emit_real(&json, "microseconds", 1e6 * r->sampling_seconds);
    emit_real(&json, "microseconds_peaked", 1e6 * r->sampling_peaked[0]);
    emit_real(&json, "microseconds_flat", 1e6 * r->sampling_flat[0]);
    emit_real(&json, "microseconds_peaked_128256", 1e6 * r->sampling_peaked[1]);
    emit_real(&json, "microseconds_flat_128256", 1e6 * r->sampling_flat[1]);
    emit_object_end(&json);
    emit_object_begin(&json, "load");
    emit_real(&json, "seconds", r->load_seconds);
    emit_object_end(&json);
    emit_text(&json, "logits_hash", hash);
    emit_object_end(&json);
    emit_line_end(&json);
}
