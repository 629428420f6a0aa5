/* whatif.js - other values of the policy: the whole answer is decided again from its trace, without the model. */
import { $, announce, h, number, once_a_frame } from './dom.js';
import { post_json } from './api.js';
import { parse_policy } from './policy.js';
import { strategy_color, strategy_word } from './palette.js';
import { count_strategies, strategy_of } from './trace.js';
import { again, is_running } from './conversation.js';
import { emit, on, state } from './state.js';

const SLIDERS = [['temperature', 0, 3, 0.01], ['top_p', 0, 1, 0.01], ['top_k', 0, 200, 1], ['min_p', 0, 0.5, 0.005],
    ['low_entropy', 0, 2, 0.01], ['low_varentropy', 0, 5, 0.01], ['clarify_entropy', 0, 10, 0.05], ['explore_entropy', 0, 10, 0.05],
    ['high_entropy', 0, 10, 0.05], ['high_varentropy', 0, 30, 0.05]];
let request = null, timer = 0, problem = null;

const base_values = () => parse_policy(state.answer?.header?.policy || state.intro?.default_policy || '').values;

/* Values over the policy of the answer; those that are as before are forgotten. */
export function set_what(values) {
    const base = base_values(), set = { ...state.what.set, ...values };
    for (const key of Object.keys(set)) if (Number(base[key]) === Number(set[key])) delete set[key];
    state.what.set = set;
    clearTimeout(timer);
    timer = setTimeout(decide_again, 40);
    emit('what');
}

export function reset_what() {
    state.what = { set: {}, result: null };
    problem = null;
    request?.abort();
    emit('what');
}

/* {steps, changed: Set of tokens decided otherwise, strategies: Map, draws: tokens that would be another} */
function compare(answer, steps) {
    const changed = new Set(), strategies = new Map();
    let draws = 0, unknown = 0;
    answer.decisions.forEach((token, i) => {
        const step = steps[i];
        if (!step) return;
        strategies.set(token, step.strategy);
        if (step.strategy !== token.line.strategy) changed.add(token);
        if (!step.decidable) unknown++;
        else if (step.drawn !== null && step.drawn !== token.token && !token.detour) {
            draws++;
            changed.add(token);
        }
    });
    return { steps, changed, strategies, draws, unknown };
}

async function decide_again() {
    const answer = state.answer, { set } = state.what;
    request?.abort();
    if (!Object.keys(set).length) {
        reset_what();
        return;
    }
    if (!answer?.id || ['running', 'waiting'].includes(answer.status)) return;
    request = new AbortController();
    try {
        const body = { policy: answer.header.policy, set };
        const reply = await post_json(`/v1/traces/${answer.id}/replay`, body, request.signal);
        if (state.answer !== answer || state.what.set !== set) return;
        state.what.result = compare(answer, reply.steps);
        problem = null;
        const { changed } = state.what.result;
        announce(`${changed.size} of ${reply.steps.length} decisions would be otherwise.`);
    } catch (error) {
        if (error.name === 'AbortError') return;
        problem = error;
        announce(error.message);
    }
    emit('what');
}

function slider([key, low, high, step], base) {
    const value = Number(state.what.set[key] ?? base[key]), id = `what-${key}`;
    const apply = event => set_what({ [key]: Number(event.target.value) });
    return h('div', { class: `slider${key in state.what.set ? ' moved' : ''}` },
        h('label', { for: id, text: key.replace(/_/g, ' ') }),
        h('input', { type: 'range', id, min: low, max: Math.max(high, value), step, value, oninput: apply, 'data-key': key }),
        h('input', { type: 'number', class: 'exact', 'aria-label': `${key.replace(/_/g, ' ')}, exact value`, min: 0, step: 'any', value, onchange: apply }));
}

function counts_table() {
    const { answer, what } = state, tokens = answer?.decided || [];
    const before = count_strategies(tokens, token => token.line.strategy), result = what.result;
    const after = result ? count_strategies(tokens, token => result.strategies.get(token) || token.line.strategy) : before;
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])], most = Math.max(1, ...Object.values(before), ...Object.values(after));
    if (!names.length) return h('p', { class: 'hint', text: 'Ask something first: then move a line in the plane or a slider here.' });
    const bar = (count, name, kind) => {
        const element = h('span', { class: `count-bar ${kind}` });
        element.style.width = `${100 * (count || 0) / most}%`;
        element.style.backgroundColor = strategy_color(name);
        return element;
    };
    return h('table', { class: 'counts' }, h('caption', { class: 'unseen', text: 'Decisions for each strategy' }),
        h('thead', {}, h('tr', {}, h('th', { scope: 'col', text: 'strategy' }), h('td'), h('th', { scope: 'col', text: 'was' }), h('th', { scope: 'col', text: 'what if' }))),
        h('tbody', {}, names.map(name => h('tr', {}, h('th', { scope: 'row', text: strategy_word(name) }),
            h('td', { class: 'count-bars' }, bar(before[name], name, 'before'), bar(after[name], name, 'after')),
            h('td', { text: before[name] || 0 }), h('td', { class: before[name] === after[name] ? '' : 'differs', text: after[name] || 0 })))));
}

function sentence() {
    const { result, set } = state.what, n = Object.keys(set).length;
    if (!n) return 'Nothing is changed yet.';
    if (!result) return state.answer?.status === 'running' ? 'It is decided again when the answer is complete.' : 'Deciding again …';
    const parts = [`${result.changed.size} of ${result.steps.length} decisions would be otherwise`];
    if (result.draws) parts.push(`${result.draws} would be another token`);
    if (result.unknown) parts.push(`${result.unknown} cannot be told to the end`);
    return `${parts.join('; ')}.`;
}

function draw() {
    const box = $('what-panel'), focus = document.activeElement?.id, base = base_values();
    if (!state.intro) return;
    const n = Object.keys(state.what.set).length;
    $('what-count').textContent = n || '';
    if (document.activeElement?.type === 'range' && box.contains(document.activeElement)) update_around();
    else box.replaceChildren(h('p', { class: 'soft', text: 'Other values decide the same answer again, from its trace. The model is not asked.' }),
        h('div', { id: 'what-result' }), h('div', { class: 'sliders' }, SLIDERS.filter(([key]) => key in base).map(one => slider(one, base))));
    update_around();
    if (focus?.startsWith('what-')) $(focus)?.focus();
}

/* What stands around the sliders, so that one that is being moved stays. */
function update_around() {
    const n = Object.keys(state.what.set).length, base = base_values();
    $('what-result').replaceChildren(h('p', { class: 'verdict', text: sentence() }),
        problem ? h('div', { class: 'error', role: 'alert' }, h('strong', { text: problem.message }), h('p', { text: problem.advice })) : '', counts_table(),
        h('div', { class: 'row' },
            h('button', { class: 'primary', id: 'what-generate', disabled: !n || !state.answer || is_running(), onclick: () => again(state.answer, state.what.set), text: 'Generate with this' }),
            h('button', { id: 'what-reset', disabled: !n, onclick: reset_what, text: 'Reset' }),
            n ? h('span', { class: 'soft', text: Object.entries(state.what.set).map(([key, value]) => `${key} = ${number(value)}`).join(', ') }) : ''));
    for (const range of $('what-panel').querySelectorAll('input[type=range]')) {
        const value = Number(state.what.set[range.dataset.key] ?? base[range.dataset.key]);
        if (range !== document.activeElement) range.value = value;
        range.nextElementSibling.value = value;
        range.parentElement.classList.toggle('moved', range.dataset.key in state.what.set);
    }
}

export function begin_whatif() {
    on('what answer intro theme lines', once_a_frame(draw));
    on('finished', answer => {
        if (answer === state.answer && Object.keys(state.what.set).length) decide_again();
        draw();
    });
}
