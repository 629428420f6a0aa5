/* data_path.h - where the files lie that come with the program. No path of the build is in the program: they are found
 * from where it lies itself, so that it can be moved with them, and two builds are the same bytes. */
#ifndef CLI_DATA_PATH_H
#define CLI_DATA_PATH_H

#include <stddef.h>

enum { DATA_PLACES = 2, DATA_PATH_SIZE = 4096 };

/* Where NAME may be: in the folder of a build, and in an installation. How many places; 0: the system does not say
 * where the program is. */
size_t data_places(char places[DATA_PLACES][DATA_PATH_SIZE], const char *name);
/* The first place that is there, or else the last one. */
void data_path(char path[DATA_PATH_SIZE], const char *name);

#endif
