/* plane.js - entropy across, varentropy up, a mark for each token, and the thresholds of the matrix as lines to move.
 * Both axes are of square roots: most tokens are near zero, where the low thresholds are. */
import { $, h, number, once_a_frame, s, visible } from './dom.js';
import { parse_policy, thresholds_of } from './policy.js';
import { shape_path, strategy_color, strategy_word, style_of } from './palette.js';
import { entropy_of, strategy_of, varentropy_of } from './trace.js';
import { select } from './chat.js';
import { set_what } from './whatif.js';
import { on, state } from './state.js';

const WIDTH = 420, HEIGHT = 290, LEFT = 36, RIGHT = 22, TOP = 22, BOTTOM = 34;
const TICKS = [0, 0.1, 0.5, 1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 80, 120];
const REGIONS = [['greedy', 'x', 'low_entropy', 'low_varentropy'], ['clarify', 'x', 'clarify_entropy', 'low_varentropy'],
    ['explore', 'x', 'explore_entropy', 'high_varentropy'], ['high_uncertainty', 'x', 'high_entropy', 'high_varentropy']];
let drag = null;

export function axes_of(tokens, lines) {
    const most = (values, least) => Math.max(least, ...values.filter(Number.isFinite)) * 1.06;
    const far = axis => lines.filter(line => line.axis === axis && line.value < 1e3).map(line => line.value);
    const x = most([...tokens.map(entropy_of), ...far('x')], 6), y = most([...tokens.map(varentropy_of), ...far('y')], 8);
    return {
        x: value => LEFT + (WIDTH - LEFT - RIGHT) * Math.sqrt(Math.min(Math.max(value, 0), x) / x),
        y: value => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * Math.sqrt(Math.min(Math.max(value, 0), y) / y),
        from_x: at => x * Math.min(Math.max((at - LEFT) / (WIDTH - LEFT - RIGHT), 0), 1) ** 2,
        from_y: at => y * Math.min(Math.max((HEIGHT - BOTTOM - at) / (HEIGHT - BOTTOM - TOP), 0), 1) ** 2,
        most_x: x, most_y: y,
    };
}

/* Thresholds as they are now: those of the answer's policy with what was moved; equal ones on one axis are one line. */
export function current_lines() {
    const text = state.answer?.header?.policy || state.intro?.default_policy;
    if (!text) return [];
    const lines = [];
    for (const line of thresholds_of(parse_policy(text))) {
        line.value = Number(state.what.set[line.key] ?? line.value);
        const same = lines.find(other => other.axis === line.axis && other.value === line.value && line.key !== 'clarify_entropy');
        if (same) same.keys.push(line.key);
        else lines.push({ ...line, keys: [line.key] });
    }
    return lines;
}

function regions(axes, lines) {
    const value = key => lines.find(line => line.keys.includes(key))?.value;
    return REGIONS.map(([name, , ex, vy]) => {
        const e = value(ex), v = value(vy);
        if (e === undefined || v === undefined) return null;
        const right = name === 'clarify' || name === 'high_uncertainty', top = name === 'explore' || name === 'high_uncertainty';
        const x0 = right ? axes.x(e) : LEFT, x1 = right ? WIDTH - RIGHT : axes.x(e);
        const y0 = top ? TOP : axes.y(v), y1 = top ? axes.y(v) : HEIGHT - BOTTOM;
        if (x1 - x0 < 1 || y1 - y0 < 1) return null;
        const label = x1 - x0 > 46 && y1 - y0 > 16;
        return s('g', {}, s('rect', { x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: strategy_color(name), 'fill-opacity': 0.07 }),
            label && s('text', { class: 'region', x: right ? x1 - 6 : x0 + 6, y: top ? y0 + 14 : y1 - 6, 'text-anchor': right ? 'end' : 'start', fill: strategy_color(name), text: strategy_word(name) }));
    }).filter(Boolean);
}

function grid(axes) {
    const parts = [];
    let last = -100;
    for (const tick of TICKS.filter(value => value <= axes.most_x)) {
        const at = axes.x(tick);
        parts.push(s('line', { class: 'grid', x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }));
        if (at - last > 24) parts.push(s('text', { class: 'tick', x: last = at, y: HEIGHT - BOTTOM + 13, 'text-anchor': 'middle', text: tick }));
    }
    last = 1000;
    for (const tick of TICKS.filter(value => value <= axes.most_y)) {
        const at = axes.y(tick);
        parts.push(s('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
        if (last - at > 13) parts.push(s('text', { class: 'tick', x: LEFT - 5, y: (last = at) + 3.5, 'text-anchor': 'end', text: tick }));
    }
    parts.push(s('text', { class: 'axis-name', x: WIDTH - RIGHT, y: HEIGHT - 4, 'text-anchor': 'end', text: 'entropy, bits →' }),
        s('text', { class: 'axis-name', x: LEFT, y: HEIGHT - 4, text: '↑ varentropy, bits²' }));
    return parts;
}

function bounds(line, lines, axes) {
    const value = key => lines.find(other => other.keys.includes(key))?.value;
    const has = key => line.keys.includes(key);
    return [has('clarify_entropy') ? value('low_entropy') ?? 0 : has('high_varentropy') ? value('low_varentropy') ?? 0 : 0,
        has('low_entropy') ? value('clarify_entropy') ?? axes.most_x : has('low_varentropy') ? value('high_varentropy') ?? axes.most_y
            : line.axis === 'x' ? axes.most_x : axes.most_y];
}

function move(line, value, lines, axes) {
    const [low, high] = bounds(line, lines, axes);
    const rounded = Number(Math.min(Math.max(value, low), high).toPrecision(3));
    set_what(Object.fromEntries(line.keys.map(key => [key, rounded])));
}

function threshold(line, lines, axes) {
    const across = line.axis === 'x', at = across ? axes.x(line.value) : axes.y(line.value);
    const ends = across ? { x1: at, x2: at, y1: TOP - 8, y2: HEIGHT - BOTTOM } : { x1: LEFT, x2: WIDTH - RIGHT + 8, y1: at, y2: at };
    const moved = line.keys.some(key => key in state.what.set), name = line.keys.map(key => key.replace(/_/g, ' ')).join(' and ');
    const key = event => {
        const sign = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
        if (!sign) return;
        event.preventDefault();
        event.stopPropagation();
        move(line, line.value + sign * (line.value < 0.5 ? 0.02 : 0.1) * (event.shiftKey ? 10 : 1), lines, axes);
    };
    return s('g', {
        class: `threshold${moved ? ' moved' : ''}`, tabindex: 0, role: 'slider', 'data-keys': line.keys.join(' '), 'aria-label': `Threshold ${name}`,
        'aria-orientation': across ? 'horizontal' : 'vertical', 'aria-valuenow': line.value, 'aria-valuemin': 0,
        'aria-valuemax': Number((across ? axes.most_x : axes.most_y).toFixed(2)), 'aria-valuetext': `${number(line.value)} ${across ? 'bits' : 'bits²'}`,
        onkeydown: key, onpointerdown: event => start_drag(event, line, axes),
    }, s('title', { text: `${name}: ${number(line.value)} ${across ? 'bits' : 'bits²'}. Drag, or use the arrow keys.` }),
    s('line', { class: 'hit', ...ends }), s('line', { class: 'line', ...ends }),
    s('circle', { class: 'handle', cx: across ? at : WIDTH - RIGHT + 8, cy: across ? TOP - 8 : at, r: 5.5 }));
}

function start_drag(event, line, axes) {
    event.preventDefault();
    drag = { keys: line.keys, axis: line.axis, axes };
    $('plane').setPointerCapture(event.pointerId);
    $('plane').querySelector(`[data-keys="${line.keys.join(' ')}"]`)?.focus();
}

function drag_to(event) {
    if (!drag) return;
    const box = $('plane').getBoundingClientRect(), scale = WIDTH / box.width;
    const lines = current_lines(), line = { ...drag, value: 0 };
    const at = drag.axis === 'x' ? drag.axes.from_x((event.clientX - box.left) * scale) : drag.axes.from_y((event.clientY - box.top) * scale);
    move(line, at, lines, drag.axes);
}

function point(token, axes) {
    const now = state.what.result?.strategies.get(token), name = now || strategy_of(token);
    const changed = state.what.result?.changed.has(token), x = axes.x(entropy_of(token)), y = axes.y(varentropy_of(token));
    const words = `${visible(token.text)}: ${strategy_word(name)}, entropy ${number(entropy_of(token))}, varentropy ${number(varentropy_of(token))}`;
    return s('g', {
        class: `point${token === state.token ? ' selected' : ''}${token.detour ? ' ghost' : ''}${changed ? ' changed' : ''}`,
        'data-style': style_of(name), onclick: () => select(token),
    }, s('title', { text: words }), changed && s('circle', { class: 'ring', cx: x, cy: y, r: 8 }),
    token === state.token && s('circle', { class: 'halo', cx: x, cy: y, r: 9 }),
    s('path', { d: shape_path(name, x, y, token === state.token ? 5.4 : 4.1), fill: token.detour ? 'none' : strategy_color(name), stroke: token.detour ? strategy_color(name) : null }));
}

export function plane_parts() {
    const answer = state.answer, tokens = answer ? answer.decided : [], lines = current_lines();
    const lost = answer && state.detours ? answer.detours.flatMap(detour => detour.tokens).filter(token => token.line.metrics) : [];
    const shown = [...lost, ...tokens.filter(token => token !== state.token), ...tokens.filter(token => token === state.token)];
    const axes = drag ? drag.axes : axes_of([...tokens, ...lost], lines);
    return { axes, lines, shown, width: WIDTH, height: HEIGHT,
        ground: [s('rect', { class: 'ground', x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM }), ...regions(axes, lines), ...grid(axes)],
        points: shown.map(token => point(token, axes)) };
}

function draw() {
    const focused = document.activeElement?.dataset?.keys, plane = $('plane'), parts = plane_parts();
    plane.replaceChildren(...parts.ground, ...parts.lines.map(line => threshold(line, parts.lines, parts.axes)), s('g', {}, parts.points));
    if (focused) plane.querySelector(`[data-keys="${focused}"]`)?.focus();
    const last = parts.shown.filter(token => !token.detour).length;
    $('plane-note').textContent = last ? `${last} decisions. Drag a line to ask what if.` : 'A point for each token appears here while the model writes.';
}

export function begin_plane() {
    const plane = $('plane');
    plane.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    plane.addEventListener('pointermove', drag_to);
    const end = () => {
        drag = null;
        draw();
    };
    plane.addEventListener('pointerup', end);
    plane.addEventListener('pointercancel', end);
    on('lines answer token what theme intro mode', once_a_frame(draw));
    $('detours').addEventListener('change', draw);
}
