/* conversation.js - turns and their answers. An answer is followed by its own next turn, so the conversation is a tree;
 * what is shown is one way through it. */
import { stream } from './api.js';
import { Answer } from './trace.js';
import { state, emit } from './state.js';

let running = null;

export const is_running = () => running !== null;

export function stop() {
    running?.abort();
}

/* Turns on the way that is shown. */
export function turns() {
    const list = [];
    for (let turn = state.root; turn; turn = turn.active?.next) list.push(turn);
    return list;
}

function messages_of(turn) {
    const messages = [];
    for (const earlier of turns()) {
        messages.push({ role: 'user', content: earlier.user });
        if (earlier === turn) return messages;
        messages.push({ role: 'assistant', content: earlier.active.text });
    }
    return messages;
}

/* What a request says about the sampler: {policy?, set?}, seed and max_tokens. */
export function options_of({ policy, set, seed, max_tokens }) {
    const entropix = {};
    if (policy) entropix.policy = policy;
    if (set && Object.keys(set).length) entropix.set = set;
    const body = { entropix, max_tokens };
    if (seed !== null && seed !== undefined) body.seed = seed;
    return body;
}

function take(answer, event) {
    answer.id = event.id || answer.id;
    if (event.choices?.[0]?.delta?.content) answer.content += event.choices[0].delta.content;
    const extension = event.entropix;
    if (!extension) return;
    for (const line of extension.lines || []) answer.feed(line);
    if (extension.summary) answer.summary = extension.summary[0];
    if (extension.seed !== undefined) answer.seed = extension.seed;
    if (extension.timings) answer.timings = extension.timings;
}

/* Streams into `answer`; what went wrong is said in it. */
export async function generate(answer, signal, changed) {
    const body = { model: state.intro?.model.name, stream: true, stream_options: { include_usage: true }, ...answer.request };
    answer.status = 'running';
    try {
        await stream('/v1/chat/completions', body, signal, event => {
            take(answer, event);
            changed(answer);
        });
        answer.status = 'done';
    } catch (error) {
        answer.status = error.name === 'AbortError' ? 'stopped' : 'failed';
        answer.error = error.name === 'AbortError' ? null : error;
    }
    changed(answer);
}

async function run(turn, answer) {
    stop();
    const control = new AbortController();
    running = control;
    turn.answers.push(answer);
    answer.turn = turn;
    show(answer);
    emit('busy', true);
    await generate(answer, control.signal, () => emit('lines', answer));
    if (running === control) {
        running = null;
        emit('busy', false);
    }
    emit('finished', answer);
}

/* The panel looks at this answer, and the conversation goes through it. */
export function show(answer) {
    answer.turn.active = answer;
    state.answer = answer;
    state.token = null;
    state.what = { set: {}, result: null };
    emit('conversation');
    emit('answer', answer);
}

export function ask(user, options) {
    const turn = { user, answers: [], active: null };
    const last = turns().at(-1);
    if (last?.active) last.active.next = turn;
    else state.root = turn;
    return run(turn, new Answer({ messages: messages_of(turn), ...options_of(options) }));
}

/* The same prompt and seed under other values of the policy. */
export function again(answer, set) {
    const request = structuredClone(answer.request);
    request.entropix.policy = answer.header?.policy || request.entropix.policy;
    request.entropix.set = { ...set };
    request.seed = answer.seed ?? request.seed;
    const prefix = answer.tokens.filter(token => token.inherited || token.forced);
    const origin = answer.origin || { answer, token: null };
    const next = new Answer(request, origin, prefix);
    next.label = Object.entries(set).map(([key, value]) => `${key} = ${value}`).join(', ');
    origin.answer.children.push(next);
    return run(answer.turn, next);
}

export const can_fork = token =>
    Boolean(token.answer.id && token.line && !['running', 'waiting'].includes(token.answer.status) &&
        (!token.detour || token.detour.tokens[0] === token));

/* Goes on from another candidate [token, text, …] at the place of `token`. */
export function fork(token, candidate) {
    const { answer, position } = token;
    const owner = token.inherited ? owner_of(answer, position) : answer;
    const request = {
        ...options_of({ policy: answer.header?.policy, seed: answer.seed }), max_tokens: answer.request.max_tokens,
    };
    request.entropix.fork = { trace: owner.id, choice: 0, position, token: candidate[0] };
    const forced = {
        token: candidate[0], text: candidate[1], position, kind: 'token', forced: true, line: token.line, decision: -1,
        detour: null,
    };
    const before = answer.tokens.filter(one => one.position < position);
    const next = new Answer(request, { answer: owner, token }, [...before, forced]);
    owner.children.push(next);
    return run(answer.turn, next);
}

/* The answer that wrote the token at a position which `answer` inherited. */
function owner_of(answer, position) {
    let owner = answer;
    while (owner.origin?.token && position < owner.origin.token.position) owner = owner.origin.answer;
    return owner;
}

export function clear() {
    stop();
    state.root = state.answer = state.token = null;
    state.what = { set: {}, result: null };
    emit('conversation');
    emit('answer', null);
}
