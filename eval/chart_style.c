/* chart_style.c - colours of the page in light and dark,
    the same palette as the pictures of cli/plot_style.c: Okabe and
 * Ito's, darkened where it would be text on white. */
#include <string.h>

#include "chart.h"

static const struct {
    const char *name, *light, *dark;
} colors[] = {
    {"page", "#ffffff", "#0d1117"},  {"ink", "#1f2328", "#e6edf3"},  {"soft", "#59636e", "#9198a1"},
    {"grid", "#e4e8ec", "#262c34"},  {"axis", "#8c959f", "#656c76"}, {"panel", "#f6f8fa", "#151b23"},
    {"limit", "#59636e", "#b1bac4"}, {"right", "#0072b2", "#56b4e9"}, {"wrong", "#c94f00", "#f0803c"},
    {"s0", "#00805d", "#26b98c"},    {"s1", "#c94f00", "#f0803c"},   {"s2", "#b97700", "#e69f00"},
    {"s3", "#0072b2", "#56b4e9"},    {"s4", "#b04a88", "#e08fbe"},   {"s5", "#857500", "#e5d93c"},
    {"s6", "#59636e", "#9198a1"},    {"s7", "#1f2328", "#f0f6fc"},   {"s8", "#5d3a9b", "#b79bf0"},
    {"s9", "#8f4400", "#c98a55"},    {"s10", "#00707a", "#4fd0dc"},  {"s11", "#a01c2c", "#ff8b92"},
};

static const char rules[] =
    "*{box-sizing:border-box}\n"
    "body{margin:0;padding:1.5rem 1rem 4rem;background:var(--page);color:var(--ink);font:15px/1.55 "
    "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;color-scheme:light dark}\n"
    "main{max-width:1140px;margin:auto}\n"
    "h1{font-size:26px;line-height:1.25;margin:0 0 .3rem}\n"
    "h2{font-size:20px;margin:2.8rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--grid)}\n"
    "h3{font-size:16px;margin:1.8rem 0 .4rem}\n"
    "p,ul{margin:.4rem 0;max-width:52rem}ul{padding-left:1.2rem}li{margin:.25rem 0}\n"
    ".note{color:var(--soft);font-size:13px}\n"
    "nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.8rem 0 0;font-size:14px}\n"
    "a{color:var(--right);text-decoration:none}a:hover{text-decoration:underline}\n"
    ".tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}\n"
    ".tiles div{background:var(--panel);border:1px solid var(--grid);border-radius:8px;padding:.5rem "
    ".9rem;min-width:7rem}\n"
    ".tiles b{display:block;font-size:22px;line-height:1.3;font-variant-numeric:tabular-nums}\n"
    ".tiles span{color:var(--soft);font-size:13px}\n"
    ".pair{display:flex;flex-wrap:wrap;gap:0 3rem;align-items:flex-start}.pair .table{max-width:36rem}\n"
    ".table{overflow-x:auto;margin:.8rem 0}\n"
    "table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums}\n"
    "th{color:var(--soft);font-weight:600;text-align:left;vertical-align:bottom;border-bottom:1px solid var(--axis)}\n"
    "th,td{padding:.3rem .8rem .3rem 0}td{border-bottom:1px solid var(--grid);min-width:3rem}\n"
    "td:first-child{min-width:8.5rem;max-width:20rem;overflow-wrap:anywhere}.n{text-align:right;padding-left:.5rem}"
    "td.n{white-space:nowrap}th.n{max-width:7.5rem}\n"
    ".ci{display:block;color:var(--soft);font-size:11.5px;line-height:1.2}\n"
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(330px,100%),1fr));gap:.9rem;"
    "margin:.9rem 0}\n"
    "figure{margin:0;padding:.8rem .8rem .5rem;background:var(--panel);border:1px solid "
    "var(--grid);border-radius:8px;min-width:0;max-width:520px;display:flex;flex-direction:column}\n"
    "figcaption{font-size:13.5px;font-weight:600;line-height:1.4;margin:0 0 .5rem;overflow-wrap:anywhere}\n"
    "svg{display:block;width:100%;height:auto;margin-top:auto}\n"
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;"
    "font-size:11px;fill:var(--ink)}\n"
    ".tick,.soft{fill:var(--soft)}.tick{font-size:10px;font-variant-numeric:tabular-nums}\n"
    ".name{fill:var(--soft);font-size:10.5px}.strong{font-weight:600}\n"
    ".halo{paint-order:stroke;stroke:var(--panel);stroke-width:3px;stroke-linejoin:round}\n"
    ".grid{stroke:var(--grid);stroke-width:1px}.axis{stroke:var(--axis);stroke-width:1px}\n"
    ".zero{stroke:var(--limit);stroke-width:1.2px}.limit{stroke:var(--limit);stroke-width:1.2px;stroke-dasharray:5 "
    "3;fill:none}\n"
    ".leader{stroke:var(--axis);stroke-width:.7px}.band{fill:var(--ink);fill-opacity:.07}\n"
    ".mark{stroke:var(--panel);stroke-width:1px}\n"
    ".context{fill:none;stroke:var(--axis);stroke-width:1px;stroke-opacity:.55}\n"
    ".curve{fill:none;stroke:var(--right);stroke-width:2.2px;stroke-linejoin:round}\n"
    ".best{fill:none;stroke:var(--s0);stroke-width:1.3px;stroke-dasharray:2 2}\n"
    ".right{fill:var(--right);fill-opacity:.85}.wrong{fill:var(--wrong);fill-opacity:.85}\n"
    ".t-right{fill:var(--right);font-weight:600}.t-wrong{fill:var(--wrong);font-weight:600}.t-best{fill:var(--s0)}\n"
    ".count{fill:var(--axis);fill-opacity:.35}.spread{stroke:var(--right);stroke-width:1.4px}\n"
    ".chosen{fill:none;stroke:var(--ink);stroke-width:2px}.none{fill:var(--grid)}\n"
    ".on-dark{fill:#ffffff}.on-light{fill:#1f2328}\n"
    "details{margin:1rem 0}summary{cursor:pointer;font-weight:600;color:var(--right)}"
    "h4{font-size:14px;margin:1.2rem 0 .3rem}\n"
    "@media print{body{padding:0}figure,tr{break-inside:avoid}}\n";

static void write_colors(FILE *out, bool dark) {
    fputs(":root{", out);
    for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
        fprintf(out, "--%s:%s;", colors[i].name, dark ? colors[i].dark : colors[i].light);
    fputs("}", out);
}

void eval_chart_write_style(FILE *out) {
    fputs("<style>\n", out);
    write_colors(out, false);
    fputs("\n@media (prefers-color-scheme:dark){", out);
    write_colors(out, true);
    fputs("}\n", out);
    fputs(rules, out);
    for (int i = 0; i < EVAL_STYLE_COUNT; i++)
        fprintf(out,
                ".s%d{fill:var(--s%d)}.h%d{fill:var(--panel);stroke:var(--s%d);stroke-width:1.6px}"
                ".i%d{stroke:var(--s%d);stroke-width:1.8px}\n", i, i, i, i, i, i);
    fputs("</style>\n", out);
}

int eval_policy_style(const eval_summary *summary, size_t policy) {
    static const int order[] = {3, 1, 0, 4, 2, 8, 10, 11, 9, 5, 6};
    enum { BASELINE = 7, COUNT = sizeof order / sizeof *order };
    const size_t baseline = summary->arms[summary->baseline].policy;
    if (policy == baseline) return BASELINE;
    return order[(policy - (policy > baseline)) % COUNT];
}
