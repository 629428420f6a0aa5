/* trace.js - from the lines of a trace (docs/TRACE.md) to an answer: the tokens that stayed, the detours that did not,
 * and every decision in its order. */

let next_number = 0;

export class Answer {
    /* origin: null, or {answer, token} where a fork begins; prefix: tokens kept from there */
    constructor(request, origin = null, prefix = []) {
        this.number = ++next_number;
        this.request = request;
        this.origin = origin;
        this.children = [];
        this.next = null; /* the turn that follows */
        this.id = null;
        this.seed = null;
        this.header = null;
        this.tokens = prefix.map(token => ({ ...token, number: ++next_number, answer: this, inherited: !token.forced }));
        this.detours = []; /* {position, kind, tokens, …} */
        this.decisions = [];
        this.end = null;
        this.status = 'waiting'; /* running, done, stopped, failed */
        this.content = '';
        this.summary = null;
        this.timings = null;
        this.error = null;
    }

    feed(line) {
        if (line.trace) {
            this.header = line;
            this.seed = line.seed;
        } else if (line.kind === 'branch') this.name_branches(line);
        else if (line.kind === 'rewind') this.drop(line.position, 'rewind', line);
        else if (line.kind === 'summary') this.end = line.end;
        else if (['token', 'inserted', 'end'].includes(line.kind)) this.add(line);
    }

    add(line) {
        this.drop(line.position, 'branch', line);
        const token = {
            number: ++next_number, answer: this, line, position: line.position, token: line.token, text: line.text,
            kind: line.kind, detour: null, decision: -1,
        };
        if (line.strategy) token.decision = this.decisions.push(token) - 1;
        this.tokens.push(token);
    }

    /* Forgets what there is at the position and beyond; it stays to be looked at. */
    drop(position, kind, line) {
        let from = this.tokens.length;
        while (from > 0 && this.tokens[from - 1].position >= position) from--;
        const tokens = this.tokens.splice(from);
        if (tokens.length === 0) return;
        const detour = { position: tokens[0].position, kind, tokens, line, branch: tokens[0].line.branch };
        for (const token of tokens) token.detour = detour;
        this.detours.push(detour);
    }

    name_branches(line) {
        for (const detour of this.detours) {
            if (detour.kind !== 'branch' || detour.position !== line.position || detour.score !== undefined) continue;
            const branch = line.branches.find(one => one.branch === detour.branch);
            if (branch && !branch.kept) detour.score = branch.score;
        }
    }

    get path() {
        return this.tokens.filter(token => token.kind !== 'end');
    }

    get text() {
        return this.content || this.path.map(token => token.text).join('');
    }

    /* Tokens of this answer that were decided here and stayed. */
    get decided() {
        return this.tokens.filter(token => !token.inherited && !token.forced && token.line.metrics);
    }
}

export const entropy_of = token => token.line?.metrics?.logits_entropy;
export const varentropy_of = token => token.line?.metrics?.logits_varentropy;
export const attention_of = token => token.line?.metrics?.attn_entropy;

export function strategy_of(token) {
    if (token.kind === 'inserted') return token.line.strategy || 'clarify';
    return token.forced ? '' : token.line.strategy || '';
}

/* {strategy: count} of tokens, by `name_of` */
export function count_strategies(tokens, name_of = strategy_of) {
    const counts = {};
    for (const token of tokens) {
        const name = name_of(token);
        if (name) counts[name] = (counts[name] || 0) + 1;
    }
    return counts;
}

export function mean(tokens, value_of) {
    const values = tokens.map(value_of).filter(value => Number.isFinite(value));
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

/* The log probability of a candidate before the filters. */
export function probability_before(line, candidate) {
    return Math.exp(candidate[2] - line.maximum - line.log_sum);
}
