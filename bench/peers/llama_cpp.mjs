// llama_cpp.mjs - measures llama.cpp through the npm package node-llama-cpp, with the options and the JSON of llama-bench
// that compare.py uses: -m FILE -t N -p N -n N -d N -r N. compare.py copies it beside the installed package.
//
// Batches go straight to the package's binding (private, so the version is pinned): its public functions would add the
// time of JavaScript to each token, and would leave out the logits of tokens that nobody samples.
import {performance} from "node:perf_hooks";
import {parseArgs} from "node:util";
import {getLlama} from "node-llama-cpp";

const BATCH = 512; // what llama-bench computes at a time
const {values: given} = parseArgs({
    options: {
        model: {type: "string", short: "m"},
        threads: {type: "string", short: "t", default: "1"},
        "n-prompt": {type: "string", short: "p", default: "512"},
        "n-gen": {type: "string", short: "n", default: "128"},
        "n-depth": {type: "string", short: "d", default: "0"},
        repetitions: {type: "string", short: "r", default: "1"}
    }
});
const [nThreads, nPrompt, nGen, nDepth, repetitions] =
    ["threads", "n-prompt", "n-gen", "n-depth", "repetitions"].map((name) => Number(given[name]));

const llama = await getLlama({gpu: false, build: "never", skipDownload: true, progressLogs: false, maxThreads: 0});
const model = await llama.loadModel({modelPath: given.model, gpuLayers: 0});
const context = await model.createContext({
    contextSize: nDepth + Math.max(nPrompt, nGen, 2), batchSize: BATCH, threads: nThreads, performanceTracking: false
});
context.getSequence();
const binding = context._ctx;

function tokensOf(count) {
    let state = 1n;
    return Uint32Array.from({length: count}, () => {
        state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
        return Number((state >> 33n) % 1000n); // ids that every vocabulary has
    });
}

// One batch, with logits of its last token or none.
async function decode(tokens, position, logits) {
    binding.initBatch(tokens.length);
    binding.addToBatch(0, position, tokens, Uint32Array.from(logits ? [tokens.length - 1] : []));
    await binding.decodeBatch();
}

async function evaluate(tokens, position, logits) {
    for (let done = 0; done < tokens.length; done += BATCH) {
        const end = Math.min(done + BATCH, tokens.length);
        await decode(tokens.subarray(done, end), position + done, logits && end === tokens.length);
    }
}

const prefill = (tokens) => evaluate(tokens, nDepth, true);

async function generate(tokens) {
    for (let i = 0; i < tokens.length; i++) await decode(tokens.subarray(i, i + 1), nDepth + i, true);
}

async function measure(work, count) {
    const tokens = tokensOf(count);
    const samples = [];
    for (let i = 0; i < repetitions; i++) {
        binding.removeTokenCellsFromSequence(0, nDepth, -1);
        const start = performance.now();
        await work(tokens);
        samples.push(performance.now() - start);
    }
    return {
        n_prompt: work === prefill ? count : 0,
        n_gen: work === generate ? count : 0,
        n_depth: nDepth,
        n_threads: binding.getThreads(),
        samples_ns: samples.map((milliseconds) => Math.round(milliseconds * 1e6)),
        avg_ts: samples.reduce((sum, milliseconds) => sum + count * 1000 / milliseconds, 0) / samples.length,
        build_commit: llama.llamaCppRelease.release,
        flash_attn: context.flashAttention
    };
}

await evaluate(tokensOf(nDepth || Math.min(nPrompt || 1, BATCH)), 0, true); // fills the depth, or warms up
const rows = [];
if (nPrompt > 0) rows.push(await measure(prefill, nPrompt));
if (nGen > 0) rows.push(await measure(generate, nGen));
console.log(JSON.stringify(rows));
await llama.dispose();
