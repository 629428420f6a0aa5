// soak.mjs - many mixed requests to a server of our own under LeakSanitizer: good, wrong and abandoned ones. The server
// must answer each as it should, and end with status 0, which it does not where anything leaked.
// node soak.mjs PROGRAM MODEL [REQUESTS]
import http from "node:http";
import { startServer } from "./serve.mjs";

const [program, model, count = "10000"] = process.argv.slice(2);
const total = Number(count), parallel = 8, key = "soak-key";
const server = await startServer(program, ["-m", model, "--api-key", key, "--grace", "60"]);
const agent = new http.Agent({ keepAlive: true, maxSockets: parallel });
let sent = 0, right = 0, wrong = 0, abandoned = 0;

function bodyOf(i) {
  return {
    messages: [{ role: "user", content: `Say ${i % 50}` }],
    max_tokens: 1 + (i % 3),
    stream: i % 2 === 0,
    ...(i % 7 === 0 && { entropix: {} }),
    ...(i % 11 === 0 && { n: 2 }),
    ...(i % 13 === 0 && { response_format: { type: "json_object" } }),
    ...(i % 17 === 0 && { temperature: "x" }),
  };
}

function ask(i) {
  const expected = i % 23 === 0 ? 401 : i % 19 === 0 || i % 17 === 0 ? 400 : 200;
  const text = i % 19 === 0 ? '{"messages":[' : JSON.stringify(bodyOf(i));
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${i % 23 === 0 ? "no" : key}` };
  const options = { host: "127.0.0.1", port: server.port, path: "/v1/chat/completions", method: "POST", agent, headers };
  return new Promise((resolve) => {
    const request = http.request(options, (answer) => {
      if (i % 29 === 0) {
        abandoned++;
        answer.destroy();
        return resolve();
      }
      answer.resume();
      answer.on("error", () => { wrong++; resolve(); });
      answer.on("end", () => {
        if (answer.statusCode === expected) right++;
        else console.log(`request ${i}: ${answer.statusCode} instead of ${expected}`, wrong++);
        resolve();
      });
    });
    request.on("error", () => { wrong++; resolve(); });
    request.end(text);
  });
}

await Promise.all(Array.from({ length: parallel }, async () => {
  while (sent < total && wrong < 100) await ask(++sent);
}));
agent.destroy();
server.child.kill("SIGTERM");
const end = await server.ended;
console.log(`${sent} requests: ${right} right, ${abandoned} abandoned, ${wrong} wrong; the server ended with ${end.status}`);
process.exit(wrong === 0 && end.status === 0 ? 0 : 1);
