// serve.mjs - a server of our own on loopback for tests, and what it counts. Ended by its own process id.
import { spawn } from "node:child_process";

export async function startServer(program, options) {
  const child = spawn(program, ["serve", "--port", "0", ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.on("exit", (status, signal) => resolve({ status, signal })));
  const address = await new Promise((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (bytes) => {
      text += bytes;
      if (text.includes("\n")) resolve(text.trim());
    });
    ended.then((end) => reject(new Error(`the server ended with ${end.status}`)));
  });
  return { address, port: Number(new URL(address).port), child, ended };
}

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export async function waitUntil(what, condition, seconds) {
  const end = Date.now() + 1000 * seconds;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what} did not happen within ${seconds} s`);
    await sleep(25);
  }
}

export async function gauge(server, name, headers = {}) {
  const text = await (await fetch(`${server.address}/metrics`, { headers })).text();
  const line = text.split("\n").find((row) => row.startsWith(`${name} `));
  if (!line) throw new Error(`/metrics has no ${name}`);
  return Number(line.split(" ")[1]);
}

// Runs tests one after the other; the process ends with 1 if any failed.
export async function runAll(tests, only) {
  let failures = 0;
  for (const [name, test] of Object.entries(tests)) {
    if (only && !name.includes(only)) continue;
    const begun = Date.now();
    try {
      await test();
      console.log(`ok      ${name} (${Date.now() - begun} ms)`);
    } catch (error) {
      failures++;
      console.log(`FAILED  ${name}: ${error.stack}`);
    }
  }
  return failures;
}
