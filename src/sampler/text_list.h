/* text_list.h - the policy's lists of texts, written as JSON lists: ["\n", "\""]. */
#ifndef EX_SAMPLER_TEXT_LIST_H
#define EX_SAMPLER_TEXT_LIST_H

#include "base/json.h"

typedef struct ex_text_list {
    ex_json_document document;
    ex_string *texts; /* [count] none is empty; they lie in the document */
    size_t count;
} ex_text_list;

/* Nothing at all is an empty list. Errors name `key`. Nothing is left to free on error. */
ex_code ex_text_list_read(ex_text_list *list, const char *key, const char *text, ex_error *error);
void ex_text_list_free(ex_text_list *list);

#endif
