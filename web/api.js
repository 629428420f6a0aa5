/* api.js - requests to the server: JSON, streams of events, keys, and errors in words. */

const KEY = 'entropix.key';

export class ApiError extends Error {
    constructor(status, message, advice) {
        super(message);
        this.status = status;
        this.advice = advice;
    }
}

let ask_for_key = async () => null;
let key = sessionStorage.getItem(KEY);

/* `ask(was_wrong)` promises a key, or null where the person gives up. */
export function on_key_wanted(ask) {
    ask_for_key = ask;
}

function advice(status, text) {
    if (status === 0) return 'Is "entropix serve" still running? Start it again and repeat.';
    if (status === 401) return 'Give the key that the server was started with (--api-key).';
    if (status === 404 && /trace/.test(text)) return 'The server keeps the newest 64 traces. Ask again to get a new one.';
    if (status === 413) return 'Shorten the text, or begin a new conversation.';
    if (status === 429 || status === 503) return 'The server is busy. Wait a moment and repeat.';
    if (/context|positions/.test(text)) return 'Begin a new conversation, or ask for fewer tokens.';
    if (status === 400) return 'Change what the message names, and repeat.';
    return 'Repeat it; the terminal of the server may say more.';
}

async function error_of(response) {
    const text = await response.text();
    let message = text || response.statusText;
    try {
        message = JSON.parse(text).error.message;
    } catch { /* not our kind of error: the text itself */ }
    return new ApiError(response.status, message, advice(response.status, message));
}

async function send(path, body, signal) {
    const headers = {};
    if (body) headers['Content-Type'] = 'application/json';
    if (key) headers.Authorization = `Bearer ${key}`;
    const options = { method: body ? 'POST' : 'GET', headers, signal, body: body ? JSON.stringify(body) : undefined };
    try {
        return await fetch(path, options);
    } catch (error) {
        if (error.name === 'AbortError') throw error;
        throw new ApiError(0, 'The server cannot be reached.', advice(0, ''));
    }
}

export async function request(path, body, signal) {
    for (;;) {
        const response = await send(path, body, signal);
        if (response.ok) return response;
        if (response.status !== 401) throw await error_of(response);
        const given = await ask_for_key(Boolean(key));
        if (!given) throw await error_of(response);
        key = given;
        sessionStorage.setItem(KEY, key);
    }
}

export async function get_json(path) {
    return (await request(path)).json();
}

export async function post_json(path, body, signal) {
    return (await request(path, body, signal)).json();
}

/* Calls `take` with each event of a stream, until [DONE]. */
export async function stream(path, body, signal, take) {
    const response = await request(path, body, signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        const events = (rest + value).split('\n\n');
        rest = events.pop();
        for (const event of events) {
            const data = event.split('\n').filter(line => line.startsWith('data: ')).map(line => line.slice(6)).join('\n');
            if (data === '[DONE]') return;
            if (!data) continue;
            const message = JSON.parse(data);
            if (message.error) throw new ApiError(message.error.code || 500, message.error.message, advice(500, ''));
            take(message);
        }
    }
}
