/* eval.c - entropix eval: policies on the same questions, with the same seeds, at the same cost. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "data_path.h"
#include "eval/price.h"
#include "eval/report.h"
#include "eval/run.h"
#include "eval/shard.h"
#include "eval/tune.h"
#include "eval_output.h"
#include "interrupt.h"
#include "model.h"

enum { PATH_SIZE = 4096 };

static bool is_stopped(void *context) {
    (void)context;
    return interrupt_seen();
}

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int read_terms(eval_terms *terms, const cli_options *options) {
    const char *budget = option_text(options, OPTION_BUDGET);
    ex_error error;
    eval_shard shard;
    if (eval_shard_find(&shard, option_text(options, OPTION_SHARD), getenv, &error) != EX_OK) return report(&error);
    *terms = (eval_terms){.tasks = options->values[OPTION_TASK].texts,
                          .n_tasks = options->values[OPTION_TASK].n_texts,
                          .limit = (size_t)option_integer(options, OPTION_LIMIT),
                          .policies = option_text(options, OPTION_POLICIES),
                          .votes = option_text(options, OPTION_VOTE),
                          .n_seeds = (size_t)option_integer(options, OPTION_SEEDS),
                          .first_seed = (uint64_t)option_integer(options, OPTION_EVAL_SEED),
                          .budget = !budget ? EVAL_BUDGET_NONE
                                    : strcmp(budget, "time") == 0 ? EVAL_BUDGET_TIME : EVAL_BUDGET_TOKENS,
                          .budget_times = options->values[OPTION_TIMES].number,
                          .n_trials = (size_t)option_integer(options, OPTION_TUNE),
                          .shard = shard.index,
                          .n_shards = shard.count};
    if (shard.count > 1 && strcmp(shard.source, "--shard") != 0)
        message("part %zu of %zu, as %s says", shard.index, shard.count, shard.source);
    return STATUS_OK;
}

/* Parts that share the name of a folder each have one in it. */
static void folder_of(char folder[PATH_SIZE], const cli_options *options, const eval_terms *terms) {
    const char *output = option_text(options, OPTION_EVAL_OUTPUT);
    if (terms->n_shards > 1) snprintf(folder, PATH_SIZE, "%s/shard-%zu", output, terms->shard);
    else snprintf(folder, PATH_SIZE, "%s", output);
}

static int run_plan(eval_plan *plan, const cli_options *options, const char *folder) {
    eval_bar bar = {.progress = progress_begin()};
    const eval_watcher watcher = {eval_show_progress, is_stopped, &bar};
    const size_t n_parallel = (size_t)option_integer(options, OPTION_PARALLEL);
    bool stopped = false;
    ex_error error;
    ex_code code = eval_price(plan, folder, n_parallel, &error);
    if (code == EX_OK && plan->run->n_trials > 0)
        code = eval_tune(plan, folder, n_parallel, &watcher, &stopped, &error);
    if (code == EX_OK && !stopped)
        code = eval_run_plan(plan, folder, n_parallel, "answers", &watcher, &stopped, &error);
    progress_end(&bar.progress);
    if (code != EX_OK) return report(&error);
    if (!stopped) return STATUS_OK;
    message("stopped; the same command goes on from here");
    return STATUS_INTERRUPTED;
}

static int show_report(const char *folder) {
    ex_error error;
    int status = eval_print_table(folder);
    if (status != STATUS_OK) return status;
    if (eval_report_write(folder, &error) != EX_OK) return report(&error);
    printf("\n%s/report.html and report.md have the whole report\n", folder);
    return output_status(output_flush(), STATUS_OK);
}

static int finish(const cli_options *options, const char *folder, bool is_part) {
    if (!is_part) return show_report(folder);
    int status = eval_print_table(folder);
    printf("\n%s is a part; `entropix eval merge %s/shard-* -o DIR` joins all\n", folder,
           option_text(options, OPTION_EVAL_OUTPUT));
    return output_status(output_flush(), status);
}

static int run_all(const cli_options *options) {
    eval_terms terms;
    eval_plan *plan = NULL;
    ex_engine *engine = NULL;
    ex_error error;
    char folder[PATH_SIZE], task_folder[DATA_PATH_SIZE];
    int status = read_terms(&terms, options);
    if (status != STATUS_OK) return status;
    data_path(task_folder, "tasks");
    terms.task_folder = task_folder;
    folder_of(folder, options, &terms);
    char *model;
    status = model_path(&model, options);
    if (status != STATUS_OK) return status;
    terms.model = name_of(model);
    status = model_open(&engine, options);
    if (status == STATUS_OK && eval_plan_open(&plan, engine, &terms, &error) != EX_OK) status = report(&error);
    if (status == STATUS_OK) status = run_plan(plan, options, folder);
    if (status == STATUS_OK) status = finish(options, folder, terms.n_shards > 1);
    eval_plan_close(plan);
    ex_engine_close(engine);
    free(model);
    return status;
}

static int need(const cli_options *options, option_id id, const char *what) {
    if (options->values[id].given) return STATUS_OK;
    message("eval needs %s; `entropix eval --help` shows how", what);
    return STATUS_INPUT;
}

static int merge(const cli_options *options) {
    const char *folder = option_text(options, OPTION_EVAL_OUTPUT);
    ex_error error;
    int status = need(options, OPTION_EVAL_OUTPUT, "a folder: -o DIR");
    if (status != STATUS_OK) return status;
    if (options->n_operands < 2) {
        message("eval merge needs the folders of all parts: entropix eval merge out/shard-* -o DIR");
        return STATUS_INPUT;
    }
    const size_t n_parts = (size_t)options->n_operands - 1;
    if (eval_merge(options->operands + 1, n_parts, folder, &error) != EX_OK) return report(&error);
    return show_report(folder);
}

static int redraw(const cli_options *options) {
    if (options->n_operands == 2) return show_report(options->operands[1]);
    message("eval report needs the folder of a run: entropix eval report DIR");
    return STATUS_INPUT;
}

int command_eval(const cli_options *options) {
    const char *word = options->n_operands > 0 ? options->operands[0] : NULL;
    if (word && strcmp(word, "merge") == 0) return merge(options);
    if (word && strcmp(word, "report") == 0) return redraw(options);
    if (word) {
        message("eval takes no argument '%s'; did you mean --task %s?", word, word);
        return STATUS_INPUT;
    }
    int status = need(options, OPTION_TASK, "a task: --task FILE");
    if (status == STATUS_OK) status = need(options, OPTION_POLICIES, "policies: --policy A,B");
    if (status == STATUS_OK) status = need(options, OPTION_EVAL_OUTPUT, "a folder: -o DIR");
    return status == STATUS_OK ? run_all(options) : status;
}
