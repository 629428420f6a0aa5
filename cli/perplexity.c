/* perplexity.c - entropix perplexity: how well a model predicts a text, window by window, and how sure it was. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "generation.h"
#include "interrupt.h"
#include "json_output.h"
#include "model.h"
#include "terminal.h"

enum {
    CONTEXT_DEFAULT = 1024,
    PIECE_MAX = 256,          /* positions whose logits are kept at a time */
    PIECE_BYTES = 64 << 20    /* and their memory */
};
static const double BITS_PER_NAT = 1.4426950408889634;

typedef struct perplexity_state {
    const cli_options *options;
    ex_engine *engine;
    ex_session *session;
    size_t n_vocab, context, n_piece;
    int32_t beginning; /* EX_TOKEN_NONE when the model does not ask for one */
    int32_t *tokens;
    size_t n_tokens, n_windows;
    float *logits; /* [n_piece][n_vocab] */
    cli_progress bar;
    /* so far */
    size_t n_done, n_scored; /* windows, tokens */
    double loss, deviation;  /* mean of the losses and sum of their squared deviations, nats */
    double entropy, varentropy; /* sums */
    double seconds;
    bool interrupted;
} perplexity_state;

/* Windows begin with the token that this model's texts begin with. */
static int find_beginning(perplexity_state *state) {
    const ex_tokenizer *tokenizer = ex_engine_tokenizer(state->engine);
    size_t count;
    ex_error error;
    ex_code code = ex_tokenize(tokenizer, "", 0, EX_TOKENIZE_ADD_BEGINNING, NULL, 0, &count, &error);
    state->beginning = code == EX_OK && count > 0 ? ex_token_beginning(tokenizer) : EX_TOKEN_NONE;
    return code == EX_OK ? STATUS_OK : report(&error);
}

static int read_tokens(perplexity_state *state) {
    const char *path = option_text(state->options, OPTION_TEXT_FILE);
    size_t length;
    char *text = read_text(path, &length);
    if (!text) return interrupt_seen() ? STATUS_INTERRUPTED : STATUS_INPUT;
    state->tokens = tokens_of(ex_engine_tokenizer(state->engine), text, length, EX_TOKENIZE_ADD_BEGINNING,
                              &state->n_tokens);
    free(text);
    if (!state->tokens) return STATUS_INPUT;
    state->n_windows = state->n_tokens / state->context;
    if (state->n_windows > 0) return STATUS_OK;
    message("%s has %zu tokens, too few for one window of %zu; give a longer text or a smaller -c", path,
            state->n_tokens, state->context);
    return STATUS_INPUT;
}

static int open_session(perplexity_state *state) {
    ex_session_options options = ex_session_options_default();
    options.n_context = state->context;
    options.no_attention_statistics = true;
    options.kv_type = cache_type(state->options, EX_KV_F16);
    state->n_piece = PIECE_BYTES / (state->n_vocab * sizeof *state->logits);
    if (state->n_piece > PIECE_MAX) state->n_piece = PIECE_MAX;
    if (state->n_piece < 1) state->n_piece = 1;
    state->logits = calloc(state->n_piece, state->n_vocab * sizeof *state->logits);
    if (!state->logits) return report_memory();
    ex_error error;
    return ex_session_open(&state->session, state->engine, &options, &error) == EX_OK ? STATUS_OK : report(&error);
}

static int open_all(perplexity_state *state) {
    if (!option_text(state->options, OPTION_TEXT_FILE)) {
        message("perplexity needs a text: -f FILE");
        return STATUS_INPUT;
    }
    int status = model_open(&state->engine, state->options);
    if (status != STATUS_OK) return status;
    ex_engine_info info = ex_engine_get_info(state->engine);
    state->n_vocab = (size_t)info.n_vocab;
    state->context = (size_t)option_integer(state->options, OPTION_WINDOW);
    if (state->context == 0)
        state->context = info.n_context < CONTEXT_DEFAULT ? (size_t)info.n_context : CONTEXT_DEFAULT;
    status = find_beginning(state);
    if (status == STATUS_OK) status = read_tokens(state);
    return status == STATUS_OK ? open_session(state) : status;
}

/* -ln P(token) */
static double loss_of(const float *logits, size_t n_vocab, int32_t token) {
    float maximum = logits[0];
    double sum = 0;
    for (size_t i = 1; i < n_vocab; i++)
        if (logits[i] > maximum) maximum = logits[i];
    for (size_t i = 0; i < n_vocab; i++) sum += (double)expf(logits[i] - maximum);
    return log(sum) - ((double)logits[token] - (double)maximum);
}

static int score(perplexity_state *state, const float *logits, int32_t token) {
    ex_metrics metrics;
    ex_error error;
    if (ex_measure_logits(logits, state->n_vocab, 0, &metrics, &error) != EX_OK) return report(&error);
    double loss = loss_of(logits, state->n_vocab, token), difference = loss - state->loss;
    state->n_scored++;
    state->loss += difference / (double)state->n_scored;
    state->deviation += difference * (loss - state->loss);
    state->entropy += metrics.logits_entropy;
    state->varentropy += metrics.logits_varentropy;
    return STATUS_OK;
}

static double standard_error(const perplexity_state *state) {
    double n = (double)state->n_scored;
    return n > 1 ? sqrt(state->deviation / (n * (n - 1))) : 0;
}

static int show_progress(perplexity_state *state, size_t n_evaluated) {
    char so_far[60] = "";
    if (state->n_scored)
        snprintf(so_far, sizeof so_far, "perplexity %.4g \xC2\xB1 %.2g", exp(state->loss),
                 exp(state->loss) * standard_error(state));
    progress_show(&state->bar, seconds_now(), state->n_done * state->context + n_evaluated,
                  state->n_windows * state->context, so_far);
    return interrupt_seen() ? STATUS_INTERRUPTED : STATUS_OK;
}

static int evaluate(perplexity_state *state, const int32_t *tokens, size_t n_tokens, float *logits) {
    ex_error error;
    ex_step step;
    ex_code code = ex_session_evaluate(state->session, tokens, n_tokens, logits, &step, &error);
    return code == EX_OK ? STATUS_OK : report(&error);
}

/* The tokens behind the first of the second half, each predicted from all before it in the window. */
static int score_window(perplexity_state *state, int32_t *window) {
    size_t context = state->context;
    ex_error error;
    if (state->beginning != EX_TOKEN_NONE) window[0] = state->beginning;
    if (ex_session_rewind(state->session, 0, &error) != EX_OK) return report(&error);
    int status = evaluate(state, window, context / 2, NULL);
    for (size_t at = context / 2; at + 1 < context && status == STATUS_OK;) {
        size_t n = context - 1 - at < state->n_piece ? context - 1 - at : state->n_piece;
        status = evaluate(state, window + at, n, state->logits);
        for (size_t i = 0; i < n && status == STATUS_OK; i++)
            status = score(state, state->logits + i * state->n_vocab, window[at + i + 1]);
        at += n;
        if (status == STATUS_OK) status = show_progress(state, at);
    }
    return status;
}

/* What a window that was broken off added is taken back. */
static int score_all(perplexity_state *state) {
    int status = STATUS_OK;
    double start = seconds_now();
    state->bar = progress_begin();
    while (state->n_done < state->n_windows) {
        perplexity_state before = *state;
        status = score_window(state, state->tokens + state->n_done * state->context);
        if (status == STATUS_OK) {
            state->n_done++;
            continue;
        }
        cli_progress bar = state->bar;
        *state = before;
        state->bar = bar;
        break;
    }
    progress_end(&state->bar);
    state->seconds = seconds_now() - start;
    state->interrupted = status == STATUS_INTERRUPTED;
    return status;
}

static double speed(const perplexity_state *state) {
    return state->seconds > 0 ? (double)(state->n_done * state->context) / state->seconds : 0;
}

static void print_words(const perplexity_state *state) {
    double n = (double)state->n_scored, perplexity = exp(state->loss), error = standard_error(state);
    char number[32];
    printf("perplexity  %.4f \xC2\xB1 %.4f\n", perplexity, perplexity * error);
    printf("loss        %.4f \xC2\xB1 %.4f bits a token\n", state->loss * BITS_PER_NAT, error * BITS_PER_NAT);
    printf("entropy     %.4f bits, varentropy %.4f bits\xC2\xB2 (means of the logits')\n", state->entropy / n,
           state->varentropy / n);
    printf("scored      %s tokens,", format_count(number, state->n_scored));
    printf(" %zu of each of %zu windows of %zu", state->n_scored / state->n_done, state->n_done, state->context);
    printf("; the text has %s\n", format_count(number, state->n_tokens));
    printf("speed       %.1f tokens/s, %.1f s\n", speed(state), state->seconds);
    if (state->interrupted) printf("stopped by Ctrl-C after %zu of %zu windows\n", state->n_done, state->n_windows);
}

static void print_json(const perplexity_state *state) {
    double n = (double)state->n_scored, perplexity = exp(state->loss), error = standard_error(state);
    ex_engine_info info = ex_engine_get_info(state->engine);
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_real(&json, "perplexity", perplexity);
    emit_real(&json, "standard_error", perplexity * error);
    emit_real(&json, "loss", state->loss * BITS_PER_NAT);
    emit_real(&json, "loss_standard_error", error * BITS_PER_NAT);
    emit_object_begin(&json, "mean_metrics");
    emit_real(&json, "logits_entropy", state->entropy / n);
    emit_real(&json, "logits_varentropy", state->varentropy / n);
    emit_object_end(&json);
    emit_count(&json, "tokens", state->n_tokens);
    emit_count(&json, "scored", state->n_scored);
    emit_count(&json, "windows", state->n_done);
    emit_count(&json, "context", state->context);
    emit_truth(&json, "interrupted", state->interrupted);
    emit_real(&json, "seconds", state->seconds);
    emit_real(&json, "tokens_per_second", speed(state));
    emit_bytes(&json, "model", info.name);
    emit_text(&json, "kernels", info.kernels);
    emit_whole(&json, "threads", info.n_threads);
    emit_object_end(&json);
    emit_line_end(&json);
}

int command_perplexity(const cli_options *options) {
    perplexity_state state = {.options = options};
    int status = open_all(&state);
    if (status == STATUS_OK) status = score_all(&state);
    bool complete = status == STATUS_OK || status == STATUS_INTERRUPTED;
    if (complete && state.n_done > 0) {
        if (option_flag(options, OPTION_JSON)) print_json(&state);
        else print_words(&state);
    }
    ex_session_close(state.session);
    ex_engine_close(state.engine);
    free(state.logits);
    free(state.tokens);
    return status;
}
