#!/usr/bin/env python3
"""Draws results of compare.py as an SVG chart: bench/plot.py RESULTS.csv [-o CHART.svg]

A panel for each model and test, a group of bars for each type of weights, a bar for each program, and a line for what
the machine allows where that was measured. Of several rows for the same bar the last one counts.
"""
import argparse
import csv
import math
import sys
from html import escape

PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 430, 250, 2
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 54, 40  # of the axes in a panel
HEADER, MARGIN = 74, 14
BAR_MAX, GROUP_GAP = 34, 0.13
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,sans-serif"

# The colours of Okabe and Ito, which differ for all kinds of colour vision: on white and on black.
COLOURS = [("#0072B2", "#56B4E9"), ("#E69F00", "#E69F00"), ("#009E73", "#009E73"), ("#CC79A7", "#CC79A7"),
           ("#D55E00", "#D55E00")]


def style():
    light = "".join(f".bar{i}{{fill:{colour[0]}}}" for i, colour in enumerate(COLOURS))
    dark = "".join(f".bar{i}{{fill:{colour[1]}}}" for i, colour in enumerate(COLOURS))
    return (f"text{{font-family:{FONT};font-size:11px;fill:#1f2328}}.title{{font-size:15px;font-weight:600}}"
            ".name{font-size:12.5px;font-weight:600}.soft{fill:#59636e}.value{font-size:10px;paint-order:stroke;stroke:#ffffff;stroke-width:2.5px;stroke-linejoin:round}"
            ".page{fill:#ffffff}.grid{stroke:#d1d9e0;stroke-width:1}.axis{stroke:#59636e;stroke-width:1}"
            ".limit{stroke:#1f2328;stroke-width:2;stroke-dasharray:5 3}" + light +
            "@media (prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9198a1}.page{fill:#0d1117}.value{stroke:#0d1117}"
            ".grid{stroke:#2f353d}.axis{stroke:#9198a1}.limit{stroke:#e6edf3}" + dark + "}")


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, words, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def line(self, x1, y1, x2, y2, kind):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def bar(self, x, y, width, height, colour, title):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1.5" '
                          f'class="bar{colour}"><title>{escape(title)}</title></rect>')


def short(value):
    """Three digits, as many as the eye compares."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{min(digits, 2)}f}" if value < 100 else f"{value:.0f}"


def tick_step(top):
    rough = top / 4
    power = 10 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)


def read_panels(path):
    """panels[(model, test)][type][program] = (rate, limit), and the programs in the order in which they appear."""
    panels, programs, machines, dates = {}, [], {}, []
    with open(path, newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            group = panels.setdefault((row["model"], row["test"]), {}).setdefault(row["type"], {})
            group[row["program"]] = (float(row["tokens_per_second"]), float(row["limit"] or 0))
            if row["program"] not in programs:
                programs.append(row["program"])
            machines[f"{row['machine']}, {row['threads']} threads"] = True
            dates.append(row["date"])
    if not panels:
        sys.exit(f"plot.py: {path}: no results")
    return panels, programs, list(machines), sorted(set(dates))


def draw_axes(out, x, y, top):
    width, height = PANEL_WIDTH - LEFT - RIGHT, PANEL_HEIGHT - TOP - BOTTOM
    step = tick_step(top)
    for i in range(int(top / step + 1e-9) + 1):
        at = y + TOP + height * (1 - i * step / top)
        out.line(x + LEFT, at, x + LEFT + width, at, "grid" if i else "axis")
        out.text(x + LEFT - 6, at + 4, f"{i * step:g}", "soft", "end")


def draw_group(out, left, width, base, scale, name, group, programs):
    bar = min(BAR_MAX, width * (1 - GROUP_GAP) / len(programs))
    start = left + (width - bar * len(programs)) / 2
    limit = max(limit for _, limit in group.values())
    bars = [(i, start + i * bar, group[program][0]) for i, program in enumerate(programs) if program in group]
    for i, x, rate in bars:
        out.bar(x + 1, base - rate * scale, bar - 2, rate * scale, i, f"{programs[i]}, {name}: {short(rate)} tokens/s")
    if limit:
        out.line(start - 2, base - limit * scale, start + bar * len(programs) + 2, base - limit * scale, "limit")
    for i, x, rate in bars:
        label = base - rate * scale - 4
        # A label that the line would cross moves above it.
        if limit and label - 11 < base - limit * scale < label + 5:
            label = base - limit * scale - 5
        out.text(x + bar / 2, label, short(rate), "value", "middle")
    out.text(left + width / 2, base + 17, name, "", "middle")


def draw_panel(out, x, y, model, test, types, programs):
    highest = max(max(rate, limit) for group in types.values() for rate, limit in group.values())
    top = highest * 1.14
    width, height = PANEL_WIDTH - LEFT - RIGHT, PANEL_HEIGHT - TOP - BOTTOM
    out.text(x + LEFT, y + 24, test, "name")
    out.text(x + LEFT, y + 40, f"{model}, tokens per second", "soft")
    draw_axes(out, x, y, top)
    for i, (name, group) in enumerate(types.items()):
        draw_group(out, x + LEFT + i * width / len(types), width / len(types), y + TOP + height, height / top, name,
                   group, programs)


def draw_header(out, title, machines, dates, programs, has_limit):
    out.text(MARGIN, 26, title, "title")
    out.text(MARGIN, 45, f"{'; '.join(machines)} · {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}", "soft")
    x = float(MARGIN)
    for i, program in enumerate(programs):
        out.bar(x, 57, 11, 11, i, program)
        out.text(x + 16, 67, program)
        x += 34 + 6.3 * len(program)
    if has_limit:
        out.line(x, 63, x + 24, 63, "limit")
        out.text(x + 30, 67, "what the machine allows")


def draw(panels, programs, machines, dates, title):
    out = Drawing()
    rows = math.ceil(len(panels) / COLUMNS)
    width = PANEL_WIDTH * min(COLUMNS, max(2, len(panels))) + MARGIN
    height = HEADER + rows * PANEL_HEIGHT
    has_limit = any(limit for types in panels.values() for group in types.values() for _, limit in group.values())
    draw_header(out, title, machines, dates, programs, has_limit)
    for i, ((model, test), types) in enumerate(panels.items()):
        draw_panel(out, PANEL_WIDTH * (i % COLUMNS), HEADER + PANEL_HEIGHT * (i // COLUMNS), model, test, types, programs)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="{escape(title)}"><style>{style()}</style>'
            f'<rect width="{width}" height="{height}" rx="8" class="page"/>\n' + "\n".join(out.parts) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", help="a CSV file that compare.py wrote")
    parser.add_argument("-o", "--output", help="the SVG file (standard output)")
    parser.add_argument("--title", default="entropix and its peers on the same file and machine")
    arguments = parser.parse_args()
    panels, programs, machines, dates = read_panels(arguments.results)
    if len(programs) > len(COLOURS):
        sys.exit(f"plot.py: {len(programs)} programs, and colours for {len(COLOURS)}")
    picture = draw(panels, programs, machines, dates, arguments.title)
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as out:
            out.write(picture)
    else:
        sys.stdout.write(picture)


if __name__ == "__main__":
    main()
