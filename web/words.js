/* words.js - a decision told in words: which rule held, by how much, and what would have changed it. */
import { number } from './dom.js';
import { comparisons, metric_unit, metric_word, value_of } from './policy.js';
import { strategy_word } from './palette.js';

const DONE = {
    greedy: 'the likeliest token is taken',
    insert: 'a clarification is put in',
    branch: 'several continuations are tried, and the best is kept',
    resample: 'back to the last token that was uncertain, and another one there',
    rewind: 'some tokens back, and another one there',
    trap: 'the answer stops here',
    stop: 'the answer ends here',
};

export function action_words(line) {
    if (DONE[line.action]) return DONE[line.action];
    const wanted = line.candidates_wanted || line.drawn?.length || 1;
    return wanted > 1 ? `${wanted} candidates are drawn, and the best is kept` : 'one token is drawn';
}

/* [{text, room}]: the sides of the condition with their values; whole where it is not a plain "and". */
export function condition_parts(when, token, policy) {
    const list = comparisons(when, token, policy);
    if (list)
        return list.map(one => ({
            text: `${metric_word(one.metric)} ${number(one.left)} ${one.operator} ${number(one.right)}`,
            title: `${one.metric} ${one.operator} ${one.key}`, room: one.room,
        }));
    const text = when.replace(/\b(mean|lowest|highest|variance)\([^)]*\)|[a-z_]\w*(\[-?\d+\])?/gi, (word, window) => {
        const value = window ? undefined : value_of(word, token, policy);
        if (value === undefined) return word;
        return word in token.line.metrics || word === 'varentropy' ? `${metric_word(word)} ${number(value)}` : number(value);
    });
    return [{ text, title: when, room: null }];
}

function room_of(rule, token, policy) {
    const list = rule.when && comparisons(rule.when, token, policy);
    return list?.length ? Math.min(...list.map(one => one.room)) : null;
}

/* "0.23 bits² less varentropy would have changed it" */
export function margin_words(token, policy) {
    const { line } = token, unit = metric_unit(line.margin_metric);
    if (!line.margin_metric) return 'No metric decides this rule.';
    const amount = `${number(line.margin)}${unit ? ` ${unit}` : ''}`, metric = metric_word(line.margin_metric);
    const own = policy.rules[line.rule], list = own?.when && comparisons(own.when, token, policy);
    if (!list?.length) {
        const near = policy.rules.find(rule => Math.abs((room_of(rule, token, policy) ?? NaN) + line.margin) < 1e-6);
        return near ? `No rule before it held. The nearest, ${strategy_word(near.name)}, lacked ${amount} of ${metric}.`
            : `No rule before it held. The nearest lacked ${amount} of ${metric}.`;
    }
    const nearest = list.reduce((least, one) => (one.room < least.room ? one : least));
    return `${amount} ${nearest.operator[0] === '<' ? 'more' : 'less'} ${metric} would have changed it.`;
}

/* A margin is small or large beside what was measured and where it would have changed. */
export function firmness({ line }, policy) {
    const value = line.margin_metric && value_of(line.margin_metric, { line }, policy);
    if (!Number.isFinite(value)) return '';
    const share = line.margin / Math.max(value, value + line.margin, 1e-9);
    return share < 0.1 ? 'a close call' : share < 0.4 ? 'fairly firm' : 'firm';
}
