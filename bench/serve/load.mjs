// load.mjs - many streams at once against a server that speaks OpenAI's API, and one alone beside them in the same run:
//   node bench/serve/load.mjs http://127.0.0.1:8080 [--streams 64] [--tokens 128] [--rounds 3]
// Prints, as medians over rounds, tokens a second of one stream and of all together, the ratio, and how the slowest
// stream compares with the median one. Tokens are counted by events with text. Loopback only.
import http from 'node:http';

const [base, ...rest] = process.argv.slice(2);
const option = (name, otherwise) => {
  const at = rest.indexOf('--' + name);
  return at >= 0 ? Number(rest[at + 1]) : otherwise;
};
const streams = option('streams', 64), tokens = option('tokens', 128), rounds = option('rounds', 3);
const url = new URL(base ?? 'http://127.0.0.1:8080');
if (!/^(127\.|localhost$|\[::1\])/.test(url.hostname)) throw new Error('loopback only');

const subjects = ['fox', 'river', 'king', 'ship', 'garden', 'winter', 'machine', 'violin'];
const bodyOf = (index) => JSON.stringify({
  messages: [{role: 'user', content: `Tell me a story about a ${subjects[index % subjects.length]} and the number ${index}.`}],
  stream: true, max_tokens: tokens, temperature: 0.8, seed: index, ignore_eos: true,
});
const agent = new http.Agent({maxSockets: 4096}); // a connection a stream: some servers close what they have answered on

function ask(index) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    let first = 0, events = 0, rest = '', done = false;
    const request = http.request({host: url.hostname, port: url.port, path: '/v1/chat/completions', method: 'POST', agent,
                                  headers: {'Content-Type': 'application/json'}}, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.setEncoding('utf8');
      response.on('data', (text) => {
        rest += text;
        for (let end; (end = rest.indexOf('\n\n')) >= 0; rest = rest.slice(end + 2)) {
          const event = rest.slice(0, end);
          if (event === 'data: [DONE]') done = true;
          else if (/"(content|text)":"[^"]/.test(event)) {
            events++;
            first ||= performance.now();
          }
        }
      });
      response.on('end', () => (done ? resolve({events, first: first - started, all: performance.now() - started})
                                     : reject(new Error('the stream broke off'))));
    });
    request.on('error', reject);
    request.end(bodyOf(index));
  });
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

async function measure(count) {
  const started = performance.now();
  const answers = await Promise.all(Array.from({length: count}, (_, i) => ask(i)));
  const seconds = (performance.now() - started) / 1000;
  const sum = answers.reduce((total, answer) => total + answer.events, 0);
  const times = answers.map((answer) => answer.all);
  return {speed: sum / seconds, slowest: Math.max(...times) / median(times), first: median(answers.map((a) => a.first))};
}

const results = [];
await measure(1);
for (let round = 0; round < rounds; round++) {
  const one = await measure(1), all = await measure(streams);
  results.push({one: one.speed, all: all.speed, ratio: all.speed / one.speed, slowest: all.slowest, first: all.first});
}
const figure = (key) => median(results.map((result) => result[key]));
console.log(JSON.stringify({streams, tokens, rounds, one_stream_tokens_per_second: +figure('one').toFixed(1),
                            all_streams_tokens_per_second: +figure('all').toFixed(1), ratio: +figure('ratio').toFixed(2),
                            slowest_over_median: +figure('slowest').toFixed(2),
                            median_first_token_ms: +figure('first').toFixed(1)}));
agent.destroy();
