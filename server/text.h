/* text.h - a text that grows, for parts of JSON and of streams. Once memory is out it stays failed, so that only the
 * end needs a check. */
#ifndef SERVER_TEXT_H
#define SERVER_TEXT_H

#include <jansson.h>

#include "entropix.h"

typedef struct server_text {
    char *bytes; /* with a zero byte after them, or NULL */
    size_t length, capacity;
    bool failed;
} server_text;

void text_add(server_text *text, const char *bytes, size_t length);
void text_add_string(server_text *text, const char *string);
/* The value as JSON, which is released; NULL counts as a failure. */
void text_add_json(server_text *text, json_t *value);
void text_clear(server_text *text);
void text_free(server_text *text);

/* The bytes as a JSON text, with U+FFFD for what is not UTF-8. */
json_t *json_of_bytes(const char *bytes, size_t length);
/* The number, or null where it is not finite. */
json_t *json_of_number(double value);

#endif
