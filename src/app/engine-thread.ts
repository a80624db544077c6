import { workerData } from 'node:worker_threads';
import { Gateway } from '../gateway/gateway.js';
import { NativeEngine } from '../gateway/native-engine/native-engine.js';
import { exitNow } from '../sys/libc.js';
import { NativeLoop } from '../sys/native-loop.js';
import { createProcessLog } from './process-log.js';

/** A thread of the gateway with a native engine: it has a control channel, leases and limits of its own. */
const EXIT_BUG = 70;

const log = createProcessLog('gateway');

const loop = new NativeLoop();
new Gateway(workerData as number, {
  log,
  watch: loop.watch,
  createEngine: (host) => new NativeEngine(host, loop),
  onEnd: (failure) => {
    if (failure) log.fatal({ err: failure }, 'the control channel failed');
    exitNow(failure ? EXIT_BUG : 0);
  },
});
loop.run((error) => log.fatal({ err: error }, 'the gateway has a bug: it ends and is replaced'));
