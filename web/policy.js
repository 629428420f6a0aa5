/* policy.js - reads the text of a policy: its values, and its rules as far as the page tells them in words. */

const METRIC_WORDS = {
    logits_entropy: 'entropy', logits_varentropy: 'varentropy', varentropy: 'varentropy',
    attn_entropy: 'attention entropy', attn_varentropy: 'attention varentropy', sequence_varentropy: 'varentropy of the answer',
    top_probability: 'top probability', probability_margin: 'lead of the likeliest', effective_choices: 'effective choices',
    interaction_strength: 'interaction strength', head_consensus: 'consensus of heads',
    head_disagreement: 'disagreement of heads',
};
const UNITS = {
    logits_entropy: 'bits', attn_entropy: 'bits', head_disagreement: 'bits', logits_varentropy: 'bits²',
    attn_varentropy: 'bits²', sequence_varentropy: 'bits²', sequence_varentropy_window: 'bits²', varentropy: 'bits²',
    effective_choices: 'tokens',
};

export const metric_word = name => METRIC_WORDS[name] || name.replace(/_/g, ' ');
export const metric_unit = name => UNITS[name] || '';

/* {values: {key: text}, rules: [{name, when, action, …}]} */
export function parse_policy(text) {
    const policy = { values: {}, rules: [] };
    let section = policy.values;
    for (const line of text.split('\n')) {
        const head = /^\s*\[([\w-]+)\]/.exec(line);
        const pair = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line);
        if (head) policy.rules.push(section = { name: head[1] });
        else if (pair) section[pair[1]] = pair[2];
    }
    return policy;
}

/* The threshold keys of the matrix that some rule really compares with. */
export function thresholds_of(policy) {
    const places = {
        low_entropy: 'x', clarify_entropy: 'x', explore_entropy: 'x', high_entropy: 'x',
        low_varentropy: 'y', high_varentropy: 'y',
    };
    const conditions = policy.rules.map(rule => rule.when || '').join('\n');
    return Object.entries(places).filter(([key]) => new RegExp(`\\b${key}\\b`).test(conditions) && key in policy.values)
        .map(([key, axis]) => ({ key, axis, value: Number(policy.values[key]) }));
}

export function value_of(name, token, policy) {
    if (name === 'varentropy')
        return token.line.metrics[policy.values.varentropy === 'sequence' ? 'sequence_varentropy' : 'logits_varentropy'];
    if (token.line.metrics && name in token.line.metrics) return token.line.metrics[name];
    if (name in policy.values) return Number(policy.values[name]);
    return /^[\d.]+(e-?\d+)?$/i.test(name) ? Number(name) : undefined;
}

/* The comparisons of a condition that is a plain "a < b and c > d": [{left, operator, right, room}], else null. */
export function comparisons(when, token, policy) {
    const parts = when.split(/\s+and\s+/).filter(part => part.trim() !== 'may_insert' && part.trim() !== 'first_token');
    const list = parts.map(part => {
        const match = /^\s*(\w+)\s*(<=?|>=?)\s*([\w.]+)\s*$/.exec(part);
        if (!match) return null;
        const left = value_of(match[1], token, policy), right = value_of(match[3], token, policy);
        if (left === undefined || right === undefined) return null;
        const room = match[2][0] === '<' ? right - left : left - right;
        return { metric: match[1], left, operator: match[2], right, key: match[3], room };
    });
    return list.includes(null) ? null : list;
}
