/* report_page.c - headings and paragraphs in both forms, and what escapes texts. */
#include "report_page.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the character of UTF-8 at the beginning of `text`, 0 when there is none. */
static size_t character_length(const unsigned char *text) {
    static const struct {
        unsigned char mask, mark, low, high; /* of the first byte; range of the second */
        size_t length;
    } forms[] = {{0x80, 0x00, 0, 0, 1},       {0xE0, 0xC0, 0x80, 0xBF, 2}, {0xFF, 0xE0, 0xA0, 0xBF, 3},
                 {0xFF, 0xED, 0x80, 0x9F, 3}, {0xF0, 0xE0, 0x80, 0xBF, 3}, {0xFF, 0xF0, 0x90, 0xBF, 4},
                 {0xFF, 0xF4, 0x80, 0x8F, 4}, {0xFC, 0xF0, 0x80, 0xBF, 4}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if ((text[0] & forms[i].mask) != forms[i].mark) continue;
        if (forms[i].length == 1) return 1;
        if (text[0] < 0xC2 || text[1] < forms[i].low || text[1] > forms[i].high) return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((text[k] & 0xC0) != 0x80) return 0;
        return forms[i].length;
    }
    return 0;
}

/* NULL: the character may stay. C1 controls and U+FFFE, U+FFFF are no characters of XML or of terminals. */
static const char *replacement(const unsigned char *at, size_t n) {
    if (n == 0) return "\xEF\xBF\xBD";
    if (*at == '\n' || *at == '\t' || *at == '\r') return " ";
    if (*at < 0x20 || *at == 0x7F || (n == 2 && *at == 0xC2 && at[1] < 0xA0)) return "\xC2\xB7";
    return n == 3 && at[0] == 0xEF && at[1] == 0xBF && at[2] >= 0xBE ? "\xC2\xB7" : NULL;
}

static const char *xml_entity(unsigned char character) {
    switch (character) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    default: return NULL;
    }
}

static void write_escaped(FILE *out, const char *text, const char *marks) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        const size_t n = character_length(at);
        const char *other = replacement(at, n);
        if (!other && !(*at == '"' && *marks)) other = xml_entity(*at); /* of a quote only in attributes */
        if (!other && strchr(marks, *at)) fputc('\\', out);
        if (other) fputs(other, out);
        else fwrite(at, 1, n, out);
        at += n ? n : 1;
    }
}

void eval_write_xml(FILE *out, const char *text) { write_escaped(out, text, ""); }

void eval_write_markdown(FILE *out, const char *text) { write_escaped(out, text, "\\`*_[|~#"); }

static void write_text(eval_page *page, const char *text) {
    if (page->is_html) eval_write_xml(page->out, text);
    else eval_write_markdown(page->out, text);
}

void eval_page_heading(eval_page *page, int level, const char *anchor, const char *text) {
    if (page->is_html) fprintf(page->out, "<h%d id=\"%s\">", level, anchor);
    else fprintf(page->out, "%.*s ", level, "######");
    write_text(page, text);
    if (page->is_html) fprintf(page->out, "</h%d>\n", level);
    else fputs("\n\n", page->out);
}

static void write_between(eval_page *page, const char *before, const char *after, const char *format,
                          va_list arguments) EX_PRINTF(4, 0);

static void write_between(eval_page *page, const char *before, const char *after, const char *format,
                          va_list arguments) {
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0) {
        page->failed = true;
        return;
    }
    fputs(before, page->out);
    write_text(page, text);
    fputs(after, page->out);
    free(text);
}

void eval_page_paragraph(eval_page *page, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_between(page, page->is_html ? "<p>" : "", page->is_html ? "</p>\n" : "\n\n", format, arguments);
    va_end(arguments);
}

void eval_page_note(eval_page *page, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_between(page, page->is_html ? "<p class=\"note\">" : "", page->is_html ? "</p>\n" : "\n\n", format,
                  arguments);
    va_end(arguments);
}

void eval_page_list_begin(eval_page *page) {
    if (page->is_html) fputs("<ul>\n", page->out);
}

void eval_page_item(eval_page *page, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_between(page, page->is_html ? "<li>" : "- ", page->is_html ? "</li>\n" : "\n", format, arguments);
    va_end(arguments);
}

void eval_page_list_end(eval_page *page) { fputs(page->is_html ? "</ul>\n" : "\n", page->out); }

void eval_page_fold_begin(eval_page *page, const char *title) {
    if (!page->is_html) {
        eval_page_heading(page, 3, "", title);
        return;
    }
    fputs("<details><summary>", page->out);
    eval_write_xml(page->out, title);
    fputs("</summary>\n", page->out);
}

void eval_page_fold_end(eval_page *page) {
    if (page->is_html) fputs("</details>\n", page->out);
}
