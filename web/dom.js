/* dom.js - elements in one call, and words to the polite live region. */

const SVG = 'http://www.w3.org/2000/svg';

function build(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value === null || value === undefined || value === false) continue;
        if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
        else if (name === 'text') element.textContent = value;
        else if (name === 'value' && 'value' in element) element.value = value;
        else element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
    return element;
}

export function h(tag, attributes, ...children) {
    return build(document.createElement(tag), attributes, children);
}

export function s(tag, attributes, ...children) {
    return build(document.createElementNS(SVG, tag), attributes, children);
}

export const $ = id => document.getElementById(id);

export function announce(text) {
    $('status').textContent = text;
}

/* Runs `work` once in the next frame, however often it is asked for. */
export function once_a_frame(work) {
    let waiting = false;
    return () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
            waiting = false;
            work();
        });
    };
}

/* 1.234 → "1.23", 0.000123 → "0.000123", 12.345 → "12.3" */
export function number(value, digits = 3) {
    if (value === null || value === undefined || !Number.isFinite(value)) return '–';
    if (value === 0) return '0';
    const size = Math.abs(value);
    if (size < 1e-4) return value.toExponential(1);
    return size >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(digits)));
}

export function percent(value) {
    if (value === null || value === undefined) return '–';
    if (value > 0 && value < 0.0005) return '<0.1 %';
    return `${(100 * value).toFixed(value >= 0.9995 || value === 0 ? 0 : 1)} %`;
}

/* A token's text where blanks and line ends must be seen. */
export function visible(text) {
    return text.replace(/\n/g, '⏎').replace(/\t/g, '⇥').replace(/^ +| +$/g, blanks => '␣'.repeat(blanks.length)) || '∅';
}
