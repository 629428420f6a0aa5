/* plot_html.c - the pictures as a page that is one file: no request leaves it. Its script links the pictures: a token
 * that the pointer rests on shows in all of them, and a slider steps the heads through the tokens. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/memory_text.h"
#include "json_output.h"
#include "plot_heads.h"
#include "plot_output.h"
#include "plot_svg.h"

enum { BYTES_MAX = 12 << 20 }; /* of the heads' values; beyond, tokens are left out */

static const char page_style[] =
    "body{margin:0;padding:1.5rem 1rem 3rem;background:var(--page);color:var(--ink);font:14px/1.5 system-ui,"
    "-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;color-scheme:light dark}\n"
    "main{max-width:1100px;margin:auto}h1{font-size:20px;margin:0 0 .25rem}"
    "p{margin:.25rem 0;color:var(--soft)}\n"
    "blockquote{margin:.5rem 0 0;padding:.4rem .8rem;border-left:3px solid var(--axis);white-space:pre-wrap;"
    "overflow-wrap:anywhere;max-height:9em;overflow:auto}\n"
    "figure{margin:1.25rem 0 0;overflow-x:auto}svg{display:block;max-width:100%;height:auto}\n"
    ".hot{stroke:var(--ink)!important;stroke-width:2px!important}.hit.hot{fill-opacity:.13;stroke:none!important}\n"
    "#step{display:flex;gap:.8rem;align-items:center;flex-wrap:wrap;padding:0 16px}"
    "#step input{flex:1;min-width:200px}\n"
    "#step output{flex-basis:100%;color:var(--soft);min-height:1.5em}#step output b{color:var(--ink)}\n"
    "@media (prefers-color-scheme:light){:root{color-scheme:light}}\n";

static const char script[] =
    "const data = JSON.parse(document.getElementById('data').textContent);\n"
    "const marks = new Map();\n"
    "for (const element of document.querySelectorAll('[data-i]')) {\n"
    "  const list = marks.get(element.dataset.i) || [];\n"
    "  list.push(element);\n"
    "  marks.set(element.dataset.i, list);\n"
    "}\n"
    "let hot = [];\n"
    "function highlight(index) {\n"
    "  for (const element of hot) element.classList.remove('hot');\n"
    "  hot = marks.get(String(index)) || [];\n"
    "  for (const element of hot) element.classList.add('hot');\n"
    "}\n"
    "document.addEventListener('pointerover', event => {\n"
    "  const element = event.target.closest('[data-i]');\n"
    "  if (element) highlight(element.dataset.i);\n"
    "});\n"
    "const slider = document.querySelector('#step input');\n"
    "if (slider) {\n"
    "  const cells = [...document.querySelectorAll('.heads rect')];\n"
    "  const bytes = Uint8Array.from(atob(data.heads), character => character.charCodeAt(0));\n"
    "  const means = cells.map(cell => [cell.getAttribute('fill'), cell.querySelector('title').textContent]);\n"
    "  const show = () => {\n"
    "    const step = Number(slider.value) - 1, output = document.querySelector('#step output');\n"
    "    cells.forEach((cell, i) => {\n"
    "      const value = bytes[step * cells.length + i] / 255;\n"
    "      cell.setAttribute('fill', step < 0 ? means[i][0] : data.ramp[Math.round(value * (data.ramp.length - 1))]);\n"
    "      cell.querySelector('title').textContent = step < 0 ? means[i][1] :\n"
    "        means[i][1].replace(/:.*/, ': ' + (value * data.maximum).toFixed(2) + ' bits');\n"
    "    });\n"
    "    output.replaceChildren();\n"
    "    if (step < 0) { output.append('mean over all tokens'); return; }\n"
    "    const token = data.tokens[step], word = document.createElement('b');\n"
    "    word.textContent = token[2];\n"
    "    output.append('position ' + token[1] + ': ' + data.tokens.slice(Math.max(0, step - 12), step)\n"
    "      .map(other => other[2]).join(''), word);\n"
    "    highlight(token[0]);\n"
    "  };\n"
    "  slider.addEventListener('input', show);\n"
    "  document.addEventListener('click', event => {\n"
    "    const element = event.target.closest('[data-i]');\n"
    "    const step = element ? data.tokens.findIndex(token => String(token[0]) === element.dataset.i) : -1;\n"
    "    if (step >= 0) { slider.value = step + 1; show(); }\n"
    "  });\n"
    "  show();\n"
    "}\n";

/* Every how many tokens with statistics one is kept, and how many that makes. */
static size_t thin(const plot_trace *trace, size_t *kept) {
    size_t count = 0, cells = trace->n_layer * trace->n_head;
    for (size_t i = 0; i < trace->n_tokens; i++) count += trace->tokens[i].heads != NULL;
    size_t every = count * cells / BYTES_MAX + 1;
    *kept = (count + every - 1) / every;
    return every;
}

static void write_base64(FILE *out, const unsigned char *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16;
        if (i + 1 < n) group |= (unsigned)bytes[i + 1] << 8;
        if (i + 2 < n) group |= bytes[i + 2];
        char text[5] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63], digits[group & 63], 0};
        if (i + 2 >= n) text[3] = '=';
        if (i + 1 >= n) text[2] = '=';
        fputs(text, out);
    }
}

/* What is kept of token `i`: its number, its position, its text. */
static void emit_token(emitter *json, const plot_trace *trace, size_t i) {
    const plot_token *token = &trace->tokens[i];
    emit_array_begin(json, NULL);
    emit_count(json, NULL, i);
    emit_whole(json, NULL, token->position);
    emit_text(json, NULL, token->text);
    emit_array_end(json);
}

static bool emit_heads(emitter *json, const plot_trace *trace) {
    size_t cells = trace->n_layer * trace->n_head, kept, every = thin(trace, &kept), seen = 0, used = 0;
    unsigned char *bytes = malloc(kept * cells + 1);
    double *means = malloc((cells + 1) * sizeof *means), maximum = 0;
    bool good = bytes && means;
    if (good) plot_heads_mean(trace, means, &maximum);
    emit_array_begin(json, "tokens");
    for (size_t i = 0; good && i < trace->n_tokens; i++) {
        const float *heads = trace->tokens[i].heads;
        if (!heads || seen++ % every) continue;
        for (size_t j = 0; j < cells; j++) {
            double share = maximum > 0 ? (double)heads[j] / maximum : 0;
            bytes[used++] = share > 0 ? (unsigned char)lround(share * 255) : 0;
        }
        emit_token(json, trace, i);
    }
    emit_array_end(json);
    emit_real(json, "maximum", maximum);
    fputs(",\"heads\":\"", json->out);
    if (good) write_base64(json->out, bytes, used);
    fputc('"', json->out);
    free(bytes);
    free(means);
    return good;
}

/* JSON inside HTML: a < in a text must not end the script. */
static void write_guarded(FILE *out, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '<') fputs("\\u003c", out);
        else fputc(text[i], out);
    }
}

static bool write_data(FILE *out, const plot_trace *trace) {
    char *text = NULL, color[8];
    size_t size;
    FILE *memory = eval_memory_open(&text, &size);
    if (!memory) return false;
    emitter json = {.out = memory};
    emit_object_begin(&json, NULL);
    emit_array_begin(&json, "ramp");
    for (int i = 0; i < PLOT_RAMP; i++) emit_text(&json, NULL, plot_ramp(color, i));
    emit_array_end(&json);
    bool good = emit_heads(&json, trace);
    emit_object_end(&json);
    if (!eval_memory_close(memory, &text)) good = false;
    if (good) write_guarded(out, text, size);
    free(text);
    return good;
}

static bool write_figures(const plot_request *request, FILE *out) {
    bool good = true;
    for (unsigned part = PART_PLANE; part <= PART_HEADS && good; part *= 2) {
        if (!(request->parts & part)) continue;
        fputs("<figure>\n", out);
        good = plot_part_svg(request, (plot_part)part, true, out);
        size_t kept = 0;
        if (part == PART_HEADS) thin(request->trace, &kept);
        if (kept)
            fprintf(out, "<form id=\"step\"><label for=\"at\">all tokens, then one by one</label>"
                         "<input id=\"at\" type=\"range\" min=\"0\" max=\"%zu\" value=\"0\"><output></output></form>\n",
                    kept);
        fputs("</figure>\n", out);
    }
    return good;
}

static void write_head(const plot_request *request, FILE *out) {
    char subject[200];
    const plot_trace *trace = request->trace;
    plot_subject(subject, sizeof subject, trace);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
          out);
    svg_escape(out, subject);
    fputs("</title>\n<style>\n", out);
    plot_write_style(out, THEME_AUTO);
    if (request->theme != THEME_AUTO) plot_write_properties(out, request->theme);
    fputs(page_style, out);
    fputs("</style>\n</head>\n<body>\n<main>\n<h1>", out);
    svg_escape(out, subject);
    fputs("</h1>\n<p>One mark for each token, in the colour and shape of the strategy that chose it. A token under the "
          "pointer shows in all pictures, with its figures; a click shows its attention.</p>\n<blockquote>",
          out);
    svg_escape(out, trace->runs[0].prompt);
    fputs("</blockquote>\n", out);
}

char *plot_html(const plot_request *request, size_t *size) {
    char *text = NULL;
    FILE *out = eval_memory_open(&text, size);
    if (!out) {
        report_memory();
        return NULL;
    }
    write_head(request, out);
    bool good = write_figures(request, out);
    fputs("</main>\n<script type=\"application/json\" id=\"data\">", out);
    good = good && write_data(out, request->trace);
    fprintf(out, "</script>\n<script>\n%s</script>\n</body>\n</html>\n", script);
    if (eval_memory_close(out, &text) && good) return text;
    free(text);
    report_memory();
    return NULL;
}
