/* What looks ahead and what takes back: lookahead, branching, resampling, banned texts, traps. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocations.h"
#include "model/model.h"
#include "sampler_support.h"

typedef struct bench {
    ex_engine *engine;
    ex_session *session;
    ex_generator *generator;
} bench;

static const int32_t prompt[] = {1, 50, 60, 300, 301, 302, 303, 304, 305, 306, 307, 308};
enum { N_PROMPT = sizeof prompt / sizeof *prompt, TOKENS_MAX = 400 };

typedef struct answer {
    int32_t tokens[TOKENS_MAX];
    size_t n_tokens, n_ahead;
    char text[8000];
    ex_end end;
    long n_allocations;
} answer;

static ex_session *open_session(ex_engine *engine) {
    ex_session *session;
    ex_error error;
    ex_session_options options = {.n_context = 300};
    assert_ok(ex_session_open(&session, engine, &options, &error), &error);
    return session;
}

static bench open_bench(const ex_policy *policy, uint64_t seed, size_t n_predict) {
    bench b;
    ex_error error;
    assert_ok(ex_engine_open(&b.engine, test_data("models/llama3-f16.gguf"), NULL, &error), &error);
    b.session = open_session(b.engine);
    ex_generator_options options = {.policy = policy, .seed = seed, .n_predict = n_predict, .ignore_end = true};
    assert_ok(ex_generator_open(&b.generator, b.session, &options, &error), &error);
    assert_ok(ex_generator_prompt(b.generator, prompt, N_PROMPT, &error), &error);
    return b;
}

static void close_bench(bench *b) {
    ex_generator_close(b->generator);
    ex_session_close(b->session);
    ex_engine_close(b->engine);
}

static size_t pages_for(size_t n_positions) { return (n_positions + EX_KV_PAGE - 1) / EX_KV_PAGE; }

/* Forks hold nothing between two tokens: the family has the pages of one session. */
static answer collect(bench *b) {
    static answer out;
    memset(&out, 0, sizeof out);
    ex_error error;
    ex_event event;
    long before = allocations_counted();
    for (;;) {
        assert_ok(ex_generator_next(b->generator, &event, &error), &error);
        assert_int_equal(ex_session_pages_in_use(b->session), pages_for(ex_session_position(b->session)));
        size_t length = strlen(out.text);
        snprintf(out.text + length, sizeof out.text - length, "%.*s", (int)event.text.length, event.text.data);
        if (event.kind == EX_EVENT_END) break;
        assert_int_equal(event.position, N_PROMPT + out.n_tokens);
        assert_true(out.n_tokens < TOKENS_MAX);
        out.n_ahead += event.choice->n_ahead > 0;
        out.tokens[out.n_tokens++] = event.token;
    }
    out.end = event.end;
    out.n_allocations = allocations_counted() - before;
    return out;
}

/* The session holds what was delivered, to the bit: one more token gives the logits of a session that never looked
 * ahead and never went back. */
static void check_session(const bench *b, const answer *a) {
    ex_error error;
    ex_step ours, expected;
    ex_session *fresh = open_session(b->engine);
    size_t held = ex_session_position(b->session);
    assert_in_range(held, N_PROMPT, N_PROMPT + a->n_tokens);
    assert_ok(ex_session_evaluate(fresh, prompt, N_PROMPT, NULL, NULL, &error), &error);
    for (size_t i = 0; i + N_PROMPT < held; i++)
        assert_ok(ex_session_evaluate(fresh, &a->tokens[i], 1, NULL, NULL, &error), &error);
    const int32_t next = 77;
    assert_ok(ex_session_evaluate(fresh, &next, 1, NULL, &expected, &error), &error);
    assert_ok(ex_session_evaluate(b->session, &next, 1, NULL, &ours, &error), &error);
    assert_memory_equal(ours.logits, expected.logits, (size_t)ours.n_vocab * sizeof *ours.logits);
    ex_session_close(fresh);
}

static answer generate(const ex_policy *policy, uint64_t seed, size_t n_predict) {
    bench b = open_bench(policy, seed, n_predict);
    answer a = collect(&b);
    assert_int_equal(a.n_allocations, 0);
    check_session(&b, &a);
    close_bench(&b);
    return a;
}

static void set(ex_policy *policy, const char *key, const char *value) {
    ex_error error;
    assert_ok(ex_policy_set(policy, key, value, &error), &error);
}

/* ---- lookahead -------------------------------------------------------------------------------------------------- */

/* Every step is adaptive, candidates are many, and certainty afterwards counts for more than probability. */
static ex_policy looking_policy(const char *lookahead) {
    ex_policy policy = preset(NULL);
    set(&policy, "rules", "[adaptive]\ntemperature = 4\ntop_k = 20\ntop_p = 1\nmin_p = 0\ncandidates = 6\n");
    set(&policy, "candidates", "6");
    set(&policy, "candidate_draws", "true");
    set(&policy, "lookahead", lookahead);
    set(&policy, "score_logits_entropy", "3");
    return policy;
}

static double score_by_hand(ex_session *session, const ex_policy *policy, const ex_candidate *candidate) {
    ex_error error;
    ex_step step;
    ex_metrics m = {0};
    ex_session *fork;
    assert_ok(ex_session_fork(&fork, session, &error), &error);
    assert_ok(ex_session_evaluate(fork, &candidate->token, 1, NULL, &step, &error), &error);
    assert_ok(ex_measure_logits(step.logits, (size_t)step.n_vocab, policy->top_k, &m, &error), &error);
    ex_measure_attention(step.attention, policy->scope, &m, NULL);
    ex_session_close(fork);
    return candidate->log_probability + policy->score_logits_entropy * (1 - m.logits_entropy) +
           policy->score_attn_entropy * (1 - m.attn_entropy) +
           policy->score_logits_varentropy * (1 - m.logits_varentropy) +
           policy->score_attn_varentropy * (1 - m.attn_varentropy) + policy->score_agreement * m.agreement +
           policy->score_interaction * m.interaction_strength;
}

static const ex_candidate *candidate_of(const ex_choice *choice, int32_t token) {
    for (size_t i = 0; i < choice->distribution.count; i++)
        if (choice->distribution.candidates[i].token == token) return &choice->distribution.candidates[i];
    return NULL;
}

/* Of the drawn candidates the one wins whose next position is best, as a second session finds out one by one; and that
 * is often another one than the likeliest. */
static void test_lookahead_changes_who_wins(void **state) {
    (void)state;
    ex_policy policy = looking_policy("1");
    bench b = open_bench(&policy, 5, 40);
    ex_session *shadow = open_session(b.engine);
    ex_error error;
    ex_event event;
    size_t n_looked = 0, n_changed = 0;
    assert_ok(ex_session_evaluate(shadow, prompt, N_PROMPT, NULL, NULL, &error), &error);
    for (;;) {
        assert_ok(ex_generator_next(b.generator, &event, &error), &error);
        if (event.kind == EX_EVENT_END) break;
        double best = -INFINITY, likeliest = -INFINITY;
        int32_t winner = EX_TOKEN_NONE, first = EX_TOKEN_NONE;
        for (size_t i = 0; i < event.choice->n_ahead; i++) {
            const ex_candidate *candidate = candidate_of(event.choice, event.choice->ahead[i].token);
            double score = score_by_hand(shadow, &policy, candidate);
            assert_true(is_close(score, event.choice->ahead[i].score, 1e-6));
            if (score > best) best = score, winner = candidate->token;
            if (candidate->log_probability > likeliest)
                likeliest = candidate->log_probability, first = candidate->token;
        }
        if (event.choice->n_ahead > 0) {
            assert_int_equal(event.token, winner);
            n_looked++;
            n_changed += winner != first;
        }
        assert_ok(ex_session_evaluate(shadow, &event.token, 1, NULL, NULL, &error), &error);
    }
    assert_in_range(n_looked, 20, 40);
    assert_in_range(n_changed, 5, 40);
    ex_session_close(shadow);
    close_bench(&b);
}

/* A rule may draw more candidates than the key says: as many as the key says are looked at, the likeliest. */
static void test_rules_draw_more_than_are_looked_at(void **state) {
    (void)state;
    static const char *const keys[] = {"1", "2", "3"};
    for (int i = 0; i < 3; i++) {
        ex_policy policy = looking_policy("1");
        set(&policy, "rules", "[wide]\ntemperature = 9\ntop_k = 100\ntop_p = 1\nmin_p = 0\ncandidates = 40\n");
        set(&policy, "candidates", keys[i]);
        bench b = open_bench(&policy, 5, 30);
        ex_error error;
        ex_event event;
        size_t most = 0;
        for (;;) {
            assert_ok(ex_generator_next(b.generator, &event, &error), &error);
            if (event.kind == EX_EVENT_END) break;
            if (event.choice->n_ahead > most) most = event.choice->n_ahead;
        }
        assert_int_equal(most, i == 0 ? 0 : i + 1);
        close_bench(&b);
    }
}

static void test_lookahead_keeps_what_it_computed(void **state) {
    (void)state;
    for (int depth = 1; depth <= 3; depth++) {
        char text[16];
        snprintf(text, sizeof text, "%d", depth);
        ex_policy policy = looking_policy(text);
        answer a = generate(&policy, 7, 60);
        assert_int_equal(a.n_tokens, 60);
        assert_true(a.n_ahead > 30);
        answer again = generate(&policy, 7, 60);
        assert_memory_equal(a.tokens, again.tokens, sizeof a.tokens);
    }
}

/* ---- branches --------------------------------------------------------------------------------------------------- */

static void test_branches(void **state) {
    (void)state;
    ex_policy policy = preset("entropix");
    set(&policy, "rules",
        "[sure]\nwhen = logits_entropy < 3\naction = greedy\n[unsure]\naction = branch\ntemperature = 2\n");
    for (int n_branches = 2; n_branches <= 5; n_branches++) {
        char text[16];
        snprintf(text, sizeof text, "%d", n_branches);
        set(&policy, "branches", text);
        answer a = generate(&policy, 3, 80);
        assert_int_equal(a.n_tokens, 80);
        assert_int_equal(a.end, EX_END_LENGTH);
        answer again = generate(&policy, 3, 80);
        assert_memory_equal(a.tokens, again.tokens, sizeof a.tokens);
    }
    bench b = open_bench(&policy, 3, 0); /* up to the end of the context */
    answer a = collect(&b);
    assert_int_equal(a.end, EX_END_CONTEXT);
    assert_int_equal(a.n_tokens, 300 - N_PROMPT);
    close_bench(&b);
}

/* ---- taking back ------------------------------------------------------------------------------------------------ */

static uint64_t fired(const bench *b, size_t rule) {
    return ex_sampler_fired(ex_generator_sampler(b->generator))[rule];
}

static void test_taking_back(void **state) {
    (void)state;
    static const char *const actions[] = {"resample", "rewind"};
    for (int i = 0; i < 2; i++) {
        char rules[200];
        snprintf(rules, sizeof rules,
                 "[lost]\nwhen = logits_entropy > 2\naction = %s\n"
                 "[other]\ntemperature = 4\ntop_p = 1\nmin_p = 0\n",
                 actions[i]);
        ex_policy policy = preset("entropix");
        set(&policy, "lookahead", "0");
        set(&policy, "rules", rules);
        set(&policy, "rewind", "5");
        set(&policy, "rewind_limit", "6");
        set(&policy, "uncertain_entropy", "0.5");
        answer with = generate(&policy, 11, 100);
        answer again = generate(&policy, 11, 100);
        assert_memory_equal(with.tokens, again.tokens, sizeof with.tokens);
        assert_int_equal(with.n_tokens, 100);
        set(&policy, "rewind_limit", "0");
        answer without = generate(&policy, 11, 100);
        assert_memory_not_equal(with.tokens, without.tokens, sizeof with.tokens);
        bench b = open_bench(&policy, 11, 100);
        collect(&b);
        assert_int_equal(fired(&b, 0) + fired(&b, 1) + fired(&b, 2), 100); /* what was taken back does not count */
        close_bench(&b);
    }
}

static void test_banned_texts(void **state) {
    (void)state;
    ex_policy policy = preset("plain");
    answer free_text = generate(&policy, 21, 60);
    size_t n_tried = 0;
    for (size_t at = 5; at + 4 < strlen(free_text.text) && n_tried < 12; at += 7) {
        char banned[64], piece[4] = {0};
        memcpy(piece, free_text.text + at, 3);
        bool is_plain = true;
        for (int i = 0; i < 3; i++)
            is_plain &= piece[i] >= ' ' && piece[i] < 127 && piece[i] != '"' && piece[i] != '\\';
        if (!is_plain) continue;
        snprintf(banned, sizeof banned, "[\"%s\", \"zzqq\"]", piece);
        set(&policy, "banned_strings", banned);
        answer a = generate(&policy, 21, 60);
        assert_null(strstr(a.text, piece));
        assert_int_equal(a.n_tokens, 60);
        n_tried++;
    }
    assert_in_range(n_tried, 1, 12);
}

/* The two likeliest tokens after the prompt, `more`, and `after`, if there is one. */
static void two_likeliest(ex_engine *engine, int32_t more, int32_t after, int32_t tokens[2]) {
    ex_error error;
    ex_step step;
    ex_session *session = open_session(engine);
    assert_ok(ex_session_evaluate(session, prompt, N_PROMPT, NULL, NULL, &error), &error);
    assert_ok(ex_session_evaluate(session, &more, 1, NULL, &step, &error), &error);
    if (after != EX_TOKEN_NONE) assert_ok(ex_session_evaluate(session, &after, 1, NULL, &step, &error), &error);
    tokens[0] = tokens[1] = EX_TOKEN_NONE;
    for (int32_t i = 0; i < step.n_vocab; i++) {
        if (tokens[0] == EX_TOKEN_NONE || step.logits[i] > step.logits[tokens[0]]) {
            tokens[1] = tokens[0];
            tokens[0] = i;
        } else if (tokens[1] == EX_TOKEN_NONE || step.logits[i] > step.logits[tokens[1]]) {
            tokens[1] = i;
        }
    }
    ex_session_close(session);
}

static size_t put_text(char *list, const ex_tokenizer *tokenizer, int32_t token) {
    const ex_string text = ex_token_text(tokenizer, token, false);
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++)
        length += (size_t)sprintf(list + length, "\\u%04x", (unsigned char)text.data[i]);
    return length;
}

/* Bans, after the likeliest token and after the second, what is likeliest then, and the second then with the token
 * before it. False where two of the six are the same, or have no plain text. */
static bool ban_in_a_circle(ex_engine *engine, int32_t more, char *list) {
    const ex_tokenizer *tokenizer = ex_engine_tokenizer(engine);
    int32_t tokens[6];
    size_t n = 0;
    two_likeliest(engine, more, EX_TOKEN_NONE, tokens);
    for (int i = 0; i < 2; i++) {
        int32_t *next = tokens + 2 + 2 * i;
        two_likeliest(engine, more, tokens[i], next);
        n += (size_t)sprintf(list + n, i ? "\",\"" : "[\"");
        n += put_text(list + n, tokenizer, next[0]);
        n += (size_t)sprintf(list + n, "\",\"");
        n += put_text(list + n, tokenizer, tokens[i]);
        n += put_text(list + n, tokenizer, next[1]);
    }
    sprintf(list + n, "\"]");
    for (int i = 0; i < 6; i++) {
        const ex_string text = ex_token_text(tokenizer, tokens[i], false);
        if (text.length == 0 || n > 500) return false;
        for (size_t j = 0; j < text.length; j++)
            if (text.data[j] < 1) return false;
        for (int j = 0; j < i; j++)
            if (tokens[i] == tokens[j]) return false;
    }
    return true;
}

/* Wherever the likeliest answer turns, a banned text is complete, and going back to one place forgets what was tried at
 * the other. It goes on all the same, in the end with a token that is banned. */
static void test_banned_texts_in_a_circle(void **state) {
    (void)state;
    size_t n_tried = 0;
    ex_error error;
    ex_engine *engine;
    assert_ok(ex_engine_open(&engine, test_data("models/llama3-f16.gguf"), NULL, &error), &error);
    for (int32_t more = 3; more < 500 && n_tried < 2; more++) {
        char list[1200];
        ex_policy policy = preset("plain");
        if (!ban_in_a_circle(engine, more, list)) continue;
        n_tried++;
        set(&policy, "temperature", "0");
        set(&policy, "banned_strings", list);
        bench b = open_bench(&policy, 1, 10);
        assert_ok(ex_generator_prompt(b.generator, &more, 1, &error), &error);
        ex_event event;
        size_t n_tokens = 0;
        do {
            assert_ok(ex_generator_next(b.generator, &event, &error), &error);
            n_tokens += event.kind == EX_EVENT_TOKEN;
        } while (event.kind != EX_EVENT_END);
        assert_int_equal(n_tokens, 10);
        close_bench(&b);
    }
    ex_engine_close(engine);
    assert_in_range(n_tried, 1, 100);
}

static void test_traps_and_stops(void **state) {
    (void)state;
    static const struct { const char *action; ex_end end; } cases[] = {{"trap", EX_END_TRAP}, {"stop", EX_END_RULE}};
    for (int i = 0; i < 2; i++) {
        char rules[300];
        snprintf(rules, sizeof rules,
                 "[enough]\nwhen = lowest(logits_entropy, 4) > 0.5 and mean(logits_entropy, 3) > 1\naction = %s\n"
                 "[other]\ntemperature = 1\n", cases[i].action);
        ex_policy policy = preset("entropix");
        set(&policy, "rules", rules);
        bench b = open_bench(&policy, 1, 100);
        ex_error error;
        ex_event event;
        size_t n_tokens = 0;
        do {
            assert_ok(ex_generator_next(b.generator, &event, &error), &error);
            n_tokens += event.kind == EX_EVENT_TOKEN;
        } while (event.kind != EX_EVENT_END);
        assert_int_equal(event.end, cases[i].end);
        assert_non_null(event.choice);
        assert_string_equal(event.choice->decision.strategy, "enough");
        assert_true(event.choice->metrics.logits_entropy > 0.5 && n_tokens < 100);
        assert_ok(ex_generator_next(b.generator, &event, &error), &error);
        assert_int_equal(event.end, cases[i].end);
        close_bench(&b);
    }
}

/* The default preset with all at once: the text that is shown is the text of the tokens, and nothing leaks. */
static void test_all_at_once(void **state) {
    (void)state;
    ex_policy policy = preset("entropix");
    set(&policy, "explore_entropy", "4");
    set(&policy, "high_entropy", "4");
    set(&policy, "high_varentropy", "1");
    set(&policy, "low_varentropy", "0.9");
    set(&policy, "clarify_entropy", "4");
    for (uint64_t seed = 1; seed <= 6; seed++) {
        answer a = generate(&policy, seed, 120), again = generate(&policy, seed, 120);
        assert_int_equal(a.n_tokens, 120);
        assert_memory_equal(a.tokens, again.tokens, sizeof a.tokens);
        assert_string_equal(a.text, again.text);
    }
}

/* ---- several answers -------------------------------------------------------------------------------------------- */

static answer generate_sequence(const ex_policy *policy, uint32_t sequence, size_t n_predict) {
    bench b;
    ex_error error;
    assert_ok(ex_engine_open(&b.engine, test_data("models/llama3-f16.gguf"), NULL, &error), &error);
    b.session = open_session(b.engine);
    ex_generator_options options = {.policy = policy, .seed = 9, .sequence = sequence, .n_predict = n_predict};
    assert_ok(ex_generator_open(&b.generator, b.session, &options, &error), &error);
    assert_ok(ex_generator_prompt(b.generator, prompt, N_PROMPT, &error), &error);
    answer a = collect(&b);
    close_bench(&b);
    return a;
}

/* Answers that are computed together are those that generators give one by one. */
static void test_answers(void **state) {
    (void)state;
    static const char *const presets[] = {"plain", "entropix"};
    for (int p = 0; p < 2; p++) {
        ex_policy policy = preset(presets[p]);
        policy.temperature = 3;
        bench b = open_bench(&policy, 9, 40);
        ex_answers *answers;
        ex_error error;
        ex_event event;
        ex_generator_options options = {.policy = &policy, .seed = 9, .n_predict = 40};
        assert_int_equal(ex_answers_open(&answers, b.session, &options, 0, &error), EX_ERROR_ARGUMENT);
        assert_ok(ex_session_rewind(b.session, 0, &error), &error);
        assert_ok(ex_answers_open(&answers, b.session, &options, 5, &error), &error);
        assert_ok(ex_answers_prompt(answers, prompt, N_PROMPT, &error), &error);
        size_t index, n_events = 0;
        do {
            assert_ok(ex_answers_next(answers, &index, &event, &error), &error);
            n_events++;
        } while (index < EX_ANSWERS_MAX);
        for (uint32_t i = 0; i < 5; i++) {
            answer alone = generate_sequence(&policy, i, 40);
            ex_answer together = ex_answers_get(answers, i);
            assert_int_equal(together.n_tokens, alone.n_tokens);
            assert_memory_equal(together.tokens, alone.tokens, alone.n_tokens * sizeof *alone.tokens);
            const bool has_zero = memchr(together.text.data, 0, together.text.length) != NULL; /* random tokens */
            if (!has_zero) assert_int_equal(together.text.length, strlen(alone.text));
            assert_int_equal(together.end, alone.end);
            assert_true(together.consistency >= 0 && together.consistency <= 1 && together.mean_entropy >= 0);
            ex_answer best = ex_answers_get(answers, ex_answers_best(answers, EX_SELECT_MEAN_ENTROPY));
            assert_true(best.mean_entropy <= together.mean_entropy);
            best = ex_answers_get(answers, ex_answers_best(answers, EX_SELECT_CONSISTENT));
            assert_true(best.consistency >= together.consistency);
        }
        ex_answers_close(answers);
        close_bench(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookahead_changes_who_wins), cmocka_unit_test(test_lookahead_keeps_what_it_computed),
        cmocka_unit_test(test_rules_draw_more_than_are_looked_at),
        cmocka_unit_test(test_branches),                   cmocka_unit_test(test_taking_back),
        cmocka_unit_test(test_banned_texts),               cmocka_unit_test(test_banned_texts_in_a_circle),
        cmocka_unit_test(test_traps_and_stops),
        cmocka_unit_test(test_all_at_once),                cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
