/* option_table.c - every option of every subcommand, in the order of help. */
#include "options.h"

#include <stddef.h>

#define GENERATES (COMMAND_RUN | COMMAND_CHAT)
#define EVALUATES (GENERATES | COMMAND_LOGITS | COMMAND_BENCH)

static const char group_model[] = "Model";
static const char group_prompt[] = "Prompt";
static const char group_answer[] = "Answer";
static const char group_sampling[] = "Sampling";
static const char group_evaluation[] = "Evaluation";
static const char group_measurement[] = "Measurement";
static const char group_output[] = "Output";
static const char group_help[] = "Help";

enum { TOKENS_MAX = 1 << 30 };
#define SEED_MAX 9007199254740991.0 /* the largest integer that every JSON reader keeps exact */

const cli_option option_table[OPTION_COUNT] = {
    [OPTION_MODEL] = {.name = "model", .letter = 'm', .kind = KIND_FILE, .argument = "FILE",
                      .otherwise = "the model that ships with entropix",
                      .commands = EVALUATES | COMMAND_TOKENIZE | COMMAND_INFO, .group = group_model,
                      .help = "the GGUF file to use"},
    [OPTION_THREADS] = {.name = "threads", .letter = 't', .kind = KIND_INTEGER, .argument = "N", .minimum = 1,
                        .maximum = 1024, .otherwise = "the physical cores that this process may use",
                        .commands = EVALUATES | COMMAND_QUANTIZE, .group = group_model, .help = "threads that compute"},
    [OPTION_CPU] = {.name = "cpu", .kind = KIND_TEXT, .argument = "NAME",
                    .otherwise = "the best that the processor has", .commands = EVALUATES, .group = group_model,
                    .help = "use the kernels of this name: portable, avx2 or avx512"},
    [OPTION_CONTEXT] = {.name = "ctx-size", .letter = 'c', .kind = KIND_INTEGER, .argument = "N", .minimum = 2,
                        .maximum = TOKENS_MAX,
                        .otherwise = "4096, or more where the prompt needs it, up to what the model was trained for",
                        .commands = GENERATES, .group = group_model, .help = "positions that the session can hold"},
    [OPTION_CACHE_TYPE] = {.name = "cache-type", .kind = KIND_CHOICE, .argument = "f16|f32",
                           .otherwise = "f16; f32 for logits, which measures", .commands = EVALUATES,
                           .group = group_model,
                           .help = "how keys and values of past positions are stored: in half precision, or exactly in "
                                   "twice the memory"},
    [OPTION_NO_STATISTICS] = {.name = "no-attention-statistics", .kind = KIND_FLAG, .otherwise = "",
                              .commands = GENERATES, .group = group_model,
                              .help = "do not measure attention; its metrics are then 0 and head_consensus is 1"},
    [OPTION_PROMPT] = {.name = "prompt", .letter = 'p', .kind = KIND_TEXT, .argument = "TEXT",
                       .value = "The capital of France is", .commands = COMMAND_RUN, .group = group_prompt,
                       .help = "the text to continue"},
    [OPTION_FILE] = {.name = "file", .letter = 'f', .kind = KIND_FILE, .argument = "FILE", .otherwise = "",
                     .commands = COMMAND_RUN, .group = group_prompt,
                     .help = "read the prompt from FILE; - is standard input"},
    [OPTION_SYSTEM] = {.name = "system", .kind = KIND_TEXT, .argument = "TEXT", .otherwise = "no system message",
                       .commands = COMMAND_CHAT, .group = group_prompt,
                       .help = "a message of the role system at the beginning of the conversation"},
    [OPTION_CHAT_TEMPLATE] = {.name = "chat-template", .kind = KIND_FILE, .argument = "FILE",
                              .otherwise = "the template in the model file", .commands = COMMAND_CHAT,
                              .group = group_prompt, .help = "read the chat template (Jinja) from FILE"},
    [OPTION_PARSE_SPECIAL] = {.name = "parse-special", .kind = KIND_FLAG, .otherwise = "",
                              .commands = COMMAND_RUN | COMMAND_TOKENIZE, .group = group_prompt,
                              .help = "names of control tokens in the text become those tokens"},
    [OPTION_ADD_BEGINNING] = {.name = "add-bos", .kind = KIND_FLAG, .otherwise = "", .commands = COMMAND_TOKENIZE,
                              .group = group_prompt,
                              .help = "put the beginning-of-sequence token first where the model asks for one"},
    [OPTION_VERBOSE_PROMPT] = {.name = "verbose-prompt", .kind = KIND_FLAG, .otherwise = "", .commands = COMMAND_RUN,
                               .group = group_prompt, .help = "list the prompt's tokens on standard error"},
    [OPTION_NO_DISPLAY_PROMPT] = {.name = "no-display-prompt", .kind = KIND_FLAG, .otherwise = "",
                                  .commands = COMMAND_RUN, .group = group_prompt,
                                  .help = "do not repeat the prompt before the answer"},
    [OPTION_PREDICT] = {.name = "predict", .letter = 'n', .kind = KIND_INTEGER, .argument = "N", .minimum = -1,
                        .maximum = TOKENS_MAX, .value = "128", .commands = COMMAND_RUN, .group = group_answer,
                        .help = "tokens to generate at most; -1 goes on until the model ends or the context is full"},
    [OPTION_CHAT_PREDICT] = {.name = "predict", .letter = 'n', .kind = KIND_INTEGER, .argument = "N", .minimum = -1,
                             .maximum = TOKENS_MAX, .value = "-1", .commands = COMMAND_CHAT, .group = group_answer,
                             .help = "tokens of one answer at most; -1 goes on until the model ends it"},
    [OPTION_STOP] = {.name = "stop", .kind = KIND_TEXT, .argument = "TEXT", .otherwise = "", .commands = GENERATES,
                     .repeats = true, .group = group_answer,
                     .help = "end the answer where it comes to TEXT, which is not shown; may be given several times, "
                             "and the one that is complete first counts"},
    [OPTION_IGNORE_END] = {.name = "ignore-eos", .kind = KIND_FLAG, .otherwise = "", .commands = GENERATES,
                           .group = group_answer, .help = "go on past tokens that end the text"},
    [OPTION_POLICY] = {.name = "policy", .kind = KIND_FILE, .argument = "PRESET|FILE", .value = "entropixplained",
                       .commands = GENERATES, .group = group_sampling,
                       .help = "how to decide: a preset (entropixplained, entropix-2024-10, plain) or a policy file"},
    [OPTION_SEED] = {.name = "seed", .letter = 's', .kind = KIND_INTEGER, .argument = "N", .minimum = 0,
                     .maximum = SEED_MAX, .otherwise = "a random one, shown in the summary", .commands = GENERATES,
                     .group = group_sampling, .help = "the same seed gives the same tokens"},
    [OPTION_TEMPERATURE] = {.name = "temp", .kind = KIND_NUMBER, .argument = "T", .minimum = 0, .maximum = 100,
                            .otherwise = "the policy's", .commands = GENERATES, .group = group_sampling,
                            .help = "base temperature, before the strategy adjusts it; 0 takes the likeliest token"},
    [OPTION_TOP_K] = {.name = "top-k", .kind = KIND_INTEGER, .argument = "K", .minimum = 0, .maximum = TOKENS_MAX,
                      .otherwise = "the policy's", .commands = GENERATES, .group = group_sampling,
                      .help = "base number of tokens to keep; 0 keeps all"},
    [OPTION_TOP_P] = {.name = "top-p", .kind = KIND_NUMBER, .argument = "P", .minimum = 0, .maximum = 1,
                      .otherwise = "the policy's", .commands = GENERATES, .group = group_sampling,
                      .help = "base probability mass to keep"},
    [OPTION_MIN_P] = {.name = "min-p", .kind = KIND_NUMBER, .argument = "P", .minimum = 0, .maximum = 1,
                      .otherwise = "the policy's", .commands = GENERATES, .group = group_sampling,
                      .help = "base minimum probability, as a share of the likeliest token's"},
    [OPTION_TOKENS] = {.name = "tokens", .kind = KIND_TEXT, .argument = "LIST", .otherwise = "must be given",
                       .commands = COMMAND_LOGITS, .group = group_evaluation,
                       .help = "token ids with commas between them"},
    [OPTION_ALL] = {.name = "all", .kind = KIND_FLAG, .otherwise = "", .commands = COMMAND_LOGITS,
                    .group = group_evaluation, .help = "logits of every position, not of the last alone"},
    [OPTION_SCORES] = {.name = "scores", .kind = KIND_FLAG, .otherwise = "", .commands = COMMAND_LOGITS,
                       .group = group_evaluation,
                       .help = "also the attention scores of the last position, [layer][head][position]; masked ones "
                               "are null"},
    [OPTION_BENCH_PROMPT] = {.name = "n-prompt", .letter = 'p', .kind = KIND_INTEGER, .argument = "N", .minimum = 1,
                             .maximum = 1 << 20, .value = "512", .commands = COMMAND_BENCH, .group = group_measurement,
                             .help = "tokens of the prefill"},
    [OPTION_BENCH_GENERATE] = {.name = "n-gen", .letter = 'n', .kind = KIND_INTEGER, .argument = "N", .minimum = 8,
                               .maximum = 1 << 20, .value = "128", .commands = COMMAND_BENCH,
                               .group = group_measurement, .help = "tokens to decode"},
    [OPTION_BENCH_DEPTH] = {.name = "n-depth", .letter = 'd', .kind = KIND_INTEGER, .argument = "N", .minimum = 0,
                            .maximum = 1 << 20, .value = "0", .commands = COMMAND_BENCH, .group = group_measurement,
                            .help = "positions that the cache holds before prefill and decode are measured"},
    [OPTION_REPEAT] = {.name = "repeat", .letter = 'r', .kind = KIND_INTEGER, .argument = "N", .minimum = 1,
                       .maximum = 1000, .value = "4", .commands = COMMAND_BENCH, .group = group_measurement,
                       .help = "how often to repeat each measurement; results are medians"},
    [OPTION_EXPLAIN] = {.name = "explain", .kind = KIND_FLAG, .otherwise = "", .commands = COMMAND_RUN,
                        .group = group_output,
                        .help = "for each token: the metrics, the rule that held and by what margin, parameters before "
                                "and after it, the kept candidates, the draw. One line a token, or a block of lines on "
                                "a terminal"},
    [OPTION_JSON] = {.name = "json", .kind = KIND_FLAG, .otherwise = "",
                     .commands = COMMAND_RUN | COMMAND_INFO | COMMAND_BENCH, .group = group_output,
                     .help = "machine-readable output; for run one object a token and one with the summary"},
    [OPTION_VERBOSE] = {.name = "verbose", .letter = 'v', .kind = KIND_FLAG, .otherwise = "", .commands = COMMAND_INFO,
                        .group = group_output, .help = "also every key of the file and every tensor"},
    [OPTION_COLOR] = {.name = "color", .kind = KIND_CHOICE, .argument = "auto|always|never", .value = "auto",
                      .commands = GENERATES, .group = group_output,
                      .help = "colour each token by the strategy that chose it; auto: on a terminal, unless NO_COLOR "
                              "is set"},
    [OPTION_USAGE] = {.name = "usage", .letter = 'h', .kind = KIND_FLAG, .otherwise = "", .commands = COMMAND_ANY,
                      .group = group_help, .help = "the options in short"},
    [OPTION_HELP] = {.name = "help", .kind = KIND_FLAG, .otherwise = "", .commands = COMMAND_ANY, .group = group_help,
                     .help = "this page"},
};
