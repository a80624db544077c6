import { createLog, type Logger, type LogLevel } from '../base/log.js';
import { Journal } from '../sys/journal.js';

/** The log of a process that the supervisor has started, as its environment says. */
export function createProcessLog(name: string): Logger {
  const { ROUSE_GATEWAY, ROUSE_LOG_FD, ROUSE_LOG_FORMAT, ROUSE_LOG_LEVEL } = process.env;
  return createLog({
    name,
    level: (ROUSE_LOG_LEVEL ?? 'info') as LogLevel,
    pretty: ROUSE_LOG_FORMAT === 'readable',
    ...(ROUSE_GATEWAY === undefined ? {} : { fields: { gateway: ROUSE_GATEWAY } }),
    ...(ROUSE_LOG_FD === undefined ? {} : { journal: new Journal(Number(ROUSE_LOG_FD)) }),
  });
}
