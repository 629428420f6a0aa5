/* foreign.h - says what a file is when it is not GGUF, for the commonest mistakes. */
#ifndef EX_FILE_FOREIGN_H
#define EX_FILE_FOREIGN_H

#include <stdint.h>

/* "a Git LFS pointer; fetch the file itself", or NULL when the bytes say nothing. */
const char *ex_foreign_name(const unsigned char *bytes, uint64_t size);

#endif
