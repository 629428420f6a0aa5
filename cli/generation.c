/* generation.c - prompt, tokens, time. */
#include "generation.h"

#include <math.h>
#include <stdlib.h>

#include "interrupt.h"
#include "metric_fields.h"
#include "model.h"

enum { PIECE = 512 };               /* prompt tokens between two looks at Ctrl-C */
static const double PATIENCE = 0.5; /* seconds of prefill without a progress bar */

int32_t *tokens_of(const ex_tokenizer *tokenizer, const char *text, size_t length, uint32_t flags, size_t *count) {
    ex_error error;
    for (size_t capacity = length + 8;; capacity = *count) {
        int32_t *tokens = malloc(capacity * sizeof *tokens);
        if (!tokens) {
            report_memory();
            return NULL;
        }
        ex_code code = ex_tokenize(tokenizer, text, length, flags, tokens, capacity, count, &error);
        if (code == EX_OK && *count <= capacity) return tokens;
        free(tokens);
        if (code == EX_OK) continue;
        report(&error);
        return NULL;
    }
}

int generation_trace(cli_generation *generation, const char *path) {
    ex_error error;
    if (!path) return STATUS_OK;
    return ex_trace_open(&generation->trace, path, &error) == EX_OK ? STATUS_OK : report(&error);
}

int generation_grammar(cli_generation *generation, const char *schema_path, bool any_object) {
    static const char object[] = "{\"type\":\"object\"}";
    ex_error error;
    if (schema_path && any_object) {
        message("--json-schema and --json-object are both given; choose one");
        return STATUS_INPUT;
    }
    if (!schema_path && !any_object) return STATUS_OK;
    size_t length = sizeof object - 1;
    char *text = schema_path ? read_text(schema_path, &length) : NULL;
    if (schema_path && !text) return interrupt_seen() ? STATUS_INTERRUPTED : STATUS_INPUT;
    ex_code code = ex_grammar_from_schema(&generation->grammar, text ? text : object, length, &error);
    free(text);
    return code == EX_OK ? STATUS_OK : report(&error);
}

int generation_close(cli_generation *generation, int status) {
    ex_error error;
    ex_generator_close(generation->generator);
    ex_grammar_close(generation->grammar);
    ex_session_close(generation->session);
    if (ex_trace_close(generation->trace, &error) == EX_OK || status != STATUS_OK) return status;
    return report(&error);
}

/* The last piece goes to the generator, which is told what came before it: penalties and traces are about all. */
static ex_code evaluate_piece(cli_generation *generation, const int32_t *tokens, size_t at, size_t n, bool last,
                              ex_error *error) {
    ex_step step;
    if (!last) return ex_session_evaluate(generation->session, tokens + at, n, NULL, &step, error);
    ex_code code = at > 0 ? ex_generator_context(generation->generator, tokens, at, error) : EX_OK;
    return code == EX_OK ? ex_generator_prompt(generation->generator, tokens + at, n, error) : code;
}

static int prompt_pieces(cli_generation *generation, const int32_t *tokens, size_t n_tokens, size_t n_held,
                         cli_progress *bar) {
    ex_error error;
    bar->next = seconds_now() + PATIENCE;
    for (size_t at = n_held; at < n_tokens;) {
        size_t n = n_tokens - at < PIECE ? n_tokens - at : PIECE;
        bool last = at + n == n_tokens;
        if (evaluate_piece(generation, tokens, at, n, last, &error) != EX_OK) return report(&error);
        at += n;
        generation->tally.n_prefill += n;
        if (!last) progress_show(bar, seconds_now(), at - n_held, n_tokens - n_held, "reading the prompt");
        if (!last && interrupt_seen()) {
            generation->tally.interrupted = true;
            return STATUS_INTERRUPTED;
        }
    }
    return STATUS_OK;
}

int generation_prompt(cli_generation *generation, const int32_t *tokens, size_t n_tokens, size_t n_held) {
    cli_progress bar = progress_begin();
    double start = seconds_now();
    int status = prompt_pieces(generation, tokens, n_tokens, n_held, &bar);
    generation->tally.prefill_seconds += seconds_now() - start;
    progress_end(&bar);
    return status;
}

/* Whether looking ahead took another candidate than the likeliest. */
static bool is_changed(const ex_choice *choice) {
    const ex_distribution *distribution = &choice->distribution;
    double best = -INFINITY;
    int32_t likeliest = EX_TOKEN_NONE;
    for (size_t i = 0; i < choice->n_ahead; i++)
        for (size_t j = 0; j < distribution->count; j++) {
            const ex_candidate *candidate = &distribution->candidates[j];
            if (candidate->token != choice->ahead[i].token || candidate->log_probability <= best) continue;
            best = candidate->log_probability;
            likeliest = candidate->token;
        }
    return likeliest != choice->draw.token;
}

void tally_event(cli_tally *tally, const ex_event *event, bool first_of_insertion) {
    const ex_choice *choice = event->choice;
    if (event->kind != EX_EVENT_END) {
        tally->n_tokens++;
        tally->n_inserted += event->kind == EX_EVENT_INSERTED;
        tally->by_rule[choice->decision.rule]++;
    } else if (choice) {
        tally->end_rule = choice->decision.rule;
        tally->end_metrics = choice->metrics;
    }
    bool decided = choice && (event->kind != EX_EVENT_INSERTED || first_of_insertion);
    if (!decided) return;
    tally->n_decisions++;
    metric_add(&tally->sums, &choice->metrics);
    if (choice->n_ahead == 0) return;
    tally->n_looked++;
    tally->n_candidates += choice->n_ahead;
    tally->n_changed += is_changed(choice);
}

void tally_effort(cli_tally *tally, const ex_generator *generator) {
    const ex_effort effort = ex_generator_effort(generator);
    const size_t n_rules = ex_rules_count(ex_sampler_rules(ex_generator_sampler(generator)));
    for (size_t i = 0; i <= n_rules; i++) tally->fired[i] += effort.fired[i];
    tally->n_branched += effort.n_branched;
    tally->n_lost += effort.n_lost;
    tally->n_rewound += effort.n_rewound;
    tally->n_taken_back += effort.n_taken_back;
}

int status_of_end(ex_end end, int status) {
    return status == STATUS_OK && end == EX_END_TRAP ? STATUS_UNCERTAIN : status;
}

int generation_run(cli_generation *generation, event_function show, void *context) {
    ex_error error;
    ex_event event = {.kind = EX_EVENT_TOKEN};
    size_t before = ex_session_position(generation->session);
    int status = STATUS_OK;
    while (event.kind != EX_EVENT_END && generation->output == OUTPUT_OK) {
        if (interrupt_seen()) {
            generation->tally.interrupted = true;
            status = STATUS_INTERRUPTED;
            break;
        }
        ex_event_kind last = event.kind;
        double start = seconds_now();
        ex_code code = ex_generator_next(generation->generator, &event, &error);
        generation->tally.decode_seconds += seconds_now() - start;
        if (code != EX_OK) {
            status = report(&error);
            break;
        }
        tally_event(&generation->tally, &event, last != EX_EVENT_INSERTED);
        show(context, &event);
        generation->output = output_flush();
    }
    const size_t position = ex_session_position(generation->session); /* earlier where tokens were taken back */
    generation->tally.n_decoded += position > before ? position - before : 0;
    generation->tally.end = event.end;
    tally_effort(&generation->tally, generation->generator);
    return status;
}
