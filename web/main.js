/* main.js - puts the parts together: theme, views, tabs, key, and the first question to the server. */
import { $, announce, h, number, visible } from './dom.js';
import { get_json, on_key_wanted } from './api.js';
import { begin_theme, choose_theme, strategy_word } from './palette.js';
import { begin_options } from './options.js';
import { begin_chat } from './chat.js';
import { begin_inspector } from './inspector.js';
import { begin_plane } from './plane.js';
import { begin_whatif } from './whatif.js';
import { begin_tree } from './tree.js';
import { begin_compare } from './compare.js';
import { begin_export } from './export.js';
import { strategy_of } from './trace.js';
import { emit, on, state } from './state.js';

function choose_view(view) {
    document.body.dataset.view = view;
    for (const button of document.querySelectorAll('[data-to]')) {
        if (button.dataset.to === view) button.setAttribute('aria-current', 'page');
        else button.removeAttribute('aria-current');
    }
}

function choose_tab(name) {
    for (const tab of document.querySelectorAll('[role=tab]')) {
        const chosen = tab.dataset.tab === name;
        tab.setAttribute('aria-selected', String(chosen));
        tab.tabIndex = chosen ? 0 : -1;
        $(`${tab.dataset.tab}-panel`).hidden = !chosen;
    }
}

function begin_tabs() {
    const tabs = [...document.querySelectorAll('[role=tab]')];
    for (const [i, tab] of tabs.entries()) {
        tab.addEventListener('click', () => choose_tab(tab.dataset.tab));
        tab.addEventListener('keydown', event => {
            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
            if (!step) return;
            const next = tabs[(i + step + tabs.length) % tabs.length];
            choose_tab(next.dataset.tab);
            next.focus();
        });
    }
    on('token', token => {
        if (token) choose_tab('token');
    });
    let had = 0;
    on('what', () => {
        const n = Object.keys(state.what.set).length;
        if (n && !had) choose_tab('what');
        had = n;
    });
}

/* On a narrow page the selected token is told in one line, with the way to the rest. */
function peek() {
    const { token } = state, box = $('peek');
    box.hidden = !token;
    if (!token) return;
    const metrics = token.line.metrics;
    box.replaceChildren(h('span', {}, h('b', { text: visible(token.text) }), ` ${strategy_word(strategy_of(token))}`,
        metrics ? ` · ${number(metrics.logits_entropy, 2)} bits` : ''), h('button', { class: 'primary', onclick: () => choose_view('inside'), text: 'Look inside' }));
}

function ask_for_key(was_wrong) {
    const dialog = $('key-dialog');
    $('key-note').textContent = was_wrong ? 'That key is not known to the server. Try another.' : 'This server was started with an API key. It stays in this tab.';
    dialog.showModal();
    return new Promise(resolve => {
        dialog.addEventListener('close', () => resolve(dialog.returnValue === 'use' ? $('key').value.trim() : null), { once: true });
    });
}

function begin_keyboard() {
    document.addEventListener('keydown', event => {
        const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
        if (event.key === '/' && !typing) {
            event.preventDefault();
            choose_view('chat');
            $('prompt').focus();
        }
        if (event.key === 'Escape') for (const menu of document.querySelectorAll('details.menu[open]')) menu.open = false;
    });
    document.addEventListener('click', event => {
        for (const menu of document.querySelectorAll('details.menu[open]')) if (!menu.contains(event.target)) menu.open = false;
    });
}

async function introduce() {
    try {
        state.intro = await get_json('/v1/entropix');
        const { model } = state.intro;
        $('model').textContent = `${model.name} · ${number(model.parameters / 1e6, 3)} M · ${model.n_layer} layers × ${model.n_head} heads`;
        $('offline').hidden = true;
        emit('intro');
    } catch (error) {
        $('offline').hidden = false;
        $('offline-text').textContent = `${error.message} ${error.advice || ''}`;
        announce(error.message);
    }
}

function begin() {
    on_key_wanted(ask_for_key);
    begin_options();
    begin_chat();
    begin_inspector();
    begin_plane();
    begin_whatif();
    begin_tree();
    begin_compare();
    begin_export();
    begin_tabs();
    begin_keyboard();
    $('theme').value = begin_theme();
    $('theme').addEventListener('change', event => choose_theme(event.target.value));
    for (const button of document.querySelectorAll('[data-to]')) button.addEventListener('click', () => choose_view(button.dataset.to));
    $('again').addEventListener('click', introduce);
    on('token answer', peek);
    choose_view('chat');
    choose_tab('token');
    introduce();
}

begin();
