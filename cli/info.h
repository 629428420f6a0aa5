/* info.h - the two forms of a description. */
#ifndef CLI_INFO_H
#define CLI_INFO_H

#include "description.h"

void info_json(const cli_description *description);

/* "u32", "string", "array of f32 (2048)" */
const char *value_type_name(ex_value_type type);

#endif
