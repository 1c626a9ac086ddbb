#!/usr/bin/env node
// llama.cpp as npm brings it, built for every processor: the options and the answer of its llama-bench that llama.py reads, tokens
// a second of decoding one sequence from an empty cache. Unlike llama-bench it also takes the likeliest token of each step.
// LLAMA_NPM: the folder in which `npm install node-llama-cpp` was run.
const { getLlama, LlamaLogLevel } = await import(`${process.env.LLAMA_NPM}/node_modules/node-llama-cpp/dist/index.js`);
const arg = (name) => process.argv[process.argv.indexOf(name) + 1];
const tokens = Number(arg("-n")), threads = Number(arg("-t")), repeats = Number(arg("-r"));
const llama = await getLlama({ gpu: false, maxThreads: threads, logLevel: LlamaLogLevel.error, build: "never" });
const model = await llama.loadModel({ modelPath: arg("-m"), gpuLayers: 0 });
const context = await model.createContext({ contextSize: 1024, threads, sequences: 1, batchSize: 8 });
const sequence = context.getSequence();
const samples = [];
for (let r = 0; r <= repeats; ++r) {
  await sequence.clearHistory();
  const begin = process.hrtime.bigint();
  let n = 0;
  for await (const token of sequence.evaluate([1], { temperature: 0, yieldEogToken: true })) if (++n === tokens) break;
  if (r > 0) samples.push(n / (Number(process.hrtime.bigint() - begin) / 1e9));
}
console.log(JSON.stringify([{ samples_ts: samples }]));
process.exit(0);
