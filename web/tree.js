/* tree.js - the branches of a turn: answers that went on from another token or under other values, and, as short
 * strokes, the branches that the sampler itself tried and left. */
import { $, h, once_a_frame, s, visible } from './dom.js';
import { show } from './conversation.js';
import { select } from './chat.js';
import { on, state } from './state.js';

const LANE = 40, LEFT = 14, STEP_MOST = 16, WIDTH = 420;

/* Answers in the order of the tree: children after their parents. */
function lanes_of(turn) {
    const lanes = [], place = answer => {
        if (lanes.includes(answer)) return;
        lanes.push(answer);
        answer.children.filter(child => turn.answers.includes(child)).forEach(place);
    };
    turn.answers.filter(answer => !answer.origin).forEach(place);
    turn.answers.forEach(place);
    return lanes;
}

function stubs(answer, x, y) {
    return answer.detours.map(detour => {
        const from = x(detour.position), to = Math.max(x(detour.position + detour.tokens.length), from + 5), first = detour.tokens[0];
        const down = detour.kind === 'rewind' ? -7 : 8;
        return s('path', { class: `stub ${detour.kind}`, d: `M${from} ${y}q3 ${down} 8 ${down}H${Math.max(to, from + 9)}`, onclick: () => select(first) },
            s('title', { text: `${detour.kind === 'rewind' ? 'Taken back' : 'Branch that lost'}: ${detour.tokens.map(token => token.text).join('')}` }));
    });
}

function lane(answer, index, lanes, x, start) {
    const y = LANE / 2 + index * LANE + 6, begin = answer.origin?.token ? answer.origin.token.position : start;
    const last = answer.tokens.at(-1)?.position ?? begin, parent = answer.origin ? lanes.indexOf(answer.origin.answer) : -1;
    const from = LANE / 2 + parent * LANE + 6, active = answer === state.answer;
    const forced = answer.tokens.find(token => token.forced);
    const name = answer.origin?.token ? `from “${visible(forced?.text || '')}”` : answer.label || 'the first answer';
    const end = Math.max(x(last + 1), x(begin) + 12);
    return s('g', {
        class: `lane${active ? ' active' : ''}`, tabindex: 0, role: 'treeitem', 'aria-selected': active, 'aria-label': `Answer ${index + 1}, ${name}: ${answer.text.slice(0, 80)}`,
        onclick: () => show(answer), onkeydown: event => {
            if (event.key !== 'Enter' && event.key !== ' ') return;
            event.preventDefault();
            show(answer);
        },
    }, s('title', { text: answer.text }), s('rect', { class: 'hit', x: 0, y: y - LANE / 2, width: WIDTH, height: LANE }),
    parent >= 0 && s('path', { class: 'join', d: `M${x(begin)} ${from}V${y - 8}q0 8 8 8` }),
    s('line', { class: 'stroke', x1: x(begin) + (parent >= 0 ? 8 : 0), x2: end, y1: y, y2: y }), ...stubs(answer, x, y),
    s('circle', { class: 'tip', cx: end, cy: y, r: 4.5 }), forced && s('circle', { class: 'forced', cx: x(begin) + 8, cy: y, r: 3.6 }),
    s('text', { x: x(begin) + 14, y: y - 9, text: `${index + 1}  ${name}` }));
}

function draw() {
    const box = $('tree-panel'), turn = state.answer?.turn;
    if (!turn) {
        box.replaceChildren(h('p', { class: 'hint', text: 'Answers that you continue from another candidate become branches here.' }));
        return;
    }
    const lanes = lanes_of(turn), first = lanes[0].header?.position ?? 0;
    const last = Math.max(...lanes.map(answer => answer.tokens.at(-1)?.position ?? 0), first + 12);
    const step = Math.min(STEP_MOST, (WIDTH - 3 * LEFT) / (last - first + 1)), x = position => LEFT + (position - first) * step;
    const height = lanes.length * LANE + 12;
    box.replaceChildren(h('p', { class: 'soft', text: `${lanes.length} ${lanes.length === 1 ? 'answer' : 'answers'} to “${turn.user}”. Short strokes are branches that the sampler tried (below) and tokens that it took back (above).` }),
        s('svg', { id: 'tree', viewBox: `0 0 ${WIDTH} ${height}`, role: 'tree', 'aria-label': 'Branches' }, lanes.map((answer, i) => lane(answer, i, lanes, x, first))),
        h('ol', { class: 'lanes' }, lanes.map(answer => h('li', { class: answer === state.answer ? 'active' : '' },
            h('button', { class: 'quiet', onclick: () => show(answer), text: answer.text.trim() || '…' })))));
    $('tree-count').textContent = lanes.length > 1 ? lanes.length : '';
}

export function begin_tree() {
    on('conversation answer lines theme finished', once_a_frame(draw));
    draw();
}
