#!/usr/bin/env python3
"""Turns coloured terminal text into an SVG picture.

    entropix run --color always | tools/terminal_to_svg.py --title "entropix run" > picture.svg

Reads UTF-8 with SGR escapes (16 and 256 colours, true colour, bold, dim, italic, underline, inverse) from standard
input; other escapes are dropped. Lines longer than --columns are wrapped at spaces. The same input gives the same bytes.
"""
import argparse
import re
import sys
import unicodedata
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

BACKGROUND, FOREGROUND, BAR, TITLE = "#16181d", "#d7dae0", "#23262e", "#9aa0ab"
BASIC = ("#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0",
         "#6b7280", "#ff8b94", "#b5e08f", "#ffd787", "#8cc8ff", "#dfa0f0", "#7fd7e0", "#ffffff")
FONT_SIZE, CHARACTER_WIDTH, LINE_HEIGHT, MARGIN, BAR_HEIGHT = 14, 8.4, 20, 16, 32
ESCAPE = re.compile(r"\x1b(?:\[([0-9;:]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


@dataclass(frozen=True)
class Style:
    color: str = ""
    background: str = ""
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False


def palette(index):
    if index < 16:
        return BASIC[index]
    if index >= 232:
        return "#%02x%02x%02x" % ((8 + 10 * (index - 232),) * 3)
    levels = (0, 95, 135, 175, 215, 255)
    index -= 16
    return "#%02x%02x%02x" % (levels[index // 36], levels[index // 6 % 6], levels[index % 6])


def extended_color(codes):
    """The colour after 38 or 48; takes what it needs from the front of `codes`."""
    kind = codes.pop(0) if codes else None
    if kind == 5 and codes:
        return palette(min(codes.pop(0), 255))
    if kind == 2 and len(codes) >= 3:
        red, green, blue = (min(codes.pop(0), 255) for _ in range(3))
        return "#%02x%02x%02x" % (red, green, blue)
    return ""


FLAGS = {1: {"bold": True}, 2: {"dim": True}, 3: {"italic": True}, 4: {"underline": True}, 7: {"inverse": True},
         22: {"bold": False, "dim": False}, 23: {"italic": False}, 24: {"underline": False}, 27: {"inverse": False},
         39: {"color": ""}, 49: {"background": ""}}


def apply_sgr(style, parameters):
    codes = [int(code or 0) for code in re.split("[;:]", parameters)]
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = Style()
        elif code in FLAGS:
            style = replace(style, **FLAGS[code])
        elif code in (38, 48):
            style = replace(style, **{"color" if code == 38 else "background": extended_color(codes)})
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, color=BASIC[code - 30 if code < 90 else code - 82])
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, background=BASIC[code - 40 if code < 100 else code - 92])
    return style


def cells_of(text):
    """Lines of (character, style); a carriage return starts its line again, as on a terminal."""
    lines, style, position = [[]], Style(), 0
    while position < len(text):
        match = ESCAPE.match(text, position)
        if match:
            if match.group(2) == "m":
                style = apply_sgr(style, match.group(1))
            position = match.end()
            continue
        character = text[position]
        position += 1
        if character == "\n":
            lines.append([])
        elif character == "\r":
            if text[position:position + 1] != "\n":
                lines[-1].clear()
        elif character == "\t":
            lines[-1].extend([(" ", style)] * (8 - len(lines[-1]) % 8))
        elif character >= " " and character != "\x7f":
            lines[-1].append((character, style))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def columns_of(character):
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrap(line, columns):
    """Pieces of at most `columns`; a break swallows the space that it falls on."""
    pieces, start = [], 0
    while True:
        width, end, space = 0, start, -1
        while end < len(line) and width + columns_of(line[end][0]) <= columns:
            width += columns_of(line[end][0])
            if line[end][0] == " ":
                space = end
            end += 1
        if end == len(line):
            return pieces + [line[start:]]
        if line[end][0] == " ":
            space = end
        if space > start:
            pieces.append(line[start:space])
            start = space + 1
        else:
            pieces.append(line[start:end])
            start = max(end, start + 1)


def number(value):
    return ("%.2f" % value).rstrip("0").rstrip(".")


def runs_of(line):
    """(first column, columns, text, style) for each run of one style."""
    runs, column = [], 0
    for character, style in line:
        width = columns_of(character)
        if runs and runs[-1][3] == style:
            first, columns, text, _ = runs[-1]
            runs[-1] = (first, columns + width, text + character, style)
        else:
            runs.append((column, width, character, style))
        column += width
    return runs


def draw_run(run, x, baseline):
    first, columns, text, style = run
    color, background = style.color or FOREGROUND, style.background
    if style.inverse:
        color, background = background or BACKGROUND, color
    x += first * CHARACTER_WIDTH
    width = columns * CHARACTER_WIDTH
    svg = ""
    if background:
        svg += '<rect x="%s" y="%s" width="%s" height="%d" fill="%s"/>' % (
            number(x), number(baseline - 15), number(width), LINE_HEIGHT, background)
    if not style.underline:  # blanks at the ends would depend on how the viewer treats them
        stripped = text.lstrip(" ")
        x += (len(text) - len(stripped)) * CHARACTER_WIDTH
        width -= (len(text) - len(stripped.rstrip(" "))) * CHARACTER_WIDTH
        text = stripped.rstrip(" ")
    if not text:
        return svg
    attributes = ' fill="%s"' % color if color != FOREGROUND else ""
    attributes += ' font-weight="bold"' if style.bold else ""
    attributes += ' opacity="0.6"' if style.dim else ""
    attributes += ' font-style="italic"' if style.italic else ""
    attributes += ' text-decoration="underline"' if style.underline else ""
    # textLength keeps the columns straight whatever monospaced font the viewer has.
    return svg + '<text x="%s" y="%s" textLength="%s"%s>%s</text>' % (
        number(x), number(baseline), number(width), attributes, escape(text))


def draw(lines, columns, title):
    width = 2 * MARGIN + columns * CHARACTER_WIDTH
    height = BAR_HEIGHT + 2 * MARGIN + len(lines) * LINE_HEIGHT
    svg = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img">'
           % ((number(width), number(height)) * 2),
           "<title>%s</title>" % escape(title),
           '<rect width="100%%" height="100%%" rx="8" fill="%s"/>' % BACKGROUND,
           '<path d="M0 %d V8 Q0 0 8 0 H%s q8 0 8 8 V%d Z" fill="%s"/>'
           % (BAR_HEIGHT, number(width - 8), BAR_HEIGHT, BAR)]
    for index, color in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        svg.append('<circle cx="%d" cy="16" r="5.5" fill="%s"/>' % (20 + 20 * index, color))
    svg.append('<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
               'font-size="%d" fill="%s" xml:space="preserve">' % (FONT_SIZE, FOREGROUND))
    if title:
        svg.append('<text x="%s" y="21" text-anchor="middle" font-size="13" fill="%s">%s</text>'
                   % (number(width / 2), TITLE, escape(title)))
    for index, line in enumerate(lines):
        baseline = BAR_HEIGHT + MARGIN + index * LINE_HEIGHT + 15
        svg.append("".join(draw_run(run, MARGIN, baseline) for run in runs_of(line)))
    return "\n".join([row for row in svg if row] + ["</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=100, help="width of the picture in characters (100)")
    parser.add_argument("--title", default="", help="text of the title bar")
    arguments = parser.parse_args()
    if arguments.columns < 1:
        parser.error("--columns must be at least 1")
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    lines = [piece for line in cells_of(text) for piece in wrap(line, arguments.columns)]
    sys.stdout.buffer.write(draw(lines, arguments.columns, arguments.title).encode())


if __name__ == "__main__":
    main()
