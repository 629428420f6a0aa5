/* map.h - a whole file as read-only memory. */
#ifndef EX_FILE_MAP_H
#define EX_FILE_MAP_H

#include "entropix.h"

typedef struct ex_map {
    const unsigned char *data;
    uint64_t size; /* bytes, never 0 while open */
} ex_map;

/* A missing, empty or unreadable file and anything that is not a regular file is an error. A file that another program
 * shortens while it is mapped raises SIGBUS on access: replace model files, never rewrite them. */
ex_code ex_map_open(ex_map *map, const char *path, ex_error *error);
void ex_map_close(ex_map *map);

#endif
