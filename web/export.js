/* export.js - the trace as the server keeps it, and a picture of the plane and the coloured text. */
import { $, announce, s } from './dom.js';
import { request } from './api.js';
import { MODES, STEPS, ink_on, ramp, scale_of, shape_path, step_of, strategy_color, strategy_word } from './palette.js';
import { count_strategies, strategy_of } from './trace.js';
import { plane_parts } from './plane.js';
import { state } from './state.js';

const WIDTH = 900, MARGIN = 32, LINE = 27, FONT = '16px system-ui, sans-serif';

function save(blob, name) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 5000);
}

const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const file_name = ending => `${state.answer.id || 'answer'}.${ending}`;

export async function save_trace() {
    try {
        save(await (await request(`/v1/traces/${state.answer.id}`)).blob(), file_name('jsonl'));
        announce('The trace was saved.');
    } catch (error) {
        announce(`${error.message} ${error.advice || ''}`);
    }
}

/* Pieces of tokens with their places, wrapped between the margins. */
function layout(tokens, top) {
    const context = document.createElement('canvas').getContext('2d'), pieces = [];
    context.font = FONT;
    let x = MARGIN, y = top;
    for (const token of tokens)
        for (const [i, part] of token.text.split('\n').entries()) {
            if (i) [x, y] = [MARGIN, y + LINE];
            if (!part) continue;
            const width = context.measureText(part).width;
            if (x + width > WIDTH - MARGIN && x > MARGIN) [x, y] = [MARGIN, y + LINE];
            pieces.push({ token, text: part, x, y, width });
            x += width;
        }
    return { pieces, bottom: y + LINE };
}

function piece_parts({ token, text, x, y, width }, mode, scale) {
    const value = MODES[mode].value?.(token), step = mode === 'strategy' || token.forced ? -1 : step_of(value, scale ?? [0, 1]);
    const parts = [], strategy = mode === 'strategy' && strategy_of(token);
    if (step >= 0) parts.push(s('rect', { x, y: y - 17, width, height: 23, rx: 2, fill: ramp(step) }));
    if (strategy) parts.push(s('rect', { x, y: y + 4, width: Math.max(width - 1, 1), height: 3, fill: strategy_color(strategy) }));
    parts.push(s('text', { x, y, fill: step >= 0 ? ink_on(step) : color('--ink'), 'xml:space': 'preserve', text }));
    return parts;
}

function legend_parts(mode, scale, y) {
    if (mode === 'strategy')
        return Object.entries(count_strategies(state.answer.decided)).flatMap(([name, count], i) => [
            s('path', { d: shape_path(name, MARGIN + 6 + i * 150, y - 4, 5), fill: strategy_color(name) }),
            s('text', { class: 'small', x: MARGIN + 18 + i * 150, y, fill: color('--soft'), text: `${strategy_word(name)} ${count}` })]);
    if (!scale) return [];
    const bar = Array.from({ length: STEPS }, (_, i) => s('rect', { x: MARGIN + i * 8, y: y - 10, width: 8.4, height: 10, fill: ramp(i) }));
    return [...bar, s('text', { class: 'small', x: MARGIN + STEPS * 8 + 10, y, fill: color('--soft'), text: `${MODES[mode].name.toLowerCase()}, ${scale[0]} to ${scale[1]} ${MODES[mode].unit}` })];
}

/* The plane as it is on the page, with its classes made into attributes: a picture has no style sheet. */
function plane_group(y) {
    const parts = plane_parts(), zoom = (WIDTH - 2 * MARGIN) / parts.width;
    const lines = parts.lines.map(line => s('line', line.axis === 'x'
        ? { class: 'line', x1: parts.axes.x(line.value), x2: parts.axes.x(line.value), y1: 22, y2: parts.height - 34 }
        : { class: 'line', y1: parts.axes.y(line.value), y2: parts.axes.y(line.value), x1: 36, x2: parts.width - 22 }));
    const group = s('g', { transform: `translate(${MARGIN} ${y}) scale(${zoom})` }, parts.ground, lines, parts.points);
    const looks = {
        ground: { fill: color('--panel') }, grid: { stroke: color('--line'), 'stroke-width': 0.6 }, tick: { fill: color('--soft'), 'font-size': 9 },
        'axis-name': { fill: color('--soft'), 'font-size': 9.5 }, region: { 'font-size': 9.5 }, line: { stroke: color('--soft'), 'stroke-width': 1, 'stroke-dasharray': '4 3' },
        ring: { fill: 'none', stroke: color('--accent'), 'stroke-width': 1.6 }, halo: { fill: 'none', stroke: color('--ink'), 'stroke-width': 1.4 },
    };
    for (const [name, look] of Object.entries(looks))
        for (const element of group.querySelectorAll(`.${name}`)) for (const [key, value] of Object.entries(look)) element.setAttribute(key, value);
    return { group, height: parts.height * zoom };
}

export function picture() {
    const { answer, mode } = state, tokens = answer.path;
    const scale = MODES[mode].value ? scale_of(mode, tokens.filter(token => !token.forced)) : null;
    const text = layout(tokens, 96), legend = text.bottom + 6, plane = plane_group(legend + 18), height = legend + plane.height + 34;
    const svg = s('svg', { xmlns: 'http://www.w3.org/2000/svg', width: WIDTH, height, viewBox: `0 0 ${WIDTH} ${height}`, 'font-family': 'system-ui, sans-serif', 'font-size': 16 },
        s('rect', { width: WIDTH, height, fill: color('--page') }),
        s('text', { x: MARGIN, y: 48, 'font-size': 19, 'font-weight': 600, fill: color('--ink'), text: answer.turn?.user.slice(0, 90) || '' }),
        text.pieces.flatMap(piece => piece_parts(piece, mode, scale)), legend_parts(mode, scale, legend + 4), plane.group,
        s('text', { x: WIDTH - MARGIN, y: height - 10, 'text-anchor': 'end', 'font-size': 11, fill: color('--soft'), text: `${state.intro.model.name} · seed ${answer.seed} · entropix ${state.intro.version}` }));
    for (const small of svg.querySelectorAll('.small')) small.setAttribute('font-size', 12);
    return { text: new XMLSerializer().serializeToString(svg), height };
}

export function save_svg() {
    save(new Blob([picture().text], { type: 'image/svg+xml' }), file_name('svg'));
    announce('The picture was saved.');
}

export async function save_png() {
    const { text, height } = picture(), image = new Image();
    image.src = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }));
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = 2 * WIDTH;
    canvas.height = Math.ceil(2 * height);
    canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(image.src);
    save(await new Promise(resolve => canvas.toBlob(resolve, 'image/png')), file_name('png'));
    announce('The picture was saved.');
}

export function begin_export() {
    const work = { 'export-trace': save_trace, 'export-svg': save_svg, 'export-png': save_png };
    for (const [id, save_it] of Object.entries(work))
        $(id).addEventListener('click', () => {
            $('export-menu').open = false;
            if (state.answer?.id) save_it();
            else announce('There is no answer to save yet.');
        });
}
