/* normalise.h - normalisation form C of Unicode, which some tokenizers apply to text before they look at it. */
#ifndef EX_TEXT_NORMALISE_H
#define EX_TEXT_NORMALISE_H

#include "entropix.h"

/* `text` is valid UTF-8. What is in form C already, as far as a look at each character tells, is returned as it lies;
 * else `memory` gets a text to free. Linear in the text, whatever marks it piles up. */
ex_code ex_normalise_nfc(ex_string text, ex_string *out, char **memory, ex_error *error);

#endif
