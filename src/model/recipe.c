#include "model/recipe.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

static const ex_recipe recipes[] = {
    {"F32", 0, EX_TYPE_F32, EX_TYPE_F32, EX_TYPE_F32},
    {"F16", 1, EX_TYPE_F16, EX_TYPE_F16, EX_TYPE_F16},
    {"BF16", 32, EX_TYPE_BF16, EX_TYPE_BF16, EX_TYPE_BF16},
    {"Q8_0", 7, EX_TYPE_Q8_0, EX_TYPE_Q8_0, EX_TYPE_Q8_0},
    {"Q6_K", 18, EX_TYPE_Q6_K, EX_TYPE_Q6_K, EX_TYPE_Q6_K},
    {"Q5_K_M", 17, EX_TYPE_Q5_K, EX_TYPE_Q6_K, EX_TYPE_Q6_K},
    {"Q5_K_S", 16, EX_TYPE_Q5_K, EX_TYPE_Q5_K, EX_TYPE_Q6_K},
    {"Q5_K", 16, EX_TYPE_Q5_K, EX_TYPE_Q5_K, EX_TYPE_Q5_K},
    {"Q4_K_M", 15, EX_TYPE_Q4_K, EX_TYPE_Q6_K, EX_TYPE_Q6_K},
    {"Q4_K_S", 14, EX_TYPE_Q4_K, EX_TYPE_Q4_K, EX_TYPE_Q6_K},
    {"Q4_K", 14, EX_TYPE_Q4_K, EX_TYPE_Q4_K, EX_TYPE_Q4_K},
    {"Q4_0", 2, EX_TYPE_Q4_0, EX_TYPE_Q4_0, EX_TYPE_Q4_0},
};

enum { N_RECIPES = sizeof recipes / sizeof *recipes };

const ex_recipe *ex_recipe_find(const char *name) {
    for (size_t i = 0; i < N_RECIPES; i++)
        if (strcasecmp(recipes[i].name, name) == 0) return &recipes[i];
    return NULL;
}

void ex_recipe_names(char *out, size_t capacity) {
    size_t length = 0;
    for (size_t i = 0; i < N_RECIPES && length < capacity; i++) {
        int n = snprintf(out + length, capacity - length, "%s%s", i ? ", " : "", recipes[i].name);
        length += n > 0 ? (size_t)n : 0;
    }
}

int64_t ex_tensor_layer(ex_string tensor, ex_string *rest) {
    enum { LONGEST_NUMBER = 9 };
    if (tensor.length < 4 || memcmp(tensor.data, "blk.", 4) != 0) return -1;
    int64_t layer = 0;
    size_t at = 4;
    for (; at < tensor.length && at < 4 + LONGEST_NUMBER && tensor.data[at] >= '0' && tensor.data[at] <= '9'; at++)
        layer = layer * 10 + (tensor.data[at] - '0');
    if (at == 4 || at == tensor.length || tensor.data[at] != '.') return -1;
    *rest = (ex_string){tensor.data + at + 1, tensor.length - at - 1};
    return layer;
}

/* Half of the layers: the first and last eighth, where errors spread furthest or are corrected least, and every third
 * one between. */
static bool is_important_layer(uint64_t layer, uint64_t n_layer) {
    uint64_t eighth = n_layer / 8;
    return layer < eighth || layer >= n_layer - eighth || (layer - eighth) % 3 == 2;
}

static bool begins_with(ex_string text, const char *beginning) {
    size_t n = strlen(beginning);
    return text.length >= n && memcmp(text.data, beginning, n) == 0;
}

static bool is_vocabulary(ex_string tensor) {
    return ex_string_is(tensor, "token_embd.weight") || ex_string_is(tensor, "output.weight");
}

/* Values, alone or fused with queries and keys, and the way back into the residual stream, of experts too. */
static bool is_important(ex_string tensor, uint64_t n_layer) {
    static const char *const kinds[] = {"attn_v.", "attn_qkv.", "ffn_down"};
    ex_string rest;
    int64_t layer = ex_tensor_layer(tensor, &rest);
    if (layer < 0 || !is_important_layer((uint64_t)layer, n_layer)) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (begins_with(rest, kinds[i])) return true;
    return false;
}

uint32_t ex_recipe_wanted(const ex_recipe *recipe, ex_string tensor, uint64_t n_layer) {
    if (is_vocabulary(tensor)) return recipe->vocabulary;
    return is_important(tensor, n_layer) ? recipe->important : recipe->type;
}

uint32_t ex_recipe_type(const ex_recipe *recipe, ex_string tensor, uint64_t n_columns, uint64_t n_layer) {
    const uint32_t choices[] = {ex_recipe_wanted(recipe, tensor, n_layer), EX_TYPE_Q8_0, EX_TYPE_F16};
    uint64_t bytes;
    size_t i = 0;
    while (!ex_type_row_bytes(choices[i], n_columns, &bytes) && i + 1 < sizeof choices / sizeof *choices) i++;
    return choices[i];
}
