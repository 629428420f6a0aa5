/* bad_texts.c - texts that no command may take: what files of strangers and slips of the hand hold. */
#include "bad_text.h"

#define ROWS(table) table, sizeof(table) / sizeof *(table)
#define MEGABYTE ((size_t)1 << 20)

static const bad_text templates[] = {
    {"a good template", NULL, "{{ messages[0].content }}", NULL, NULL, 0},
    {"a macro that calls itself", "deep", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", NULL, NULL, 0},
    {"two macros that call each other", "deep",
     "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", NULL, NULL, 0},
    {"range(10**9)", "", "{% for i in range(10**9) %}{% endfor %}", NULL, NULL, 0},
    {"a billion rounds of nothing", "steps",
     "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", NULL, NULL, 0},
    {"a text that doubles", "", "{% set n = namespace(s='xx') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}"
     "{% endfor %}{{ n.s }}", NULL, NULL, 0},
    {"a text times 10**12", "", "{{ 'x' * 10**12 }}", NULL, NULL, 0},
    {"a megabyte of parentheses", "", "{{ ", "(", NULL, MEGABYTE},
    {"a megabyte of lists", "", "{{ ", "[", NULL, MEGABYTE},
    {"a megabyte of minus", "", "{{ ", "-", "1 }}", MEGABYTE},
    {"a megabyte of not", "", "{{ ", "not ", "1 }}", MEGABYTE / 4},
    {"100,000 blocks in each other", "", "", "{% if 1 %}", NULL, 100000},
    {"an error of its own", "told", "{{ raise_exception('told\n\x1b[2Jyou') }}", NULL, NULL, 0},
    {"__class__", "", "{{ ''.__class__.__mro__ }}", NULL, NULL, 0},
    {"__globals__", "", "{{ cycler.__init__.__globals__.os.popen('id').read() }}", NULL, NULL, 0},
    {"an import", "", "{% import 'os' as os %}", NULL, NULL, 0},
    {"an include", "", "{% include '/etc/passwd' %}", NULL, NULL, 0},
    {"a zero byte", "", "{{ 1 \x01 }}", NULL, NULL, 0},
    {"bytes that are no UTF-8", "", "\xff\xfe{{ 1 }}", NULL, NULL, 0},
    {"a tag that is open", "", "{{ 1", NULL, NULL, 0},
    {"a division by zero", "", "{{ 1 // 0 }}", NULL, NULL, 0},
    {"a power that is too large", "", "{{ 10 ** 999999999 }}", NULL, NULL, 0},
    {"an item that is not there", "", "{{ messages[7].content.x.y }}", NULL, NULL, 0},
};

#define START "preset = entropix\n"

static const bad_text policies[] = {
    {"a good policy", NULL, START "temperature = 0.5\n", NULL, NULL, 0},
    {"a temperature of NaN", "temperature", START "temperature = nan\n", NULL, NULL, 0},
    {"a temperature of 1e400", "temperature", START "temperature = 1e400\n", NULL, NULL, 0},
    {"a temperature below 0", "temperature", START "temperature = -1\n", NULL, NULL, 0},
    {"a temperature of infinity", "temperature", START "temperature = inf\n", NULL, NULL, 0},
    {"a top_k of 2^64", "top_k", START "top_k = 18446744073709551616\n", NULL, NULL, 0},
    {"a top_k of -1", "top_k", START "top_k = -1\n", NULL, NULL, 0},
    {"a key that is unknown", "temperature", START "temperatur = 1\n", NULL, NULL, 0},
    {"a key twice", "before", START "temperature = 1\ntemperature = 2\n", NULL, NULL, 0},
    {"no value", "", START "temperature =\n", NULL, NULL, 0},
    {"no equals sign", "", START "temperature 1\n", NULL, NULL, 0},
    {"a section that is open", "", START "[greedy\n", NULL, NULL, 0},
    {"a zero byte", "", START "temperature = 1\x01\n", NULL, NULL, 0},
    {"bytes that are no UTF-8", "", START "temperature = \xff\n", NULL, NULL, 0},
    {"a line of a megabyte", "", START "temperature = ", "1", "\n", MEGABYTE},
    {"a rule of 100,000 parentheses", "", START "[a]\nwhen = ", "(", "\n", 100000},
    {"a rule of 100,000 not", "", START "[a]\nwhen = ", "not ", "1\n", 100000},
    {"100,000 rules", "", START, "[a]\nwhen = entropy > 1\n", NULL, 100000},
    {"a rule of an unknown metric", "", START "[a]\nwhen = doubt > 1\n", NULL, NULL, 0},
    {"a rule without a comparison", "", START "[a]\nwhen = entropy >\n", NULL, NULL, 0},
    {"a rule that divides by zero", "", START "[a]\nwhen = 1 / 0 >\n", NULL, NULL, 0},
    {"an action that is unknown", "", START "[a]\nwhen = entropy > 1\naction = format\n", NULL, NULL, 0},
    {"10,000 sequence breakers", "", START "dry_sequence_breakers = ", "\"a\", ", "\n", 10000},
};

static const bad_text schemas[] = {
    {"a good schema", NULL, "{\"type\":\"boolean\"}", NULL, NULL, 0},
    {"no JSON", "JSON", "{", NULL, NULL, 0},
    {"a reference to itself", "", "{\"$ref\":\"#\"}", NULL, NULL, 0},
    {"references in a circle", "",
     "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}}}", NULL, NULL,
     0},
    {"a reference that leads nowhere", "", "{\"$ref\":\"#/$defs/none\"}", NULL, NULL, 0},
    {"a reference to a file", "", "{\"$ref\":\"file:///etc/passwd\"}", NULL, NULL, 0},
    {"a pattern of nested repetitions, whose states come when they are needed", NULL,
     "{\"type\":\"string\",\"pattern\":\"^((a{1,999}){1,999}){1,999}$\"}", NULL, NULL, 0},
    {"a pattern that is open", "", "{\"type\":\"string\",\"pattern\":\"^(\"}", NULL, NULL, 0},
    {"10^9 items, which are counted, not made", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1000000000}", NULL, NULL, 0},
    {"a maximum below the minimum", "", "{\"type\":\"string\",\"minLength\":9,\"maxLength\":1}", NULL, NULL, 0},
    {"a depth of 10^5", "", "", "{\"items\":", NULL, 100000},
    {"10^5 lists in each other", "", "", "[", NULL, 100000},
    {"a lone surrogate, which stands for U+FFFD", NULL, "{\"const\":\"\\ud800\"}", NULL, NULL, 0},
    {"a type that is unknown", "", "{\"type\":\"real\"}", NULL, NULL, 0},
    {"a zero byte", "", "{\"type\":\x01\"string\"}", NULL, NULL, 0},
};

static const bad_text requests[] = {
    {"a good request", NULL, "{\"logits\":[1,2]}\n", NULL, NULL, 0},
    {"no JSON", "", "logits\n", NULL, NULL, 0},
    {"JSON that is cut", "", "{\"logits\":[1,\n", NULL, NULL, 0},
    {"10^5 lists in each other", "", "", "[", "\n", 100000},
    {"no logits", "", "{\"logits\":[]}\n", NULL, NULL, 0},
    {"logits of 1e400", "", "{\"logits\":[1e400]}\n", NULL, NULL, 0},
    {"logits of NaN", "", "{\"logits\":[NaN]}\n", NULL, NULL, 0},
    {"logits as texts", "", "{\"logits\":[\"1\"]}\n", NULL, NULL, 0},
    {"a lone surrogate", "", "{\"logits\":[1],\"id\":\"\\ud800\"}\n", NULL, NULL, 0},
    {"a key twice", "", "{\"logits\":[1],\"logits\":[2]}\n", NULL, NULL, 0},
    {"a zero byte", "", "{\"logits\":[1\x01]}\n", NULL, NULL, 0},
    {"bytes that are no UTF-8", "", "{\"logits\":[1],\"id\":\"\xff\"}\n", NULL, NULL, 0},
};

static const bad_text traces[] = {
    {"an empty file", "", "", NULL, NULL, 0},
    {"a version of the future", "version 99", "{\"trace\":99}\n", NULL, NULL, 0},
    {"no JSON", "", "trace\n", NULL, NULL, 0},
    {"a header that is cut", "", "{\"trace\":1,\"version\":\"0.1.0\",", NULL, NULL, 0},
    {"10^5 lists in each other", "", "{\"trace\":1,\"a\":", "[", NULL, 100000},
    {"a vocabulary of 2^63", "", "{\"trace\":1,\"version\":\"0.1.0\",\"model\":\"m\",\"architecture\":\"llama\","
     "\"n_vocab\":9223372036854775808,\"n_layer\":1,\"n_head\":1,\"seed\":1,\"policy\":\"\",\"prompt\":\"\","
     "\"prompt_tokens\":[]}\n{\"kind\":\"token\"}\n", NULL, NULL, 0},
    {"layers below 0", "", "{\"trace\":1,\"version\":\"0.1.0\",\"model\":\"m\",\"architecture\":\"llama\","
     "\"n_vocab\":16,\"n_layer\":-1,\"n_head\":1,\"seed\":1,\"policy\":\"\",\"prompt\":\"\",\"prompt_tokens\":[]}\n"
     "{\"kind\":\"token\"}\n", NULL, NULL, 0},
    {"a policy that is none", "", "{\"trace\":1,\"version\":\"0.1.0\",\"model\":\"m\",\"architecture\":\"llama\","
     "\"n_vocab\":16,\"n_layer\":1,\"n_head\":1,\"seed\":1,\"policy\":\"temperature = nan\",\"prompt\":\"\","
     "\"prompt_tokens\":[]}\n{\"kind\":\"token\",\"position\":0,\"token\":1}\n", NULL, NULL, 0},
    {"a zero byte", "", "{\"trace\":\x01" "1}\n", NULL, NULL, 0},
};

static const bad_text configs[] = {
    {"no JSON", "config.json", "{", NULL, NULL, 0},
    {"a list", "config.json", "[]", NULL, NULL, 0},
    {"10^5 lists in each other", "config.json", "", "[", NULL, 100000},
    {"no model type", "config.json", "{}", NULL, NULL, 0},
    {"a model type that is a number", "config.json", "{\"model_type\":1}", NULL, NULL, 0},
    {"a model type with an escape", "config.json", "{\"model_type\":\"\\u001b[2J\\n\"}", NULL, NULL, 0},
    {"a width of 2^63", "config.json", "{\"model_type\":\"llama\",\"hidden_size\":9223372036854775808}", NULL, NULL, 0},
    {"a width of 1e400", "config.json", "{\"model_type\":\"llama\",\"hidden_size\":1e400}", NULL, NULL, 0},
    {"nothing besides", "", "{\"model_type\":\"llama\",\"hidden_size\":8,\"num_hidden_layers\":1,"
     "\"num_attention_heads\":2,\"intermediate_size\":8,\"vocab_size\":8,\"rms_norm_eps\":1e-5}", NULL, NULL, 0},
    {"a megabyte of zero bytes", "config.json", "", "\x01", NULL, MEGABYTE},
};

#define CHAT_LINE "{\"inputs\":{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}}\n"

const bad_text_table bad_text_tables[] = {
    {"template", "template.jinja", CHAT_LINE, {"render", "-T", "@text"}, ROWS(templates)},
    {"policy", "policy.ini", NULL, {"run", "-m", "@model", "-p", "he", "-n", "1", "--json", "--policy", "@text"},
     ROWS(policies)},
    {"schema", "schema.json", NULL, {"run", "-m", "@model", "-p", "he", "-n", "1", "--json", "--json-schema", "@text"},
     ROWS(schemas)},
    {"request", "request.jsonl", "@text", {"decide"}, ROWS(requests)},
    {"replayed trace", "trace.jsonl", NULL, {"replay", "@text"}, ROWS(traces)},
    {"drawn trace", "drawn.jsonl", NULL, {"plot", "@text", "-o", "@out"}, ROWS(traces)},
    {"folder", "config.json", NULL, {"convert", "@folder", "@out"}, ROWS(configs)},
};

const size_t n_bad_text_tables = sizeof bad_text_tables / sizeof *bad_text_tables;
