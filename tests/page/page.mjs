// The page, as a person uses it: type, stream, stop, look at a token, move a threshold, fork, compare, export.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [program, folder, browser_path] = process.argv.slice(2);
const { chromium } = createRequire(join(folder, 'x.js'))('playwright-core');
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'];
const done = '.answer[data-status=done]', problems = [];

function serve(...options) {
    const child = spawn(program, ['serve', '--port', '0', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
    return new Promise((resolve, reject) => {
        let text = '';
        const hear = data => {
            text += data;
            const address = /https?:\/\/[\d.]+:\d+/.exec(text);
            if (address) resolve({ child, address: address[0] });
        };
        child.stdout.on('data', hear);
        child.stderr.on('data', hear);
        child.on('exit', status => reject(new Error(`the server ended with ${status}: ${text}`)));
    });
}

const shot = (page, name) => page.screenshot({ path: join(folder, `${name}.png`) });
const open_menu = (page, name) => page.click(`summary:has-text("${name}")`);

async function open(browser, address, options) {
    const page = await browser.newPage(options);
    page.on('pageerror', error => problems.push(String(error)));
    page.on('console', message => message.type() === 'error' && problems.push(message.text()));
    page.on('request', request => request.url().startsWith(address) || /^(blob|data):/.test(request.url()) ||
        problems.push(`a request to ${request.url()}`));
    await page.goto(address);
    await page.waitForSelector('#model:not(:empty)', { state: 'attached' });
    return page;
}

async function ask(page, text, seed, tokens) {
    await open_menu(page, 'Sampler');
    await page.fill('#seed', String(seed));
    await page.fill('#max-tokens', String(tokens));
    await page.keyboard.press('Escape');
    await page.fill('#prompt', text);
    await page.press('#prompt', 'Enter');
}

async function saved(page, button) {
    await open_menu(page, 'Export');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)]);
    return readFileSync(await download.path());
}

const steps = {
    async 'type and stream'(page) {
        assert.equal(await page.locator('.example').count(), 4);
        await ask(page, 'What is the currency of Dorlo?', 1, 60);
        await page.waitForSelector(done);
        assert.ok(await page.locator('.answer .token').count() > 5);
        assert.match(await page.textContent('.figures-text'), /seed 1\b/);
        assert.equal(await page.locator('#plane .point').count(), await page.locator('.answer .token').count());
        const colors = await page.$$eval('.answer .token', list => new Set(list.map(one => getComputedStyle(one).backgroundColor)).size);
        assert.ok(colors > 1, 'tokens of different entropy have different colours');
    },
    async 'a token by pointer and by keyboard'(page) {
        await page.locator('.answer .token').nth(1).click();
        const first = await page.textContent('.big-token');
        await page.locator('.answer .tokens').press('ArrowRight');
        assert.notEqual(await page.textContent('.big-token'), first);
        assert.ok(await page.locator('.candidate').count() >= 5);
        assert.match(await page.textContent('.margin'), /would have changed it|lacked/);
        assert.ok(await page.locator('.heat canvas').isVisible());
        await shot(page, 'token');
    },
    async 'roads not taken'(page) {
        const before = await page.locator('.answer .token').count();
        await page.check('#detours');
        await page.waitForSelector('.detour');
        assert.ok(await page.locator('.answer .token').count() > before);
    },
    async 'a threshold decides again'(page) {
        const replayed = page.waitForResponse(response => response.url().endsWith('/replay') && response.ok());
        await page.focus('[data-keys=high_varentropy]');
        await page.keyboard.press('Shift+ArrowUp');
        await page.keyboard.press('Shift+ArrowUp');
        await replayed;
        await page.waitForFunction(() => /[1-9]\d* of \d+ decisions/.test(document.querySelector('#what-result').textContent));
        assert.ok(await page.locator('.token.changed').count() > 0);
        await shot(page, 'what-if');
        await page.click('#what-reset');
        await page.waitForFunction(() => !document.querySelector('.token.changed'));
    },
    async 'a threshold by pointer, and generated with it'(page) {
        const handle = await page.locator('[data-keys=high_varentropy] .handle').boundingBox();
        await page.mouse.move(handle.x + 5, handle.y + 5);
        await page.mouse.down();
        await page.mouse.move(handle.x + 5, handle.y - 20, { steps: 4 });
        await page.mouse.up();
        await page.waitForSelector('.threshold.moved');
        await page.click('#what-generate');
        await page.waitForFunction(() => /2 of 2/.test(document.querySelector('.pager')?.textContent));
        await page.waitForSelector(done);
        await page.click('.pager button >> nth=0');
    },
    async 'fork at another candidate'(page) {
        await page.locator('.answer .tokens > .token').nth(7).click();
        const button = page.locator('.candidate button.go').first(), name = (await button.getAttribute('aria-label')).slice(14).replaceAll('␣', ' ').trim();
        await button.click();
        await page.waitForSelector('.token.forced');
        await page.waitForSelector(done);
        assert.ok((await page.textContent('.token.forced')).includes(name));
        await page.click('#tab-tree');
        assert.equal(await page.locator('#tree .lane').count(), 3);
        await shot(page, 'branches');
        await page.locator('#tree .lane').first().click();
        assert.equal(await page.locator('.token.forced').count(), 0);
    },
    async 'export'(page) {
        const lines = (await saved(page, '#export-trace')).toString().trim().split('\n').map(line => JSON.parse(line));
        assert.equal(lines[0].trace, 1);
        assert.ok(lines.some(line => line.kind === 'token'));
        const svg = (await saved(page, '#export-svg')).toString();
        assert.ok(svg.startsWith('<svg') && svg.includes('Dorlo') && svg.includes('varentropy'));
        assert.deepEqual([...(await saved(page, '#export-png')).subarray(1, 4)], [0x50, 0x4E, 0x47]);
    },
    async 'stop'(page) {
        await ask(page, 'Tell me a long story about a fox and a bear', 3, 600);
        await page.waitForFunction(() => { // at once: a short answer would be over before a pointer is there
            const button = document.querySelector('#stop'), ready = !button.hidden;
            if (ready) button.click();
            return ready;
        });
        await page.waitForSelector('.answer[data-status=stopped]');
        assert.ok(await page.locator('#send').isVisible());
    },
    async 'two policies'(page) {
        await page.click('[data-to=compare]');
        await page.fill('#compare-tokens', '40');
        await page.click('#compare-run');
        await page.waitForFunction(() => /part|same/i.test(document.querySelector('#compare-verdict').textContent));
        assert.ok(await page.locator('#side-a .token').count() > 5 && await page.locator('#side-b .token').count() > 5);
        assert.ok(await page.locator('.side .token.changed').count() > 0);
        await shot(page, 'compare');
        await page.check('#edit-b');
        await page.fill('#text-b', 'preset = entropix\ntemprature = 1\n');
        await page.click('#compare-run');
        await page.waitForSelector('#side-b .error');
        assert.match(await page.textContent('#side-b .error'), /temprature/);
        problems.splice(0, problems.length, ...problems.filter(text => !/400/.test(text)));
    },
};

async function phone(browser, address) {
    const page = await open(browser, address, { viewport: { width: 360, height: 740 }, colorScheme: 'dark', hasTouch: true });
    await page.click('.example >> nth=1');
    await page.waitForSelector(done);
    await page.locator('.token').nth(2).click();
    await shot(page, 'phone');
    await page.click('#peek button');
    await shot(page, 'phone-inside');
    for (const view of ['chat', 'inside', 'compare']) {
        await page.click(`[data-to=${view}]`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), `${view} fits 360 px`);
    }
}

async function key(browser) {
    const server = await serve('--api-key', 'secret');
    try {
        const page = await browser.newPage();
        await page.goto(server.address);
        await page.waitForSelector('#key-dialog[open]');
        await page.fill('#key', 'secret');
        await page.click('#key-dialog button[value=use]');
        await page.waitForSelector('#model:not(:empty)', { state: 'attached' });
    } finally {
        server.child.kill();
    }
}

const server = await serve();
const browser = await chromium.launch({ executablePath: browser_path, args: flags });
let status = 0;
try {
    const page = await open(browser, server.address, { viewport: { width: 1360, height: 900 } });
    page.setDefaultTimeout(30000);
    for (const [name, step] of Object.entries(steps)) {
        await step(page);
        console.log(`ok ${name}`);
    }
    await phone(browser, server.address);
    console.log('ok phone');
    await key(browser);
    console.log('ok key');
    assert.deepEqual(problems, []);
} catch (error) {
    console.error(error);
    status = 1;
} finally {
    await browser.close();
    server.child.kill();
}
process.exit(status);
