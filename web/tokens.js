/* tokens.js - an answer as a row of tokens: coloured, selectable by pointer and arrow keys, with its detours on demand. */
import { h, number, once_a_frame, visible } from './dom.js';
import { MODES, paint, scale_of, strategy_word } from './palette.js';
import { strategy_of } from './trace.js';
import { state } from './state.js';

const DETOUR = { branch: ['↳', 'branch that lost'], rewind: ['↩', 'taken back'], end: ['⇥', 'decided beyond the end'] };

function label_of(token) {
    const metrics = token.line?.metrics, parts = [token.kind === 'end' ? 'end of the text' : `token “${visible(token.text)}”`];
    if (token.forced) parts.push('chosen by you');
    else if (strategy_of(token)) parts.push(strategy_word(strategy_of(token)));
    if (metrics && !token.forced)
        parts.push(`entropy ${number(metrics.logits_entropy, 2)} bits, varentropy ${number(metrics.logits_varentropy, 2)}`);
    return parts.join(', ');
}

export class TokenView {
    /* select(token) is called when one is chosen */
    constructor(answer, select) {
        this.answer = answer;
        this.select = select;
        this.elements = new Map();
        this.scale = [0, 1];
        this.marked = null; /* function: token → true where a difference is to be marked */
        this.strategy = strategy_of;
        this.root = h('div', {
            class: 'tokens', role: 'listbox', tabindex: '0', 'aria-label': 'Tokens of the answer; arrow keys move between them',
            'aria-live': 'off', onkeydown: event => this.key(event), onclick: event => this.click(event),
        });
        this.draw = once_a_frame(() => this.draw_now());
        this.draw_now();
    }

    element_of(token) {
        let element = this.elements.get(token.number);
        if (!element) {
            element = h('span', { class: 'token', role: 'option', id: `t${token.number}` });
            element.textContent = token.kind === 'end' ? '■' : token.text;
            if (token.kind === 'end') element.classList.add('end');
            if (token.kind === 'inserted') element.classList.add('inserted');
            if (token.inherited) element.classList.add('inherited');
            if (token.forced) element.classList.add('forced');
            element.token = token;
            this.elements.set(token.number, element);
        }
        const label = label_of(token);
        element.setAttribute('aria-label', label);
        element.title = label;
        element.setAttribute('aria-selected', String(state.token === token));
        element.classList.toggle('changed', Boolean(this.marked?.(token)));
        paint(element, token, state.mode, this.scale, this.strategy(token));
        return element;
    }

    detour_element(detour) {
        const [sign, name] = DETOUR[detour.line.reason === 'end' ? 'end' : detour.kind];
        const title = detour.score === undefined ? name : `${name}, score ${number(detour.score)}`;
        return h('span', { class: `detour ${detour.kind}`, role: 'group', 'aria-label': title },
            h('span', { class: 'sign', title, 'aria-hidden': 'true', text: sign }), detour.tokens.map(token => this.element_of(token)));
    }

    draw_now() {
        const { answer } = this, children = [];
        if (MODES[state.mode].value) this.scale = scale_of(state.mode, answer.tokens.filter(token => !token.forced));
        const detours = state.detours ? [...answer.detours].sort((a, b) => a.position - b.position) : [];
        for (const token of answer.tokens) {
            while (detours.length && detours[0].position <= token.position) children.push(this.detour_element(detours.shift()));
            children.push(this.element_of(token));
        }
        for (const detour of detours) children.push(this.detour_element(detour));
        if (answer.status === 'running' || answer.status === 'waiting') children.push(h('span', { class: 'caret' }));
        this.root.replaceChildren(...children);
        const selected = state.token && this.elements.get(state.token.number);
        if (selected?.isConnected) this.root.setAttribute('aria-activedescendant', selected.id);
        else this.root.removeAttribute('aria-activedescendant');
    }

    click(event) {
        const element = event.target.closest('.token');
        if (element && !getSelection().toString()) this.select(element.token);
    }

    key(event) {
        const list = [...this.root.querySelectorAll('.token')];
        const at = list.findIndex(element => element.token === state.token);
        const moves = { ArrowRight: at + 1, ArrowLeft: at < 0 ? list.length - 1 : at - 1, Home: 0, End: list.length - 1 };
        if (event.key === 'ArrowDown' || event.key === 'ArrowUp') moves[event.key] = this.line_away(list, at, event.key);
        if (!(event.key in moves) || !list.length || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        const next = list[Math.min(Math.max(moves[event.key], 0), list.length - 1)];
        this.select(next.token);
        next.scrollIntoView({ block: 'nearest' });
    }

    /* The token above or below, nearest in the line. */
    line_away(list, at, key) {
        if (at < 0) return 0;
        const here = list[at].getBoundingClientRect(), down = key === 'ArrowDown';
        let best = at, least = Infinity;
        list.forEach((element, i) => {
            const box = element.getBoundingClientRect();
            const lines = down ? box.top - here.top : here.top - box.top;
            if (lines < 4) return;
            const distance = lines * 50 + Math.abs(box.left - here.left);
            if (distance < least) [best, least] = [i, distance];
        });
        return best;
    }
}
