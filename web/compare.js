/* compare.js - two policies on the same prompt with the same seed. */
import { $, announce, h, number } from './dom.js';
import { generate, options_of } from './conversation.js';
import { Answer, attention_of, count_strategies, entropy_of, mean, varentropy_of } from './trace.js';
import { common_start, differing } from './difference.js';
import { fill_policies, whole_number } from './options.js';
import { strategy_color, strategy_word } from './palette.js';
import { TokenView } from './tokens.js';
import { emit, on, state } from './state.js';

const SIDES = ['a', 'b'];
const sides = { a: {}, b: {} };
let control = null;

function select(token) {
    state.token = token;
    emit('token', token);
}

function strategy_bar(answer) {
    const counts = count_strategies(answer.decided, token => token.line.strategy), total = answer.decided.length || 1;
    return h('div', { class: 'shares' }, h('div', { class: 'share-bar', 'aria-hidden': 'true' }, Object.entries(counts).map(([name, count]) => {
        const part = h('span', { title: `${strategy_word(name)}: ${count}` });
        part.style.width = `${100 * count / total}%`;
        part.style.backgroundColor = strategy_color(name);
        return part;
    })), h('p', { class: 'soft', text: Object.entries(counts).map(([name, count]) => `${strategy_word(name)} ${count}`).join(' · ') }));
}

function summary(answer) {
    const kinds = kind => answer.detours.filter(detour => detour.kind === kind).length, decided = answer.decided;
    const rows = [['tokens', answer.path.length], ['mean entropy', `${number(mean(decided, entropy_of))} bits`],
        ['mean varentropy', `${number(mean(decided, varentropy_of))} bits²`], ['mean attention entropy', `${number(mean(decided, attention_of))} bits`],
        ['branches that lost', kinds('branch')], ['times taken back', kinds('rewind')]];
    return h('dl', { class: 'metrics' }, rows.map(([name, value]) => h('div', {}, h('dt', { text: name }), h('dd', { text: value }))));
}

function draw_side(side) {
    const { answer, view } = sides[side];
    if (!answer) return;
    view.draw();
    $(`side-${side}`).replaceChildren(view.root, answer.error ? h('div', { class: 'error', role: 'alert' }, h('strong', { text: answer.error.message }),
        h('p', { text: answer.error.advice || '' })) : '', strategy_bar(answer), summary(answer));
}

function mark_differences() {
    const [a, b] = SIDES.map(side => sides[side].answer);
    if (!a || !b || a.error || b.error) return;
    const marks = differing(a.path, b.path), start = common_start(a.path, b.path);
    SIDES.forEach((side, i) => {
        sides[side].view.marked = token => marks[i].has(token);
    });
    const same = start === a.path.length && start === b.path.length;
    const words = same ? `Both wrote the same ${start} tokens.` : start ? `The same for ${start} tokens; then they part. ${marks[0].size} tokens are only left, ${marks[1].size} only right.`
        : `They part at the first token. ${marks[0].size} tokens are only left, ${marks[1].size} only right.`;
    $('compare-verdict').textContent = words;
    announce(words);
}

async function run(event) {
    event.preventDefault();
    const prompt = $('compare-prompt').value.trim();
    if (!prompt) return;
    let seed, max_tokens;
    try {
        seed = whole_number($('compare-seed'), 'Seed', 0, Number.MAX_SAFE_INTEGER) ?? 1;
        max_tokens = whole_number($('compare-tokens'), 'Tokens', 1, state.intro.model.n_context) ?? 100;
    } catch (error) {
        $('compare-verdict').textContent = error.message;
        return;
    }
    control?.abort();
    const mine = control = new AbortController();
    $('compare-verdict').textContent = 'Both are writing …';
    await Promise.all(SIDES.map(side => {
        const edited = $(`edit-${side}`).checked, policy = edited ? $(`text-${side}`).value : $(`policy-${side}`).value;
        const answer = new Answer({ messages: [{ role: 'user', content: prompt }], ...options_of({ policy, seed, max_tokens }) });
        sides[side] = { answer, view: new TokenView(answer, select) };
        return generate(answer, mine.signal, () => draw_side(side));
    }));
    if (control !== mine) return;
    $('compare-verdict').textContent = '';
    mark_differences();
    SIDES.forEach(draw_side);
}

export function begin_compare() {
    on('intro', () => {
        const names = state.intro.presets;
        fill_policies($('policy-a'), names[0]);
        fill_policies($('policy-b'), names.includes('plain') ? 'plain' : names.at(-1));
        for (const side of SIDES) $(`text-${side}`).value = state.intro.policies[$(`policy-${side}`).value];
    });
    for (const side of SIDES) {
        $(`policy-${side}`).addEventListener('change', event => {
            $(`text-${side}`).value = state.intro.policies[event.target.value];
        });
        $(`edit-${side}`).addEventListener('change', event => {
            $(`text-${side}`).hidden = !event.target.checked;
        });
    }
    $('compare-form').addEventListener('submit', run);
    on('mode token theme', () => SIDES.forEach(draw_side));
    $('detours').addEventListener('change', () => SIDES.forEach(draw_side));
}
