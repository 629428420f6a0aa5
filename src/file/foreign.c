#include "file/foreign.h"

#include <stddef.h>
#include <string.h>

static const struct {
    uint64_t at;
    const char *bytes, *name;
} kinds[] = {
    {0, "version https://git-lfs", "a Git LFS pointer; fetch the file that it stands for (git lfs pull)"},
    {0, "<!DOCTYPE", "a web page; the download went wrong"},
    {0, "<!doctype", "a web page; the download went wrong"},
    {0, "<html", "a web page; the download went wrong"},
    {0, "PK\003\004", "a ZIP archive (PyTorch checkpoints are); convert the model to GGUF"},
    {8, "{\"", "a safetensors file; make GGUF of its folder with entropix convert"},
    {0, "lmgg", "a GGML file from before 2023; convert the model again from its source"},
    {0, "fmgg", "a GGML file from before 2023; convert the model again from its source"},
    {0, "tjgg", "a GGML file from before 2023; convert the model again from its source"},
    {0, "FUGG", "a big-endian GGUF file; convert it to little-endian"},
};

const char *ex_foreign_name(const unsigned char *bytes, uint64_t size) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i].bytes);
        if (size >= kinds[i].at + length && memcmp(bytes + kinds[i].at, kinds[i].bytes, length) == 0)
            return kinds[i].name;
    }
    return NULL;
}
