/* page.c - the page at /, and what it is made of. */
#include "page.h"

#include <string.h>

#include "server_parts.h"

static const struct {
    const char *ending, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
};

static const char *type_of(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const size_t length = strlen(name), ending = strlen(types[i].ending);
        if (length > ending && strcmp(name + length - ending, types[i].ending) == 0) return types[i].type;
    }
    return "application/octet-stream";
}

void handle_page(void *context, const http_request *request, http_reply *reply) {
    (void)context;
    static const char folder[] = "/assets/";
    const bool is_asset = strncmp(request->path, folder, sizeof folder - 1) == 0;
    const char *name = is_asset ? request->path + sizeof folder - 1 : "index.html";
    for (const page_file *file = page_files; file->name; file++)
        if (strcmp(file->name, name) == 0) {
            http_reply_send_static(reply, 200, type_of(name), file->text, strlen(file->text));
            return;
        }
    reply_json(reply, 404, error_json(404, NULL, "there is no such file"));
}
