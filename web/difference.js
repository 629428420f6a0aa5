/* difference.js - which tokens of two answers are not of their longest common subsequence. */

/* [Set of a's, Set of b's] */
export function differing(a, b) {
    const rows = a.length + 1, columns = b.length + 1, table = new Uint16Array(rows * columns);
    for (let i = a.length - 1; i >= 0; i--)
        for (let j = b.length - 1; j >= 0; j--)
            table[i * columns + j] = a[i].token === b[j].token ? table[(i + 1) * columns + j + 1] + 1
                : Math.max(table[(i + 1) * columns + j], table[i * columns + j + 1]);
    const only_a = new Set(a), only_b = new Set(b);
    for (let i = 0, j = 0; i < a.length && j < b.length;) {
        if (a[i].token === b[j].token) {
            only_a.delete(a[i++]);
            only_b.delete(b[j++]);
        } else if (table[(i + 1) * columns + j] >= table[i * columns + j + 1]) i++;
        else j++;
    }
    return [only_a, only_b];
}

/* How many tokens are the same from the beginning. */
export function common_start(a, b) {
    let n = 0;
    while (n < a.length && n < b.length && a[n].token === b[n].token) n++;
    return n;
}
