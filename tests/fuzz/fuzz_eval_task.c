/* Tasks of `entropix eval`: a task that opens has questions, and grades any answer. Input: a task file, a line "====",
 * the questions, which it finds as q.jsonl, q.json, q.csv and q.txt; without that line, questions by themselves. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval/task.h"
#include "fuzz.h"

static void grade(const eval_task *task) {
    static const char *const texts[] = {"", "The answer is 1,000.5.", "B) it \xC3\xA9"};
    for (size_t i = 0; i < task->n_questions && i < 4; i++) {
        const eval_question *question = &task->questions[i];
        fuzz_require(question->prompt && question->id);
        for (size_t k = 0; k < 3; k++) {
            char *answer = NULL;
            if (eval_answer_of(task, texts[k], &answer, NULL) == EX_OK) eval_is_right(task, question, texts[k], answer);
            free(answer);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"q.json", "q.csv", "q.txt"};
    fuzz_input input = {data, size};
    eval_task *task = NULL;
    ex_error error = {0};
    size_t length;
    char *settings = fuzz_piece(&input, &length);
    bool has_settings = length < size;
    if (has_settings) fuzz_write("task.json", settings, length);
    fuzz_write("q.jsonl", has_settings ? input.data : data, has_settings ? input.left : size);
    for (size_t i = 0; i < 3; i++)
        if (access(fuzz_path(names[i]), F_OK)) fuzz_require(symlink("q.jsonl", fuzz_path(names[i])) == 0);
    if (eval_task_open(&task, fuzz_path(has_settings ? "task.json" : "q.jsonl"), NULL, 0, &error) == EX_OK) {
        fuzz_require(task->n_questions > 0);
        grade(task);
        eval_task_close(task);
    } else {
        fuzz_require(error.message[0] && !task);
    }
    free(settings);
    return 0;
}
