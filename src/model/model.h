/* model.h - an opened model: shape, weights, kernels, threads and their scratch. Sessions change none of it but the
 * scratch and where weights lie, and that only while the team runs for them. */
#ifndef EX_MODEL_MODEL_H
#define EX_MODEL_MODEL_H

#include "base/team.h"
#include "model/packer.h"
#include "model/weights.h"
#include "model/workspace.h"

typedef struct ex_model {
    const ex_file *file;
    const ex_architecture *architecture;
    ex_shape shape;
    ex_weights weights;
    ex_packer packer;
    const ex_kernels *kernels;
    ex_team *team;
    ex_workspace work;             /* grows when a session opens that needs more than all before it */
    const ex_tokenizer *tokenizer; /* set by the engine for who generates from a session; the model never reads it */
} ex_model;

/* `file` must outlive the model. */
ex_code ex_model_open(ex_model *model, const ex_file *file, const ex_engine_options *options, ex_error *error);
void ex_model_close(ex_model *model);

/* The engine's ex_session_open. */
ex_code ex_model_session(ex_session **out, ex_model *model, const ex_session_options *options, ex_error *error);

const ex_model *ex_session_model(const ex_session *session);

/* The two handles, of one family, change places: what one holds, with its last results, is then the other's. */
void ex_session_exchange(ex_session *a, ex_session *b);
/* KV pages that the whole family of sessions uses. */
size_t ex_session_pages_in_use(const ex_session *session);
/* From the next evaluation on, as keep_scores of its options: for it and for forks to come. */
ex_code ex_session_keep_scores(ex_session *session, ex_error *error);
/* The results of the last evaluation. */
ex_step ex_session_step(ex_session *session);

#endif
