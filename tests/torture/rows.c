/* rows.c - a short run of each subcommand, and the files that these runs read. The model is the small good one of the
 * bad files, with 128 positions and a vocabulary of bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../convert_support.h"
#include "../hostile/bad_file.h"
#include "torture.h"

const torture_row torture_rows[] = {
    {.name = "run", .arguments = "run -p he -n 4 -t 2 -s 1"},
    {.name = "run, json", .arguments = "run -p he -n 2 -t 1 -s 1 --json", .flags = ROW_VARIES},
    {.name = "run, all of it", .arguments = "run -f text -c 64 -n 6 -t 1 -s 1 --policy rules.policy --ban hello "
     "--lookahead 1 --candidates 2 --rewind 4 --repeat-penalty 1.1 --dry-multiplier 0.5 --logit-bias 5+1 --explain"},
    {.name = "run, schema",
     .arguments = "run -p he -n 8 -t 1 -s 1 --json-schema schema.json --no-attention-statistics"},
    {.name = "run, chains", .arguments = "run -p he -n 4 -t 1 -s 1 --chains 3 --choose consistent"},
    {.name = "run, trace", .arguments = "run -p he -n 6 -t 1 -s 1 --trace out/trace.jsonl", .outputs = "trace.jsonl",
     .flags = ROW_LINES},
    {.name = "chat", .arguments = "chat -n 4 -t 1 -s 1 --chat-template template.jinja", .input = "chat.txt"},
    {.name = "decide", .arguments = "decide", .input = "decide.jsonl", .flags = ROW_ANSWERS},
    {.name = "logits", .arguments = "logits --tokens 1,2,3 --all --scores -t 1"},
    {.name = "tokenize", .arguments = "tokenize --add-bos", .input = "tokenize.jsonl", .flags = ROW_ANSWERS},
    {.name = "render", .arguments = "render -T template.jinja", .input = "render.jsonl", .flags = ROW_ANSWERS},
    {.name = "info", .arguments = "info --verbose"},
    {.name = "info, json", .arguments = "info --json"},
    {.name = "bench", .arguments = "bench -p 4 -n 8 -r 1 -t 1 --json", .flags = ROW_VARIES | ROW_SLOW},
    {.name = "perplexity", .arguments = "perplexity -f text -c 64 -t 1", .flags = ROW_VARIES},
    {.name = "quantize", .arguments = "quantize model.gguf out/q8.gguf Q8_0 -t 2", .outputs = "q8.gguf",
     .flags = ROW_VARIES},
    {.name = "convert", .arguments = "convert folder out/made.gguf", .outputs = "made.gguf", .flags = ROW_VARIES},
    {.name = "replay", .arguments = "replay trace.jsonl"},
    {.name = "replay, diff", .arguments = "replay --diff trace.jsonl trace.jsonl --json"},
    {.name = "plot, svg", .arguments = "plot trace.jsonl -o out/t.svg", .outputs = "t.svg"},
    {.name = "plot, html", .arguments = "plot trace.jsonl -o out/t.html", .outputs = "t.html"},
    {.name = "calibrate", .arguments = "calibrate -f text -c 32 -t 1 --positions 60 -o out/a.policy --embed out/b.gguf",
     .outputs = "a.policy b.gguf"},
    {.name = "eval", .arguments = "eval --task sums.json --policy greedy,entropix -t 1 -o out/run",
     .flags = ROW_VARIES | ROW_CONTINUES,
     .timed = "run/times.jsonl run/report.md run/report.html run/summary.json"},
    {.name = "eval merge", .arguments = "eval merge evaluated -o out/all", .flags = ROW_VARIES | ROW_CONTINUES,
     .timed = "all/report.md all/report.html all/summary.json"},
    {.name = "eval report", .arguments = "eval report evaluated -o out", .outputs = "report.md report.html"},
    {.name = "help", .arguments = "help run"},
    {.name = "man", .arguments = "man"},
    {.name = "completion", .arguments = "completion bash"},
};
const size_t n_torture_rows = sizeof torture_rows / sizeof *torture_rows;

/* What the runs need from runs before them. */
static const torture_row before_rows[] = {
    {.name = "trace", .arguments = "run -p he -n 6 -t 1 -s 1 --trace trace.jsonl"},
    {.name = "evaluated", .arguments = "eval --task sums.json --policy greedy,entropix -t 1 -o evaluated"},
};

static const char template[] =
    "{%- for m in messages %}<{{ m.role|upper }}>{{ m['content'] | trim }}{% endfor %}"
    "{% if add_generation_prompt %}<{{ 'assistant' ~ \"\" }}>{% endif %}{{ {'a': [1, 2.5]} | tojson }}";

static const struct { const char *name, *text; } texts[] = {
    {"template.jinja", template},
    {"chat.txt", "hello\n/regen\n/clear\n"},
    {"decide.jsonl",
     "{\"logits\":[2.0,1.0,0.5],\"config\":{\"temperature\":1.0}}\n"
     "{\"logits\":[2,1,0.5,0.25],\"scores\":[1,2,3,4],\"scores_shape\":[1,2,2],\"id\":\"b\"}\n"},
    {"tokenize.jsonl", "{\"text\":\"hello, he said\"}\n{\"ids\":[1,2,256]}\n"},
    {"render.jsonl",
     "{\"inputs\":{\"messages\":[{\"role\":\"user\",\"content\":\" hi \"}],\"add_generation_prompt\":true}}\n"},
    {"schema.json",
     "{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[\"x\",\"y\"]},\"b\":{\"type\":\"integer\"}}}"},
    {"rules.policy",
     "preset = entropix\ntemperature = 0.8\ntop_p = 0.9\n\n[sure]\nwhen = logits_entropy < 1\naction = greedy\n\n"
     "[doubt]\nwhen = logits_entropy > 3\ntemperature = temperature * 0.9\n"},
    {"sums.json", "{\"questions\":\"sums.jsonl\",\"compare\":\"text\",\"pattern\":null,\"predict\":6}"},
    {"sums.jsonl",
     "{\"question\":\"2+2?\",\"answer\":\"4\"}\n"
     "{\"question\":\"Which?\",\"choices\":[\"a\",\"b\"],\"answer\":\"a\"}\n"},
};

const char *const fault_names[FAULT_KINDS] = {"allocate", "map", "thread", "open", "read", "write", "sync", "rename",
                                              "state", "socket", "accept"};

static void make_folder(const torture *t, const char *name) {
    char path[PATH_LENGTH];
    torture_path(t, path, name);
    if (mkdir(path, 0700) != 0) abort();
}

static void make_model(const torture *t) {
    bad_bytes bytes = bad_make(&(bad_row){.name = "the good file", .edit = bad_edit_string,
                                          .target = "tokenizer.chat_template", .text = template});
    torture_write(t, "model.gguf", bytes.data, bytes.length);
    free(bytes.data);
}

static void make_hugging_face(const torture *t) {
    char path[PATH_LENGTH], config[1024];
    made_model model;
    make_folder(t, "folder");
    made_tensors(&model, "llama", "F16", "F32", true);
    torture_path(t, path, "folder/model.safetensors");
    made_safetensors(path, &model, 0, model.n_tensors);
    const int n = snprintf(config, sizeof config, made_config, "llama", "\"tie_word_embeddings\": true,");
    torture_write(t, "folder/config.json", config, (size_t)n);
    torture_write(t, "folder/tokenizer.json", made_tokenizer, strlen(made_tokenizer));
}

static void make_text(const torture *t) {
    static const char sentence[] = "He held the hen, and then she went. ";
    char text[16 * sizeof sentence] = "";
    size_t length = 0;
    for (int i = 0; i < 12; i++) length += (size_t)snprintf(text + length, sizeof text - length, "%s", sentence);
    torture_write(t, "text", text, length);
}

void torture_make_inputs(torture *t) {
    make_model(t);
    make_hugging_face(t);
    make_text(t);
    make_folder(t, "out");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        torture_write(t, texts[i].name, texts[i].text, strlen(texts[i].text));
    for (size_t i = 0; i < sizeof before_rows / sizeof *before_rows; i++) {
        outcome o;
        torture_run(t, &before_rows[i], &(fault_plan){0}, &o);
        if (o.status != STATUS_GOOD) torture_wrong(t, before_rows[i].name, "fails without a fault", &o);
    }
}
