/* layout.c - the table of layouts. Prompts, numbers of examples and patterns of the published ones are those of
 * lm-evaluation-harness. */
#include "layout.h"

#include <stdio.h>
#include <string.h>

#define TEXT .compare = EVAL_COMPARE_TEXT, .predict = EVAL_AUTO

static const char *const mmlu_columns[] = {"question", "A", "B", "C", "D", "answer", NULL};

static const eval_layout layouts[] = {
    {"entropix", eval_layout_own, NULL,
     {.kind = EVAL_AUTO, .chat = EVAL_AUTO, .compare = EVAL_AUTO, .predict = EVAL_AUTO,
      .prompt = "{% for shot in shots %}{{ shot.question }}\n{{ shot.answer }}\n\n{% endfor %}{{ question }}"}},
    {"prose", eval_layout_own, NULL, {TEXT, .kind = EVAL_CONTINUE, .prompt = "{{ question }}"}},
    {"gsm8k", eval_layout_gsm8k, NULL,
     {.kind = EVAL_GENERATE, .compare = EVAL_COMPARE_NUMBER, .predict = EVAL_AUTO, .shots = 5,
      .shots_from = "train.jsonl",
      .prompt = "{% for shot in shots %}Question: {{ shot.question }}\nAnswer: {{ shot.answer }}\n\n{% endfor %}"
                "Question: {{ question }}\nAnswer:",
      .pattern = "#### (-?[0-9.,]+)", .stop = {"Question:"}, .n_stop = 1}},
    {"arc", eval_layout_arc, NULL,
     {TEXT, .kind = EVAL_CHOOSE,
      .prompt = "{% for shot in shots %}Question: {{ shot.question }}\nAnswer: {{ shot.answer }}\n\n{% endfor %}"
                "Question: {{ question }}\nAnswer:"}},
    {"hellaswag", eval_layout_hellaswag, NULL,
     {TEXT, .kind = EVAL_CHOOSE,
      .prompt = "{% for shot in shots %}{{ shot.question }} {{ shot.answer }}\n\n{% endfor %}{{ question }}"}},
    {"truthfulqa_mc1", eval_layout_truthfulqa_mc1, NULL,
     {TEXT, .kind = EVAL_CHOOSE,
      .prompt = "{% for shot in shots %}Q: {{ shot.question }}\nA: {{ shot.answer }}\n\n{% endfor %}"
                "Q: {{ question }}\nA:"}},
    {"truthfulqa_mc2", eval_layout_truthfulqa_mc2, NULL,
     {TEXT, .kind = EVAL_CHOOSE,
      .prompt = "{% for shot in shots %}Q: {{ shot.question }}\nA: {{ shot.answer }}\n\n{% endfor %}"
                "Q: {{ question }}\nA:"}},
    {"mmlu", eval_layout_mmlu, mmlu_columns,
     {TEXT, .kind = EVAL_CHOOSE, .score = EVAL_SCORE_LABELS, .shots = 5, .shots_from = "../dev",
      .prompt = "The following are multiple choice questions (with answers) about {{ subject }}.\n\n"
                "{% for shot in shots %}{{ shot.question }}\n"
                "{% for choice in shot.choices %}{{ shot.labels[loop.index0] }}. {{ choice }}\n{% endfor %}"
                "Answer: {{ shot.answer }}\n\n{% endfor %}{{ question }}\n"
                "{% for choice in choices %}{{ labels[loop.index0] }}. {{ choice }}\n{% endfor %}Answer:"}},
};
enum { LAYOUT_COUNT = sizeof layouts / sizeof *layouts };

const eval_layout *eval_layout_find(const char *name) {
    for (size_t i = 0; i < LAYOUT_COUNT; i++)
        if (strcmp(layouts[i].name, name) == 0) return &layouts[i];
    return NULL;
}

void eval_layout_names(char *text, size_t size) {
    size_t length = 0;
    for (size_t i = 0; i < LAYOUT_COUNT && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "", layouts[i].name);
}
