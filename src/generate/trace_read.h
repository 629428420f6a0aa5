/* trace_read.h - the lines of a trace as the values that they hold. */
#ifndef EX_GENERATE_TRACE_READ_H
#define EX_GENERATE_TRACE_READ_H

#include <locale.h>

#include "base/json.h"
#include "generate/trace_write.h"

enum { EX_TRACE_NAME_MAX = 80 };

typedef enum ex_row_kind { EX_ROW_HEADER, EX_ROW_DECISION, EX_ROW_BRANCH, EX_ROW_REWIND, EX_ROW_SUMMARY, EX_ROW_OTHER,
                           EX_ROW_NONE /* nothing more */ } ex_row_kind;

typedef struct ex_trace_row { /* lists belong to the reader, until its next line */
    ex_row_kind kind;
    ex_trace_kind traced; /* of decisions */
    const ex_json *json;
    uint32_t sequence, attempt;
    size_t position;
    int32_t branch; /* -1: not of a branch */
    int32_t token;
    ex_string text;
    bool decided; /* `choice` is there */
    ex_choice choice;
    char strategy[EX_TRACE_NAME_MAX], margin_metric[EX_TRACE_NAME_MAX];
    const float *logits; /* [n_listed] the kept ones, choice.distribution, are the first */
    const int32_t *tokens;
    const ex_string *texts;
    size_t n_listed;
    uint64_t n_kept;      /* more than there are in choice.distribution where not all are listed */
    float others_at_most; /* -infinity: all are listed */
    const int32_t *n_positions; /* [choice.n_layer] */
    int32_t excluded[EX_EXCLUDED_MAX];
    size_t n_excluded;
    bool is_masked;          /* a grammar forbade tokens: these of the listed ones, */
    int32_t forbidden[EX_TRACED_MAX];
    size_t n_forbidden;
    uint64_t n_permitted;    /* and it permitted so many, of which those that are not listed are at most: */
    float permitted_at_most;
    bool is_steered;
    double steering[EX_STEERING_COUNT];
} ex_trace_row;

typedef struct ex_trace_reader {
    const char *name;  /* of the file, for messages */
    const char *text;  /* all of it */
    char *memory;      /* that it lies in; NULL: the caller's */
    size_t length, at;
    uint64_t line;     /* the newest */
    char place[512];   /* FILE:LINE */
    locale_t locale;   /* "C" */
    const char *line_text;
    ex_json_document document;
    ex_error *error;
    ex_code code;      /* of the first thing wrong in this line */
    /* of the newest line, growing */
    size_t capacity;   /* of the lists of candidates */
    ex_candidate *candidates;
    float *logits;
    int32_t *tokens;
    ex_string *texts;
    ex_layer_metrics layers[EX_LAYERS_MAX];
    int32_t n_positions[EX_LAYERS_MAX];
    ex_outlook ahead[EX_DRAWS_MAX];
} ex_trace_reader;

/* "-" is standard input. */
ex_code ex_trace_reader_open(ex_trace_reader *reader, const char *path, ex_error *error);
/* Reads the caller's text, which must outlive the reader. */
ex_code ex_trace_reader_open_text(ex_trace_reader *reader, const char *text, size_t length, ex_error *error);
void ex_trace_reader_close(ex_trace_reader *reader);
/* Lines of kinds that are not known are EX_ROW_OTHER; a last line that was broken off counts as none. */
ex_code ex_trace_read(ex_trace_reader *reader, ex_trace_row *row, ex_error *error);

/* Errors of the newest line: "FILE:LINE: ...". */
ex_code ex_trace_fail(ex_trace_reader *reader, const char *format, ...) EX_PRINTF(2, 3);
/* These note the first thing that is wrong, and give zero then. */
int64_t ex_trace_integer(ex_trace_reader *reader, const ex_json *map, const char *key, int64_t minimum,
                         int64_t maximum);
ex_string ex_trace_text(ex_trace_reader *reader, const ex_json *map, const char *key);

#endif
