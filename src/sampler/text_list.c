/* text_list.c - lists of texts in policies. */
#include "sampler/text_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static ex_code take_texts(ex_text_list *list, const char *key, ex_error *error) {
    const ex_json *all = list->document.nodes;
    if (all->kind != EX_JSON_LIST)
        return ex_fail(error, EX_ERROR_FORMAT, 0, "%s: %s where a list of texts is needed, such as [\"\\n\", \":\"]",
                       key, ex_json_kind_name(all->kind));
    list->texts = ex_allocate(all->count, sizeof *list->texts);
    if (!list->texts) return ex_fail_memory(error, key);
    for (const ex_json *item = ex_json_next(all, NULL); item; item = ex_json_next(all, item)) {
        if (item->kind != EX_JSON_TEXT || item->as.text.length == 0)
            return ex_fail(error, EX_ERROR_FORMAT, item->offset,
                           "%s: every entry of the list must be a text that is not empty", key);
        list->texts[list->count++] = item->as.text;
    }
    return EX_OK;
}

ex_code ex_text_list_read(ex_text_list *list, const char *key, const char *text, ex_error *error) {
    *list = (ex_text_list){0};
    if (!*text) return EX_OK;
    ex_code code = ex_json_read(&list->document, text, strlen(text), key, 0, error);
    if (code == EX_OK) code = take_texts(list, key, error);
    if (code != EX_OK) ex_text_list_free(list);
    return code;
}

void ex_text_list_free(ex_text_list *list) {
    free(list->texts);
    ex_json_free(&list->document);
    *list = (ex_text_list){0};
}
