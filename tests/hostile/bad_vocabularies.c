/* bad_vocabularies.c - tokens, scores, merges and tables of normalisation. */
#include "bad_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TOKENS "tokenizer.ggml.tokens"

/* The SentencePiece kind, token 3 being `text`, of type byte. */
static void sentencepiece(bad_file *file, const bad_row *row) {
    bad_edit_string(file, &(bad_row){.target = "tokenizer.ggml.model", .text = row->target ? row->target : "llama"});
    bad_bytes *tokens = bad_begin_array(file, TOKENS, BAD_STRING, BAD_TOKENS);
    bad_bytes *types = bad_begin_array(file, "tokenizer.ggml.token_type", BAD_I32, BAD_TOKENS);
    static const char *const first[] = {"<unk>", "<s>", "</s>"};
    for (uint32_t i = 0; i < BAD_TOKENS; i++) {
        char name[16];
        snprintf(name, sizeof name, "<0x%02X>", (i - 3) & 255);
        const char *text = i < 3 ? first[i] : i == 3 && row->text ? row->text : name;
        bad_put_string(tokens, text, strlen(text));
        bad_put_u32(types, i == 0 ? 2 : i < 3 ? 3 : 6);
    }
    bad_edit_floats(file, &(bad_row){.target = "tokenizer.ggml.scores", .real = row->real, .count = BAD_TOKENS});
}

static void charsmap(bad_file *file, const bad_row *row) {
    sentencepiece(file, &(bad_row){.target = "t5"});
    bad_bytes *value = bad_begin_array(file, "tokenizer.ggml.precompiled_charsmap", BAD_U8, row->count);
    for (uint64_t i = 0; i < row->count; i++) bad_put(value, "\xFF", 1);
}

static void token_lengths(bad_file *file, const bad_row *row) {
    bad_put_u64(bad_begin_array(file, TOKENS, BAD_STRING, BAD_TOKENS), row->number);
}

static void token_count(bad_file *file, const bad_row *row) { bad_begin_array(file, TOKENS, BAD_STRING, row->number); }

static const bad_row rows[] = {
    {"SentencePiece itself", NULL, 0, sentencepiece, .real = 0},
    {"unigram itself", NULL, 0, sentencepiece, .target = "t5"},
    {"tokens missing", "tokens", BY_TOKENIZER, bad_edit_drop, .target = TOKENS},
    {"tokens that are numbers", "array of strings", BY_TOKENIZER, bad_edit_array, .target = TOKENS,
     .count = BAD_TOKENS},
    {"tokens that are one text", "array of strings", BY_TOKENIZER, bad_edit_string, .target = TOKENS, .text = "a"},
    {"no tokens", "elements", BY_TOKENIZER, bad_edit_strings, .target = TOKENS, .text = "a", .count = 0},
    {"2^31 tokens", "more than", BY_ALL, token_count, .number = UINT64_C(1) << 31},
    {"fewer tokens than types", "", BY_TOKENIZER, bad_edit_strings, .target = TOKENS, .text = "a", .count = 258},
    {"a token of 2^31 bytes", "the file ends", BY_ALL, token_lengths, .number = UINT64_C(1) << 31},
    {"tokens that are all the same", "no token for", BY_EVALUATION, bad_edit_strings, .target = TOKENS, .text = "a",
     .count = BAD_TOKENS},
    {"tokens that are all empty", "no token for", BY_EVALUATION, bad_edit_strings, .target = TOKENS, .text = "",
     .count = BAD_TOKENS},
    {"types that are texts", "array of integers", BY_TOKENIZER, bad_edit_strings,
     .target = "tokenizer.ggml.token_type", .text = "1", .count = BAD_TOKENS},
    {"types of 7", "known are", BY_TOKENIZER, bad_edit_array, .target = "tokenizer.ggml.token_type", .number = 7,
     .count = BAD_TOKENS},
    {"fewer types than tokens", "tokens", BY_TOKENIZER, bad_edit_array, .target = "tokenizer.ggml.token_type",
     .number = 1, .count = 12},
    {"scores of another length", "tokens", BY_TOKENIZER, bad_edit_floats, .target = "tokenizer.ggml.scores",
     .real = 1, .count = 12},
    {"scores that are NaN", "not a number", BY_TOKENIZER, sentencepiece, .real = NAN},
    {"a byte called <0x-1>", "<0x0A>", BY_TOKENIZER, sentencepiece, .text = "<0x-1>"},
    {"a byte called <0xGG>", "<0x0A>", BY_TOKENIZER, sentencepiece, .text = "<0xGG>"},
    {"a byte called <0x100>", "<0x0A>", BY_TOKENIZER, sentencepiece, .text = "<0x100>"},
    {"a byte without a name", "<0x0A>", BY_TOKENIZER, sentencepiece, .text = ""},
    {"a first token beyond the last", "bos_token_id", BY_TOKENIZER, bad_edit_u32,
     .target = "tokenizer.ggml.bos_token_id", .number = BAD_TOKENS},
    {"an end beyond the last token", "eos_token_id", BY_TOKENIZER, bad_edit_u32,
     .target = "tokenizer.ggml.eos_token_id", .number = UINT32_MAX - 1},
    {"an end as text", "integer", BY_TOKENIZER, bad_edit_string, .target = "tokenizer.ggml.eos_token_id", .text = "2"},
    {"merges without a space", "space", BY_TOKENIZER, bad_edit_strings, .target = "tokenizer.ggml.merges",
     .text = "he", .count = 3},
    {"merges that are empty", "space", BY_TOKENIZER, bad_edit_strings, .target = "tokenizer.ggml.merges", .text = "",
     .count = 3},
    {"merges of unknown tokens", NULL, 0, bad_edit_strings, .target = "tokenizer.ggml.merges", .text = "zz yy",
     .count = 3},
    {"merges with nothing", NULL, 0, bad_edit_strings, .target = "tokenizer.ggml.merges", .text = "h ", .count = 3},
    {"merges that are numbers", "merges", BY_TOKENIZER, bad_edit_array, .target = "tokenizer.ggml.merges",
     .count = 3},
    {"a pre-tokeniser of 10 MB", "pre", BY_TOKENIZER, bad_edit_string, .target = "tokenizer.ggml.pre", .text = "a",
     .count = 10 << 20},
    {"a pre-tokeniser with new lines", "pre", BY_TOKENIZER, bad_edit_string, .target = "tokenizer.ggml.pre",
     .text = "a\nb\n"},
    {"a table of normalisation of 1 byte", "charsmap", BY_TOKENIZER, charsmap, .count = 1},
    {"a table of normalisation of 2 bytes", "charsmap", BY_TOKENIZER, charsmap, .count = 2},
    {"a table of normalisation of 3 bytes", "charsmap", BY_TOKENIZER, charsmap, .count = 3},
    {"a table of normalisation of 64 bytes", "charsmap", BY_TOKENIZER, charsmap, .count = 64},
    {"no vocabulary", "no vocabulary", BY_TOKENIZER, bad_edit_string, .target = "tokenizer.ggml.model",
     .text = "none"},
    {"a tokenizer with new lines", "tokenizer.ggml.model", BY_TOKENIZER, bad_edit_string,
     .target = "tokenizer.ggml.model", .text = "a\nb"},
    {"a tokenizer that is a number", "string", BY_TOKENIZER, bad_edit_u32, .target = "tokenizer.ggml.model"},
    {"a chat template that is a number", "string", BY_TOKENIZER, bad_edit_u32, .target = "tokenizer.chat_template"},
};

const bad_table bad_vocabularies = {"vocabularies", rows, sizeof rows / sizeof *rows};
