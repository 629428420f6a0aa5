/* model.h - from options to an open model and a session. Each function shows its own message on failure. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "entropix.h"
#include "options.h"

/* The file of -m, or the model that ships: $ENTROPIX_MODEL, the build, the installation, ./models. The message of
 * a failure lists the places. Returns STATUS_OK or the exit status; free *path. */
int model_path(char **path, const cli_options *options);
/* Returns STATUS_OK or the exit status. */
int model_open(ex_engine **out, const cli_options *options);
/* --stop and --ignore-eos. */
void ending_options(ex_generator_options *out, const cli_options *options);
/* The seed of --seed, or a random one that is short enough to type. */
uint64_t seed_choose(const cli_options *options);
/* How the KV cache is stored: --cache-type, or `otherwise`. */
ex_kv_type cache_type(const cli_options *options, ex_kv_type otherwise);
/* A session with room for -c positions, or else for `n_wanted` as far as the model was trained for so many. */
int session_open(ex_session **out, ex_engine *engine, const cli_options *options, size_t n_wanted);

/* Everything up to the end of the file ("-": standard input), with a zero byte after it; NULL after a message. */
char *read_text(const char *path, size_t *length);

#endif
