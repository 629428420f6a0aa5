/* chat.c - entropix chat: a conversation in one session. Each turn the whole conversation is tokenised, what the
 * session holds already is kept, and only the rest is evaluated. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "conversation.h"
#include "eval/memory_text.h"
#include "generation.h"
#include "interrupt.h"
#include "line_editor.h"
#include "model.h"
#include "policy.h"

typedef struct chat_state {
    const cli_options *options;
    ex_engine *engine;
    cli_policy policy;
    uint64_t seed;
    uint32_t n_answers; /* each draws from a sequence of its own */
    char *template;     /* of --chat-template */
    cli_conversation conversation;
    held_tokens held;
    cli_generation generation;
    line_editor *editor;
    cli_painter out;
    FILE *answer; /* collects the text */
} chat_state;

typedef enum chat_action { CHAT_GO_ON, CHAT_ANSWER, CHAT_LEAVE } chat_action;

static const char commands_text[] =
    "/exit   leave\n/clear  forget the conversation\n/regen  answer the last message again\n"
    "/help   this list\n";

static void show_answer(void *context, const ex_event *event) {
    chat_state *chat = context;
    const char *style = heat_style(&chat->generation.heat, event, chat->out.current);
    paint(&chat->out, style, event->text.data, event->text.length);
    fwrite(event->text.data, 1, event->text.length, chat->answer);
    if (event->kind != EX_EVENT_END) held_add(&chat->held, event->token);
}

static int open_generator(chat_state *chat) {
    int64_t n_predict = option_integer(chat->options, OPTION_CHAT_PREDICT);
    ex_generator_options options = ex_generator_options_default();
    options.policy = &chat->policy.values;
    options.seed = chat->seed;
    options.sequence = chat->n_answers++;
    options.n_predict = n_predict < 0 ? 0 : (size_t)n_predict;
    ending_options(&options, chat->options);
    options.trace = chat->generation.trace;
    options.grammar = chat->generation.grammar;
    ex_error error;
    ex_generator_close(chat->generation.generator);
    ex_code code = ex_generator_open(&chat->generation.generator, chat->generation.session, &options, &error);
    return code == EX_OK ? STATUS_OK : report(&error);
}

/* Drops the oldest turns until a quarter of the context is free for the answer. */
static int32_t *fitting_tokens(chat_state *chat, size_t *n_tokens) {
    size_t context = ex_session_context(chat->generation.session), n_dropped = 0;
    int32_t *tokens;
    for (;;) {
        tokens = conversation_tokens(&chat->conversation, ex_engine_tokenizer(chat->engine), chat->template, n_tokens);
        if (!tokens || *n_tokens <= context - context / 4 || !conversation_drop_oldest(&chat->conversation)) break;
        n_dropped++;
        free(tokens);
    }
    if (n_dropped)
        message("note: the context of %zu positions is full; forgot the first %zu turn%s", context, n_dropped,
                n_dropped == 1 ? "" : "s");
    if (!tokens || *n_tokens < context) return tokens;
    message("the message has %zu tokens and the context %zu positions; shorten it or give a larger -c", *n_tokens,
            context);
    free(tokens);
    return NULL;
}

/* Evaluates what the session does not hold yet. */
static int feed(chat_state *chat, const int32_t *tokens, size_t n_tokens) {
    ex_error error;
    size_t common = held_common(&chat->held, ex_session_position(chat->generation.session), tokens, n_tokens);
    if (ex_session_rewind(chat->generation.session, common, &error) != EX_OK) return report(&error);
    int status = generation_prompt(&chat->generation, tokens, n_tokens, common);
    held_set(&chat->held, tokens, n_tokens);
    return status;
}

static void end_answer(chat_state *chat) {
    bool interactive = line_editor_is_interactive(chat->editor);
    paint_end(&chat->out);
    fputc('\n', stdout);
    chat->generation.output = output_flush();
    if (!interactive || chat->generation.output != OUTPUT_OK) return;
    const cli_tally *tally = &chat->generation.tally;
    cli_painter notes = painter_for(stderr, option_text(chat->options, OPTION_COLOR));
    double rate = tally->decode_seconds > 0 ? (double)tally->n_decoded / tally->decode_seconds : 0;
    const char *end = tally->interrupted             ? ", stopped"
                      : tally->end == EX_END_CONTEXT ? ", the context is full"
                      : tally->end == EX_END_LENGTH  ? ", cut at -n"
                      : tally->end == EX_END_STOP    ? ", ended at --stop"
                      : tally->end == EX_END_TRAP    ? ", uncertain"
                      : tally->end == EX_END_RULE    ? ", ended by a rule"
                                                     : "";
    paint_format(&notes, style_dim, "[read %zu, wrote %zu tokens, %.1f tokens/s%s]", tally->n_prefill, tally->n_tokens,
                 rate, end);
    paint_end(&notes);
    fputs("\n\n", stderr);
}

/* Answers the conversation as it stands. A stopped answer stays part of it as far as it went. */
static int answer(chat_state *chat) {
    char *text = NULL;
    size_t length = 0, n_tokens = 0;
    interrupt_forget();
    chat->generation.tally = (cli_tally){0};
    int32_t *tokens = fitting_tokens(chat, &n_tokens);
    if (!tokens) return STATUS_INPUT;
    chat->answer = eval_memory_open(&text, &length);
    int status = chat->answer ? open_generator(chat) : report_memory();
    if (status == STATUS_OK) status = feed(chat, tokens, n_tokens);
    if (status == STATUS_OK) status = generation_run(&chat->generation, show_answer, chat);
    end_answer(chat);
    if (chat->answer && !eval_memory_close(chat->answer, &text) && status == STATUS_OK) status = report_memory();
    if (text && (status == STATUS_OK || status == STATUS_INTERRUPTED) &&
        !conversation_add(&chat->conversation, "assistant", text))
        status = report_memory();
    free(text);
    free(tokens);
    return status;
}

static int begin_conversation(chat_state *chat) {
    const char *system = option_text(chat->options, OPTION_SYSTEM);
    conversation_clear(&chat->conversation);
    if (system && !conversation_add(&chat->conversation, "system", system)) return report_memory();
    return STATUS_OK;
}

static chat_action obey(chat_state *chat, const char *line, int *status) {
    if (strcmp(line, "/exit") == 0) return CHAT_LEAVE;
    if (strcmp(line, "/clear") == 0) {
        *status = begin_conversation(chat);
    } else if (strcmp(line, "/regen") == 0) {
        if (conversation_drop_answer(&chat->conversation)) return CHAT_ANSWER;
        message("there is no answer yet");
    } else {
        if (strcmp(line, "/help") != 0) message("there is no command %s", line);
        fputs(commands_text, stderr);
    }
    return CHAT_GO_ON;
}

static chat_action take_line(chat_state *chat, const char *line, int *status) {
    if (line[0] == '/') return obey(chat, line, status);
    if (line[strspn(line, " \t\r")] == '\0') return CHAT_GO_ON;
    if (!conversation_add(&chat->conversation, "user", line)) {
        *status = report_memory();
        return CHAT_LEAVE;
    }
    return CHAT_ANSWER;
}

/* From a pipe a stopped or failed answer ends the program; with a person there it goes on. */
static int talk(chat_state *chat) {
    bool interactive = line_editor_is_interactive(chat->editor);
    int status = STATUS_OK;
    for (;;) {
        const char *line;
        interrupt_forget();
        line_state state = line_editor_read(chat->editor, &line);
        if (state != LINE_READ && interactive) fputc('\n', stdout);
        if (state == LINE_INTERRUPTED) return STATUS_INTERRUPTED;
        if (state == LINE_END) return status;
        if (state == LINE_FAILED) return STATUS_INPUT;
        chat_action action = take_line(chat, line, &status);
        if (action == CHAT_LEAVE) return status;
        if (action == CHAT_GO_ON) continue;
        status = answer(chat);
        if (chat->generation.output != OUTPUT_OK) return output_status(chat->generation.output, status);
        if (status == STATUS_INPUT) conversation_drop_question(&chat->conversation);
        if (status != STATUS_OK && !interactive) return status;
        if (status == STATUS_INTERNAL) return status;
        if (status == STATUS_INTERRUPTED) status = STATUS_OK;
    }
}

static void greet(const chat_state *chat) {
    ex_engine_info info = ex_engine_get_info(chat->engine);
    cli_painter out = chat->out;
    paint(&out, NULL, info.name.data, info.name.length);
    paint_format(&out, style_dim, ", context %zu, seed %llu, policy %s; /help lists commands\n",
                 ex_session_context(chat->generation.session), (unsigned long long)chat->seed,
                 chat->policy.name);
    const ex_rules *rules = ex_sampler_rules(ex_generator_sampler(chat->generation.generator));
    bool strategies = out.color && !chat->generation.heat.scale;
    heat_legend(&out, &chat->generation.heat);
    for (size_t i = 0; i < ex_rules_count(rules) && strategies; i++) {
        paint_format(&out, NULL, "%s", i ? "  " : "");
        paint_format(&out, strategy_style(ex_rules_name(rules, i), ex_rules_action(rules, i)), "%s",
                     ex_rules_name(rules, i));
    }
    paint_end(&out);
    fputs(strategies ? "\n\n" : "\n", stdout);
}

static int open_all(chat_state *chat) {
    const char *template = option_text(chat->options, OPTION_CHAT_TEMPLATE);
    size_t length;
    int status = policy_open(&chat->policy, chat->options);
    if (status == STATUS_OK && template) {
        chat->template = read_text(template, &length);
        if (!chat->template) status = STATUS_INPUT;
    }
    if (status == STATUS_OK) status = model_open(&chat->engine, chat->options);
    if (status == STATUS_OK) status = policy_of_model(&chat->policy, chat->options, chat->engine);
    if (status != STATUS_OK) return status;
    if (!template && ex_tokenizer_chat_template(ex_engine_tokenizer(chat->engine)).length == 0) {
        message("this model has no chat template; give one with --chat-template FILE, or use `entropix run`");
        return STATUS_INPUT;
    }
    status = session_open(&chat->generation.session, chat->engine, chat->options, 0);
    if (status == STATUS_OK) status = generation_trace(&chat->generation, option_text(chat->options, OPTION_TRACE));
    if (status == STATUS_OK)
        status = generation_grammar(&chat->generation, option_text(chat->options, OPTION_JSON_SCHEMA),
                                    option_flag(chat->options, OPTION_JSON_OBJECT));
    if (status == STATUS_OK) status = begin_conversation(chat);
    if (status != STATUS_OK) return status;
    chat->editor = line_editor_open("> ");
    bool held = held_open(&chat->held, ex_session_context(chat->generation.session));
    return chat->editor && held ? STATUS_OK : report_memory();
}

int command_chat(const cli_options *options) {
    chat_state chat = {.options = options, .seed = seed_choose(options)};
    int status = heat_open(&chat.generation.heat, options);
    if (status == STATUS_OK) status = open_all(&chat);
    if (status == STATUS_OK) {
        bool interactive = line_editor_is_interactive(chat.editor);
        chat.out = painter_for(stdout, interactive ? option_text(options, OPTION_COLOR) : "never");
        if (interactive) greet(&chat);
        status = talk(&chat);
    }
    line_editor_close(chat.editor);
    held_free(&chat.held);
    conversation_clear(&chat.conversation);
    free(chat.conversation.messages);
    status = generation_close(&chat.generation, status);
    ex_engine_close(chat.engine);
    free(chat.template);
    return status;
}
