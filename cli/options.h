/* options.h - one table of options. The parser, --help, the man pages and the shell completion all come from it. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_id {
    OPTION_MODEL,
    OPTION_THREADS,
    OPTION_CPU,
    OPTION_CONTEXT,
    OPTION_WINDOW,
    OPTION_CALIBRATION_WINDOW,
    OPTION_CACHE_TYPE,
    OPTION_NO_STATISTICS,
    OPTION_PROMPT,
    OPTION_FILE,
    OPTION_TEXT_FILE,
    OPTION_CALIBRATION_TEXT,
    OPTION_HELD_OUT,
    OPTION_TEMPLATE,
    OPTION_NOW,
    OPTION_SYSTEM,
    OPTION_CHAT_TEMPLATE,
    OPTION_PARSE_SPECIAL,
    OPTION_ADD_BEGINNING,
    OPTION_ADD_END,
    OPTION_VERBOSE_PROMPT,
    OPTION_NO_DISPLAY_PROMPT,
    OPTION_PREDICT,
    OPTION_CHAT_PREDICT,
    OPTION_STOP,
    OPTION_IGNORE_END,
    OPTION_JSON_SCHEMA,
    OPTION_JSON_OBJECT,
    OPTION_CHAINS,
    OPTION_CHOOSE,
    OPTION_POLICY,
    OPTION_BASE_POLICY,
    OPTION_SHARES,
    OPTION_POSITIONS,
    OPTION_SET,
    OPTION_REPLAY_POLICY,
    OPTION_SEED,
    OPTION_TEMPERATURE,
    OPTION_TOP_K,
    OPTION_TOP_P,
    OPTION_MIN_P,
    OPTION_LOOKAHEAD,
    OPTION_CANDIDATES,
    OPTION_BRANCHES,
    OPTION_BRANCH_TOKENS,
    OPTION_REWIND,
    OPTION_BAN,
    OPTION_SAMPLERS,
    OPTION_TYPICAL,
    OPTION_TOP_N_SIGMA,
    OPTION_TOP_H,
    OPTION_ETA_CUTOFF,
    OPTION_EPSILON_CUTOFF,
    OPTION_XTC_PROBABILITY,
    OPTION_XTC_THRESHOLD,
    OPTION_REPEAT_PENALTY,
    OPTION_REPEAT_LAST_N,
    OPTION_FREQUENCY_PENALTY,
    OPTION_PRESENCE_PENALTY,
    OPTION_DRY_MULTIPLIER,
    OPTION_DRY_BASE,
    OPTION_DRY_ALLOWED_LENGTH,
    OPTION_DRY_PENALTY_LAST_N,
    OPTION_DRY_SEQUENCE_BREAKER,
    OPTION_DYNATEMP_RANGE,
    OPTION_DYNATEMP_EXPONENT,
    OPTION_MIROSTAT,
    OPTION_MIROSTAT_RATE,
    OPTION_MIROSTAT_ENTROPY,
    OPTION_ADAPTIVE_TARGET,
    OPTION_ADAPTIVE_DECAY,
    OPTION_LOGIT_BIAS,
    OPTION_TASK,
    OPTION_LIMIT,
    OPTION_POLICIES,
    OPTION_SEEDS,
    OPTION_EVAL_SEED,
    OPTION_BUDGET,
    OPTION_TIMES,
    OPTION_VOTE,
    OPTION_TUNE,
    OPTION_PARALLEL,
    OPTION_SHARD,
    OPTION_EVAL_OUTPUT,
    OPTION_TOKENS,
    OPTION_ALL,
    OPTION_SCORES,
    OPTION_BENCH_PROMPT,
    OPTION_BENCH_GENERATE,
    OPTION_BENCH_DEPTH,
    OPTION_REPEAT,
    OPTION_KERNELS,
    OPTION_OPTION_COSTS,
    OPTION_CSV,
    OPTION_WEIGHT_TYPE,
    OPTION_POLICY_OUTPUT,
    OPTION_EMBED,
    OPTION_PICTURE,
    OPTION_PART,
    OPTION_WIDTH,
    OPTION_THEME,
    OPTION_TRACE,
    OPTION_DIFF,
    OPTION_EXPLAIN,
    OPTION_JSON,
    OPTION_VERBOSE,
    OPTION_COLOR,
    OPTION_HEAT,
    OPTION_HOST,
    OPTION_PORT,
    OPTION_API_KEY,
    OPTION_API_KEY_FILE,
    OPTION_PUBLIC,
    OPTION_ALLOW_HOST,
    OPTION_ALLOW_ORIGIN,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_SLOTS,
    OPTION_QUEUE,
    OPTION_CACHED_PROMPTS,
    OPTION_TIMEOUT,
    OPTION_GRACE,
    OPTION_ALIAS,
    OPTION_TRACE_FOLDER,
    OPTION_SANDBOX,
    OPTION_USAGE,
    OPTION_HELP,
    OPTION_COUNT
} option_id;

typedef enum option_kind { KIND_FLAG, KIND_INTEGER, KIND_NUMBER, KIND_TEXT, KIND_FILE, KIND_CHOICE } option_kind;

typedef enum option_join { /* how the texts of an option that repeats become the value of a policy key */
    JOIN_NONE,         /* the last counts */
    JOIN_COMMAS,
    JOIN_LIST,         /* a list as JSON */
    JOIN_LIST_OR_NONE, /* the same; the word "none" alone is an empty one */
} option_join;

typedef struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    const char *habit; /* what other programs call it, behind one dash: "np"; NULL: nothing else */
    option_kind kind;
    const char *argument;    /* what help calls the value; for a choice, the words with | between them */
    double minimum, maximum; /* of a number */
    const char *value;       /* the default as it would be typed, or NULL */
    const char *otherwise;   /* without a default value: what happens then, in words; "" when nothing needs saying */
    unsigned commands;       /* bits of command_id */
    bool repeats;            /* may be given several times, REPEATS_MAX at most */
    const char *policy_key;  /* it sets this key of the policy, which knows what values there are */
    option_join join;
    const char *(*names)(size_t index); /* values with a name, for help and completion; NULL past the last */
    const char *group;
    const char *help;
} cli_option;

extern const cli_option option_table[OPTION_COUNT];

typedef enum command_id {
    COMMAND_RUN = 1 << 0,
    COMMAND_CHAT = 1 << 1,
    COMMAND_DECIDE = 1 << 2,
    COMMAND_LOGITS = 1 << 3,
    COMMAND_TOKENIZE = 1 << 4,
    COMMAND_INFO = 1 << 5,
    COMMAND_BENCH = 1 << 6,
    COMMAND_QUANTIZE = 1 << 7,
    COMMAND_RENDER = 1 << 8,
    COMMAND_PERPLEXITY = 1 << 9,
    COMMAND_CONVERT = 1 << 10,
    COMMAND_PLOT = 1 << 11,
    COMMAND_HELPER = 1 << 12, /* help, man, completion */
    COMMAND_REPLAY = 1 << 13,
    COMMAND_CALIBRATE = 1 << 14,
    COMMAND_EVAL = 1 << 15,
    COMMAND_SERVE = 1 << 16,
    COMMAND_ANY = (1 << 17) - 1
} command_id;

enum { REPEATS_MAX = 16 };

typedef struct option_value {
    bool given;
    int64_t integer;
    double number;
    const char *text;                /* of an option that repeats, the last */
    const char *texts[REPEATS_MAX];  /* of an option that repeats, all */
    size_t n_texts;
} option_value;

/* One key of the policy, as the command line has it: of an option with a policy_key, or of --set. */
typedef struct policy_setting {
    const cli_option *option;
    const char *text; /* of --set, KEY=VALUE */
} policy_setting;

enum { OPERANDS_MAX = 65, SETTINGS_MAX = 128 };

typedef struct cli_options {
    option_value values[OPTION_COUNT]; /* defaults where nothing was given */
    policy_setting settings[SETTINGS_MAX]; /* in the order of the command line */
    size_t n_settings;
    const char *operands[OPERANDS_MAX];
    int n_operands;
} cli_options;

typedef struct cli_command {
    const char *name;
    command_id id;
    const char *operands; /* as the usage line shows them */
    int minimum_operands, maximum_operands;
    int (*run)(const cli_options *options);
    const char *summary;
    const char *description; /* paragraphs, divided by \n */
    const char *examples;    /* lines, divided by \n */
} cli_command;

/* In the order of help; the last has no name. */
extern const cli_command command_table[];
const cli_command *command_find(const char *name);
/* The name that is nearest to `name`, or NULL when none is near. */
const char *command_nearest(const char *name);

/* Reads the arguments after the subcommand. False after a message on standard error. */
bool options_parse(cli_options *out, const cli_command *command, int n_arguments, char **arguments);

static inline bool option_flag(const cli_options *options, option_id id) { return options->values[id].given; }
static inline int64_t option_integer(const cli_options *options, option_id id) { return options->values[id].integer; }
static inline const char *option_text(const cli_options *options, option_id id) { return options->values[id].text; }

/* How many insertions, deletions and substitutions turn one word into the other. */
int edit_distance(const char *a, const char *b);

#endif
