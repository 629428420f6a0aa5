/* chains.c - several answers to one prompt: their progress, the one that is shown, and how they compare. */
#include "chains.h"

#include <stdlib.h>
#include <string.h>

#include "interrupt.h"

enum { BEGINNING = 34, LENGTHS_SIZE = 64 }; /* columns of an answer's first words; bytes of all lengths so far */

typedef struct piece { /* of the text of an answer */
    const char *style;
    size_t length;
} piece;

typedef struct chain {
    piece *pieces; /* [n_context + 1] */
    size_t n_pieces;
    bool inserting; /* the newest token was inserted */
} chain;

struct cli_chains {
    ex_answers *answers;
    cli_generation *generation;
    chain *chains;
    size_t count, n_context;
    uint64_t total; /* tokens that all may have */
    const char *choose;
};

static ex_selection selection_of(const char *name) {
    return strcmp(name, "mean-entropy") == 0   ? EX_SELECT_MEAN_ENTROPY
           : strcmp(name, "tail-entropy") == 0 ? EX_SELECT_TAIL_ENTROPY
                                               : EX_SELECT_CONSISTENT;
}

static size_t best_of(const cli_chains *chains) {
    return ex_answers_best(chains->answers, selection_of(chains->choose));
}

int chains_open(cli_chains **out, cli_generation *generation, const ex_generator_options *generator_options,
                const cli_options *options) {
    cli_chains *chains = *out = calloc(1, sizeof *chains);
    if (!chains) return report_memory();
    chains->generation = generation;
    chains->choose = option_text(options, OPTION_CHOOSE);
    chains->n_context = ex_session_context(generation->session);
    const size_t n_chains = (size_t)option_integer(options, OPTION_CHAINS);
    chains->total = n_chains * (generator_options->n_predict ? generator_options->n_predict : chains->n_context);
    chains->chains = calloc(n_chains, sizeof *chains->chains);
    if (!chains->chains) return report_memory();
    for (; chains->count < n_chains; chains->count++) {
        chains->chains[chains->count].pieces = malloc((chains->n_context + 1) * sizeof(piece));
        if (!chains->chains[chains->count].pieces) return report_memory();
    }
    ex_error error;
    ex_code code = ex_answers_open(&chains->answers, generation->session, generator_options, n_chains, &error);
    return code == EX_OK ? STATUS_OK : report(&error);
}

void chains_close(cli_chains *chains) {
    if (!chains) return;
    ex_answers_close(chains->answers);
    for (size_t i = 0; i < chains->count; i++) free(chains->chains[i].pieces);
    free(chains->chains);
    free(chains);
}

const ex_generator *chains_generator(const cli_chains *chains) { return ex_answers_generator(chains->answers, 0); }

/* ---- generating ------------------------------------------------------------------------------------------------ */

static void show_progress(const cli_chains *chains, cli_progress *bar) {
    char lengths[LENGTHS_SIZE];
    size_t at = 0, done = 0;
    const double now = seconds_now();
    if (!bar->shown || now < bar->next) return;
    for (size_t i = 0; i < chains->count; i++) {
        const size_t n = ex_answers_get(chains->answers, i).n_tokens;
        done += n;
        if (at < sizeof lengths) at += (size_t)snprintf(lengths + at, sizeof lengths - at, "%zu ", n);
    }
    progress_show(bar, now, done, chains->total, lengths);
}

static int take_events(cli_chains *chains, cli_progress *bar) {
    cli_generation *generation = chains->generation;
    ex_error error;
    for (;;) {
        ex_event event;
        size_t index;
        if (interrupt_seen()) {
            generation->tally.interrupted = true;
            return STATUS_INTERRUPTED;
        }
        if (ex_answers_next(chains->answers, &index, &event, &error) != EX_OK) return report(&error);
        if (index == EX_ANSWERS_MAX) return STATUS_OK;
        chain *one = &chains->chains[index];
        const char *last = one->n_pieces ? one->pieces[one->n_pieces - 1].style : NULL;
        one->pieces[one->n_pieces++] = (piece){heat_style(&generation->heat, &event, last), event.text.length};
        tally_event(&generation->tally, &event, !one->inserting);
        one->inserting = event.kind == EX_EVENT_INSERTED;
        show_progress(chains, bar);
    }
}

int chains_run(cli_chains *chains, const int32_t *tokens, size_t n_tokens) {
    cli_tally *tally = &chains->generation->tally;
    cli_progress bar = progress_begin();
    ex_error error;
    const double start = seconds_now();
    if (ex_answers_prompt(chains->answers, tokens, n_tokens, &error) != EX_OK) return report(&error);
    tally->n_prefill = n_tokens;
    tally->prefill_seconds = seconds_now() - start;
    int status = take_events(chains, &bar);
    tally->decode_seconds = seconds_now() - start - tally->prefill_seconds;
    tally->n_decoded = tally->n_tokens;
    tally->end = ex_answers_get(chains->answers, best_of(chains)).end;
    for (size_t i = 0; i < chains->count; i++) tally_effort(tally, ex_answers_generator(chains->answers, i));
    progress_end(&bar);
    return status;
}

/* ---- showing --------------------------------------------------------------------------------------------------- */

void chains_show(const cli_chains *chains, cli_painter *painter) {
    const size_t best = best_of(chains);
    const chain *one = &chains->chains[best];
    const char *text = ex_answers_get(chains->answers, best).text.data;
    for (size_t i = 0; i < one->n_pieces; i++) {
        paint(painter, one->pieces[i].style, text, one->pieces[i].length);
        text += one->pieces[i].length;
    }
}

/* Whole characters, at most BEGINNING of them, from the first that is no blank. */
static ex_string beginning_of(ex_string text) {
    while (text.length > 0 && (*text.data == ' ' || *text.data == '\n')) text.data++, text.length--;
    size_t at = 0;
    for (size_t n = 0; at < text.length && n < BEGINNING && text.data[at] != '\n'; n++) {
        const size_t length = utf8_length(text.data + at, text.length - at);
        at += length ? length : 1;
    }
    return (ex_string){text.data, at};
}

void chains_print(const cli_chains *chains, cli_painter *painter) {
    const size_t best = best_of(chains);
    paint_format(painter, style_dim, "answers   * chosen by --choose %s\n", chains->choose);
    paint_format(painter, style_dim, "   answer  tokens  consistency  mean entropy  tail entropy  begins\n");
    for (size_t i = 0; i < chains->count; i++) {
        const ex_answer answer = ex_answers_get(chains->answers, i);
        const char *style = i == best ? style_bold : NULL;
        paint_format(painter, style, " %c %6zu  %6zu  %11.3f  %12.3f  %12.3f  ", i == best ? '*' : ' ', i,
                     answer.n_tokens, answer.consistency, answer.mean_entropy, answer.tail_entropy);
        paint_quoted(painter, style, beginning_of(answer.text));
        paint_format(painter, NULL, "\n");
    }
}

void chains_json(const cli_chains *chains) {
    const size_t best = best_of(chains);
    for (size_t i = 0; i < chains->count; i++) {
        const ex_answer answer = ex_answers_get(chains->answers, i);
        emitter json = {.out = stdout};
        emit_object_begin(&json, NULL);
        emit_count(&json, "answer", i);
        emit_bytes(&json, "text", answer.text);
        emit_array_begin(&json, "tokens");
        for (size_t j = 0; j < answer.n_tokens; j++) emit_whole(&json, NULL, answer.tokens[j]);
        emit_array_end(&json);
        emit_real(&json, "consistency", answer.consistency);
        emit_real(&json, "mean_entropy", answer.mean_entropy);
        emit_real(&json, "tail_entropy", answer.tail_entropy);
        emit_text(&json, "end", end_name(answer.end));
        emit_truth(&json, "chosen", i == best);
        emit_object_end(&json);
        emit_line_end(&json);
    }
}

void chains_summary_json(const cli_chains *chains, emitter *json) {
    emit_count(json, "answers", chains->count);
    emit_count(json, "chosen", best_of(chains));
    emit_text(json, "choose", chains->choose);
}
