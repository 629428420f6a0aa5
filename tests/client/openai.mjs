// openai.mjs - the official client of the API, unchanged, against entropix serve. node openai.mjs PROGRAM MODULES MODEL
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { startServer, runAll, waitUntil, gauge } from "./serve.mjs";

const [program, modules, model, only] = process.argv.slice(2);
const { default: OpenAI } = await import(pathToFileURL(`${modules}/openai/index.mjs`).href);
const server = await startServer(program, ["-m", model]);
const guarded = await startServer(program, ["-m", model, "--api-key", "sesame", "-np", "1", "--queue", "1"]);
const connect = (to, apiKey) => new OpenAI({ baseURL: `${to.address}/v1`, apiKey, maxRetries: 0 });
const client = connect(server, "unused"), keyed = connect(guarded, "sesame");
const chats = client.chat.completions;
const messages = [{ role: "user", content: "Tell me a story about a dog." }];
const short = { model: "any", messages, max_tokens: 12, seed: 1 };

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("");

const tests = {
  async chat() {
    const answer = await chats.create(short);
    assert.equal(answer.object, "chat.completion");
    assert.match(answer.id, /^chatcmpl-/);
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.ok(answer.choices[0].message.content.length > 0);
    assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.equal(answer.entropix, undefined);
  },
  async seed() {
    const [first, second, other] = await Promise.all([1, 1, 2].map((seed) =>
      chats.create({ ...short, seed, max_tokens: 30, temperature: 1.5 })));
    assert.equal(first.choices[0].message.content, second.choices[0].message.content);
    assert.notEqual(first.choices[0].message.content, other.choices[0].message.content);
    await chats.create({ ...short, max_tokens: 1, seed: 2 ** 53 - 1 });
  },
  async stream() {
    const chunks = await collect(await chats.create({ ...short, stream: true, stream_options: { include_usage: true } }));
    const whole = await chats.create(short);
    assert.equal(textOf(chunks), whole.choices[0].message.content);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.ok(chunks.slice(1).every((chunk) => chunk.choices[0]?.delta.role === undefined));
    assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason).length, 1);
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.equal(chunks.at(-1).usage.completion_tokens, whole.usage.completion_tokens);
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
    const without = await collect(await chats.create({ ...short, stream: true }));
    assert.ok(without.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
  },
  async helperStream() { // the client's own accumulator is strict about order
    const runner = client.chat.completions.stream({ ...short, n: 2 });
    const final = await runner.finalChatCompletion();
    assert.equal(final.choices.length, 2);
  },
  async logprobs() {
    const answer = await chats.create({ ...short, logprobs: true, top_logprobs: 4, temperature: 1 });
    const entries = answer.choices[0].logprobs.content;
    assert.equal(entries.length, answer.usage.completion_tokens);
    for (const entry of entries) {
      assert.ok(entry.logprob <= 0);
      assert.equal(entry.top_logprobs.length, 4);
      assert.ok(entry.top_logprobs.every((top, i, all) => i === 0 || top.logprob <= all[i - 1].logprob));
    }
    const chunks = await collect(await chats.create({ ...short, logprobs: true, top_logprobs: 4, temperature: 1, stream: true }));
    assert.deepEqual(chunks.flatMap((chunk) => chunk.choices[0].logprobs?.content ?? []), entries);
  },
  async severalAnswers() {
    const answer = await chats.create({ ...short, n: 5, temperature: 1.5, max_tokens: 20 });
    assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2, 3, 4]);
    assert.ok(new Set(answer.choices.map((choice) => choice.message.content)).size > 1);
    const chunks = await collect(await chats.create({ ...short, n: 5, temperature: 1.5, max_tokens: 20, stream: true }));
    for (const choice of answer.choices) {
      const text = chunks.filter((chunk) => chunk.choices[0].index === choice.index);
      assert.equal(textOf(text), choice.message.content);
    }
  },
  async stop() {
    const whole = (await chats.create({ ...short, max_tokens: 40 })).choices[0].message.content;
    const stop = whole.split(" ")[3];
    const cut = (await chats.create({ ...short, max_tokens: 40, stop: [stop, "nowhere"] })).choices[0];
    assert.equal(cut.finish_reason, "stop");
    assert.equal(cut.message.content, whole.slice(0, whole.indexOf(stop)));
    const chunks = await collect(await chats.create({ ...short, max_tokens: 40, stop, stream: true }));
    assert.equal(textOf(chunks), cut.message.content);
  },
  async schema() {
    const schema = {
      type: "object", additionalProperties: false, required: ["name", "good"],
      properties: { name: { type: "string", maxLength: 12 }, good: { type: "boolean" } },
    };
    const format = { type: "json_schema", json_schema: { name: "dog", strict: true, schema } };
    const answer = await chats.parse({ ...short, max_tokens: 100, response_format: format });
    const dog = JSON.parse(answer.choices[0].message.content);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.deepEqual(Object.keys(dog).sort(), ["good", "name"]);
    assert.equal(typeof dog.good, "boolean");
    const bad = { ...schema, properties: { name: { type: "strin" } } };
    await assert.rejects(chats.create({ ...short, response_format: { type: "json_schema", json_schema: { name: "b", schema: bad } } }),
      (error) => error instanceof OpenAI.BadRequestError && /name/.test(error.message));
  },
  async errors() {
    const refused = (change) => assert.rejects(chats.create({ ...short, ...change }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, `${error}`);
      assert.equal(error.type, "invalid_request_error");
      return true;
    });
    for (const change of [{ temperature: "hot" }, { n: 1e9 }, { n: 0 }, { top_p: -1 }, { stop: [""] }, { messages: [] },
      { messages: [{ role: "king", content: "x" }] }, { logit_bias: { x: 1 } }, { top_logprobs: 21, logprobs: true },
      { tools: [{ type: "function", function: { name: "f" } }] }]) await refused(change);
    const long = [{ role: "user", content: "word ".repeat(20000) }];
    await assert.rejects(chats.create({ ...short, messages: long }),
      (error) => error.status === 400 && error.type === "exceed_context_size_error");
    await assert.rejects(connect(guarded, "wrong").models.list(), OpenAI.AuthenticationError);
    await assert.rejects(client.models.retrieve("nothing"), OpenAI.NotFoundError);
    await assert.rejects(client.get("/nowhere"), OpenAI.NotFoundError);
  },
  async fullQueue() {
    const running = [1, 2].map(() => keyed.chat.completions.create({ ...short, max_tokens: 400, ignore_eos: true, n: 1 }));
    running.push(...[3, 4, 5].map(() => keyed.chat.completions.create({ ...short, max_tokens: 400 })));
    const results = await Promise.allSettled(running);
    const refused = results.filter((result) => result.status === "rejected").map((result) => result.reason);
    assert.equal(refused.length, 3);
    for (const error of refused) {
      assert.ok(error instanceof OpenAI.RateLimitError, `${error}`);
      assert.ok(Number(error.headers.get("retry-after")) >= 1);
    }
    await keyed.chat.completions.create({ ...short, max_tokens: 1 });
  },
  async abort() {
    const controller = new AbortController();
    const stream = await chats.create({ ...short, n: 4, max_tokens: 2000, stream: true, temperature: 2 },
      { signal: controller.signal });
    let count = 0;
    for await (const chunk of stream) if (chunk && ++count === 5) break;
    controller.abort();
    const begun = Date.now();
    await waitUntil("no answer running", async () => (await gauge(server, "entropix_answers_running")) === 0, 5);
    assert.ok(Date.now() - begun < 1000, `it took ${Date.now() - begun} ms`);
  },
  async completions() {
    const ask = { model: "any", prompt: "Once upon a time", max_tokens: 8, temperature: 0, seed: 1 };
    const answer = await client.completions.create({ ...ask, logprobs: 2 });
    assert.equal(answer.object, "text_completion");
    assert.equal(answer.choices[0].logprobs.tokens.length, answer.usage.completion_tokens);
    const chunks = await collect(await client.completions.create({ ...ask, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(""), answer.choices[0].text);
    const tokens = (await (await fetch(`${server.address}/tokenize`, {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ content: ask.prompt, add_special: true }),
    })).json()).tokens;
    const same = await client.completions.create({ ...ask, prompt: tokens });
    assert.equal(same.choices[0].text, answer.choices[0].text);
  },
  async fork() {
    const answer = await chats.create({ ...short, max_tokens: 20, temperature: 0, entropix: {} });
    const at = answer.entropix.lines.filter((line) => line.kind === "token")[5];
    const fork = { trace: answer.id, choice: 0, position: at.position, token: at.token };
    const again = await chats.create({ ...short, max_tokens: 14, temperature: 0, entropix: { fork } });
    assert.equal(again.choices[0].message.content, answer.choices[0].message.content);
    const chunks = await collect(await chats.create({ ...short, max_tokens: 14, temperature: 0, entropix: { fork }, stream: true }));
    assert.equal(textOf(chunks), answer.choices[0].message.content);
    await assert.rejects(chats.create({ ...short, entropix: { fork: { ...fork, trace: "none" } } }), OpenAI.NotFoundError);
  },
  async models() {
    const list = await client.models.list();
    assert.equal(list.data.length, 1);
    assert.equal((await client.models.retrieve(list.data[0].id)).id, list.data[0].id);
    assert.equal((await keyed.models.list()).data[0].object, "model");
  },
};

const failures = await runAll(tests, only);
for (const one of [server, guarded]) {
  one.child.kill("SIGTERM");
  assert.equal((await one.ended).status, 0);
}
process.exit(failures > 0 ? 1 : 0);
