/* policy.h - the policy of run and chat: a preset, a file or the model's own, and what the command line changes in it.
 * Each function returns STATUS_OK, or the exit status after a message. */
#ifndef CLI_POLICY_H
#define CLI_POLICY_H

#include "entropix.h"
#include "options.h"

typedef struct cli_policy {
    ex_policy values;
    const char *name; /* what --policy says, or where it comes from */
} cli_policy;

/* Before a model is open: what is wrong in the command line shows at once. */
int policy_open(cli_policy *out, const cli_options *options);
/* Without --policy, the policy that the model file carries takes the place of the default, if there is one. */
int policy_of_model(cli_policy *out, const cli_options *options, const ex_engine *engine);
/* A preset, or else a file. */
int policy_named(ex_policy *out, const char *name);

#endif
