/* engine.h - an engine is a file, its model and its tokenizer under one handle. */
#ifndef EX_GENERATE_ENGINE_H
#define EX_GENERATE_ENGINE_H

#include "model/model.h"

struct ex_engine {
    ex_file *file;
    ex_tokenizer *tokenizer;
    ex_model model;
};

#endif
