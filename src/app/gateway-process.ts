import { Worker } from 'node:worker_threads';
import { messageOf } from '../base/errors.js';
import { Gateway } from '../gateway/gateway.js';
import { createNodeEngine } from '../gateway/node-engine/node-engine.js';
import { exitNow } from '../sys/libc.js';
import { watchFd } from '../sys/poller.js';
import { createProcessLog } from './process-log.js';

/**
 * The gateway's process: the supervisor starts it with a control channel for each lane, from
 * descriptor 3 on. The first is this thread's; native engines have threads of their own, which never
 * leave the kernel for long, so only _exit(2) ends the process.
 */
const FIRST_CONTROL_FD = 3;
const EXIT_BUG = 70;

const log = createProcessLog('gateway');

// Ctrl-C on a terminal is for the supervisor, which drains its gateways.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => {});

process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'the gateway has a bug: it ends and is replaced');
  exitNow(EXIT_BUG);
});

const lanes = Number(process.env.ROUSE_LANES ?? 1);
for (let lane = 1; lane < lanes; lane += 1) {
  const worker = new Worker(new URL('./engine-thread.js', import.meta.url), {
    workerData: FIRST_CONTROL_FD + lane,
    execArgv: [],
  });
  worker.on('error', (error) => {
    log.fatal(`an engine thread ended: ${messageOf(error)}`);
    exitNow(EXIT_BUG);
  });
  worker.on('exit', () => exitNow(EXIT_BUG));
}

new Gateway(FIRST_CONTROL_FD, {
  log,
  watch: watchFd,
  createEngine: createNodeEngine,
  onEnd: (failure) => {
    if (failure) log.fatal({ err: failure }, 'the control channel failed');
    exitNow(failure ? EXIT_BUG : 0);
  },
});
