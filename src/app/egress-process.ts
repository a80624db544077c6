import { Egress } from '../egress/egress.js';
import { createProcessLog } from './process-log.js';

/** The egress process: the supervisor starts it with the control channel as descriptor 3. */
const CONTROL_FD = 3;

const log = createProcessLog('egress');

// Ctrl-C on a terminal is for the supervisor, which ends it last.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => {});

process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'the egress process has a bug: it ends and is replaced');
  process.exit(70);
});

new Egress(CONTROL_FD, log, (failure) => {
  if (failure) log.fatal({ err: failure }, 'the control channel failed');
  process.exit(failure ? 70 : 0);
});
