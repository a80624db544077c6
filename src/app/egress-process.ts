import { createLog, type LogLevel } from '../base/log.js';
import { Egress } from '../egress/egress.js';

/** The egress process: the supervisor starts it with the control channel as descriptor 3. */
const CONTROL_FD = 3;

const log = createLog({
  level: (process.env.ROUSE_LOG_LEVEL ?? 'info') as LogLevel,
  name: 'egress',
  pretty: process.env.ROUSE_LOG_FORMAT === 'readable',
});

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
