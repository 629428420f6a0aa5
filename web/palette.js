/* palette.js - colours of metrics and strategies. Metrics: one ramp of even steps in lightness (Oklab), so it is right
 * for all kinds of colour vision and in grey. Strategies: Okabe and Ito, each with a shape of its own, as in
 * `entropix plot`. */
import { entropy_of, varentropy_of, attention_of } from './trace.js';
import { emit } from './state.js';

export const STEPS = 24;

const STYLES = ['greedy', 'clarify', 'clarify_resample', 'explore', 'high_uncertainty', 'adaptive', 'plain'];
const STRATEGY = {
    light: ['#00805d', '#c94f00', '#b97700', '#0072b2', '#b04a88', '#857500', '#59636e', '#1f2328', '#5d3a9b', '#8f4400',
        '#00707a', '#a01c2c'],
    dark: ['#26b98c', '#f0803c', '#e69f00', '#56b4e9', '#e08fbe', '#e5d93c', '#9198a1', '#f0f6fc', '#b79bf0', '#c98a55',
        '#4fd0dc', '#ff8b92'],
};
/* Lightness, chroma, hue */
const RAMP = {
    light: [[0.985, 0.006, 95], [0.93, 0.055, 92], [0.83, 0.115, 78], [0.70, 0.145, 56], [0.56, 0.16, 38], [0.43, 0.13, 25]],
    dark: [[0.23, 0.012, 20], [0.34, 0.06, 20], [0.46, 0.105, 35], [0.60, 0.135, 55], [0.75, 0.14, 75], [0.90, 0.12, 95]],
};
const SHAPES = {
    greedy: null,
    clarify: [[0, -1.3], [1.2, 0.8], [-1.2, 0.8]],
    clarify_resample: [[0, 1.3], [1.2, -0.8], [-1.2, -0.8]],
    explore: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
    high_uncertainty: [[0, -1.5], [0.38, -0.5], [1.42, -0.46], [0.6, 0.2], [0.9, 1.22], [0, 0.62], [-0.9, 1.22],
        [-0.6, 0.2], [-1.42, -0.46], [-0.38, -0.5]],
    adaptive: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
    plain: [[-1.3, -0.45], [1.3, -0.45], [1.3, 0.45], [-1.3, 0.45]],
};

export const MODES = {
    entropy: { name: 'Entropy', unit: 'bits', value: entropy_of, least: 4, from_zero: true },
    varentropy: { name: 'Varentropy', unit: 'bits²', value: varentropy_of, least: 8, from_zero: true },
    attention: { name: 'Attention', unit: 'bits', value: attention_of, least: 1, from_zero: false },
    strategy: { name: 'Strategy' },
    none: { name: 'Off' },
};

const others = new Map(); /* names that are not of the matrix, in the order in which they came */

export function style_of(name) {
    const index = STYLES.indexOf(name);
    if (index >= 0) return index;
    if (!others.has(name)) others.set(name, 7 + others.size % 5);
    return others.get(name);
}

export const strategy_word = name => name.replace(/_/g, ' ');

export function shape_path(name, x, y, radius) {
    const corners = SHAPES[name];
    if (!corners)
        return `M${x - radius} ${y}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0Z`;
    return `M${corners.map(([dx, dy]) => `${(x + radius * dx).toFixed(2)} ${(y + radius * dy).toFixed(2)}`).join('L')}Z`;
}

function to_hex([lightness, chroma, hue]) {
    const a = chroma * Math.cos(hue * Math.PI / 180), b = chroma * Math.sin(hue * Math.PI / 180);
    const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const n = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3;
    const linear = [4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * n,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * n, -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * n];
    return '#' + linear.map(value => {
        const bounded = Math.min(Math.max(value, 0), 1);
        const gamma = bounded <= 0.0031308 ? 12.92 * bounded : 1.055 * bounded ** (1 / 2.4) - 0.055;
        return Math.round(255 * gamma).toString(16).padStart(2, '0');
    }).join('');
}

export function theme() {
    const chosen = document.documentElement.dataset.theme;
    if (chosen) return chosen;
    return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

function ramp_point(step) {
    const stops = RAMP[theme()], at = step / (STEPS - 1) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    return stops[low].map((value, i) => value + (at - low) * (stops[low + 1][i] - value));
}

export const ramp = step => to_hex(ramp_point(step));
export const ink_on = step => (ramp_point(step)[0] > 0.62 ? '#16181d' : '#ffffff');
export const strategy_color = name => STRATEGY[theme()][style_of(name)];

export function step_of(value, [low, high]) {
    if (!Number.isFinite(value)) return -1;
    return Math.round(Math.min(Math.max((value - low) / (high - low), 0), 1) * (STEPS - 1));
}

/* The ends of a mode's scale for these tokens: round numbers that hold them all. */
export function scale_of(mode, tokens) {
    const { value, least, from_zero } = MODES[mode];
    const values = tokens.map(value).filter(Number.isFinite);
    const high = Math.max(least, Math.ceil(Math.max(0, ...values)));
    const low = from_zero || !values.length ? 0 : Math.floor(Math.min(...values));
    return [low, Math.max(high, low + 1)];
}

function apply() {
    const style = document.documentElement.style;
    for (let i = 0; i < STEPS; i++) {
        style.setProperty(`--v${i}`, ramp(i));
        style.setProperty(`--i${i}`, ink_on(i));
    }
    STRATEGY[theme()].forEach((color, i) => style.setProperty(`--s${i}`, color));
    emit('theme');
}

/* Gives a token's element the colour of the mode, from `scale` or from `strategy`. */
export function paint(element, token, mode, scale, strategy) {
    element.style.backgroundColor = '';
    element.style.color = '';
    delete element.dataset.style;
    if (mode === 'none' || token.forced) return;
    if (mode === 'strategy') {
        if (strategy) element.dataset.style = style_of(strategy);
        return;
    }
    const step = step_of(MODES[mode].value(token), scale);
    if (step < 0) return;
    element.style.backgroundColor = `var(--v${step})`;
    element.style.color = `var(--i${step})`;
}

/* 'auto', 'light' or 'dark' */
export function choose_theme(choice) {
    if (choice === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    localStorage.setItem('entropix.theme', choice);
    apply();
}

export function begin_theme() {
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
    choose_theme(localStorage.getItem('entropix.theme') || 'auto');
    return localStorage.getItem('entropix.theme');
}

