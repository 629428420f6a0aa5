/* replay.c - the decisions of a trace, made again by the sampler's own code. Logits that a line does not list are
 * replaced by two extremes that agree with what it says about them: none is above `others_at_most`, and together they
 * weigh what is missing from the sum of all (or, where min_p removes tokens, nothing). Where both extremes give the
 * same tokens, those are the tokens. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "generate/replay.h"
#include "sampler/policy_keys.h"

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void close_answer(ex_replay *replay, ex_replay_answer *answer) {
    if (answer->logits) replay->n_open -= (size_t)answer->n_vocab;
    ex_sampler_close(answer->sampler);
    free(answer->logits);
    free(answer->allowed);
    *answer = (ex_replay_answer){.sequence = answer->sequence};
}

static ex_replay_answer *find_answer(const ex_replay *replay, uint32_t sequence) {
    for (size_t i = 0; i < replay->n_answers; i++)
        if (replay->answers[i].sequence == sequence) return &replay->answers[i];
    return NULL;
}

static ex_replay_answer *new_answer(ex_replay *replay, uint32_t sequence) {
    ex_replay_answer *answer = find_answer(replay, sequence);
    if (answer) {
        close_answer(replay, answer);
        answer->sequence = sequence;
        return answer;
    }
    ex_replay_answer *larger = realloc(replay->answers, (replay->n_answers + 1) * sizeof *larger);
    if (!larger) return NULL;
    replay->answers = larger;
    answer = &larger[replay->n_answers++];
    *answer = (ex_replay_answer){.sequence = sequence};
    return answer;
}

static uint64_t read_seed(ex_trace_reader *reader, const ex_json *header) {
    const ex_json *seed = ex_json_member(header, "seed");
    if (!seed || (seed->kind != EX_JSON_INTEGER && seed->kind != EX_JSON_NUMBER)) {
        ex_trace_fail(reader, "there is no seed");
        return 0;
    }
    return strtoull(reader->line_text + seed->offset, NULL, 10);
}

static ex_code read_policy(ex_replay *replay, const ex_json *header, ex_policy *policy, ex_error *error) {
    const ex_string text = ex_trace_text(&replay->reader, header, "policy");
    if (replay->reader.code != EX_OK) return replay->reader.code;
    ex_code code = ex_policy_parse_stored(policy, text.data, text.length, replay->reader.place, error);
    if (code != EX_OK && error) error->position = replay->reader.line;
    return code;
}

/* Another policy's clarification text has no tokens here, so the trace's stand for it. */
static ex_code set_clarification(ex_replay *replay, ex_replay_answer *answer, const ex_json *header, ex_error *error) {
    const ex_json *list = ex_json_member(header, "clarification"), *item = NULL;
    const ex_policy *policy = ex_sampler_policy(answer->sampler);
    int32_t tokens[EX_CLARIFICATION_MAX];
    size_t count = 0;
    if (replay->has_policy && policy->clarify_token != EX_TOKEN_NONE) return EX_OK;
    if (list && list->kind != EX_JSON_LIST) return ex_trace_fail(&replay->reader, "clarification is not a list");
    while (list && (item = ex_json_next(list, item))) {
        if (item->kind != EX_JSON_INTEGER || item->as.integer < 0 || item->as.integer >= answer->n_vocab)
            return ex_trace_fail(&replay->reader, "clarification: not a token of this vocabulary");
        if (count < EX_CLARIFICATION_MAX) tokens[count++] = (int32_t)item->as.integer;
    }
    return ex_sampler_set_clarification(answer->sampler, tokens, count, error);
}

static ex_code tell_prompt(ex_replay *replay, ex_replay_answer *answer, const ex_json *header) {
    const ex_json *list = ex_json_member(header, "prompt_tokens"), *item = NULL;
    if (list && list->kind != EX_JSON_LIST) return ex_trace_fail(&replay->reader, "prompt_tokens is not a list");
    while (list && (item = ex_json_next(list, item))) {
        if (item->kind != EX_JSON_INTEGER || item->as.integer < 0 || item->as.integer >= answer->n_vocab)
            return ex_trace_fail(&replay->reader, "prompt_tokens: not a token of this vocabulary");
        const int32_t token = (int32_t)item->as.integer;
        ex_sampler_prompt(answer->sampler, &token, 1);
    }
    return EX_OK;
}

static ex_code open_sampler(ex_replay *replay, ex_replay_answer *answer, const ex_json *header, ex_error *error) {
    ex_policy *policy = ex_allocate(1, sizeof *policy);
    if (!policy) return ex_fail_memory(error, "replaying a trace");
    ex_code code = read_policy(replay, header, policy, error);
    answer->lookahead = policy->lookahead;
    if (code == EX_OK) {
        const ex_policy *used = replay->has_policy ? &replay->policy : policy;
        code = ex_sampler_open(&answer->sampler, used, answer->n_vocab, error);
    }
    free(policy);
    if (code == EX_OK) ex_sampler_keep_likeliest(answer->sampler, true);
    if (code == EX_OK) code = ex_replay_teach(replay, answer, header, error);
    if (code == EX_OK) code = set_clarification(replay, answer, header, error);
    return code == EX_OK ? tell_prompt(replay, answer, header) : code;
}

static ex_code begin_answer(ex_replay *replay, const ex_trace_row *row, ex_error *error) {
    ex_trace_reader *reader = &replay->reader;
    ex_replay_answer *answer = new_answer(replay, row->sequence);
    if (!answer) return ex_fail_memory(error, "replaying a trace");
    answer->seed = read_seed(reader, row->json);
    answer->n_vocab = (int32_t)ex_trace_integer(reader, row->json, "n_vocab", 1, EX_REPLAY_VOCABULARY_MAX);
    answer->start = (size_t)ex_trace_integer(reader, row->json, "position", 0, UINT32_MAX);
    if (reader->code != EX_OK) return reader->code;
    if (replay->n_open + (size_t)answer->n_vocab > EX_REPLAY_OPEN_MAX)
        return ex_trace_fail(reader, "more answers have begun and not ended than can be replayed together");
    answer->logits = ex_allocate((size_t)answer->n_vocab, sizeof *answer->logits);
    if (!answer->logits) return ex_fail_memory(error, "replaying a trace");
    replay->n_open += (size_t)answer->n_vocab;
    for (int32_t i = 0; i < answer->n_vocab; i++) answer->logits[i] = -INFINITY;
    return open_sampler(replay, answer, row->json, error);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* The handle but for its reader, or NULL. */
static ex_replay *open_replay(const ex_policy *policy, ex_error *error) {
    ex_replay *replay = ex_allocate(1, sizeof *replay);
    if (!replay) ex_fail_memory(error, "replaying a trace");
    if (!replay || !policy) return replay;
    replay->policy = *policy;
    replay->has_policy = true;
    return replay;
}

static ex_code finish_opening(ex_replay **out, ex_replay *replay, ex_code code) {
    if (code == EX_OK) *out = replay;
    else ex_replay_close(replay);
    return code;
}

ex_code ex_replay_open(ex_replay **out, const char *path, const ex_policy *policy, ex_error *error) {
    *out = NULL;
    ex_replay *replay = open_replay(policy, error);
    return replay ? finish_opening(out, replay, ex_trace_reader_open(&replay->reader, path, error)) : EX_ERROR_MEMORY;
}

ex_code ex_replay_open_text(ex_replay **out, const char *text, size_t length, const ex_policy *policy,
                            ex_error *error) {
    *out = NULL;
    ex_replay *replay = open_replay(policy, error);
    if (!replay) return EX_ERROR_MEMORY;
    return finish_opening(out, replay, ex_trace_reader_open_text(&replay->reader, text, length, error));
}

void ex_replay_close(ex_replay *replay) {
    if (!replay) return;
    for (size_t i = 0; i < replay->n_answers; i++) close_answer(replay, &replay->answers[i]);
    ex_trace_reader_close(&replay->reader);
    free(replay->answers);
    free(replay->kept);
    free(replay);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* The sampler as it was before a token at this position. */
static ex_code go_to(ex_replay *replay, ex_replay_answer *answer, size_t position) {
    const size_t held = ex_sampler_count(answer->sampler);
    if (position < answer->start || position - answer->start > held)
        return ex_trace_fail(&replay->reader, "position %zu does not follow %zu, where the answer is", position,
                             answer->start + held);
    ex_error why;
    if (ex_sampler_rewind(answer->sampler, position - answer->start, &why) == EX_OK) return EX_OK;
    return ex_trace_fail(&replay->reader, "%s", why.message);
}

static const ex_replay_kind decision_kinds[] = {[EX_TRACE_TOKEN] = EX_REPLAY_TOKEN,
                                                [EX_TRACE_INSERTED] = EX_REPLAY_INSERTED,
                                                [EX_TRACE_END] = EX_REPLAY_END};

static ex_code replay_decision(ex_replay *replay, ex_replay_answer *answer, const ex_trace_row *row,
                               ex_replay_step *step, ex_error *error) {
    step->kind = decision_kinds[row->traced];
    step->token = row->token;
    step->text = row->text;
    step->decided = row->decided;
    if (row->token >= answer->n_vocab)
        return ex_trace_fail(&replay->reader, "token %d is not one of %d", row->token, answer->n_vocab);
    ex_code code = go_to(replay, answer, row->position);
    if (code == EX_OK && row->decided) code = ex_replay_decide(replay, answer, row, step, error);
    if (code == EX_OK && row->traced != EX_TRACE_END)
        ex_sampler_accept(answer->sampler, row->token, row->traced == EX_TRACE_INSERTED);
    return code;
}

ex_code ex_replay_next(ex_replay *replay, ex_replay_step *step, ex_error *error) {
    ex_trace_row *row = &replay->row;
    *step = (ex_replay_step){.kind = EX_REPLAY_OTHER, .branch = -1, .token = EX_TOKEN_NONE, .decidable = true};
    ex_code code = ex_trace_read(&replay->reader, row, error);
    if (code != EX_OK) return code;
    step->line = replay->reader.line;
    step->sequence = row->sequence;
    step->position = row->position;
    step->branch = row->branch;
    if (row->kind == EX_ROW_NONE) {
        step->kind = EX_REPLAY_DONE;
        if (replay->n_answers > 0) return EX_OK;
        replay->reader.line++;
        return ex_fail(error, EX_ERROR_FORMAT, replay->reader.line, "%s:%" PRIu64 ": no header of a trace",
                       replay->reader.name, replay->reader.line);
    }
    if (row->kind == EX_ROW_HEADER) {
        step->kind = EX_REPLAY_ANSWER;
        return begin_answer(replay, row, error);
    }
    ex_replay_answer *answer = find_answer(replay, row->sequence);
    if (!answer || !answer->sampler)
        return ex_trace_fail(&replay->reader, "there is no header of sequence %" PRIu32 " before this line",
                             row->sequence);
    if (row->kind == EX_ROW_DECISION) return replay_decision(replay, answer, row, step, error);
    if (row->kind == EX_ROW_BRANCH) {
        step->kind = EX_REPLAY_BRANCHES;
        ex_replay_check_branches(answer, step);
    }
    if (row->kind == EX_ROW_SUMMARY) close_answer(replay, answer);
    if (row->kind != EX_ROW_REWIND) return EX_OK;
    step->kind = EX_REPLAY_REWIND;
    return go_to(replay, answer, row->position);
}
