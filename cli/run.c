/* run.c - entropix run: continue a text. */
#include <stdlib.h>
#include <string.h>

#include "chains.h"
#include "commands.h"
#include "generation.h"
#include "interrupt.h"
#include "model.h"
#include "policy.h"
#include "token_output.h"

enum { OPEN_END = 1024 }; /* positions for an answer of -n -1 after a long prompt, unless -c says otherwise */

typedef struct run_state {
    const cli_options *options;
    ex_engine *engine;
    cli_policy policy;
    uint64_t seed;
    char *file_text; /* of --file */
    const char *prompt;
    size_t prompt_length;
    int32_t *tokens;
    size_t n_tokens;
    cli_generation generation;
    cli_chains *chains; /* of --chains, in the place of a generator */
    cli_painter out, notes;
    token_view view;
} run_state;

static int read_prompt(run_state *run) {
    const char *file = option_text(run->options, OPTION_FILE);
    if (file && run->options->values[OPTION_PROMPT].given) {
        message("--prompt and --file are both given; choose one");
        return STATUS_INPUT;
    }
    if (!file) {
        run->prompt = option_text(run->options, OPTION_PROMPT);
        run->prompt_length = strlen(run->prompt);
        return STATUS_OK;
    }
    run->file_text = read_text(file, &run->prompt_length);
    run->prompt = run->file_text;
    if (run->file_text) return STATUS_OK;
    return interrupt_seen() ? STATUS_INTERRUPTED : STATUS_INPUT;
}

static int tokenize_prompt(run_state *run) {
    uint32_t flags = EX_TOKENIZE_ADD_BEGINNING;
    if (option_flag(run->options, OPTION_PARSE_SPECIAL)) flags |= EX_TOKENIZE_SPECIAL;
    run->tokens = tokens_of(ex_engine_tokenizer(run->engine), run->prompt, run->prompt_length, flags, &run->n_tokens);
    if (!run->tokens) return STATUS_INPUT;
    if (run->n_tokens > 0) return STATUS_OK;
    message("the prompt is empty, and this model has no token to begin with: give some text with -p");
    return STATUS_INPUT;
}

/* A prompt that does not fit keeps its beginning token and its end, with room for the answer. */
static void fit_prompt(run_state *run) {
    size_t context = ex_session_context(run->generation.session);
    if (run->n_tokens < context) return;
    int64_t n_predict = option_integer(run->options, OPTION_PREDICT);
    size_t room = n_predict < 0 ? context / 4 : (size_t)n_predict;
    if (room > context / 2) room = context / 2;
    if (room < 1) room = 1;
    bool begins = run->tokens[0] == ex_token_beginning(ex_engine_tokenizer(run->engine));
    size_t n_last = context - room - begins;
    message("note: the prompt has %zu tokens and the context %zu positions; kept: %sthe last %zu tokens, with room for "
            "%zu; a larger -c keeps more",
            run->n_tokens, context, begins ? "the beginning token and " : "", n_last, room);
    memmove(run->tokens + begins, run->tokens + run->n_tokens - n_last, n_last * sizeof *run->tokens);
    run->n_tokens = n_last + begins;
}

static int open_generator(run_state *run) {
    int64_t n_predict = option_integer(run->options, OPTION_PREDICT);
    ex_generator_options options = ex_generator_options_default();
    options.policy = &run->policy.values;
    options.seed = run->seed;
    options.n_predict = n_predict < 0 ? 0 : (size_t)n_predict;
    ending_options(&options, run->options);
    int status = generation_trace(&run->generation, option_text(run->options, OPTION_TRACE));
    if (status == STATUS_OK)
        status = generation_grammar(&run->generation, option_text(run->options, OPTION_JSON_SCHEMA),
                                    option_flag(run->options, OPTION_JSON_OBJECT));
    if (status != STATUS_OK) return status;
    options.trace = run->generation.trace;
    options.grammar = run->generation.grammar;
    if (option_integer(run->options, OPTION_CHAINS) > 1)
        return chains_open(&run->chains, &run->generation, &options, run->options);
    ex_error error;
    ex_code code = ex_generator_open(&run->generation.generator, run->generation.session, &options, &error);
    return code == EX_OK ? STATUS_OK : report(&error);
}

static int open_all(run_state *run) {
    const cli_options *options = run->options;
    int status = policy_open(&run->policy, options);
    if (status == STATUS_OK) status = read_prompt(run);
    if (status == STATUS_OK) status = model_open(&run->engine, options);
    if (status == STATUS_OK) status = policy_of_model(&run->policy, options, run->engine);
    if (status == STATUS_OK) status = tokenize_prompt(run);
    if (status != STATUS_OK) return status;
    int64_t n_predict = option_integer(options, OPTION_PREDICT);
    size_t wanted = run->n_tokens + (n_predict < 0 ? OPEN_END : (size_t)n_predict);
    status = session_open(&run->generation.session, run->engine, options, wanted);
    if (status != STATUS_OK) return status;
    fit_prompt(run);
    run->view = (token_view){.tokenizer = ex_engine_tokenizer(run->engine),
                             .policy = &run->policy.values,
                             .painter = &run->out,
                             .as_block = run->out.guarded};
    status = open_generator(run);
    if (status != STATUS_OK) return status;
    const ex_generator *generator = run->chains ? chains_generator(run->chains) : run->generation.generator;
    run->generation.rules = run->view.rules = ex_sampler_rules(ex_generator_sampler(generator));
    return STATUS_OK;
}

static void list_prompt(run_state *run) {
    paint_format(&run->notes, NULL, "prompt: %zu tokens\n", run->n_tokens);
    for (size_t i = 0; i < run->n_tokens; i++) {
        paint_format(&run->notes, NULL, "%8d ", run->tokens[i]);
        paint_quoted(&run->notes, NULL, ex_token_text(run->view.tokenizer, run->tokens[i], true));
        paint_format(&run->notes, NULL, "\n");
    }
}

static void show_text(void *context, const ex_event *event) {
    run_state *run = context;
    const char *style = heat_style(&run->generation.heat, event, run->out.current);
    paint(&run->out, style, event->text.data, event->text.length);
}

static void show_explanation(void *context, const ex_event *event) {
    explain_event(&((run_state *)context)->view, event);
}

static void show_json(void *context, const ex_event *event) { write_json_event(&((run_state *)context)->view, event); }

static void write_summary_object(run_state *run) {
    ex_engine_info info = ex_engine_get_info(run->engine);
    emitter json = {.out = stdout};
    emit_object_begin(&json, NULL);
    emit_object_begin(&json, "summary");
    summary_json(&json, &run->generation);
    if (run->chains) chains_summary_json(run->chains, &json);
    emit_count(&json, "seed", run->seed);
    emit_text(&json, "policy", run->policy.name);
    emit_bytes(&json, "model", info.name);
    emit_text(&json, "kernels", info.kernels);
    emit_whole(&json, "threads", info.n_threads);
    emit_object_end(&json);
    emit_object_end(&json);
    emit_line_end(&json);
}

static void end_output(run_state *run) {
    bool explain = option_flag(run->options, OPTION_EXPLAIN);
    if (option_flag(run->options, OPTION_JSON)) {
        write_summary_object(run);
        return;
    }
    paint_end(&run->out);
    if (!explain) fputc('\n', stdout);
    run->generation.output = output_flush();
    if (run->generation.output != OUTPUT_OK) return;
    fputc('\n', stderr);
    if (run->chains) chains_print(run->chains, &run->notes);
    summary_print(&run->notes, &run->generation, explain);
    fprintf(stderr, "; seed %llu, policy %s\n", (unsigned long long)run->seed, run->policy.name);
}

static void show_prompt(run_state *run) {
    bool json = option_flag(run->options, OPTION_JSON);
    if (json || option_flag(run->options, OPTION_NO_DISPLAY_PROMPT)) return;
    paint(&run->out, style_dim, run->prompt, run->prompt_length);
    if (option_flag(run->options, OPTION_EXPLAIN)) paint(&run->out, NULL, "\n", 1);
    run->generation.output = output_flush();
}

/* All answers first: which of them is shown is known at the end. */
static int generate_chains(run_state *run) {
    if (option_flag(run->options, OPTION_VERBOSE_PROMPT)) list_prompt(run);
    int status = chains_run(run->chains, run->tokens, run->n_tokens);
    if (status != STATUS_OK && status != STATUS_INTERRUPTED) return status;
    show_prompt(run);
    if (option_flag(run->options, OPTION_JSON)) chains_json(run->chains);
    else chains_show(run->chains, &run->out);
    if (run->generation.output == OUTPUT_OK) end_output(run);
    return output_status(run->generation.output, status_of_end(run->generation.tally.end, status));
}

static int generate(run_state *run) {
    event_function show = option_flag(run->options, OPTION_JSON)      ? show_json
                          : option_flag(run->options, OPTION_EXPLAIN) ? show_explanation
                                                                      : show_text;
    if (option_flag(run->options, OPTION_VERBOSE_PROMPT)) list_prompt(run);
    int status = generation_prompt(&run->generation, run->tokens, run->n_tokens, 0);
    if (status == STATUS_OK) show_prompt(run);
    bool wanted = option_integer(run->options, OPTION_PREDICT) != 0;
    if (status == STATUS_OK && wanted) status = generation_run(&run->generation, show, run);
    if (run->generation.output == OUTPUT_OK) end_output(run);
    return output_status(run->generation.output, status_of_end(run->generation.tally.end, status));
}

static int close_all(run_state *run, int status) {
    chains_close(run->chains);
    status = generation_close(&run->generation, status);
    ex_engine_close(run->engine);
    free(run->tokens);
    free(run->file_text);
    return status;
}

int command_run(const cli_options *options) {
    if (option_flag(options, OPTION_JSON) && option_flag(options, OPTION_EXPLAIN)) {
        message("--json holds all that --explain shows; choose one");
        return STATUS_INPUT;
    }
    if (option_integer(options, OPTION_CHAINS) > 1 &&
        (option_flag(options, OPTION_EXPLAIN) || option_integer(options, OPTION_PREDICT) == 0)) {
        message("--chains compares whole answers: it goes with neither --explain nor -n 0");
        return STATUS_INPUT;
    }
    const char *when = option_text(options, OPTION_COLOR);
    run_state run = {.options = options, .seed = seed_choose(options)};
    run.out = painter_for(stdout, when);
    run.notes = painter_for(stderr, when);
    int status = heat_open(&run.generation.heat, options);
    if (status == STATUS_OK) status = open_all(&run);
    if (status == STATUS_OK) status = (run.chains ? generate_chains : generate)(&run);
    return close_all(&run, status);
}
