/* task_text.c - small operations on texts. Case is the template language's: the library's tables of characters are not
 * public otherwise. A text that is not UTF-8 has the case of its ASCII letters changed. */
#include "task_text.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

char *eval_text_format(const char *format, ...) {
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return length < 0 ? NULL : text;
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

char *eval_text_squeeze(const char *text, size_t length) {
    char *out = malloc(length + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < length; i++) {
        if (!is_blank(text[i])) out[n++] = text[i];
        else if (n && out[n - 1] != ' ') out[n++] = ' ';
    }
    if (!out) return NULL;
    if (n && out[n - 1] == ' ') n--;
    out[n] = 0;
    return out;
}

static ex_code render_text(const char *source, json_t *text, char **out, ex_error *error) {
    ex_template *template = NULL;
    size_t length;
    json_t *variables = json_pack("{s:O}", "text", text);
    char *json = variables ? json_dumps(variables, JSON_COMPACT) : NULL;
    ex_code code = json ? ex_template_open(&template, source, strlen(source), "case", error)
                        : eval_fail_memory(error, "a text");
    if (code == EX_OK) code = ex_template_render(template, json, strlen(json), 0, out, &length, error);
    ex_template_close(template);
    free(json);
    json_decref(variables);
    return code;
}

static bool is_ascii(const char *text) {
    for (; *text; text++)
        if (*text & 0x80) return false;
    return true;
}

ex_code eval_text_lower(const char *text, char **out, ex_error *error) {
    json_t *value = is_ascii(text) ? NULL : json_string(text); /* NULL too when it is not UTF-8 */
    if (value) {
        ex_code code = render_text("{{ text | lower }}", value, out, error);
        json_decref(value);
        return code;
    }
    *out = strdup(text);
    for (char *at = *out; at && *at; at++)
        if (*at >= 'A' && *at <= 'Z') *at = (char)(*at + ('a' - 'A'));
    return *out ? EX_OK : eval_fail_memory(error, "a text");
}

ex_code eval_text_capitalise(const char *text, char **out, ex_error *error) {
    json_t *value = json_string(text);
    ex_code code = value ? render_text("{{ text | capitalize }}", value, out, error)
                         : eval_fail_memory(error, "a text");
    json_decref(value);
    return code;
}

const char *eval_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *eval_path_beside(const char *file, const char *name) {
    if (*name == '/') return strdup(name);
    return eval_text_format("%.*s%s", (int)(eval_path_base(file) - file), file, name);
}

bool eval_path_ends(const char *path, const char *ending) {
    size_t length = strlen(path), n = strlen(ending);
    return length > n && strcmp(path + length - n, ending) == 0;
}
