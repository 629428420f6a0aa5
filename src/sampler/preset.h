/* preset.h - the files of src/sampler/presets, which the build puts into a table of the library. */
#ifndef EX_SAMPLER_PRESET_H
#define EX_SAMPLER_PRESET_H

#include <stddef.h>

typedef struct ex_preset_text {
    const char *name, *text;
} ex_preset_text;

extern const ex_preset_text ex_preset_texts[]; /* ends with a NULL name */

#endif
