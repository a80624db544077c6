import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderMetrics } from '../admin/metrics.js';
import { createAdminServer } from '../admin/server.js';
import { messageOf, RouseError } from '../base/errors.js';
import type { Config } from '../config/model.js';
import { formatProblem } from '../config/problem.js';
import { AdminService } from '../supervisor/admin-service.js';
import { Announcer } from '../supervisor/announcer.js';
import { HealthCheck, type Watched } from '../supervisor/health-check.js';
import { ServiceManager } from '../supervisor/service-manager.js';
import { Supervisor } from '../supervisor/supervisor.js';
import { closeOnExecFrom, tryLock } from '../sys/descriptors.js';
import { adminSocketPath } from './directories.js';
import { takeInheritedSockets } from './inherited-sockets.js';
import { enterUserNamespace } from './rootless.js';
import type { ServeOptions } from './serve-options.js';
import { StopSignals } from './stop-signals.js';
import { readVersion } from './version.js';

const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const GATEWAY_PROGRAM = fileURLToPath(new URL('./gateway-process.js', import.meta.url));
const EGRESS_PROGRAM = fileURLToPath(new URL('./egress-process.js', import.meta.url));

/**
 * Runs a supervisor until it is told to stop. As an ordinary user it first becomes the root of a
 * user namespace. Resolves with the exit code.
 */
export async function serve(options: ServeOptions): Promise<number> {
  const inherited = takeInheritedSockets(process.env);
  enterUserNamespace(options, [...inherited.values()].flat());
  closeOnExecFrom(3);
  const { log, runtimeDir, stateDir } = options;
  for (const directory of [runtimeDir, stateDir])
    mkdirSync(directory, { recursive: true, mode: 0o755 });
  const unlock = lockRuntimeDir(runtimeDir);
  const signals = new StopSignals();
  const manager = new ServiceManager({
    environment: process.env,
    onTrouble: (message) => log.warn(message),
  });
  try {
    const supervisor = await Supervisor.start({
      config: await configFrom(options),
      runtimeDir,
      stateDir,
      packageRoot: PACKAGE_ROOT,
      gatewayProgram: GATEWAY_PROGRAM,
      egressProgram: EGRESS_PROGRAM,
      gatewayEnvironment: gatewayEnvironment(options),
      inheritedSockets: inherited,
      manager,
      journal: options.journal,
      afterCrash: unlock.afterCrash,
      isRootless: process.env.ROUSE_ROOTLESS_UID !== undefined,
      log,
    });
    return await serveUntilStopped(options, supervisor, { manager, signals });
  } finally {
    manager.close();
    signals.close();
    unlock.release();
  }
}

async function serveUntilStopped(
  options: ServeOptions,
  supervisor: Supervisor,
  { manager, signals }: { manager: ServiceManager; signals: StopSignals },
): Promise<number> {
  const { log, runtimeDir } = options;
  const announcer = new Announcer({ manager, services: supervisor.services });
  const health = new HealthCheck({ manager, watched: () => watchedOf(supervisor) });
  const api = new AdminService({
    supervisor,
    announcer,
    version: readVersion(),
    load: () => configFrom(options),
  });
  const admin = createAdminServer({
    api,
    socketPath: adminSocketPath(runtimeDir),
    mode: 0o660,
    gid: groupId(supervisor.config.admin.group),
    log,
  });
  supervisor.renderMetrics = async () => (await renderMetrics(await api.status())).text;
  try {
    await admin.listen();
    announcer.started();
    options.onReady?.(await api.status(), supervisor.config);
    log.info(
      { event: 'started' },
      `${count(supervisor.config.services.length, 'service')}, ${count(supervisor.config.listeners.length, 'listener')}: ready`,
    );
    signals.onReload = () => {
      api
        .reload()
        .catch((error) => log.error(`reload refused, nothing has changed: ${messageOf(error)}`));
    };
    const { drainUntil, hurry } = await signals.untilStop(() => supervisor.config.drainTimeoutMs);
    announcer.stopping(supervisor.longestStopMs);
    log.info(
      { event: 'stopping' },
      'stopping: connections are drained; a second signal closes them',
    );
    await admin.close();
    await supervisor.stop(drainUntil, hurry);
    return 0;
  } catch (error) {
    await admin.close();
    await supervisor.stop(AbortSignal.abort(), AbortSignal.abort());
    throw error;
  } finally {
    announcer.close();
    health.close();
  }
}

function watchedOf({ gateways, egress }: Supervisor): Watched[] {
  return [...gateways.watched, ...(egress.link === null ? [] : [egress.link])];
}

async function configFrom({ load }: ServeOptions): Promise<Config> {
  const result = await load();
  if (result.ok) return result.config;
  throw new RouseError('config', result.problems.map(formatProblem).join('\n'));
}

/** One supervisor a runtime directory; the lock ends with the process, the file stays only after a crash. */
function lockRuntimeDir(runtimeDir: string): { afterCrash: boolean; release: () => void } {
  const path = join(runtimeDir, 'lock');
  const fd = openSync(path, 'a+', 0o600);
  if (!tryLock(fd)) {
    const pid = readFileSync(path, 'utf8').trim();
    throw new RouseError(
      'running',
      `${runtimeDir}: rouse runs there already${pid ? ` (pid ${pid})` : ''}; stop it or choose another --runtime-dir`,
    );
  }
  const afterCrash = readFileSync(path, 'utf8') !== '';
  if (afterCrash) rmSync(join(runtimeDir, 'notify'), { recursive: true, force: true });
  writeFileSync(path, `${process.pid}\n`);
  return { afterCrash, release: () => rmSync(path, { force: true }) };
}

function gatewayEnvironment({ log, printReadable }: ServeOptions): Record<string, string> {
  const { TZ } = process.env;
  const NO_COLOR = process.env.NO_COLOR ?? (process.stderr.isTTY ? undefined : '1');
  return {
    ROUSE_LOG_LEVEL: log.level,
    ROUSE_LOG_FORMAT: printReadable ? 'readable' : 'json',
    ...(NO_COLOR === undefined ? {} : { NO_COLOR }),
    ...(TZ === undefined ? {} : { TZ }),
  };
}

function groupId(group: string | null): number | null {
  if (group === null) return null;
  if (/^\d+$/.test(group)) return Number(group);
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${group}:`));
  if (!line)
    throw new RouseError(
      'config',
      `admin.group: no group ${group} in /etc/group; create it (groupadd --system ${group})`,
    );
  return Number(line.split(':')[2]);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
