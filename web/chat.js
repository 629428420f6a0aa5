/* chat.js - the conversation as a log, the composer, and the colour switch with its legend. */
import { $, announce, h, number } from './dom.js';
import { MODES, STEPS, ramp, scale_of, shape_path, strategy_color, strategy_word } from './palette.js';
import { count_strategies, entropy_of, mean, strategy_of } from './trace.js';
import { ask, clear, is_running, show, stop, turns } from './conversation.js';
import { TokenView } from './tokens.js';
import { emit, on, state } from './state.js';
import { read_options } from './options.js';
import { s } from './dom.js';

const views = new Map(); /* answer → TokenView */
const EXAMPLES = [
    ['What is the capital of Peru?', 'It knows this: nearly every token is sure.'],
    ['What is the currency of Dorlo?', 'There is no Dorlo. Watch where the doubt shows.'],
    ['Sam has 3 boxes with 4 pencils each. How many pencils does Sam have?', 'A word problem: the number is the fork in the road.'],
    ['Tell me a short story about a fox', 'Many roads: branches, and tokens that were taken back.'],
];

export function select(token) {
    if (token.answer.turn && token.answer !== state.answer) show(token.answer);
    state.token = token;
    emit('token', token);
}

function view_of(answer) {
    if (!views.has(answer)) views.set(answer, new TokenView(answer, select));
    return views.get(answer);
}

function figures_of(answer) {
    const decided = answer.decided, parts = [`${answer.path.length} tokens`];
    if (answer.status === 'running') parts.unshift('writing');
    if (answer.status === 'stopped') parts.unshift('stopped');
    if (answer.end === 'length') parts.push('ended at the limit of tokens');
    const entropy = mean(decided, entropy_of);
    if (entropy !== null) parts.push(`mean entropy ${number(entropy, 2)} bits`);
    if (answer.timings) parts.push(`${Math.round(answer.timings.tokens_per_second)} tokens a second`);
    if (answer.seed !== null) parts.push(`seed ${answer.seed}`);
    return parts.join(' · ');
}

function error_box(error) {
    return h('div', { class: 'error', role: 'alert' }, h('strong', { text: error.message }), h('p', { text: error.advice || '' }));
}

function answer_element(turn, answer) {
    const view = view_of(answer), at = turn.answers.indexOf(answer);
    const other = step => () => show(turn.answers[at + step]);
    const pager = turn.answers.length > 1 && h('span', { class: 'pager' },
        h('button', { class: 'quiet', 'aria-label': 'Answer before', disabled: at === 0, onclick: other(-1), text: '‹' }),
        ` ${at + 1} of ${turn.answers.length} `,
        h('button', { class: 'quiet', 'aria-label': 'Next answer', disabled: at === turn.answers.length - 1, onclick: other(1), text: '›' }));
    const finished = !['running', 'waiting'].includes(answer.status);
    return h('article', { class: 'answer', 'data-status': answer.status, 'aria-label': 'Answer' },
        finished && h('p', { class: 'unseen', text: answer.text }), view.root, answer.error && error_box(answer.error),
        h('div', { class: 'figures' }, pager, h('span', { class: 'figures-text', text: figures_of(answer) }),
            answer.label && h('span', { class: 'label', text: answer.label }),
            answer.origin?.token && h('span', { class: 'label', text: `goes on from “${answer.tokens.find(token => token.forced)?.text.trim()}”` })));
}

function empty_state() {
    return h('section', { class: 'empty' },
        h('h1', { text: 'See a language model doubt.' }),
        h('p', {}, 'Every token here is drawn by rules that look at how unsure the model is. Ask something; then click a word to see ',
            'what else it could have been, and why it was not.'),
        h('ul', { class: 'examples' }, EXAMPLES.map(([text, why]) => h('li', {},
            h('button', { class: 'example', onclick: () => send(text) }, h('span', { text }), h('small', { text: why }))))));
}

function draw() {
    const log = $('log'), list = turns();
    document.body.classList.toggle('is-empty', list.length === 0);
    if (!list.length) {
        log.replaceChildren(empty_state());
        return;
    }
    log.replaceChildren(...list.flatMap(turn => [
        h('div', { class: 'question' }, h('p', { text: turn.user })),
        turn.active && answer_element(turn, turn.active),
    ].filter(Boolean)));
    for (const turn of list) if (turn.active) view_of(turn.active).draw_now();
}

function keep_in_sight() {
    const box = $('log');
    if (box.scrollHeight - box.scrollTop - box.clientHeight < 160) box.scrollTop = box.scrollHeight;
}

function update(answer) {
    const view = views.get(answer);
    if (!view?.root.isConnected) return;
    view.draw();
    const text = view.root.parentElement.querySelector('.figures-text');
    if (text) text.textContent = figures_of(answer);
    keep_in_sight();
}

function redraw_tokens() {
    for (const view of views.values()) if (view.root.isConnected) view.draw();
}

function legend() {
    const box = $('legend'), tokens = state.answer?.tokens || [];
    if (state.mode === 'none') box.replaceChildren();
    else if (state.mode === 'strategy') {
        const counts = count_strategies(state.answer?.decided || [], strategy_of);
        const names = Object.keys(counts).length ? Object.keys(counts) : ['greedy', 'explore', 'high_uncertainty', 'adaptive'];
        box.replaceChildren(...names.map(name => h('span', { class: 'key' },
            s('svg', { width: 14, height: 14, 'aria-hidden': 'true' },
                s('path', { d: shape_path(name, 7, 7, 4.6), fill: strategy_color(name) })),
            strategy_word(name), counts[name] ? h('b', { text: counts[name] }) : null)));
    } else {
        const [low, high] = scale_of(state.mode, tokens.filter(token => !token.forced));
        const bar = s('svg', { class: 'scale', width: 132, height: 10, role: 'img', 'aria-label': `Scale from ${low} to ${high}` });
        for (let i = 0; i < STEPS; i++)
            bar.append(s('rect', { x: i * 132 / STEPS, y: 0, width: 132 / STEPS + 0.5, height: 10, fill: ramp(i) }));
        box.replaceChildren(h('span', { text: low }), bar, h('span', { text: `${high} ${MODES[state.mode].unit}` }));
    }
}

export function send(text) {
    const words = text.trim();
    if (!words || is_running()) return;
    let options;
    try {
        options = read_options();
    } catch (error) {
        announce(error.message);
        return;
    }
    $('prompt').value = '';
    grow();
    ask(words, options);
    $('log').scrollTop = $('log').scrollHeight;
}

function grow() {
    const field = $('prompt');
    field.style.height = 'auto';
    field.style.height = `${Math.min(field.scrollHeight, 180)}px`;
}

function busy(is_busy) {
    $('send').hidden = is_busy;
    $('stop').hidden = !is_busy;
    if (is_busy) announce('The model is writing.');
}

function finished(answer) {
    if (answer.turn) draw();
    const words = { done: `The answer is complete: ${answer.path.length} tokens.`, stopped: 'Stopped.' };
    announce(answer.error ? `${answer.error.message} ${answer.error.advice || ''}` : words[answer.status] || '');
}

export function begin_chat() {
    const modes = $('modes');
    for (const [mode, { name }] of Object.entries(MODES))
        modes.append(h('label', {}, h('input', {
            type: 'radio', name: 'mode', value: mode, checked: mode === state.mode,
            onchange: () => {
                state.mode = mode;
                emit('mode');
            },
        }), h('span', { text: name })));
    $('detours').addEventListener('change', event => {
        state.detours = event.target.checked;
        redraw_tokens();
    });
    $('composer').addEventListener('submit', event => {
        event.preventDefault();
        send($('prompt').value);
    });
    $('prompt').addEventListener('input', grow);
    $('prompt').addEventListener('keydown', event => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        send(event.target.value);
    });
    $('stop').addEventListener('click', stop);
    $('new').addEventListener('click', () => {
        clear();
        $('prompt').focus();
    });
    on('conversation', draw);
    on('lines', update);
    on('lines mode theme answer', legend);
    on('mode token', redraw_tokens);
    on('busy', busy);
    on('finished', finished);
    on('what', () => {
        const { result } = state.what;
        for (const [answer, view] of views) {
            const here = answer === state.answer && result;
            view.marked = here ? token => result.changed.has(token) : null;
            view.strategy = here ? token => result.strategies.get(token) || strategy_of(token) : strategy_of;
            if (view.root.isConnected) view.draw();
        }
    });
    draw();
    legend();
}
