/* token_json.c - a decision as one JSON object, in the names of the API. */
#include "generation.h"
#include "metric_fields.h"
#include "token_output.h"

enum { CANDIDATES_MAX = 100 }; /* in one line; n_candidates counts all */

static void emit_parameters(emitter *json, double temperature, double top_p, int32_t top_k, double min_p) {
    emit_real(json, "temperature", temperature);
    emit_real(json, "top_p", top_p);
    emit_whole(json, "top_k", top_k);
    emit_real(json, "min_p", min_p);
}

static void emit_decision(emitter *json, const ex_decision *decision) {
    emit_object_begin(json, "decision");
    emit_text(json, "strategy", decision->strategy);
    emit_text(json, "action", ex_action_name(decision->action));
    emit_parameters(json, decision->temperature, decision->top_p, decision->top_k, decision->min_p);
    bool bounded = decision->margin_metric && *decision->margin_metric;
    if (bounded)
        emit_real(json, "margin", decision->margin);
    else
        emit_null(json, "margin");
    if (bounded)
        emit_text(json, "margin_metric", decision->margin_metric);
    else
        emit_null(json, "margin_metric");
    emit_object_end(json);
}

static void emit_candidates(emitter *json, const token_view *view, const ex_distribution *distribution) {
    emit_count(json, "n_candidates", distribution->count);
    emit_array_begin(json, "candidates");
    for (size_t i = 0; i < distribution->count && i < CANDIDATES_MAX; i++) {
        const ex_candidate *candidate = &distribution->candidates[i];
        emit_object_begin(json, NULL);
        emit_whole(json, "token", candidate->token);
        emit_bytes(json, "text", ex_token_text(view->tokenizer, candidate->token, true));
        emit_real(json, "probability", candidate->probability);
        emit_real(json, "log_probability", candidate->log_probability);
        emit_real(json, "score", candidate->score);
        emit_object_end(json);
    }
    emit_array_end(json);
}

static void emit_draw(emitter *json, const ex_draw *draw) {
    emit_object_begin(json, "draw");
    if (draw->token == EX_TOKEN_NONE)
        emit_null(json, "token");
    else
        emit_whole(json, "token", draw->token);
    emit_array_begin(json, "uniform");
    for (int32_t i = 0; i < draw->n_draws; i++) emit_real(json, NULL, draw->uniform[i]);
    emit_array_end(json);
    emit_array_begin(json, "drawn");
    for (int32_t i = 0; i < draw->n_draws; i++) emit_whole(json, NULL, draw->drawn[i]);
    emit_array_end(json);
    emit_object_end(json);
}

static void emit_ahead(emitter *json, const token_view *view, const ex_choice *choice) {
    emit_count(json, "n_ahead", choice->n_ahead);
    emit_array_begin(json, "ahead");
    for (size_t i = 0; i < choice->n_ahead; i++) {
        const ex_outlook *ahead = &choice->ahead[i];
        emit_object_begin(json, NULL);
        emit_whole(json, "token", ahead->token);
        emit_bytes(json, "text", ex_token_text(view->tokenizer, ahead->token, true));
        emit_real(json, "score", ahead->score);
        emit_real(json, "entropy_after", ahead->metrics.logits_entropy);
        emit_real(json, "varentropy_after", ahead->metrics.logits_varentropy);
        emit_object_end(json);
    }
    emit_array_end(json);
}

void write_json_event(const token_view *view, const ex_event *event) {
    const ex_choice *choice = event->choice;
    if (!choice) return;
    emitter json = {.out = view->painter->out};
    emit_object_begin(&json, NULL);
    if (event->token == EX_TOKEN_NONE)
        emit_null(&json, "token");
    else
        emit_whole(&json, "token", event->token);
    emit_bytes(&json, "text", event->text);
    emit_count(&json, "position", event->position);
    emit_text(&json, "strategy", choice->decision.strategy);
    emit_truth(&json, "inserted", event->kind == EX_EVENT_INSERTED);
    emit_truth(&json, "ends", event->kind == EX_EVENT_END);
    if (event->kind == EX_EVENT_END) emit_text(&json, "end", end_name(event->end));
    emit_metrics(&json, "metrics", &choice->metrics, METRIC_COUNT);
    emit_decision(&json, &choice->decision);
    emit_object_begin(&json, "base");
    emit_parameters(&json, view->policy->temperature, view->policy->top_p, view->policy->top_k, view->policy->min_p);
    emit_object_end(&json);
    emit_candidates(&json, view, &choice->distribution);
    emit_draw(&json, &choice->draw);
    emit_ahead(&json, view, choice);
    emit_object_end(&json);
    emit_line_end(&json);
}
