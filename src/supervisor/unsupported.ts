import { RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Config, Service } from '../config/model.js';

/** Keys that this version reads but has no means to enforce. */
function unenforceable({ resources }: Service): string[] {
  return [
    ...(resources.memoryBytes === null ? [] : ['resources.memory']),
    ...(resources.cpuPercent === null ? [] : ['resources.cpu']),
    ...(resources.tasks === null ? [] : ['resources.tasks']),
  ];
}

/** What a config asks for and can't be had is an error by name, or with `best-effort` a warning. */
export function checkEnforceable(config: Config, log: Logger): void {
  for (const service of config.services) {
    for (const key of unenforceable(service)) {
      const what = `service ${service.name}: ${key} cannot be enforced by this version`;
      if (config.enforce === 'required') {
        throw new RouseError('isolation', `${what}; take it out, or set enforce: best-effort`);
      }
      log.warn({ service: service.name }, what);
    }
  }
}
