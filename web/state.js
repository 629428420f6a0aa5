/* state.js - what the parts of the page share, and how they hear of changes. */

export const state = {
    intro: null,       /* GET /v1/entropix */
    root: null,        /* the first turn of the conversation */
    answer: null,      /* the answer that the panel looks at */
    token: null,       /* the selected token */
    mode: 'entropy',   /* what colours the tokens */
    detours: false,    /* whether tokens that did not stay are shown */
    what: { set: {}, result: null },
};

const bus = new EventTarget();

/* Events: intro, conversation, answer, lines, token, mode, what, theme, busy. */
export function on(names, work) {
    for (const name of names.split(' ')) bus.addEventListener(name, event => work(event.detail));
}

export function emit(name, detail) {
    bus.dispatchEvent(new CustomEvent(name, { detail }));
}
