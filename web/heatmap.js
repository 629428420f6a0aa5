/* heatmap.js - heads × layers: how spread each head's attention is, and each layer's metrics beside it. */
import { h, number, s } from './dom.js';
import { STEPS, ramp, step_of } from './palette.js';
import { metric_unit, metric_word } from './policy.js';

const CELL = 17, LEFT = 30, TOP = 18;

function draw(canvas, heads, range) {
    const rows = heads.length, columns = heads[0].length, ratio = window.devicePixelRatio || 1;
    const width = LEFT + columns * CELL + 1, height = TOP + rows * CELL + 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext('2d'), style = getComputedStyle(document.documentElement);
    context.scale(ratio, ratio);
    context.font = '10px system-ui, sans-serif';
    context.fillStyle = style.getPropertyValue('--soft');
    context.textAlign = 'center';
    for (let head = 0; head < columns; head += columns > 16 ? 4 : 1)
        context.fillText(head, LEFT + head * CELL + CELL / 2, TOP - 6);
    context.textAlign = 'right';
    for (let layer = 0; layer < rows; layer++) {
        context.fillStyle = style.getPropertyValue('--soft');
        if (rows <= 16 || layer % 4 === 0) context.fillText(layer, LEFT - 7, TOP + layer * CELL + CELL / 2 + 3.5);
        for (let head = 0; head < columns; head++) {
            context.fillStyle = ramp(Math.max(step_of(heads[layer][head], range), 0));
            context.fillRect(LEFT + head * CELL, TOP + layer * CELL, CELL - 1.5, CELL - 1.5);
        }
    }
}

/* A polyline over the layers. */
function spark(values) {
    const low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
    const points = values.map((value, i) => `${(4 + i * 92 / Math.max(values.length - 1, 1)).toFixed(1)},${(21 - 18 * (value - low) / span).toFixed(1)}`);
    return s('svg', { class: 'spark', viewBox: '0 0 100 24', 'aria-hidden': 'true' },
        s('polyline', { points: points.join(' ') }),
        s('circle', { cx: points.at(-1).split(',')[0], cy: points.at(-1).split(',')[1], r: 2.2 }));
}

export function heat_map(line) {
    const heads = line.head_entropy;
    if (!heads?.length) return h('p', { class: 'soft', text: 'This trace has no attention statistics.' });
    const all = heads.flat(), range = [0, Math.max(1, Math.ceil(Math.max(...all)))];
    let least = [0, 0], most = [0, 0];
    heads.forEach((row, layer) => row.forEach((value, head) => {
        if (value < heads[least[0]][least[1]]) least = [layer, head];
        if (value > heads[most[0]][most[1]]) most = [layer, head];
    }));
    const sentence = `Sharpest: layer ${least[0]}, head ${least[1]} (${number(heads[least[0]][least[1]], 2)} bits). ` +
        `Widest: layer ${most[0]}, head ${most[1]} (${number(heads[most[0]][most[1]], 2)} bits).`;
    const readout = h('p', { class: 'readout', text: sentence });
    const canvas = h('canvas', { role: 'img', 'aria-label': `Attention entropy of ${heads.length} layers by ${heads[0].length} heads. ${sentence}` });
    canvas.addEventListener('pointermove', event => {
        const head = Math.floor((event.offsetX - LEFT) / CELL), layer = Math.floor((event.offsetY - TOP) / CELL);
        const value = heads[layer]?.[head];
        readout.textContent = value === undefined ? sentence : `Layer ${layer}, head ${head}: ${number(value)} bits`;
    });
    canvas.addEventListener('pointerleave', () => {
        readout.textContent = sentence;
    });
    draw(canvas, heads, range);
    const scale = s('svg', { width: 90, height: 8, 'aria-hidden': 'true' });
    for (let i = 0; i < STEPS; i++) scale.append(s('rect', { x: i * 90 / STEPS, width: 90 / STEPS + 0.4, height: 8, fill: ramp(i) }));
    const metrics = Object.entries(line.layers || {}).filter(([name]) => name !== 'positions');
    return h('div', { class: 'heat' },
        h('div', {}, h('div', { class: 'axis-note', text: 'layer ↓ · head →' }), canvas,
            h('div', { class: 'scale-row' }, '0', scale, `${range[1]} bits`)),
        h('div', { class: 'layers' }, metrics.map(([name, values]) => h('div', { class: 'layer' },
            h('span', { class: 'layer-name', text: metric_word(name) }), spark(values),
            h('span', { class: 'layer-range', text: `${number(Math.min(...values), 2)} – ${number(Math.max(...values), 2)} ${metric_unit(name)}` })))),
        readout);
}
