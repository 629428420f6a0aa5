/* task_source.c - files of questions as records. */
#include "task_source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "failure.h"
#include "task_pieces.h"
#include "task_text.h"

static const size_t file_bytes_max = (size_t)1 << 30;

static ex_code read_whole(const char *path, FILE *file, char **text, size_t *length, ex_error *error) {
    size_t capacity = 1 << 16;
    *length = 0;
    *text = NULL;
    do {
        char *larger = realloc(*text, capacity + 1);
        if (!larger) return eval_fail_memory(error, path);
        *text = larger;
        *length += fread(larger + *length, 1, capacity - *length, file);
        if (*length < capacity) break;
        capacity *= 2;
    } while (capacity <= 2 * file_bytes_max);
    if (ferror(file)) return eval_fail_system(error, path, "read");
    if (*length > file_bytes_max) return eval_fail(error, EX_ERROR_FORMAT, 0, "%s: is over 1 GB", path);
    (*text)[*length] = 0;
    return EX_OK;
}

static ex_code read_text(const char *path, char **text, size_t *length, ex_error *error) {
    FILE *file = fopen(path, "rbe");
    *text = NULL;
    if (!file) return eval_fail_system(error, path, "open");
    ex_code code = read_whole(path, file, text, length, error);
    fclose(file);
    if (code == EX_OK) return code;
    free(*text);
    *text = NULL;
    return code;
}

typedef struct file_reading {
    eval_piece_source pieces;
    char *text;
    size_t length;
} file_reading;

static ex_code read_file(const char *path, file_reading *reading, ex_error *error) {
    ex_code code = read_text(path, &reading->text, &reading->length, error);
    if (code != EX_OK) return code;
    const char *text = reading->text;
    size_t length = reading->length, mark = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    code = eval_pieces_read(&reading->pieces, path, text + mark, length - mark, error);
    free(reading->text);
    return code;
}

static int is_question_file(const struct dirent *entry) {
    const char *name = entry->d_name;
    return *name != '.' && (eval_path_ends(name, ".csv") || eval_path_ends(name, ".jsonl"));
}

/* Not alphasort, whose order depends on the user's language. */
static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static ex_code read_folder(const char *path, file_reading *reading, ex_error *error) {
    struct dirent **entries;
    int count = scandir(path, &entries, is_question_file, by_bytes);
    if (count < 0) return eval_fail_system(error, path, "read the folder");
    ex_code code = count ? EX_OK : eval_fail(error, EX_ERROR_FORMAT, 0, "%s: holds no .csv or .jsonl file", path);
    for (int i = 0; i < count; i++) {
        char *file = eval_text_format("%s/%s", path, entries[i]->d_name);
        if (!file) code = eval_fail_memory(error, path);
        reading->pieces.file = entries[i]->d_name;
        if (code == EX_OK) code = read_file(file, reading, error);
        reading->pieces.lines_before += reading->pieces.n_lines;
        free(file);
        free(entries[i]);
    }
    free(entries);
    return code;
}

ex_code eval_source_read(const char *path, const char *const *columns, eval_entry_take take, void *context,
                         ex_error *error) {
    file_reading reading = {.pieces = {.columns = columns, .take = take, .context = context}};
    struct stat status;
    if (stat(path, &status)) return eval_fail_system(error, path, "open");
    return S_ISDIR(status.st_mode) ? read_folder(path, &reading, error) : read_file(path, &reading, error);
}
