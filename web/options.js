/* options.js - the choices of the composer: policy, seed, length. */
import { $, h } from './dom.js';
import { on, state } from './state.js';

export const describe_preset = {
    entropix: 'the default: fits small models, branches and takes back',
    entropixplained: 'the published guide to the letter',
    plain: 'no strategies: ordinary sampling',
};

export function fill_policies(menu, chosen) {
    menu.replaceChildren(...state.intro.presets.map(name => h('option', { value: name, selected: name === chosen, text: name })));
    if (chosen) menu.value = chosen;
}

/* Throws an Error with words where a field is wrong. */
export function whole_number(field, name, least, most) {
    const text = field.value.trim();
    field.removeAttribute('aria-invalid');
    if (text === '') return null;
    const value = Number(text);
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    field.setAttribute('aria-invalid', 'true');
    field.focus();
    throw new Error(`${name}: give a whole number from ${least} to ${most}.`);
}

export function read_options() {
    return {
        policy: $('policy-edited').checked ? $('policy-text').value : $('policy').value,
        seed: whole_number($('seed'), 'Seed', 0, Number.MAX_SAFE_INTEGER),
        max_tokens: whole_number($('max-tokens'), 'Tokens', 1, state.intro?.model.n_context || 4096) || 160,
    };
}

export function begin_options() {
    on('intro', () => {
        const names = state.intro.presets;
        fill_policies($('policy'), names.includes(state.intro.default_policy_name) ? state.intro.default_policy_name : names[0]);
        $('policy-text').value = state.intro.policies[$('policy').value] || state.intro.default_policy;
        $('policy-note').textContent = describe_preset[$('policy').value] || '';
    });
    $('policy').addEventListener('change', () => {
        $('policy-text').value = state.intro.policies[$('policy').value];
        $('policy-note').textContent = describe_preset[$('policy').value] || '';
    });
    $('policy-edited').addEventListener('change', event => {
        $('policy-text').hidden = !event.target.checked;
    });
}
