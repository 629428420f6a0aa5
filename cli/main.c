/* main.c - the table of subcommands and the way to them. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "decide_lines.h"
#include "help.h"
#include "interrupt.h"
#include "json_memory.h"
#include "terminal.h"

static int command_decide(const cli_options *options) {
    (void)options;
    return decide_lines(stdin, stdout, stderr);
}

static int command_help(const cli_options *options) {
    if (options->n_operands == 0) {
        help_overview(stdout);
        return STATUS_OK;
    }
    const cli_command *command = command_find(options->operands[0]);
    if (command) help_command(stdout, command);
    else message("there is no command '%s'; `entropix help` lists them", options->operands[0]);
    return command ? STATUS_OK : STATUS_INPUT;
}

static int command_man(const cli_options *options) {
    const cli_command *command = options->n_operands ? command_find(options->operands[0]) : NULL;
    if (options->n_operands && !command) {
        message("there is no command '%s'; `entropix help` lists them", options->operands[0]);
        return STATUS_INPUT;
    }
    manual_page(stdout, command);
    return STATUS_OK;
}

static int command_completion(const cli_options *options) {
    if (strcmp(options->operands[0], "bash") != 0) {
        message("there is completion for bash only, not for '%s'", options->operands[0]);
        return STATUS_INPUT;
    }
    completion_bash(stdout);
    return STATUS_OK;
}

const cli_command command_table[] = {
    {.name = "run", .id = COMMAND_RUN, .operands = "", .run = command_run,
     .summary = "continue a text, each token coloured by the strategy that chose it",
     .description =
         "Reads a prompt, generates its continuation and writes it as it is made. For each token the sampler "
         "measures how much the model doubts (entropy and varentropy of its logits, entropy and agreement of its "
         "attention heads), chooses a strategy, adjusts temperature, top_p, top_k and min_p, and draws. A summary "
         "on standard error tells the speed, the share of each strategy, the mean metrics, how it ended and the "
         "seed.\n"
         "A prompt longer than the context is cut: its first token and its end stay, and a message says what was "
         "kept. Ctrl-C stops after the token at hand and shows the summary.\n"
         "Tokens appear once nothing can take them back: a policy may look at what comes after candidates, try several "
         "continuations, or take tokens back. A rule of it may also end the answer because the model is too uncertain: "
         "the summary then says by which metrics, and the exit status is 3.",
     .examples = "entropix run -p \"The best programming language for\" --explain -n 20\n"
                 "entropix run -m model.gguf -f story.txt -n -1 --policy entropix-2024-10 --seed 7\n"
                 "entropix run -p \"Once upon a time\" --json | tail -n 1\n"
                 "entropix run -p \"Water boils when\" --chains 5 --choose consistent\n"
                 "entropix run --lookahead 2 --candidates 4 --ban \"however\" --set clarify_limit=0"},
    {.name = "chat", .id = COMMAND_CHAT, .operands = "", .run = command_chat,
     .summary = "talk with a model, in the form of its own chat template",
     .description =
         "Reads lines, answers each, and keeps the conversation in the session between them. Ctrl-C stops an "
         "answer; a second one, or one at the prompt, leaves. /exit leaves, /clear forgets the conversation, /regen "
         "answers the last message again, /help lists the commands.\n"
         "On a terminal lines can be edited and recalled; from a pipe each line is one message, and only the "
         "answers are written.",
     .examples = "entropix chat\nentropix chat -m model.gguf --system \"Answer in one sentence.\"\n"
                 "echo \"What is the capital of France?\" | entropix chat"},
    {.name = "serve", .id = COMMAND_SERVE, .operands = "", .run = command_serve,
     .summary = "answer programs that speak OpenAI's API, and people with a page that shows the model's doubt",
     .description =
         "Listens on --host and --port and prints the address. Requests decode together, up to -np answers at a time; "
         "prompts that begin alike share what was computed. The page at / needs nothing from elsewhere.\n"
         "By default it can be reached from this machine alone, and from pages of its own. Other machines need "
         "--host, and then a key; pages of others need --allow-origin.\n"
         "SIGTERM and Ctrl-C end it when the running answers have ended, or after --grace seconds. docs/SERVER.md has "
         "the API with its extension, which tells each token's metrics and decision.",
     .examples = "entropix serve\nentropix serve -m model.gguf --port 8000 --api-key-file keys.txt --host 0.0.0.0\n"
                 "curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' "
                 "-d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}'"},
    {.name = "decide", .id = COMMAND_DECIDE, .operands = "", .run = command_decide,
     .summary = "use the sampler alone: logits and attention scores in, decisions out",
     .description =
         "Reads one JSON object a line on standard input and answers one a line. In: logits; optionally scores "
         "(flat, with scores_shape [layers, heads, positions]), scope, clarified, config (keys of a policy) and id. "
         "Out: metrics, decision, distribution, candidate_scores and the id. A line that cannot be answered gives "
         "an object with error and line, and the exit status is 2 at the end.",
     .examples = "echo '{\"logits\":[2.0,1.0,0.5],\"config\":{\"temperature\":1.0}}' | entropix decide"},
    {.name = "logits", .id = COMMAND_LOGITS, .operands = "", .run = command_logits,
     .summary = "evaluate tokens and print logits, metrics and attention scores as JSON",
     .description =
         "Evaluates the given tokens as one sequence and prints one JSON object: logits of the last position (or of "
         "all), the metrics there and, on request, the attention scores.",
     .examples = "entropix logits --tokens 0,464,3139 --scores"},
    {.name = "tokenize", .id = COMMAND_TOKENIZE, .operands = "", .run = command_tokenize,
     .summary = "turn texts into token ids and back, one JSON object a line",
     .description =
         "For a line {\"text\": ...} on standard input it writes {\"ids\": [...]}, for {\"ids\": [...]} it writes "
         "{\"text\": ...}. \"parse_special\": true in a line does for that line what --parse-special does for all. "
         "A line that is neither gives {\"error\": ...}, and the exit status is 2 at the end. A file that holds a "
         "vocabulary alone is enough.",
     .examples = "echo '{\"text\":\"Hello world\"}' | entropix tokenize -m model.gguf"},
    {.name = "render", .id = COMMAND_RENDER, .operands = "", .run = command_render,
     .summary = "render a chat template, one JSON object a line",
     .description =
         "Reads the Jinja template of -T. For a line {\"inputs\": {...}} on standard input, the template's variables "
         "(messages, add_generation_prompt, tools and so on), it writes {\"output\": ...}. A line that cannot be "
         "answered, also when the template itself raises an error, gives {\"error\": ..., \"line\": N}; the error "
         "says where in the template it was. The exit status is then 2 at the end.\n"
         "Templates see what transformers gives them: trim_blocks, lstrip_blocks, break and continue, "
         "raise_exception, strftime_now. Steps, memory and depth are bounded.",
     .examples = "echo '{\"inputs\":{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}}' | entropix render -T "
                 "t.jinja"},
    {.name = "info", .id = COMMAND_INFO, .operands = "[FILE]", .maximum_operands = 1, .run = command_info,
     .summary = "tell what a GGUF file holds and whether this program can run it",
     .description =
         "Describes a file: architecture, shape, types of the weights, tokenizer, special tokens, chat template, "
         "licence. Files of an architecture or with a tokenizer that this program does not run are described too, "
         "and what is missing is named. The file is given with -m or as an argument.",
     .examples = "entropix info\nentropix info -m model.gguf --verbose"},
    {.name = "bench", .id = COMMAND_BENCH, .operands = "", .run = command_bench,
     .summary = "measure prefill, decode, memory bandwidth and the cost of the sampler",
     .description =
         "Measures on random tokens of a fixed seed: prefill (ppN) and decode (tgN) in tokens a second, decode with "
         "attention statistics and without in turns, the read bandwidth of the machine and the share of it that "
         "decode reaches, the byte products that it makes in registers and the share of them that prefill reaches (the "
         "matrices of the layers; for quantised weights that is the roof), one step of the sampler, load time and peak "
         "memory. A hash of the logits of a fixed prompt shows when a change of the program changes numbers; it "
         "depends on the kernels in use.\n"
         "With --options it measures what each option of a policy costs: answers of -n tokens to four prompts, each "
         "beside plain sampling, -r times; the ratio of their times, and the lowest and the highest that was seen.",
     .examples = "entropix bench -m model.gguf -t 2\nentropix bench --json | jq .decode\nentropix bench --kernels\n"
                 "entropix bench --options -n 256 --csv > costs.csv"},
    {.name = "perplexity", .id = COMMAND_PERPLEXITY, .operands = "", .run = command_perplexity,
     .summary = "measure how well a model predicts a text, and how sure it is of itself",
     .description =
         "Prints the perplexity of a text with its standard error, and beside it the mean entropy and varentropy of "
         "the logits at the same positions: what the model expected its loss to be. Loss and entropy are in bits.\n"
         "The text is tokenised as a whole, with the beginning-of-sequence token first if the model asks for one, "
         "and cut into windows of -c tokens; a rest that does not fill one is left out. Each window is evaluated by "
         "itself, its first token replaced by the beginning-of-sequence token if the model asks for one, and the "
         "tokens of its second half but for the first count: so each had at least half a window before it. The "
         "standard error comes from the variance of the tokens' losses.\n"
         "Ctrl-C stops and shows the figures of the windows that are done.",
     .examples = "entropix perplexity -m model.gguf -f prose.txt\n"
                 "entropix perplexity -f prose.txt --json | jq .perplexity"},
    {.name = "quantize", .id = COMMAND_QUANTIZE, .operands = "IN OUT TYPE", .minimum_operands = 3,
     .maximum_operands = 3, .run = command_quantize, .summary = "write a model with its matrices in another type",
     .description =
         "Reads the GGUF file IN and writes OUT with its matrices in TYPE: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, "
         "Q5_K, Q4_K_M, Q4_K_S, Q4_K or Q4_0. Of the mixtures, _S gives the token embedding and the output Q6_K, and "
         "_M also values and ffn_down of half of the layers. Norms, biases and routers stay as they are. Rows that are "
         "no whole number of blocks of a type become Q8_0, or F16.\n"
         "A table tells what each tensor became, its root mean square error as a share of the weights' and the largest "
         "error. OUT gets its name when it is complete; a run that fails leaves nothing behind.",
     .examples = "entropix quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M\n"
                 "entropix quantize model-f16.gguf model-q6_k.gguf Q6_K --json | jq .worst_tensor"},
    {.name = "convert", .id = COMMAND_CONVERT, .operands = "DIR OUT", .minimum_operands = 2, .maximum_operands = 2,
     .run = command_convert, .summary = "make a GGUF file of a Hugging Face folder (safetensors)",
     .description =
         "Reads the folder DIR (config.json, tokenizer.json, model.safetensors or the files that "
         "model.safetensors.index.json names, and where they are there generation_config.json, tokenizer_config.json "
         "and chat_template.jinja) and writes OUT. The model_type must be llama, mistral, qwen2 or qwen3, the "
         "tokenizer BPE, the weights F16, BF16 or F32. OUT gets its name when it is complete; a run that fails leaves "
         "nothing behind. Other types come with quantize, from OUT.",
     .examples = "entropix convert Llama-3.2-1B llama-f16.gguf\nentropix quantize llama-f16.gguf llama-q8_0.gguf Q8_0"},
    {.name = "replay", .id = COMMAND_REPLAY, .operands = "TRACE [TRACE]", .minimum_operands = 1,
     .maximum_operands = 2, .run = command_replay,
     .summary = "make the decisions of a trace again, by its own policy or another, or compare two traces",
     .description =
         "Reads a trace that run --trace wrote (- is standard input) and makes every decision again from what its "
         "lines hold, without the model. By the trace's own policy each must come out as it was, to the bit: metrics, "
         "parameters, kept tokens, probabilities, draw; the exit status is 1 where one does not. By another policy it "
         "shows where that would have decided otherwise after the same text, and which token the same random numbers "
         "would have drawn. A line lists the likeliest tokens only, so what depends on others is counted as not "
         "decidable.\n"
         "With --diff two traces are compared: the first token that differs, and up to there the decisions and "
         "metrics; the exit status is 1 where tokens differ.",
     .examples = "entropix run --trace t.jsonl && entropix replay t.jsonl\n"
                 "entropix replay t.jsonl --policy entropix-2024-10\nentropix replay --diff a.jsonl b.jsonl"},
    {.name = "plot", .id = COMMAND_PLOT, .operands = "TRACE", .minimum_operands = 1, .maximum_operands = 1,
     .run = command_plot, .summary = "draw a trace: doubt and strategy of each token, metrics along the text, heads",
     .description =
         "Reads a trace that run --trace wrote (- is standard input) and draws three pictures: the plane of entropy "
         "and varentropy with the thresholds of the policy and a mark for each token in the colour and shape of its "
         "strategy; the metrics along the text, with what was inserted, branched off and taken back; the attention "
         "entropy of heads and layers.\n"
         "An SVG shows the figures of a token when the pointer rests on it and follows the reader's choice of light "
         "or dark. An HTML page, one file that asks for nothing else, also links the pictures and steps through the "
         "tokens. PNG needs librsvg when the program is built and when it runs.",
     .examples = "entropix run --trace t.jsonl && entropix plot t.jsonl -o t.html\n"
                 "entropix plot t.jsonl -o plane.png --part plane --theme dark"},
    {.name = "calibrate", .id = COMMAND_CALIBRATE, .operands = "", .run = command_calibrate,
     .summary = "fit a policy's thresholds and score weights to a model, and check them",
     .description =
         "Thresholds that suit one model are wrong for another. This measures a model on a text, as if each token had "
         "been decided on, prints the quantiles of every metric, and finds the thresholds with which each strategy of "
         "the matrix takes its share of the tokens (--shares). It fits the weights of the score so that, among the "
         "four likeliest tokens, the one that came gets the best mean log score from what follows each of them.\n"
         "Both are checked on text that had no part in it: --held-out, or the second half of the text. The tables have "
         "what was wanted, what the calibrated text gives (expected) and what the held-out text gives (measured). "
         "Weights that do not help there by more than twice the standard error become 0.\n"
         "The text is cut into windows of -c tokens, of which the first eighth warms up and does not count. Shares are "
         "those of text like the given one, and without what the clarification's cooldown takes away.",
     .examples = "entropix calibrate -m model.gguf -f prose.txt -o model.policy\n"
                 "entropix run -m model.gguf --policy model.policy\n"
                 "entropix calibrate -f prose.txt --shares greedy=0.4,clarify=0 --embed calibrated.gguf"},
    {.name = "eval", .id = COMMAND_EVAL, .operands = "[merge DIR... | report DIR]", .maximum_operands = OPERANDS_MAX,
     .run = command_eval, .summary = "compare policies on tasks: same questions, same seeds, same cost",
     .description =
         "Asks every question of the tasks with every policy and seed, grades the answers and writes the folder DIR: "
         "run.json says what was asked, results.jsonl has a line for each question, policy and seed in that order, "
         "times.jsonl what each took. Results stream: a run that was broken off goes on where it stood when the same "
         "command is given again, and ends with the same results.jsonl. Questions whose choices are scored by "
         "likelihood have one line, since no policy has a part in it. A policy without randomness answers once for all "
         "seeds.\n"
         "Under --budget tokens each policy may draw answers to a question as long as the positions that it "
         "evaluates, also those looked at ahead, branched off and taken back, are at most --times those of the greedy "
         "answer; the first always counts. --vote says how they become one answer.\n"
         "Lines that are no questions, and prompts that do not fit the context, are named with their reason in "
         "run.json and at the end; all others are asked.\n"
         "eval merge joins the folders of all parts of a run (--shard) into the one that the whole run would have "
         "left; eval report draws the report again, without the model. docs/EVIDENCE.md has tasks, files and "
         "statistics.",
     .examples = "entropix eval --task problems --policy greedy,plain:temperature=0.7,entropix --seeds 5 -o out\n"
                 "entropix eval --task large_problems --policy greedy,plain,entropix --budget tokens --times 8 "
                 "--vote majority,certain -o out\n"
                 "entropix eval merge out/shard-* -o all"},
    {.name = "help", .id = COMMAND_HELPER, .operands = "[COMMAND]", .maximum_operands = 1, .run = command_help,
     .summary = "list the commands, or explain one", .description = "Lists the commands, or explains one.",
     .examples = "entropix help run"},
    {.name = "man", .id = COMMAND_HELPER, .operands = "[COMMAND]", .maximum_operands = 1, .run = command_man,
     .summary = "print the man page of a command",
     .description =
         "Prints a man page in roff: of a command, or of entropix as a whole.",
     .examples = "entropix man run | man -l -"},
    {.name = "completion", .id = COMMAND_HELPER, .operands = "bash", .minimum_operands = 1, .maximum_operands = 1,
     .run = command_completion, .summary = "print the shell's completion of entropix",
     .description =
         "Prints what bash needs to complete the arguments of entropix.",
     .examples = "source <(entropix completion bash)"},
    {.name = NULL},
};

static int refuse_command(const char *name) {
    const char *nearest = command_nearest(name);
    if (name[0] == '-') message("the first argument is a command; did you mean `entropix run %s ...`?", name);
    else if (nearest) message("there is no command '%s'; did you mean '%s'?", name, nearest);
    else message("there is no command '%s'; `entropix help` lists them", name);
    return STATUS_INPUT;
}

static int dispatch(int n_arguments, char **arguments) {
    if (n_arguments < 2) {
        help_overview(stderr);
        return STATUS_INPUT;
    }
    const char *name = arguments[1];
    if (strcmp(name, "--version") == 0) {
        printf("entropix %s\n", ex_version());
        return STATUS_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help_overview(stdout);
        return STATUS_OK;
    }
    const cli_command *command = command_find(name);
    if (!command) return refuse_command(name);
    cli_options options;
    if (!options_parse(&options, command, n_arguments - 2, arguments + 2)) return STATUS_INPUT;
    if (option_flag(&options, OPTION_HELP)) help_command(stdout, command);
    else if (option_flag(&options, OPTION_USAGE)) help_usage(stdout, command);
    else return command->run(&options);
    return STATUS_OK;
}

int main(int n_arguments, char **arguments) {
    interrupt_catch();
    json_memory_prepare();
    int status = dispatch(n_arguments, arguments);
    return output_status(output_flush(), status);
}
