/* inspector.js - everything about one token: its rule, its parameters, its candidates, its draw, its attention. */
import { $, h, number, percent, s, visible } from './dom.js';
import { parse_policy, metric_unit, metric_word } from './policy.js';
import { action_words, condition_parts, firmness, margin_words } from './words.js';
import { shape_path, strategy_color, strategy_word } from './palette.js';
import { probability_before } from './trace.js';
import { can_fork, fork } from './conversation.js';
import { heat_map } from './heatmap.js';
import { on, state } from './state.js';

const SHOWN = 10;
const DETOURS = { branch: 'A branch that lost', rewind: 'Taken back' };
let show_all = false;

function badge(name) {
    return h('span', { class: 'badge' },
        s('svg', { width: 16, height: 16, 'aria-hidden': 'true' }, s('path', { d: shape_path(name, 8, 8, 5.4), fill: strategy_color(name) })),
        strategy_word(name));
}

function heading(token) {
    const kind = { end: 'The end of the text', inserted: 'An inserted token' }[token.kind] || 'Token';
    const status = token.detour ? DETOURS[token.detour.kind] : token.forced ? 'Chosen by you' : token.inherited ? 'From the answer before the fork' : '';
    return h('header', { class: 'token-head' },
        h('div', { class: 'big-token', text: visible(token.text || '') }),
        h('div', { class: 'soft', text: [kind, token.token === null ? null : `id ${token.token}`, `position ${token.position}`, status].filter(Boolean).join(' · ') }));
}

function rule_section(token, policy) {
    const { line } = token, rule = policy.rules[line.rule];
    const parts = rule?.when ? condition_parts(rule.when, token, policy) : [];
    return h('section', { class: 'rule' },
        h('h3', {}, badge(line.strategy), h('span', { class: 'soft', text: firmness(token, policy) })),
        h('p', { class: 'condition' }, parts.length ? parts.flatMap((part, i) => [i ? ' and ' : '', h('span', { class: 'part', title: part.title, text: part.text })])
            : h('span', { class: 'part', text: 'what no rule before it took' })),
        h('p', {}, `So ${action_words(line)}. `, h('span', { class: 'margin', text: margin_words(token, policy) })));
}

function parameter_section(line, policy, step) {
    const rows = ['temperature', 'top_p', 'top_k', 'min_p'].map(key => {
        const before = Number(policy.values[key]), after = line[key];
        const other = step && step[key] !== after ? h('td', { class: 'whatif', text: number(step[key]) }) : h('td', { text: step ? '=' : '' });
        return h('tr', { class: before === after ? 'same' : '' }, h('th', { scope: 'row', text: key.replace('_', ' ') }),
            h('td', { text: number(before) }), h('td', { class: 'arrow', 'aria-label': 'becomes', text: '→' }), h('td', { class: 'after', text: number(after) }), step ? other : null);
    });
    return h('section', {}, h('h3', { text: 'Parameters' }), h('table', { class: 'parameters' },
        h('thead', {}, h('tr', {}, h('th', {}), h('th', { scope: 'col', text: 'policy' }), h('td'), h('th', { scope: 'col', text: 'here' }),
            step ? h('th', { scope: 'col', text: 'what if' }) : null)), h('tbody', {}, rows)));
}

function candidate_row(token, candidate, drawn, most) {
    const [id, text, , after] = candidate, { line } = token, before = probability_before(line, candidate);
    const times = drawn.filter(one => one === id).length, taken = token.token === id;
    const excluded = line.excluded?.includes(id);
    const bars = s('svg', { class: 'bars', viewBox: '0 0 100 18', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
        s('rect', { class: 'before', x: 0, y: 2, width: Math.max(100 * before / most, 0.4), height: 6 }),
        s('rect', { class: 'after', x: 0, y: 10, width: 100 * (after || 0) / most, height: 6 }));
    const note = excluded ? 'taken back here' : after === null ? 'cut' : percent(after);
    return h('li', { class: `candidate${after === null ? ' out' : ''}${taken ? ' taken' : ''}` },
        h('span', { class: 'candidate-text', title: `token ${id}`, text: visible(text) }), bars,
        h('span', { class: 'numbers' }, h('span', { title: 'before the filters', text: percent(before) }), h('span', { title: after === null ? 'removed by the filters' : 'after the filters', text: note })),
        h('span', { class: 'mark' }, times ? h('abbr', { title: `drawn ${times} ${times === 1 ? 'time' : 'times'}`, text: times > 1 ? `●×${times}` : '●' }) : ''),
        taken && !token.detour ? h('span', { class: 'go here', text: 'taken' })
            : h('button', { class: 'go', disabled: !can_fork(token), 'aria-label': `Continue with ${visible(text)}`, title: 'Continue the answer from here with this token',
                onclick: () => fork(token, candidate), text: 'continue' }));
}

function candidate_section(token) {
    const { line } = token, list = line.candidates || [], drawn = line.drawn || [];
    if (!list.length) return null;
    const shown = show_all ? list : list.filter((candidate, i) => i < SHOWN || candidate[0] === token.token || drawn.includes(candidate[0]));
    const most = Math.max(...list.map(candidate => Math.max(probability_before(line, candidate), candidate[3] || 0)));
    const more = list.length > shown.length || show_all;
    return h('section', {}, h('h3', {}, 'Candidates ', h('span', { class: 'soft', text: `${line.kept} of ${token.answer.header?.n_vocab || 'all'} kept` })),
        h('div', { class: 'bar-key', 'aria-hidden': 'true' }, h('span', { class: 'before', text: 'before' }), h('span', { class: 'after', text: 'after the filters' }), h('span', { text: '● drawn' })),
        h('ul', { class: 'candidates' }, shown.map(candidate => candidate_row(token, candidate, drawn, most))),
        more && h('button', {
            class: 'quiet', text: show_all ? 'Show the first alone' : `Show all ${list.length}`,
            onclick: () => {
                show_all = !show_all;
                draw();
            },
        }));
}

function draw_section(token) {
    const { line } = token, drawn = line.drawn || [];
    if (!line.uniform?.length) return null;
    const text_of = id => visible(line.candidates?.find(candidate => candidate[0] === id)?.[1] ?? String(id));
    return h('section', {}, h('h3', { text: line.uniform.length > 1 ? 'Random numbers' : 'Random number' }),
        h('p', { class: 'draws' }, line.uniform.map((value, i) => h('span', { class: 'draw' },
            h('code', { text: value.toFixed(4) }), drawn.length > i ? h('span', { text: ` → ${text_of(drawn[i])}` }) : null))));
}

function metric_section(line) {
    return h('section', {}, h('h3', { text: 'Metrics' }), h('dl', { class: 'metrics' }, Object.entries(line.metrics).map(([name, value]) =>
        h('div', {}, h('dt', { title: name, text: metric_word(name) }), h('dd', {}, number(value), h('small', { text: ` ${metric_unit(name)}` }))))));
}

function whatif_section(token, policy, step) {
    if (!step) return null;
    const changed = step.strategy !== token.line.strategy;
    const candidate = token.line.candidates?.find(one => one[0] === step.drawn);
    const then = !step.decidable ? 'Which token would be drawn cannot be told from what the trace keeps.'
        : step.drawn === null || step.drawn === token.token ? 'The same token would be taken.'
            : `“${visible(candidate?.[1] || String(step.drawn))}” would be taken.`;
    return h('section', { class: 'then' }, h('h3', { text: 'What if' }),
        h('p', {}, changed ? [badge(token.line.strategy), ' → ', badge(step.strategy), ' '] : ['The same strategy. '], then));
}

function draw() {
    const box = $('token-panel'), { token } = state;
    if (!token?.line) {
        box.replaceChildren(h('p', { class: 'hint' }, 'Click a token, or move through the answer with the arrow keys: its rule, candidates and attention appear here.'));
        return;
    }
    const { line } = token;
    if (!line.metrics) {
        box.replaceChildren(heading(token), h('p', { class: 'hint', text: 'This token belongs to an inserted clarification: the first token of it has the decision.' }));
        return;
    }
    const policy = parse_policy((token.inherited || token.forced ? token.line.policy : null) || token.answer.header?.policy || state.intro.default_policy);
    const step = token.answer === state.answer ? state.what.result?.steps[token.decision] : null;
    box.replaceChildren(...[heading(token), rule_section(token, policy), whatif_section(token, policy, step), candidate_section(token),
        draw_section(token), parameter_section(line, policy, step),
        h('section', {}, h('h3', { text: 'Attention entropy' }), heat_map(line)), metric_section(line)].filter(Boolean));
}

export function begin_inspector() {
    on('token', () => {
        show_all = false;
        draw();
    });
    on('answer what theme finished', draw);
    draw();
}
