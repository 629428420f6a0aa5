#include "reference_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"

/* What a name of an architecture says and neither keys nor tensors do. */
typedef struct family {
    const char *name;
    bool interleaved;        /* RoPE turns (2i, 2i + 1), else (i, i + n_rot / 2) */
    bool gelu;
    bool scales_embedding;   /* by sqrt(n_embd) */
    int window_pattern;      /* each so-many-th layer sees everything; 0: none does */
    int n_layer_27b;         /* scores of that size are scaled by 1 / sqrt(n_embd / n_head) */
    int unrotated;           /* each so-many-th layer has no RoPE */
    bool plain_local_rope;   /* layers with a window take no RoPE scaling */
    double local_rope_base;  /* and have this base */
    bool exact_ramp;         /* YaRN's ramp has real ends, not whole ones */
    bool openai;             /* the feed-forward gate of gpt-oss */
    int window;              /* where no key says */
    double attention_cap, logit_cap;
} family;

static const family families[] = {
    {"llama", .interleaved = true},
    {"qwen2", .interleaved = false},
    {"qwen3", .interleaved = false},
    {"qwen3moe", .interleaved = false},
    {"gemma", .gelu = true, .scales_embedding = true},
    {"gemma2", .gelu = true, .scales_embedding = true, .window_pattern = 2, .n_layer_27b = 46, .window = 4096,
     .attention_cap = 50, .logit_cap = 30},
    {"gemma3", .gelu = true, .scales_embedding = true, .window_pattern = 6, .n_layer_27b = 62,
     .plain_local_rope = true, .local_rope_base = 10000},
    {"phi3", .interleaved = false},
    {"smollm3", .interleaved = true, .unrotated = 4},
    {"granite", .interleaved = true},
    {"granitemoe", .interleaved = true},
    {"olmo2", .window_pattern = 4, .plain_local_rope = true},
    {"gpt-oss", .window_pattern = 2, .exact_ramp = true, .openai = true, .window = 128},
};

struct reference_model {
    const ex_file *file;
    family family;
    double **weights; /* of each tensor of the file, decoded */
    size_t n_layer, n_head, n_head_kv, n_embd, head_dim, n_ff, n_vocab, n_expert, n_used, n_rot, window, n_context;
    bool *local; /* [n_layer] */
    double epsilon, attention_scale, attention_cap, logit_cap, logit_divisor, embedding_scale, residual_scale;
    double expert_scale;
    double *frequencies[2], magnitude[2]; /* of global and of local layers */
    size_t position;
    double *keys, *values; /* [n_layer][n_context][n_head_kv * head_dim] */
    double *scores;        /* [n_layer][n_head][n_context + 1], in use as [..][..][n_columns] */
    size_t n_columns;
    reference_extremes seen;
};

/* ---- keys and tensors ---------------------------------------------------------------------------------------- */

static const ex_key *key_of(const reference_model *m, const char *name) {
    char full[200];
    snprintf(full, sizeof full, "%s.%s", m->family.name, name);
    return ex_file_find_key(m->file, full);
}

static double number(const reference_model *m, const char *name, double otherwise) {
    double value;
    const ex_key *key = key_of(m, name);
    return key && ex_key_number(key, 0, &value) ? value : otherwise;
}

static size_t count(const reference_model *m, const char *name, size_t otherwise) {
    return (size_t)number(m, name, (double)otherwise);
}

static double *decode(const ex_tensor *tensor) {
    size_t width = (size_t)tensor->ne[0], n_rows = (size_t)(tensor->ne[1] * tensor->ne[2]);
    size_t row_bytes = (size_t)tensor->n_bytes / n_rows;
    float *row = calloc(width, sizeof *row);
    double *values = calloc(width * n_rows, sizeof *values);
    for (size_t r = 0; r < n_rows; r++) {
        ex_format_find(tensor->type)->decode((const char *)tensor->data + r * row_bytes, width, row);
        for (size_t i = 0; i < width; i++) values[r * width + i] = (double)row[i];
    }
    free(row);
    return values;
}

/* NULL when there is none; `size` receives its first dimension. */
static const double *tensor(const reference_model *m, const char *name, size_t *size) {
    for (size_t i = 0; i < ex_file_tensor_count(m->file); i++) {
        const ex_tensor *t = ex_file_tensor(m->file, i);
        if (t->name.length != strlen(name) || memcmp(t->name.data, name, t->name.length) != 0) continue;
        if (size) *size = (size_t)t->ne[0];
        return m->weights[i];
    }
    return NULL;
}

static const double *layer_tensor(const reference_model *m, size_t layer, const char *name, size_t *size) {
    char full[100];
    snprintf(full, sizeof full, "blk.%zu.%s", layer, name);
    return tensor(m, full, size);
}

/* ---- shape ---------------------------------------------------------------------------------------------------- */

static void read_family(reference_model *m) {
    ex_string name = {"", 0};
    ex_key_string(ex_file_find_key(m->file, "general.architecture"), 0, &name);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (name.length == strlen(families[i].name) && memcmp(name.data, families[i].name, name.length) == 0)
            m->family = families[i];
}

static void read_sizes(reference_model *m) {
    m->n_layer = count(m, "block_count", 0);
    m->n_embd = count(m, "embedding_length", 0);
    m->n_head = count(m, "attention.head_count", 0);
    m->n_head_kv = count(m, "attention.head_count_kv", m->n_head);
    m->head_dim = count(m, "attention.key_length", m->n_embd / m->n_head);
    m->n_rot = count(m, "rope.dimension_count", m->head_dim);
    m->n_expert = count(m, "expert_count", 0);
    m->n_used = count(m, "expert_used_count", 0);
    m->n_ff = count(m, "feed_forward_length", 0);
    if (m->n_expert > 0) m->n_ff = count(m, "expert_feed_forward_length", m->n_ff);
    m->n_vocab = (size_t)ex_file_find_tensor(m->file, "token_embd.weight")->ne[1];
}

static void read_scales(reference_model *m) {
    double width = (double)m->head_dim;
    if (m->family.n_layer_27b > 0 && m->n_layer == (size_t)m->family.n_layer_27b)
        width = (double)m->n_embd / (double)m->n_head;
    m->epsilon = number(m, "attention.layer_norm_rms_epsilon", 0);
    m->attention_scale = number(m, "attention.scale", 1 / sqrt(width));
    m->attention_cap = number(m, "attn_logit_softcapping", m->family.attention_cap);
    m->logit_cap = number(m, "final_logit_softcapping", m->family.logit_cap);
    m->logit_divisor = number(m, "logit_scale", 1);
    m->residual_scale = number(m, "residual_scale", 1);
    m->expert_scale = number(m, "expert_weights_scale", 1);
    m->embedding_scale = number(m, "embedding_scale", m->family.scales_embedding ? sqrt((double)m->n_embd) : 1);
}

static void read_windows(reference_model *m) {
    m->local = calloc(m->n_layer, sizeof *m->local);
    m->window = count(m, "attention.sliding_window", (size_t)m->family.window);
    const ex_key *pattern = key_of(m, "attention.sliding_window_pattern");
    bool has_windows = m->family.window_pattern > 0 || strcmp(m->family.name, "llama") == 0 ||
                       strcmp(m->family.name, "phi3") == 0;
    if (m->window == 0 || !has_windows) return;
    for (size_t layer = 0; layer < m->n_layer; layer++) {
        int64_t value = m->family.window_pattern;
        bool flags = pattern && pattern->type == EX_VALUE_ARRAY;
        if (pattern) ex_key_integer(pattern, flags ? layer : 0, &value);
        m->local[layer] = flags ? value != 0 : value == 0 || (layer + 1) % (size_t)value != 0;
    }
}

/* ---- RoPE ------------------------------------------------------------------------------------------------------ */

typedef struct rope_scaling {
    double factor, n_original, beta_fast, beta_slow, base;
    bool yarn;
    const double *divisors;
} rope_scaling;

static double clamp(double x, double low, double high) { return fmin(fmax(x, low), high); }

/* Peng et al., 2023: pairs that turn often in the original context stay, those that turn less than once are scaled. */
static double yarn_kept(const reference_model *m, const rope_scaling *s, size_t pair) {
    double n_rot = (double)m->n_rot;
    double low = n_rot * log(s->n_original / (s->beta_fast * 2 * M_PI)) / (2 * log(s->base));
    double high = n_rot * log(s->n_original / (s->beta_slow * 2 * M_PI)) / (2 * log(s->base));
    if (!m->family.exact_ramp) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, n_rot - 1);
    return 1 - clamp(((double)pair - low) / fmax(0.001, high - low), 0, 1);
}

static double *rope_frequencies(const reference_model *m, const rope_scaling *s) {
    double *frequencies = calloc(m->n_rot / 2, sizeof *frequencies);
    for (size_t i = 0; i < m->n_rot / 2; i++) {
        double frequency = pow(s->base, -2.0 * (double)i / (double)m->n_rot);
        if (s->divisors) frequency /= s->divisors[i];
        double kept = s->yarn ? yarn_kept(m, s, i) : 0;
        frequencies[i] = frequency * kept + frequency / s->factor * (1 - kept);
    }
    return frequencies;
}

static void read_rope(reference_model *m) {
    ex_string type = {"linear", 6};
    const ex_key *key = key_of(m, "rope.scaling.type");
    if (key) ex_key_string(key, 0, &type);
    bool none = type.length == 4 && memcmp(type.data, "none", 4) == 0;
    bool yarn = type.length == 4 && memcmp(type.data, "yarn", 4) == 0;
    bool is_long = type.length == 8 && memcmp(type.data, "longrope", 8) == 0;
    rope_scaling s = {.yarn = yarn, .base = number(m, "rope.freq_base", 10000)};
    s.factor = none ? 1 : number(m, "rope.scaling.factor", number(m, "rope.scale_linear", 1));
    s.n_original = number(m, "rope.scaling.original_context_length", number(m, "context_length", 0));
    s.beta_fast = number(m, "rope.scaling.yarn_beta_fast", 32);
    s.beta_slow = number(m, "rope.scaling.yarn_beta_slow", 1);
    s.divisors = tensor(m, "rope_freqs.weight", NULL);
    if (is_long)
        s.divisors = (double)m->n_context > s.n_original ? tensor(m, "rope_factors_long.weight", NULL)
                                                         : tensor(m, "rope_factors_short.weight", NULL);
    m->frequencies[0] = rope_frequencies(m, &s);
    m->magnitude[0] = number(m, "rope.scaling.attn_factor", 1) * (yarn ? 1 + 0.1 * log(s.factor) : 1);
    m->magnitude[1] = m->magnitude[0];
    if (m->family.plain_local_rope) {
        double local = m->family.local_rope_base > 0 ? m->family.local_rope_base : s.base;
        double base = number(m, "rope.freq_base_swa", local);
        s = (rope_scaling){.factor = 1, .base = base};
        m->magnitude[1] = 1;
    }
    m->frequencies[1] = rope_frequencies(m, &s);
}

static void rotate(const reference_model *m, size_t layer, double *head) {
    if (m->family.unrotated > 0 && (layer + 1) % (size_t)m->family.unrotated == 0) return;
    int kind = m->local[layer];
    for (size_t i = 0; i < m->n_rot / 2; i++) {
        size_t a = m->family.interleaved ? 2 * i : i, b = m->family.interleaved ? 2 * i + 1 : i + m->n_rot / 2;
        double angle = (double)m->position * m->frequencies[kind][i], x = head[a], y = head[b];
        head[a] = m->magnitude[kind] * (x * cos(angle) - y * sin(angle));
        head[b] = m->magnitude[kind] * (x * sin(angle) + y * cos(angle));
    }
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

reference_model *reference_open(const ex_file *file, size_t n_context) {
    reference_model *m = calloc(1, sizeof *m);
    m->file = file;
    m->n_context = n_context;
    m->weights = calloc(ex_file_tensor_count(file), sizeof *m->weights);
    for (size_t i = 0; i < ex_file_tensor_count(file); i++) m->weights[i] = decode(ex_file_tensor(file, i));
    read_family(m);
    read_sizes(m);
    read_scales(m);
    read_windows(m);
    read_rope(m);
    m->keys = calloc(m->n_layer * n_context * m->n_head_kv * m->head_dim, sizeof *m->keys);
    m->values = calloc(m->n_layer * n_context * m->n_head_kv * m->head_dim, sizeof *m->values);
    m->scores = calloc(m->n_layer * m->n_head * (n_context + 1), sizeof *m->scores);
    return m;
}

void reference_close(reference_model *m) {
    for (size_t i = 0; i < ex_file_tensor_count(m->file); i++) free(m->weights[i]);
    free(m->weights);
    free(m->local);
    free(m->frequencies[0]);
    free(m->frequencies[1]);
    free(m->keys);
    free(m->values);
    free(m->scores);
    free(m);
}

size_t reference_vocabulary(const reference_model *m) { return m->n_vocab; }

const double *reference_scores(const reference_model *m, size_t *n_columns) {
    *n_columns = m->n_columns;
    return m->scores;
}

reference_extremes reference_seen(const reference_model *m) { return m->seen; }

/* ---- one token ------------------------------------------------------------------------------------------------- */

static void multiply(const double *matrix, const double *bias, const double *x, size_t n_in, size_t n_out,
                     double *out) {
    for (size_t r = 0; r < n_out; r++) {
        double sum = 0;
        for (size_t i = 0; i < n_in; i++) sum += matrix[r * n_in + i] * x[i];
        out[r] = sum + (bias ? bias[r] : 0);
    }
}

/* Without a weight, nothing happens. */
static void norm(const reference_model *m, const double *weight, size_t n, double *x) {
    double squares = 0;
    if (!weight) return;
    for (size_t i = 0; i < n; i++) squares += x[i] * x[i];
    double scale = 1 / sqrt(squares / (double)n + m->epsilon);
    for (size_t i = 0; i < n; i++) x[i] *= scale * weight[i];
}

/* Queries and keys are normed head by head or all together: the norm's own size says which. */
static void norm_heads(const reference_model *m, const double *weight, size_t size, size_t n_heads, double *x) {
    if (weight && size == n_heads * m->head_dim) norm(m, weight, size, x);
    else
        for (size_t h = 0; weight && h < n_heads; h++) norm(m, weight, m->head_dim, x + h * m->head_dim);
}

static void project_qkv(const reference_model *m, size_t layer, const double *x, double *qkv) {
    size_t n_query = m->n_head * m->head_dim, n_kv = m->n_head_kv * m->head_dim;
    const double *fused = layer_tensor(m, layer, "attn_qkv.weight", NULL);
    if (fused) {
        multiply(fused, layer_tensor(m, layer, "attn_qkv.bias", NULL), x, m->n_embd, n_query + 2 * n_kv, qkv);
        return;
    }
    multiply(layer_tensor(m, layer, "attn_q.weight", NULL), layer_tensor(m, layer, "attn_q.bias", NULL), x, m->n_embd,
             n_query, qkv);
    multiply(layer_tensor(m, layer, "attn_k.weight", NULL), layer_tensor(m, layer, "attn_k.bias", NULL), x, m->n_embd,
             n_kv, qkv + n_query);
    multiply(layer_tensor(m, layer, "attn_v.weight", NULL), layer_tensor(m, layer, "attn_v.bias", NULL), x, m->n_embd,
             n_kv, qkv + n_query + n_kv);
}

static void note(double *largest, double value) { *largest = fmax(*largest, fabs(value)); }

static double cap(double x, double limit) { return limit > 0 ? limit * tanh(x / limit) : x; }

/* One head: its row of scores, and the mean of values that their softmax weighs. */
static void attend(reference_model *m, size_t layer, size_t head, const double *query, double *out) {
    size_t n_kv = m->n_head_kv * m->head_dim, n = m->position + 1;
    size_t at = layer * m->n_context * n_kv + head / (m->n_head / m->n_head_kv) * m->head_dim;
    const double *keys = m->keys + at, *values = m->values + at;
    const double *sinks = layer_tensor(m, layer, "attn_sinks.weight", NULL);
    double *row = m->scores + (layer * m->n_head + head) * m->n_columns, sum = 0;
    for (size_t j = 0; j < n; j++) {
        row[j] = 0;
        for (size_t d = 0; d < m->head_dim; d++) row[j] += query[d] * keys[j * n_kv + d];
        note(&m->seen.score, row[j] * m->attention_scale);
        row[j] = cap(row[j] * m->attention_scale, m->attention_cap);
        if (m->local[layer] && m->position - j >= m->window) row[j] = -INFINITY;
    }
    if (m->n_columns > n) row[n] = sinks ? sinks[head] : -INFINITY;
    double maximum = -INFINITY;
    for (size_t j = 0; j < m->n_columns; j++) maximum = fmax(maximum, row[j]);
    for (size_t j = 0; j < m->n_columns; j++) sum += exp(row[j] - maximum);
    for (size_t d = 0; d < m->head_dim; d++) {
        out[d] = 0;
        for (size_t j = 0; j < n; j++) out[d] += exp(row[j] - maximum) / sum * values[j * n_kv + d];
    }
}

static void attention(reference_model *m, size_t layer, const double *x, double *out) {
    size_t n_query = m->n_head * m->head_dim, n_kv = m->n_head_kv * m->head_dim, size = 0;
    size_t at = (layer * m->n_context + m->position) * n_kv;
    double *qkv = calloc(n_query + 2 * n_kv, sizeof *qkv), *attended = calloc(n_query, sizeof *attended);
    double *k = qkv + n_query;
    project_qkv(m, layer, x, qkv);
    const double *weight = layer_tensor(m, layer, "attn_q_norm.weight", &size);
    norm_heads(m, weight, size, m->n_head, qkv);
    weight = layer_tensor(m, layer, "attn_k_norm.weight", &size);
    norm_heads(m, weight, size, m->n_head_kv, k);
    for (size_t h = 0; h < m->n_head; h++) rotate(m, layer, qkv + h * m->head_dim);
    for (size_t h = 0; h < m->n_head_kv; h++) rotate(m, layer, k + h * m->head_dim);
    memcpy(m->keys + at, k, n_kv * sizeof *k);
    memcpy(m->values + at, k + n_kv, n_kv * sizeof *k);
    for (size_t h = 0; h < m->n_head; h++) attend(m, layer, h, qkv + h * m->head_dim, attended + h * m->head_dim);
    multiply(layer_tensor(m, layer, "attn_output.weight", NULL), layer_tensor(m, layer, "attn_output.bias", NULL),
             attended, n_query, m->n_embd, out);
    free(attended);
    free(qkv);
}

/* ---- feed-forward ---------------------------------------------------------------------------------------------- */

static double gated(reference_model *m, double gate, double up) {
    note(&m->seen.gate, gate);
    note(&m->seen.up, up);
    if (m->family.openai) {
        gate = fmin(gate, 7);
        return gate / (1 + exp(-1.702 * gate)) * (clamp(up, -7, 7) + 1);
    }
    if (m->family.gelu) return 0.5 * gate * (1 + tanh(sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate))) * up;
    return gate / (1 + exp(-gate)) * up;
}

typedef struct block { /* gate, up and down of one feed-forward block or expert; biases may be NULL */
    const double *gate, *up, *down, *gate_bias, *up_bias, *down_bias;
} block;

static void run_block(reference_model *m, const block *b, const double *x, double *out) {
    double *gate = calloc(2 * m->n_ff, sizeof *gate), *up = gate + m->n_ff;
    multiply(b->gate, b->gate_bias, x, m->n_embd, m->n_ff, gate);
    multiply(b->up, b->up_bias, x, m->n_embd, m->n_ff, up);
    for (size_t i = 0; i < m->n_ff; i++) gate[i] = gated(m, gate[i], up[i]);
    multiply(b->down, b->down_bias, gate, m->n_ff, m->n_embd, out);
    free(gate);
}

static const double *part(const double *values, size_t offset) { return values ? values + offset : NULL; }

static block expert_block(const reference_model *m, size_t layer, size_t expert) {
    size_t matrix = m->n_embd * m->n_ff;
    block b = {.down = layer_tensor(m, layer, "ffn_down_exps.weight", NULL) + expert * matrix};
    const double *fused = layer_tensor(m, layer, "ffn_gate_up_exps.weight", NULL);
    b.gate = fused ? fused + 2 * expert * matrix
                   : layer_tensor(m, layer, "ffn_gate_exps.weight", NULL) + expert * matrix;
    b.up = fused ? b.gate + matrix : layer_tensor(m, layer, "ffn_up_exps.weight", NULL) + expert * matrix;
    b.gate_bias = part(layer_tensor(m, layer, "ffn_gate_exps.bias", NULL), expert * m->n_ff);
    b.up_bias = part(layer_tensor(m, layer, "ffn_up_exps.bias", NULL), expert * m->n_ff);
    b.down_bias = part(layer_tensor(m, layer, "ffn_down_exps.bias", NULL), expert * m->n_embd);
    return b;
}

/* Softmax over all experts, the largest few of it (the first on a tie), normed to sum 1. */
static void run_experts(reference_model *m, size_t layer, const double *x, double *out) {
    double *p = calloc(m->n_expert, sizeof *p), *one = calloc(m->n_embd, sizeof *one), taken = 0, maximum = -INFINITY;
    size_t *chosen = calloc(m->n_used, sizeof *chosen);
    bool *is_taken = calloc(m->n_expert, sizeof *is_taken);
    multiply(layer_tensor(m, layer, "ffn_gate_inp.weight", NULL), layer_tensor(m, layer, "ffn_gate_inp.bias", NULL), x,
             m->n_embd, m->n_expert, p);
    for (size_t e = 0; e < m->n_expert; e++) maximum = fmax(maximum, p[e]);
    for (size_t e = 0; e < m->n_expert; e++) p[e] = exp(p[e] - maximum);
    for (size_t i = 0; i < m->n_used; i++) {
        size_t best = m->n_expert;
        for (size_t e = 0; e < m->n_expert; e++)
            if (!is_taken[e] && (best == m->n_expert || p[e] > p[best])) best = e;
        is_taken[best] = true;
        chosen[i] = best;
        taken += p[best];
    }
    memset(out, 0, m->n_embd * sizeof *out);
    for (size_t i = 0; i < m->n_used; i++) {
        block b = expert_block(m, layer, chosen[i]);
        run_block(m, &b, x, one);
        for (size_t d = 0; d < m->n_embd; d++) out[d] += m->expert_scale * p[chosen[i]] / taken * one[d];
    }
    free(is_taken);
    free(chosen);
    free(one);
    free(p);
}

static void feed_forward(reference_model *m, size_t layer, const double *x, double *out) {
    if (m->n_expert > 0) {
        run_experts(m, layer, x, out);
        return;
    }
    block b = {.gate = layer_tensor(m, layer, "ffn_gate.weight", NULL),
               .up = layer_tensor(m, layer, "ffn_up.weight", NULL),
               .down = layer_tensor(m, layer, "ffn_down.weight", NULL),
               .gate_bias = layer_tensor(m, layer, "ffn_gate.bias", NULL),
               .up_bias = layer_tensor(m, layer, "ffn_up.bias", NULL),
               .down_bias = layer_tensor(m, layer, "ffn_down.bias", NULL)};
    if (!b.gate) { /* one matrix: the gate's rows, then those of up */
        b.gate = b.up;
        b.up = b.gate + m->n_ff * m->n_embd;
    }
    run_block(m, &b, x, out);
}

/* ---- the layers ------------------------------------------------------------------------------------------------ */

static void add(const reference_model *m, const double *y, double *x) {
    for (size_t i = 0; i < m->n_embd; i++) x[i] += m->residual_scale * y[i];
}

static void run_layer(reference_model *m, size_t layer, double *x) {
    double *in = calloc(2 * m->n_embd, sizeof *in), *out = in + m->n_embd;
    const double *ffn_norm = layer_tensor(m, layer, "ffn_norm.weight", NULL);
    const double *after = layer_tensor(m, layer, "post_attention_norm.weight", NULL);
    if (m->family.openai) { /* it has the norm before the feed-forward block under the other name */
        ffn_norm = after;
        after = NULL;
    }
    memcpy(in, x, m->n_embd * sizeof *x);
    norm(m, layer_tensor(m, layer, "attn_norm.weight", NULL), m->n_embd, in);
    attention(m, layer, in, out);
    norm(m, after, m->n_embd, out);
    add(m, out, x);
    memcpy(in, x, m->n_embd * sizeof *x);
    norm(m, ffn_norm, m->n_embd, in);
    feed_forward(m, layer, in, out);
    norm(m, layer_tensor(m, layer, "post_ffw_norm.weight", NULL), m->n_embd, out);
    add(m, out, x);
    free(in);
}

void reference_step(reference_model *m, int32_t token, double *logits) {
    const double *embedding = tensor(m, "token_embd.weight", NULL), *output = tensor(m, "output.weight", NULL);
    double *x = calloc(m->n_embd, sizeof *x);
    m->n_columns = m->position + 1 + (layer_tensor(m, 0, "attn_sinks.weight", NULL) ? 1 : 0);
    for (size_t i = 0; i < m->n_embd; i++) x[i] = embedding[(size_t)token * m->n_embd + i] * m->embedding_scale;
    for (size_t layer = 0; layer < m->n_layer; layer++) run_layer(m, layer, x);
    norm(m, tensor(m, "output_norm.weight", NULL), m->n_embd, x);
    multiply(output ? output : embedding, NULL, x, m->n_embd, m->n_vocab, logits);
    for (size_t i = 0; i < m->n_vocab; i++) {
        note(&m->seen.logit, logits[i] / m->logit_divisor);
        logits[i] = cap(logits[i] / m->logit_divisor, m->logit_cap);
    }
    m->position++;
    free(x);
}
