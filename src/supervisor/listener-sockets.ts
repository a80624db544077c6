import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { messageOf, RouseError } from '../base/errors.js';
import type { ListenAddress, Listener } from '../config/model.js';
import { closeFd, setNonBlocking } from '../sys/descriptors.js';
import { SystemError } from '../sys/libc.js';
import { formatSocketAddress } from '../sys/socket-address.js';
import {
  createStreamSocket,
  isListeningStream,
  listenOn,
  localAddress,
  startConnect,
} from '../sys/sockets.js';

/** What a listener needs to be bound. */
type Bindable = Pick<Listener, 'name' | 'addresses' | 'backlog'>;

export const METRICS_LISTENER = 'metrics';
const METRICS_BACKLOG = 16;

/** Metrics are no listener of the config's, but have a socket like one. */
export function metricsListener({ address }: { address: ListenAddress }): Bindable {
  return { name: METRICS_LISTENER, addresses: [address], backlog: METRICS_BACKLOG };
}

export interface BoundSocket {
  readonly fd: number;
  /** As bound: with the port that the kernel chose for port 0. */
  readonly address: string;
}

interface Entry extends BoundSocket {
  /** A Unix socket's file, which goes when the socket does. */
  readonly path: string | null;
  /** Inherited from systemd: kept for the next reload. */
  readonly isInherited: boolean;
}

/** After a supervisor died its gateways may hold its ports for a moment longer. */
const REBIND_PATIENCE_MS = 2000;
const REBIND_PAUSE_MS = 20;
const EADDRINUSE = 98;
const EACCES = 13;

/** Owns the public listening sockets, by the address that the config names. */
export class ListenerSockets {
  readonly #open = new Map<string, Map<string, Entry>>();

  constructor(
    /** Descriptors that systemd passed on, by name (sd_listen_fds(3)). */
    private readonly inherited: ReadonlyMap<string, readonly number[]>,
    /** The last supervisor of this runtime directory didn't end by itself. */
    private readonly afterCrash: boolean,
  ) {}

  /** The listener's sockets, bound where they aren't yet; those of addresses that it doesn't have any more are kept until `retain`. Throws a `RouseError` of code `bind`. */
  async open(listener: Bindable, ipv4Ports: ReadonlySet<number>): Promise<readonly BoundSocket[]> {
    const entries = this.#open.get(listener.name) ?? new Map<string, Entry>();
    this.#open.set(listener.name, entries);
    for (const address of listener.addresses) {
      const key = keyOf(address);
      if (address.kind === 'systemd') this.#adopt(listener, address.name, entries);
      else if (!entries.has(key)) entries.set(key, await this.#bind(listener, address, ipv4Ports));
    }
    return this.of(listener.name);
  }

  of(listener: string): readonly BoundSocket[] {
    return [...(this.#open.get(listener)?.values() ?? [])];
  }

  /** Closes what the config doesn't name any more. Returns the listeners of which sockets went. */
  retain(listeners: readonly Listener[]): string[] {
    const kept = new Map(
      listeners.map(({ name, addresses }) => [name, new Set(addresses.map(keyOf))]),
    );
    const changed: string[] = [];
    for (const [name, entries] of this.#open) {
      for (const [key, entry] of entries) {
        if (kept.get(name)?.has(entry.isInherited ? (key.split('#')[0] as string) : key)) continue;
        release(entry);
        entries.delete(key);
        if (!changed.includes(name)) changed.push(name);
      }
      if (entries.size === 0) this.#open.delete(name);
    }
    return changed;
  }

  close(): void {
    for (const entries of this.#open.values()) for (const entry of entries.values()) release(entry);
    this.#open.clear();
  }

  #adopt(listener: Bindable, name: string, entries: Map<string, Entry>): void {
    const fds = this.inherited.get(name);
    if (!fds) {
      const there = [...this.inherited.keys()].join(', ') || 'none';
      throw new RouseError(
        'bind',
        `listener ${listener.name}: systemd passed no socket named ${name}; it passed: ${there}`,
      );
    }
    for (const [index, fd] of fds.entries()) {
      const key = `systemd:${name}#${index}`;
      if (entries.has(key)) continue;
      const address = localAddress(fd);
      if (!address || !isListeningStream(fd)) {
        throw new RouseError(
          'bind',
          `listener ${listener.name}: systemd:${name} is not a listening stream socket; set ListenStream= in its unit`,
        );
      }
      setNonBlocking(fd, true);
      entries.set(key, {
        fd,
        address: formatSocketAddress(address),
        path: null,
        isInherited: true,
      });
    }
  }

  async #bind(
    listener: Bindable,
    address: Exclude<ListenAddress, { kind: 'systemd' }>,
    ipv4Ports: ReadonlySet<number>,
  ): Promise<Entry> {
    const what = `listener ${listener.name}: cannot bind ${describe(address)}`;
    if (address.kind === 'unix') await removeStale(address.path, what);
    const until = performance.now() + (this.afterCrash ? REBIND_PATIENCE_MS : 0);
    for (;;) {
      try {
        const isShared = address.kind === 'ip' && ipv4Ports.has(address.port);
        const fd = listenOn(
          address.kind === 'ip' ? { ...address, kind: 'inet' } : address,
          listener.backlog,
          isShared,
        );
        const bound = localAddress(fd);
        // As systemd's SocketMode= has it: who may connect is said by the folder, and by `access`.
        if (address.kind === 'unix') chmodSync(address.path, 0o666);
        return {
          fd,
          address: bound ? formatSocketAddress(bound) : describe(address),
          path: address.kind === 'unix' ? address.path : null,
          isInherited: false,
        };
      } catch (error) {
        const errno = error instanceof SystemError ? error.errno : 0;
        if (errno !== EADDRINUSE || performance.now() >= until)
          throw new RouseError('bind', `${what}: ${reasonOf(error, errno)}`);
        await new Promise((resolve) => setTimeout(resolve, REBIND_PAUSE_MS));
      }
    }
  }
}

function keyOf(address: ListenAddress): string {
  return address.kind === 'systemd' ? `systemd:${address.name}` : describe(address);
}

function describe(address: Exclude<ListenAddress, { kind: 'systemd' }>): string {
  if (address.kind === 'unix') return address.path;
  return formatSocketAddress({ kind: 'inet', host: address.host, port: address.port });
}

function reasonOf(error: unknown, errno: number): string {
  if (errno === EADDRINUSE)
    return 'address already in use; stop what listens there (ss -ltnp shows it)';
  if (errno === EACCES) return 'permission denied; run as root or grant CAP_NET_BIND_SERVICE';
  return error instanceof SystemError ? error.errnoName : messageOf(error);
}

/** A socket file of a process that died is removed; one on which somebody answers, or another kind of file, never. */
async function removeStale(path: string, what: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (!file) return;
  if (!file.isSocket())
    throw new RouseError(
      'bind',
      `${what}: a file that is no socket is there; remove it or choose another path`,
    );
  const fd = createStreamSocket('unix');
  const result = startConnect(fd, { kind: 'unix', path });
  closeFd(fd);
  if (result === 'connected' || result === 'in-progress') {
    throw new RouseError('bind', `${what}: somebody answers there; stop it or choose another path`);
  }
  rmSync(path);
}

function release(entry: Entry): void {
  if (entry.isInherited) return;
  closeFd(entry.fd);
  if (entry.path !== null) rmSync(entry.path, { force: true });
}
