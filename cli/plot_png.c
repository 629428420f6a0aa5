/* plot_png.c - a picture in pixels: librsvg renders the SVG. The library is loaded when it is needed, because it brings
 * fifty others, which every start of the program would pay for. */
#include "eval/memory_text.h"
#include "plot_output.h"
#include "terminal.h"

#ifdef ENTROPIX_PNG

#include <dlfcn.h>
#include <librsvg/rsvg.h>
#include <stdlib.h>
#include <string.h>

enum { SHARPNESS = 2, PIXELS_MAX = 32767 }; /* cairo's limit for a side */

#define FUNCTIONS(row)                                                                                          \
    row(rsvg_handle_new_from_data) row(rsvg_handle_render_document) row(rsvg_handle_get_intrinsic_size_in_pixels) \
    row(cairo_image_surface_create) row(cairo_create) row(cairo_destroy) row(cairo_surface_destroy)               \
    row(cairo_surface_write_to_png_stream) row(cairo_status_to_string) row(g_object_unref) row(g_error_free)

/* Each function of the libraries under its own name. */
typedef struct renderer {
    void *library;
#define ROW(name) __typeof__(&name) name##_;
    FUNCTIONS(ROW)
#undef ROW
} renderer;

static bool renderer_open(renderer *r) {
    r->library = dlopen("librsvg-2.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!r->library) {
        message("PNG needs librsvg (Debian: librsvg2-2): %s; .svg and .html work without it", dlerror());
        return false;
    }
    bool good = true;
#define ROW(name)                                                \
    {                                                            \
        void *found = dlsym(r->library, #name);                  \
        memcpy(&r->name##_, &found, sizeof found);               \
        good = good && found;                                    \
    }
    FUNCTIONS(ROW)
#undef ROW
    if (!good) message("PNG needs librsvg 2.52 or later; .svg and .html work without it");
    return good;
}

static cairo_status_t write_bytes(void *file, const unsigned char *bytes, unsigned length) {
    return fwrite(bytes, 1, length, file) == length ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static bool render(const renderer *r, RsvgHandle *handle, int width, int height, FILE *out) {
    int scale = height * SHARPNESS <= PIXELS_MAX && width * SHARPNESS <= PIXELS_MAX ? SHARPNESS : 1;
    if (height > PIXELS_MAX) {
        message("the picture is %d pixels high, a PNG has %d at most; choose a --part, a larger --width, or .svg",
                height, PIXELS_MAX);
        return false;
    }
    cairo_surface_t *surface = r->cairo_image_surface_create_(CAIRO_FORMAT_ARGB32, width * scale, height * scale);
    cairo_t *canvas = r->cairo_create_(surface);
    RsvgRectangle whole = {0, 0, width * scale, height * scale};
    GError *error = NULL;
    bool good = r->rsvg_handle_render_document_(handle, canvas, &whole, &error);
    if (!good) message("librsvg: %s", error->message);
    if (error) r->g_error_free_(error);
    cairo_status_t status = good ? r->cairo_surface_write_to_png_stream_(surface, write_bytes, out)
                                 : CAIRO_STATUS_SUCCESS;
    if (status != CAIRO_STATUS_SUCCESS) message("PNG: %s", r->cairo_status_to_string_(status));
    r->cairo_destroy_(canvas);
    r->cairo_surface_destroy_(surface);
    return good && status == CAIRO_STATUS_SUCCESS;
}

static bool render_text(const renderer *r, const char *svg, size_t length, FILE *out) {
    GError *error = NULL;
    RsvgHandle *handle = r->rsvg_handle_new_from_data_((const guint8 *)svg, length, &error);
    if (!handle) {
        message("librsvg: %s", error->message);
        r->g_error_free_(error);
        return false;
    }
    double width = 0, height = 0;
    r->rsvg_handle_get_intrinsic_size_in_pixels_(handle, &width, &height);
    bool good = render(r, handle, (int)width, (int)height, out);
    r->g_object_unref_(handle);
    return good;
}

/* The library stays loaded until the program ends: GLib cannot be unloaded. */
char *plot_png(const plot_request *request, size_t *size) {
    plot_request fixed = *request;
    if (fixed.theme == THEME_AUTO) fixed.theme = THEME_LIGHT;
    renderer r;
    size_t length;
    char *bytes = NULL, *svg = renderer_open(&r) ? plot_svg(&fixed, &length) : NULL;
    if (!svg) return NULL;
    FILE *out = eval_memory_open(&bytes, size);
    bool good = out && render_text(&r, svg, length, out);
    if (!out) report_memory();
    else if (!eval_memory_close(out, &bytes)) good = false;
    free(svg);
    if (good) return bytes;
    free(bytes);
    return NULL;
}

#else

char *plot_png(const plot_request *request, size_t *size) {
    (void)request, (void)size;
    message("this program was built without librsvg, which draws PNG: install librsvg2-dev (Debian's name) and build "
            "again, or choose a name that ends in .svg or .html");
    return NULL;
}

#endif
