import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderMetrics } from '../admin/metrics.js';
import { AdminServer } from '../admin/server.js';
import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Config } from '../config/model.js';
import { formatProblem } from '../config/problem.js';
import type { UpgradeReport } from '../ipc/admin-api.js';
import { AdminService } from '../supervisor/admin-service.js';
import { Announcer } from '../supervisor/announcer.js';
import { HealthCheck, type Watched } from '../supervisor/health-check.js';
import { ServiceManager } from '../supervisor/service-manager.js';
import { Supervisor } from '../supervisor/supervisor.js';
import { closeOnExecFrom, tryLock } from '../sys/descriptors.js';
import { adminSocketPath } from './directories.js';
import type { EarlierSelf } from './earlier-self.js';
import { takeInheritedSockets } from './inherited-sockets.js';
import { enterUserNamespace } from './rootless.js';
import type { ServeOptions } from './serve-options.js';
import { StopSignals } from './stop-signals.js';
import { Upgrade } from './upgrade.js';
import { readVersion } from './version.js';

const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const GATEWAY_PROGRAM = fileURLToPath(new URL('./gateway-process.js', import.meta.url));
const EGRESS_PROGRAM = fileURLToPath(new URL('./egress-process.js', import.meta.url));

/**
 * Runs a supervisor until it is told to stop. As an ordinary user it first becomes the root of a
 * user namespace. Resolves with the exit code.
 */
export async function serve(options: ServeOptions): Promise<number> {
  const { earlier, log, runtimeDir, stateDir } = options;
  const inherited = takeInheritedSockets(process.env);
  if (earlier === null) enterUserNamespace(options, [...inherited.values()].flat());
  closeOnExecFrom(3);
  for (const directory of [runtimeDir, stateDir])
    mkdirSync(directory, { recursive: true, mode: 0o755 });
  const lock = earlier ? keptLock(runtimeDir, earlier.lockFd) : lockRuntimeDir(runtimeDir);
  const signals = new StopSignals();
  const manager = new ServiceManager({
    environment: process.env,
    onTrouble: (message) => log.warn(message),
  });
  const settings = {
    ...{ runtimeDir, stateDir, manager, log },
    packageRoot: PACKAGE_ROOT,
    gatewayProgram: GATEWAY_PROGRAM,
    egressProgram: EGRESS_PROGRAM,
    gatewayEnvironment: gatewayEnvironment(options),
    journal: options.journal,
    isRootless: process.env.ROUSE_ROOTLESS_UID !== undefined,
  };
  try {
    const supervisor = earlier
      ? await Supervisor.restore(settings, earlier.supervisor)
      : await Supervisor.start({
          ...settings,
          config: await configFrom(options),
          inheritedSockets: inherited,
          afterCrash: lock.afterCrash,
        });
    return await serveUntilStopped(options, supervisor, { manager, signals, lockFd: lock.fd });
  } finally {
    manager.close();
    signals.close();
    lock.release();
  }
}

interface Surroundings {
  readonly manager: ServiceManager;
  readonly signals: StopSignals;
  readonly lockFd: number;
}

async function serveUntilStopped(
  options: ServeOptions,
  supervisor: Supervisor,
  { manager, signals, lockFd }: Surroundings,
): Promise<number> {
  const { earlier, inheritFds, log, runtimeDir } = options;
  const load = () => configFrom(options);
  const announcer = new Announcer({ manager, services: supervisor.services });
  const health = new HealthCheck({ manager, watched: () => watchedOf(supervisor) });
  const startedAtMs = earlier?.startedAtMs ?? Date.now();
  const upgrade: Upgrade = new Upgrade({
    ...{ supervisor, lockFd, inheritFds, startedAtMs, log },
    admin: () => admin,
  });
  const version = readVersion();
  const api = new AdminService({ supervisor, announcer, upgrade, startedAtMs, version, load });
  const admin = new AdminServer({
    api,
    socketPath: adminSocketPath(runtimeDir),
    mode: 0o660,
    gid: groupId(supervisor.config.admin.group),
    listeningFd: earlier?.adminFd ?? null,
    log,
  });
  supervisor.renderMetrics = async () => (await renderMetrics(await api.status())).text;
  try {
    await admin.listen();
    signals.onReload = () => {
      api
        .reload()
        .catch((error) => log.error(`reload refused, nothing has changed: ${messageOf(error)}`));
    };
    if (earlier)
      upgrade.last = announcer.reload(() => complete(earlier, supervisor, { load, log }));
    else {
      announcer.started();
      options.onReady?.(await api.status(), supervisor.config);
      log.info(
        { event: 'started' },
        `${count(supervisor.config.services.length, 'service')}, ${count(supervisor.config.listeners.length, 'listener')}: ready`,
      );
    }
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

/** The rest of an upgrade, in the program that has taken over. Rejects with a `RouseError` that says what of it failed. */
async function complete(
  { from, atMs }: EarlierSelf,
  supervisor: Supervisor,
  { load, log }: { load: () => Promise<Config>; log: Logger },
): Promise<UpgradeReport> {
  const to = readVersion();
  const told = `rouse ${to} has taken over from ${from}`;
  const doing = async <T>(what: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      const failure = new RouseError('upgrade', `${told}, but ${what}: ${messageOf(error)}`);
      log.error({ event: 'upgraded', from, to }, failure.message);
      throw failure;
    }
  };
  await doing('the gateways of before serve on', supervisor.complete());
  const reload = await doing('the configuration of before goes on', supervisor.reload(load));
  const tookMs = Date.now() - atMs;
  log.info({ event: 'upgraded', from, to, ms: tookMs }, `${told} in ${tookMs / 1000} s`);
  return { from, to, tookMs, reload };
}

function watchedOf({ gateways, egress }: Supervisor): Watched[] {
  return [...gateways.watched, ...(egress.link === null ? [] : [egress.link])];
}

async function configFrom({ load }: ServeOptions): Promise<Config> {
  const result = await load();
  if (result.ok) return result.config;
  throw new RouseError('config', result.problems.map(formatProblem).join('\n'));
}

interface Lock {
  readonly fd: number;
  readonly afterCrash: boolean;
  release(): void;
}

/** One supervisor a runtime directory; the lock ends with the process, the file stays only after a crash. */
function lockRuntimeDir(runtimeDir: string): Lock {
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
  return { ...keptLock(runtimeDir, fd), afterCrash };
}

/** Of an earlier self of this process. */
function keptLock(runtimeDir: string, fd: number): Lock {
  const release = () => rmSync(join(runtimeDir, 'lock'), { force: true });
  return { fd, afterCrash: false, release };
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
