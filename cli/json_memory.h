/* json_memory.h - memory for the library that reads JSON, which must not see an allocation fail. */
#ifndef CLI_JSON_MEMORY_H
#define CLI_JSON_MEMORY_H

/* Call it before anything is read. */
void json_memory_prepare(void);

#endif
