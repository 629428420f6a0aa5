#include "model/model.h"

#include "file/gguf.h"

static ex_code open_parts(ex_model *model, const ex_engine_options *options, ex_error *error) {
    ex_code code = ex_file_check_types(model->file, error);
    if (code == EX_OK) code = ex_architecture_find(&model->architecture, model->file, error);
    if (code == EX_OK) code = ex_shape_read(&model->shape, model->architecture, model->file, error);
    if (code == EX_OK) code = ex_kernels_select(&model->kernels, options->kernels, error);
    if (code == EX_OK)
        code = ex_weights_open(&model->weights, model->file, model->architecture, &model->shape, model->kernels, error);
    if (code == EX_OK) code = ex_packer_open(&model->packer, &model->weights, &model->shape, model->kernels, error);
    if (code != EX_OK) return code;
    return ex_team_open(&model->team, options->n_threads ? options->n_threads : ex_cpu_cores(), error);
}

ex_code ex_model_open(ex_model *model, const ex_file *file, const ex_engine_options *options, ex_error *error) {
    *model = (ex_model){.file = file};
    ex_code code = open_parts(model, options, error);
    if (code != EX_OK) ex_model_close(model);
    return code;
}

void ex_model_close(ex_model *model) {
    ex_team_close(model->team);
    ex_workspace_close(&model->work);
    ex_packer_close(&model->packer);
    ex_weights_close(&model->weights);
    *model = (ex_model){0};
}
