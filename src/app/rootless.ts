import { findHelper } from '../supervisor/host-files.js';
import { replaceProcess } from '../sys/exec.js';
import type { ServeOptions } from './serve-options.js';

/**
 * An ordinary user becomes the root of a user namespace of its own (user_namespaces(7)), where the
 * same code builds VPSs as root does: this process is replaced by one inside, with the same pid.
 * Where the kernel doesn't allow that it returns, and what isolation finds then says so.
 */
export function enterUserNamespace(
  options: Pick<ServeOptions, 'log' | 'inheritFds'>,
  inheritedFds: readonly number[],
): void {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0 || process.env.ROUSE_ROOTLESS_UID !== undefined) return;
  const environment = {
    ...process.env,
    ROUSE_ROOTLESS_UID: String(uid),
    ...(inheritedFds.length === 0 ? {} : { LISTEN_PID: String(process.pid) }),
  };
  options.log.debug('becoming root of a user namespace');
  try {
    const unshare = findHelper('unshare', 'util-linux');
    const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    const probe = [unshare, '--user', '--map-root-user', '--', '/bin/true'];
    replaceProcess(
      [unshare, '--user', '--map-root-user', '--', ...self],
      environment,
      options.inheritFds,
      probe,
    );
  } catch (error) {
    options.log.warn({ err: error }, 'no user namespace can be had here');
  }
}
