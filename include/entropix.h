/* entropix.h - the whole public interface of Entropix in C.
 *
 * Three layers, each usable alone:
 *   files and tokenizers   what a GGUF file holds; text <-> tokens
 *   engine and session     an engine is immutable and shared between threads (weights, vocabulary);
 *                          a session is one mutable timeline of positions with its KV cache
 *   sampler and generator  entropix_sampler.h, which also has the conventions, and the loop that uses both
 *
 * Handles other than ex_engine, ex_file and ex_tokenizer belong to one thread at a time. */
#ifndef ENTROPIX_H
#define ENTROPIX_H

#include "entropix_sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EX_VERSION "0.1.0"

/* "0.1.0" and how the library was built, as one line. Static storage. */
EX_API const char *ex_version(void);

/* ---- files -------------------------------------------------------------------------------------------------- */
typedef struct ex_file ex_file;

typedef enum ex_value_type { /* numbered as in GGUF */
    EX_VALUE_U8, EX_VALUE_I8, EX_VALUE_U16, EX_VALUE_I16, EX_VALUE_U32, EX_VALUE_I32, EX_VALUE_F32, EX_VALUE_BOOL,
    EX_VALUE_STRING, EX_VALUE_ARRAY, EX_VALUE_U64, EX_VALUE_I64, EX_VALUE_F64
} ex_value_type;

typedef struct ex_string {
    const char *data; /* UTF-8, not terminated */
    size_t length;    /* bytes */
} ex_string;

/* One metadata entry. For a scalar, `count` is 1 and `element` equals `type`. */
typedef struct ex_key {
    ex_string name;
    ex_value_type type;
    ex_value_type element; /* element type of an array */
    uint64_t count;
    const void *data; /* little-endian values in the file, unaligned; read them with ex_key_* below */
    uint64_t offset;  /* of the value in the file, bytes */
    uint64_t n_bytes; /* of the value; for an array, of its elements */
} ex_key;

typedef struct ex_tensor {
    ex_string name;
    uint32_t type; /* GGUF type id */
    uint32_t n_dims;
    uint64_t ne[4];    /* ne[0] is contiguous; unused dimensions are 1 */
    const void *data;  /* in the map, aligned to the file's alignment */
    uint64_t n_bytes;  /* of a type that is not known: up to the next tensor */
    uint64_t offset;   /* of the data in its file, bytes */
    uint32_t part;     /* the file that it lies in: 0 unless the model is split */
} ex_tensor;

/* Maps a GGUF file (version 2 or 3) and checks every count, size and offset against what the file holds. Of a split
 * model (PREFIX-00001-of-0000N.gguf, in one folder) any file opens them all as one; keys and path are the first's.
 * The handle is immutable: any number of threads may read it. */
EX_API ex_code ex_file_open(ex_file **out, const char *path, ex_error *error);
EX_API void ex_file_close(ex_file *file);
EX_API const char *ex_file_path(const ex_file *file);
EX_API uint32_t ex_file_version(const ex_file *file);
EX_API uint64_t ex_file_size(const ex_file *file); /* of all parts together */
EX_API size_t ex_file_part_count(const ex_file *file);
EX_API const char *ex_file_part_path(const ex_file *file, size_t part); /* NULL past the last */
EX_API size_t ex_file_key_count(const ex_file *file);
EX_API const ex_key *ex_file_key(const ex_file *file, size_t index);
EX_API const ex_key *ex_file_find_key(const ex_file *file, const char *name); /* NULL when absent */
EX_API size_t ex_file_tensor_count(const ex_file *file);
EX_API const ex_tensor *ex_file_tensor(const ex_file *file, size_t index);
EX_API const ex_tensor *ex_file_find_tensor(const ex_file *file, const char *name);
/* The value (element `index` of an array) when it has a type that converts without loss; false otherwise. */
EX_API bool ex_key_integer(const ex_key *key, uint64_t index, int64_t *out);
EX_API bool ex_key_number(const ex_key *key, uint64_t index, double *out);
/* Strings of an array lie one after the other, so element i costs i steps; use ex_key_next_string to walk. */
EX_API bool ex_key_string(const ex_key *key, uint64_t index, ex_string *out);
/* `cursor` starts at NULL and is moved on; false after the last one. */
EX_API bool ex_key_next_string(const ex_key *key, const void **cursor, ex_string *out);
/* Name of a tensor type ("Q6_K"), or NULL for an id that is not known; and back (-1 when unknown). */
EX_API const char *ex_type_name(uint32_t type);
EX_API int32_t ex_type_from_name(const char *name);

/* ---- tokenizer ---------------------------------------------------------------------------------------------- */
typedef struct ex_tokenizer ex_tokenizer;

enum { /* flags of ex_tokenize */
    EX_TOKENIZE_SPECIAL = 1,      /* control tokens in the text count as such (never for text from users) */
    EX_TOKENIZE_ADD_BEGINNING = 2, /* put the beginning-of-sequence token first if the file asks for it */
    EX_TOKENIZE_ADD_END = 4        /* put the end-of-sequence token last if the file asks for it */
};

/* The tokenizer of a GGUF file, which may hold a vocabulary alone. Immutable. */
EX_API ex_code ex_tokenizer_open(ex_tokenizer **out, const ex_file *file, ex_error *error);
EX_API void ex_tokenizer_close(ex_tokenizer *tokenizer);
EX_API int32_t ex_tokenizer_size(const ex_tokenizer *tokenizer); /* n_vocab */
/* Text (UTF-8; EX_ERROR_FORMAT with the byte offset when it is not) to tokens. Writes at most `capacity` ids and
 * always sets `count` to how many there are (that is no error): a second call with room for `count` gets them all. A
 * text that begins with the beginning-of-sequence token, where that counts, gets no second one. */
EX_API ex_code ex_tokenize(const ex_tokenizer *tokenizer, const char *text, size_t length, uint32_t flags,
                           int32_t *tokens, size_t capacity, size_t *count, ex_error *error);
/* The bytes that a token stands for (possibly part of a UTF-8 sequence). Control tokens give their name when
 * `special`, else nothing. Ids outside the vocabulary give nothing. SentencePiece vocabularies put a space before a
 * text, which its first token then shows: take it away when a whole text is put together again. */
EX_API ex_string ex_token_text(const ex_tokenizer *tokenizer, int32_t token, bool special);
EX_API bool ex_token_is_control(const ex_tokenizer *tokenizer, int32_t token);
EX_API bool ex_token_ends_generation(const ex_tokenizer *tokenizer, int32_t token);
EX_API int32_t ex_token_beginning(const ex_tokenizer *tokenizer); /* or EX_TOKEN_NONE */
/* The file's own chat template (Jinja), empty when it has none. */
EX_API ex_string ex_tokenizer_chat_template(const ex_tokenizer *tokenizer);

typedef struct ex_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* UTF-8 */
} ex_message;

/* Renders `messages` with the chat template (`override` when not NULL) and tokenises the result. What comes from the
 * template may be special tokens, what comes from messages never is. Capacity and count as in ex_tokenize. */
EX_API ex_code ex_chat_tokenize(const ex_tokenizer *tokenizer, const char *override, const ex_message *messages,
                                size_t n_messages, bool add_generation_prompt, int32_t *tokens, size_t capacity,
                                size_t *count, ex_error *error);

/* A template by itself, with any variables. Immutable. `name` is for messages, which have line and column in the
 * template; the error's position is the line. */
typedef struct ex_template ex_template;
EX_API ex_code ex_template_open(ex_template **out, const char *source, size_t length, const char *name,
                                ex_error *error);
EX_API void ex_template_close(ex_template *chat_template);
/* `variables` is the text of a JSON object. `now`, seconds since 1970 UTC, is what strftime_now formats. The result has
 * a zero byte behind its `text_length` bytes; release it with free(). */
EX_API ex_code ex_template_render(const ex_template *chat_template, const char *variables, size_t length, int64_t now,
                                  char **text, size_t *text_length, ex_error *error);

/* ---- engine and session ------------------------------------------------------------------------------------- */
typedef struct ex_engine ex_engine;
typedef struct ex_session ex_session;

typedef struct ex_engine_options {
    int32_t n_threads;   /* 0: the physical cores that affinity mask and cgroup quota allow */
    const char *kernels; /* NULL: the best that the CPU has; "portable", "avx2", "avx512" force one */
} ex_engine_options;

typedef struct ex_engine_info {
    ex_string architecture, name;
    int32_t n_layer, n_head, n_head_kv, n_embd, n_ff, n_vocab, head_dim;
    int32_t n_context;            /* positions that the model was trained for */
    uint64_t n_parameters;
    uint64_t weight_bytes;        /* all tensors */
    uint64_t bytes_per_token;     /* weights read to decode one token */
    uint64_t kv_bytes_per_position; /* in half precision */
    const char *kernels;          /* name of the kernel table in use */
    int32_t n_threads;
} ex_engine_info;

EX_API ex_engine_options ex_engine_options_default(void);
/* Opens a model: maps the file, checks every key and tensor that the forward pass will read. The engine keeps the
 * file open. Any number of threads may use it at once, with sessions and generators of their own, also of one family:
 * open, fork and close them, tokenise, evaluate. Its thread team runs one evaluation at a time, others wait for it. It
 * is closed last. */
EX_API ex_code ex_engine_open(ex_engine **out, const char *path, const ex_engine_options *options, ex_error *error);
EX_API void ex_engine_close(ex_engine *engine);
EX_API ex_engine_info ex_engine_get_info(const ex_engine *engine);
EX_API const ex_file *ex_engine_file(const ex_engine *engine);
EX_API const ex_tokenizer *ex_engine_tokenizer(const ex_engine *engine);

typedef struct ex_step { /* the result of an evaluation, at its last position; a view into the session */
    const float *logits; /* [n_vocab] */
    int32_t n_vocab;
    const ex_attention *attention; /* NULL when statistics are off */
    size_t position;               /* of the token that was evaluated last */
} ex_step;

typedef enum ex_kv_type { /* how keys and values of past positions are stored */
    EX_KV_F16, /* half precision: what everybody uses */
    EX_KV_F32, /* single precision: twice the memory, no rounding; for measurements */
    EX_KV_Q8_0, /* bytes, one scale for 32 of them: half the memory; heads of a multiple of 32 dimensions */
    EX_KV_TYPE_COUNT
} ex_kv_type;

typedef struct ex_session_options {
    size_t n_context; /* positions; 0: what the model was trained for, at most 4096 */
    size_t n_batch;   /* tokens evaluated together in a prefill; 0: 256 */
    ex_kv_type kv_type;
    bool no_attention_statistics;
    bool keep_scores; /* keep the scores of the last query too, for ex_session_scores */
} ex_session_options;

EX_API ex_session_options ex_session_options_default(void);
/* Takes all the memory that the session will ever use. */
EX_API ex_code ex_session_open(ex_session **out, ex_engine *engine, const ex_session_options *options, ex_error *error);
EX_API void ex_session_close(ex_session *session);
EX_API size_t ex_session_context(const ex_session *session);
EX_API size_t ex_session_position(const ex_session *session); /* tokens held */
/* Appends tokens (at least one) and evaluates them; `step` describes the last. `all_logits`, when not NULL, receives
 * [n_tokens][n_vocab]. On error the session holds what it held before. */
EX_API ex_code ex_session_evaluate(ex_session *session, const int32_t *tokens, size_t n_tokens, float *all_logits,
                                   ex_step *step, ex_error *error);
/* One token for each of several sessions of one engine, all different, in one pass: the weights are read once for all
 * (32 at a time). Results, [n_sessions] steps, are bit for bit those of ex_session_evaluate. On error no session has
 * moved. */
EX_API ex_code ex_sessions_evaluate(ex_session *const *sessions, const int32_t *tokens, size_t n_sessions,
                                    ex_step *steps, ex_error *error);
/* Forgets every position from `position` on. Evaluating the same tokens again gives the same bits. */
EX_API ex_code ex_session_rewind(ex_session *session, size_t position, ex_error *error);
/* A second timeline that shares all pages held so far (copy-on-write). */
EX_API ex_code ex_session_fork(ex_session **out, ex_session *session, ex_error *error);
/* Lets `to` hold what `from` holds, by sharing its pages; its last results are gone. Allocates nothing. One must be a
 * fork of the other, or both of a third (EX_ERROR_ARGUMENT). */
EX_API ex_code ex_session_assign(ex_session *to, const ex_session *from, ex_error *error);
EX_API void ex_session_set_statistics(ex_session *session, bool on);
/* Attention scores of the last query, [n_layer][n_head][n_positions], masked positions -infinity. Where a model has
 * attention sinks, their scores are one column more, the last. NULL unless the session keeps scores. */
EX_API const float *ex_session_scores(const ex_session *session, size_t *n_positions);

/* ---- generation --------------------------------------------------------------------------------------------- */
typedef struct ex_generator ex_generator;

typedef struct ex_trace ex_trace;

/* What an answer may be: the texts that a JSON schema describes ("{}": any JSON value). Immutable. Keywords that would
 * not be kept to are EX_ERROR_UNSUPPORTED, with their place; docs/GRAMMAR.md lists those there are. */
typedef struct ex_grammar ex_grammar;
EX_API ex_code ex_grammar_from_schema(ex_grammar **out, const char *schema, size_t length, ex_error *error);
EX_API void ex_grammar_close(ex_grammar *grammar);

typedef struct ex_generator_options {
    const ex_policy *policy; /* copied; NULL: the default preset */
    uint64_t seed;
    uint32_t sequence;  /* tells apart the draws of parallel answers */
    size_t n_predict;   /* tokens at most; 0: until the context is full */
    bool ignore_end;    /* go on past end-of-generation tokens */
    const char *const *stop; /* n_stop texts (UTF-8, not empty; copied) that end the answer where one is complete */
    size_t n_stop;
    ex_trace *trace;    /* receives every decision; must outlive the generator; NULL: none */
    size_t n_likeliest; /* tokens in ex_choice.likeliest, at most EX_LIKELIEST_MAX */
    const ex_grammar *grammar; /* only tokens that it permits come; must outlive the generator; NULL: all */
} ex_generator_options;

typedef enum ex_event_kind {
    EX_EVENT_TOKEN,    /* a token was chosen */
    EX_EVENT_INSERTED, /* a token of the clarification was inserted */
    EX_EVENT_END       /* nothing more; `end` says why */
} ex_event_kind;

typedef enum ex_end {
    EX_END_NONE,
    EX_END_TOKEN,   /* the model ended its text */
    EX_END_LENGTH,  /* n_predict tokens */
    EX_END_CONTEXT, /* the context is full */
    EX_END_STOP,    /* a stop text is complete */
    EX_END_TRAP,    /* a rule found the model too uncertain to go on; the event's choice says why */
    EX_END_RULE     /* a rule ended the answer */
} ex_end;

typedef struct ex_event {
    ex_event_kind kind;
    ex_end end;
    int32_t token;
    size_t position;         /* of the token in the session */
    ex_string text;          /* whole UTF-8 characters that are certain now, may be empty: what could become a stop text
                                is held back until it is decided, and a stop text never comes */
    const ex_choice *choice; /* the decision behind it; for inserted tokens, the one that inserted */
    double log_probability;  /* of the token, as in ex_candidate; NaN where there is no token, or it was not measured:
                                for inserted tokens but the first */
} ex_event;

EX_API ex_generator_options ex_generator_options_default(void);
/* Generates on `session`, which must outlive the generator. */
EX_API ex_code ex_generator_open(ex_generator **out, ex_session *session, const ex_generator_options *options,
                                 ex_error *error);
EX_API void ex_generator_close(ex_generator *generator);
/* Its sampler, to look at: rules, how often they held, policy. */
EX_API const ex_sampler *ex_generator_sampler(const ex_generator *generator);
typedef struct ex_effort { /* of this answer so far; what was given up counts too */
    const uint64_t *fired;   /* decisions of each rule, [ex_rules_count] + 1, the last for "plain" */
    size_t n_branched, n_rewound; /* times */
    size_t n_lost, n_taken_back;  /* tokens of branches that were not kept, and those that were taken back */
    size_t n_forwarded; /* positions evaluated since the prompt, whatever for; ex_generator_prompt_later: its too */
} ex_effort;
EX_API ex_effort ex_generator_effort(const ex_generator *generator);
/* Tokens that the session holds already, for penalties and traces. Call it before ex_generator_prompt, once for all. */
EX_API ex_code ex_generator_context(ex_generator *generator, const int32_t *tokens, size_t n_tokens, ex_error *error);
/* Appends the prompt and evaluates it. Starts a new answer: the sampler's history is forgotten. */
EX_API ex_code ex_generator_prompt(ex_generator *generator, const int32_t *tokens, size_t n_tokens, ex_error *error);
/* The same where the session holds the prompt but for its last token, which waits for the next evaluation: by
 * ex_generators_evaluate or ex_generator_next. The tokens before it are for ex_generator_context. */
EX_API ex_code ex_generator_prompt_later(ex_generator *generator, int32_t token, ex_error *error);
/* The next token that is settled: no branch and no rewinding will take it back. Allocates nothing. After EX_EVENT_END
 * it stays at the end until the next prompt; the session then holds what was delivered, the last token perhaps not. */
EX_API ex_code ex_generator_next(ex_generator *generator, ex_event *event, ex_error *error);
/* Evaluates what each of these generators waits for, also candidates that it looks beyond and branches, in one pass
 * over the weights (32 tokens at a time), and decides as far as that goes. One that is ready is passed over. Called
 * again and again, with ex_generator_next of those that are ready in between, it makes batches, which change no bit of
 * any result. What an event points to is gone afterwards, and a session can hold tokens that are not settled. The
 * generators are on different sessions of one engine and kv_type, and may be others in every call. After an error (the
 * first, if several) none has lost anything: what was not evaluated still waits, and ex_generator_next of one alone
 * tells if it fails. */
EX_API ex_code ex_generators_evaluate(ex_generator *const *generators, size_t count, ex_error *error);
/* ex_generator_next will evaluate nothing: a token is settled, or the answer is at its end. */
EX_API bool ex_generator_is_ready(const ex_generator *generator);

/* ---- trace -------------------------------------------------------------------------------------------------- */
/* Receives every decision of generators as a line of JSON (docs/TRACE.md), which go to PATH.<pid>-N.part as they
 * are made; closing gives a whole file its name, and removes it after a failure. A pipe or a device takes the lines
 * directly. The first write that fails is an error of the generator, and of closing. */
EX_API ex_code ex_trace_open(ex_trace **out, const char *path, ex_error *error);
/* The same without a file: each line, with its line end, goes to `write`; false is a write that failed. */
EX_API ex_code ex_trace_open_callback(ex_trace **out, bool (*write)(void *context, const char *line, size_t length),
                                      void *context, ex_error *error);
EX_API ex_code ex_trace_close(ex_trace *trace, ex_error *error);

/* Makes the decisions of a trace again from what its lines hold, without the model. Each is made after the tokens that
 * the trace has before it, whatever the replay itself would have taken there. */
typedef struct ex_replay ex_replay;

typedef enum ex_replay_kind { /* of a line */
    EX_REPLAY_ANSWER,   /* a header */
    EX_REPLAY_TOKEN, EX_REPLAY_INSERTED, EX_REPLAY_END,
    EX_REPLAY_BRANCHES, /* the lines before it were of branches, the winner's last */
    EX_REPLAY_REWIND,   /* tokens from `position` on were taken back */
    EX_REPLAY_OTHER,
    EX_REPLAY_DONE      /* nothing more */
} ex_replay_kind;

enum { /* what is not, to the bit, as the trace has it */
    EX_DIFFERS_METRICS = 1,
    EX_DIFFERS_DECISION = 2,   /* strategy, action, margin, may_insert */
    EX_DIFFERS_PARAMETERS = 4, /* temperature, top_p, top_k, min_p, candidates */
    EX_DIFFERS_KEPT = 8,       /* the tokens after the filters, their probabilities or scores */
    EX_DIFFERS_DRAW = 16,      /* the random numbers, or what they chose */
    EX_DIFFERS_TOKEN = 32
};

typedef struct ex_replay_step {
    ex_replay_kind kind;
    uint64_t line;
    uint32_t sequence;
    size_t position;
    int32_t branch;              /* -1: not of a branch */
    int32_t token;
    ex_string text;
    bool decided;                /* the line holds a decision: `recorded` and `replayed` are there */
    bool decidable;              /* false: which tokens are kept depends on some that the line does not have. Those
                                    kept then are taken, or none by another policy; differences have no such part */
    uint32_t differences;        /* EX_DIFFERS_* */
    ex_choice recorded, replayed; /* their lists are valid until the next step */
    ex_string replayed_text;     /* of replayed.draw.token, as far as the line has it */
} ex_replay_step;

/* `path` may be "-". `policy` NULL: the trace's own, which must make every decision again as it was. */
EX_API ex_code ex_replay_open(ex_replay **out, const char *path, const ex_policy *policy, ex_error *error);
/* A trace in memory, which must outlive the handle. */
EX_API ex_code ex_replay_open_text(ex_replay **out, const char *text, size_t length, const ex_policy *policy,
                                   ex_error *error);
EX_API void ex_replay_close(ex_replay *replay);
/* EX_ERROR_FORMAT for a line that is none of a trace: its number is the position. */
EX_API ex_code ex_replay_next(ex_replay *replay, ex_replay_step *step, ex_error *error);

/* Several answers to one prompt, computed together (each token of all in one pass over the weights). */
typedef struct ex_answers ex_answers;
enum { EX_ANSWERS_MAX = 256 };

typedef struct ex_answer {
    const int32_t *tokens;
    size_t n_tokens;
    ex_string text;
    ex_end end;          /* EX_END_NONE: not ended yet */
    double mean_entropy; /* bits, over the tokens that were chosen */
    double tail_entropy; /* over the last 32 of them */
    double consistency;  /* mean over the other answers of the share of tokens in common (Dice), in [0,1] */
} ex_answer;

typedef enum ex_selection { EX_SELECT_CONSISTENT, EX_SELECT_MEAN_ENTROPY, EX_SELECT_TAIL_ENTROPY } ex_selection;

/* Answer i draws with the options' sequence + i, as a generator of its own would. `session` must outlive the handle. */
EX_API ex_code ex_answers_open(ex_answers **out, ex_session *session, const ex_generator_options *options,
                               size_t n_answers, ex_error *error);
EX_API void ex_answers_close(ex_answers *answers);
EX_API ex_code ex_answers_prompt(ex_answers *answers, const int32_t *tokens, size_t n_tokens, ex_error *error);
/* The next event of the answer whose turn it is, `index`; EX_ANSWERS_MAX when all have ended. */
EX_API ex_code ex_answers_next(ex_answers *answers, size_t *index, ex_event *event, ex_error *error);
EX_API ex_answer ex_answers_get(const ex_answers *answers, size_t index);
EX_API size_t ex_answers_best(const ex_answers *answers, ex_selection by);
EX_API const ex_generator *ex_answers_generator(const ex_answers *answers, size_t index); /* to look at */

/* ---- tools -------------------------------------------------------------------------------------------------- */
/* Called with work done so far and in all; returns false to stop (the call then fails with EX_ERROR_ARGUMENT). */
typedef bool (*ex_progress)(void *context, uint64_t done, uint64_t total, const char *what);

typedef struct ex_quantized { /* what became of a tensor */
    const ex_tensor *tensor; /* as it was */
    uint32_t type, wanted;   /* as it is; as it would be if its rows were whole blocks of every type */
    uint64_t n_bytes;
    double relative_error, largest_error; /* root mean square over that of the values; largest absolute difference */
} ex_quantized;
/* Writes the model at `input` with its matrices in `type` ("F16", "Q8_0", "Q4_K_M" …) to `output`: a temporary file
 * beside it, then renamed. `n_threads` 0: all. `report` (may be NULL) is called after each tensor. */
EX_API ex_code ex_quantize(const char *input, const char *output, const char *type, int32_t n_threads,
                           ex_progress progress, void (*report)(void *context, const ex_quantized *result),
                           void *context, ex_error *error);

/* Writes the safetensors model in `folder`, as Hugging Face stores it (config.json, tokenizer.json; llama, mistral,
 * qwen2, qwen3), to one GGUF file. Matrices become `type` ("F16", "BF16", "F32"; NULL: what they are, F32 as F16). */
EX_API ex_code ex_convert(const char *folder, const char *output, const char *type, ex_progress progress,
                          void *context, ex_error *error);

/* Writes a copy of a GGUF file (of a split model, all parts as one) in which the key `key` has this text; a temporary
 * file beside `output`, then renamed. */
EX_API ex_code ex_file_copy(const char *input, const char *output, const char *key, const char *text, size_t length,
                            ex_progress progress, void *context, ex_error *error);
/* The policy that a model file carries under this key, as the text of a policy file. Without one `found` is false and
 * `policy` stays as it is. */
#define EX_POLICY_KEY "entropix.policy"
EX_API ex_code ex_policy_stored(ex_policy *policy, const ex_file *file, bool *found, ex_error *error);

typedef struct ex_shares { /* of all tokens, that a strategy takes; the rest is adaptive */
    double greedy; /* below 0: what the text has of tokens where the likeliest has over half of the probability */
    double clarify, explore, high_uncertainty;
} ex_shares;

typedef struct ex_calibration_options {
    const ex_policy *policy; /* its rules of these names stay, thresholds and score weights change; NULL: the default */
    ex_shares shares;
    size_t n_window, n_warm_up; /* positions of a window of the text, and the first of them that do not count */
    size_t n_positions;         /* to measure of each part, at most; 0: all */
    ex_progress progress;       /* may be NULL */
    void *context;
} ex_calibration_options;

typedef struct ex_share_result {
    const char *strategy;                       /* static storage */
    double wanted, expected, measured, error;   /* on the text, on the held-out text, and the latter's standard error */
} ex_share_result;

typedef struct ex_weights_result { /* how well the score finds the token that came, among the four likeliest */
    double expected, measured; /* mean log2 of its probability, on the text and on the held-out text */
    double accuracy;           /* share of held-out choices where it has the best score */
} ex_weights_result;

enum { EX_SHARE_COUNT = 5, EX_QUANTILE_COUNT = 9 };
typedef struct ex_calibration {
    ex_policy policy;
    size_t n_positions, n_held_out; /* measured */
    ex_metrics quantiles[EX_QUANTILE_COUNT]; /* of each metric by itself */
    ex_share_result shares[EX_SHARE_COUNT];  /* in the order of the rules, "adaptive" the last: all other rules */
    size_t n_choices, n_choices_held_out;    /* where more than one candidate is drawn */
    ex_weights_result without, before, fitted; /* weights 0, the given policy's, and those that were found */
    double gain, gain_error; /* of the found ones over 0, held out, with its standard error, bits */
    double weights[6];       /* those that were found, in the order of ex_policy */
    bool weights_help;       /* gain is over twice its error: the policy has them; otherwise it has 0 */
} ex_calibration;
EX_API double ex_calibration_quantile(size_t index); /* 0, 0.01 … 1 */
EX_API ex_calibration_options ex_calibration_options_default(void);
/* Measures the model on two texts (tokens without a beginning of sequence), of which the second only checks, and finds
 * thresholds and score weights. It opens sessions of its own on the engine. */
EX_API ex_code ex_calibrate(ex_engine *engine, const int32_t *tokens, size_t n_tokens, const int32_t *held_out,
                            size_t n_held_out, const ex_calibration_options *options, ex_calibration *out,
                            ex_error *error);

/* Memory read bandwidth with the engine's threads and widest loads: the roof of decoding. Opening takes and fills
 * n_bytes, which should be more than any cache; each sweep reads them once and returns bytes per second. */
typedef struct ex_bandwidth ex_bandwidth;
EX_API ex_code ex_bandwidth_open(ex_bandwidth **out, ex_engine *engine, size_t n_bytes, ex_error *error);
EX_API double ex_bandwidth_sweep(ex_bandwidth *bandwidth);
EX_API void ex_bandwidth_close(ex_bandwidth *bandwidth);

/* Multiplications and additions of bytes a second that the engine's threads make in registers: the roof of prefill. */
EX_API double ex_integer_peak(ex_engine *engine);

typedef struct ex_kernel_report { /* one function of one kernel table, on one thread, with operands in the caches */
    const char *function, *type, *kernels; /* "matmul", "Q8_0" (or ""), "avx2"; static storage */
    double error;                          /* largest difference from "portable", relative to the largest value */
    double bytes_per_second, operations_per_second; /* matmul: weights for one token; with 64 tokens. 0: not measured */
} ex_kernel_report;
/* Reports on every table that the processor supports, for some seconds, or until `report` returns false. */
EX_API ex_code ex_kernels_compare(bool (*report)(void *context, const ex_kernel_report *result), void *context,
                                  ex_error *error);

#ifdef __cplusplus
}
#endif
#endif
