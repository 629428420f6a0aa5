/* text.h - texts that come with their length: what files hold is not terminated. */
#ifndef EX_BASE_TEXT_H
#define EX_BASE_TEXT_H

#include <string.h>

#include "entropix.h"

static inline bool ex_string_is(ex_string text, const char *expected) {
    return text.length == strlen(expected) && memcmp(text.data, expected, text.length) == 0;
}

#endif
