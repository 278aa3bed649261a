// Prints a greeting from a worker and a child process.
const { Worker } = require('worker_threads');
const source = `require('worker_threads').parentPort.postMessage(String(require('child_process').execFileSync('echo', ['hello'])))`;
new Worker(source, { eval: true }).on('message', (said) => process.stdout.write(said));
