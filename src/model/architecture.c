#include "model/architecture.h"

#include <stdio.h>

#include "base/error.h"
#include "base/text.h"

enum {
    PRE = EX_FEATURE_PRE_NORM,
    POST = EX_FEATURE_POST_NORM,
    HEADS = EX_FEATURE_HEAD_NORM,
    ALL_HEADS = EX_FEATURE_PROJECTION_NORM,
    OPENAI = EX_FEATURE_SINKS | EX_FEATURE_MISNAMED_NORM
};

static const ex_architecture architectures[] = {
    {.name = "llama", .rope = EX_ROPE_PAIRS, .features = PRE, .window_period = EX_WINDOW_ALL}, /* Mistral has one */
    {.name = "qwen2", .rope = EX_ROPE_HALVES, .features = PRE},
    {.name = "qwen3", .rope = EX_ROPE_HALVES, .features = PRE | HEADS},
    {.name = "qwen3moe", .rope = EX_ROPE_HALVES, .features = PRE | HEADS},
    {.name = "gemma", .rope = EX_ROPE_HALVES, .features = PRE, .gate = EX_GATE_GELU, .scales_embedding = true},
    {.name = "gemma2", .rope = EX_ROPE_HALVES, .features = PRE | POST, .gate = EX_GATE_GELU, .scales_embedding = true,
     .window_period = 2, .wide_n_layer = 46, .window = 4096, .attention_softcap = 50, .logit_softcap = 30},
    {.name = "gemma3", .rope = EX_ROPE_HALVES, .features = PRE | POST | HEADS, .gate = EX_GATE_GELU,
     .scales_embedding = true, .window_period = 6, .wide_n_layer = 62, .plain_local_rope = true,
     .local_rope_base = 10000},
    {.name = "phi3", .rope = EX_ROPE_HALVES, .features = PRE, .window_period = EX_WINDOW_ALL},
    {.name = "smollm3", .rope = EX_ROPE_PAIRS, .features = PRE, .unrotated_period = 4},
    {.name = "granite", .rope = EX_ROPE_PAIRS, .features = PRE},
    {.name = "granitemoe", .rope = EX_ROPE_PAIRS, .features = PRE},
    {.name = "olmo2", .rope = EX_ROPE_HALVES, .features = POST | ALL_HEADS, .window_period = 4,
     .plain_local_rope = true},
    {.name = "gpt-oss", .rope = EX_ROPE_HALVES, .features = PRE | OPENAI, .gate = EX_GATE_SILU_CLAMPED,
     .window_period = 2, .window = 128, .exact_yarn_ramp = true},
};

enum { N_ARCHITECTURES = sizeof architectures / sizeof *architectures };

static void list_architectures(char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < N_ARCHITECTURES && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", architectures[i].name);
}

ex_code ex_architecture_find(const ex_architecture **out, const ex_file *file, ex_error *error) {
    const char *path = ex_file_path(file);
    const ex_key *key = ex_file_find_key(file, "general.architecture");
    ex_string name;
    if (!key || !ex_key_string(key, 0, &name))
        return ex_fail(error, EX_ERROR_FORMAT, key ? key->offset : 0,
                       "%s: no text 'general.architecture': this file holds no model", path);
    for (size_t i = 0; i < N_ARCHITECTURES; i++)
        if (ex_string_is(name, architectures[i].name)) {
            *out = &architectures[i];
            return EX_OK;
        }
    char known[200];
    list_architectures(known, sizeof known);
    return ex_fail(error, EX_ERROR_UNSUPPORTED, key->offset,
                   "%s: byte %llu: architecture '%.*s' is not supported (supported: %s)", path,
                   (unsigned long long)key->offset, (int)(name.length < 64 ? name.length : 64), name.data, known);
}
