/* tokenizer.h - tokenizer.json and what stands about it in the other files, as keys of GGUF. */
#ifndef EX_CONVERT_TOKENIZER_H
#define EX_CONVERT_TOKENIZER_H

#include "convert/source.h"
#include "file/gguf.h"

/* `n_vocab`: rows of the embedding. Writes nothing before it has read everything. */
ex_code ex_tokenizer_convert(const char *folder, const ex_source *config, size_t n_vocab, ex_writer *writer,
                             ex_error *error);

#endif
