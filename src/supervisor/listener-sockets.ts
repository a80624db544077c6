import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { messageOf, RouseError } from '../base/errors.js';
import type { ListenAddress, Listener } from '../config/model.js';
import { closeFd, setNonBlocking } from '../sys/descriptors.js';
import { SystemError } from '../sys/libc.js';
import { formatSocketAddress, type SocketAddress } from '../sys/socket-address.js';
import {
  createStreamSocket,
  isListeningStream,
  listenOn,
  listensOn,
  localAddress,
  setBacklog,
  socketKind,
  startConnect,
} from '../sys/sockets.js';
import { type KeptDescriptors, keptName } from './kept-descriptors.js';

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
  /** Passed by a socket unit: kept for the next reload. */
  readonly isInherited: boolean;
  /** By which name the service manager keeps it for the next rouse; null: it doesn't. */
  readonly keptAs: string | null;
}

/** What an upgraded supervisor goes on with: each with the listener's name, and the address's key. */
export type SocketsState = readonly (Entry & { readonly listener: string; readonly key: string })[];

type OwnAddress = Exclude<ListenAddress, { kind: 'systemd' }>;
const KEPT = 'listen';

/** After a supervisor died its gateways may hold its ports for a moment longer. */
const REBIND_PATIENCE_MS = 2000;
const REBIND_PAUSE_MS = 20;
const EADDRINUSE = 98;
const EACCES = 13;

/** Owns the public listening sockets, by the address that the config names. */
export class ListenerSockets {
  readonly #open = new Map<string, Map<string, Entry>>();
  #namesByAddress: ReadonlyMap<string, readonly string[]> | null = null;

  constructor(
    private readonly kept: KeptDescriptors,
    /** The last supervisor of this runtime directory didn't end by itself. */
    private readonly afterCrash: boolean,
  ) {}

  state(): SocketsState {
    return [...this.#open].flatMap(([listener, entries]) =>
      [...entries].map(([key, entry]) => ({ ...entry, listener, key })),
    );
  }

  /** Goes on with the sockets of an earlier self. */
  restore(state: SocketsState): void {
    for (const { listener, key, ...entry } of state)
      this.#entriesOf({ name: listener }).set(key, entry);
  }

  /** Takes up, before anything is bound, those of the last rouse that this listener wants again. */
  resume(listener: Bindable, ipv4Ports: ReadonlySet<number>): void {
    for (const address of listener.addresses) {
      if (address.kind === 'systemd') continue;
      const found = this.#claim(listener, address, ipv4Ports);
      if (!found) continue;
      setNonBlocking(found.fd, true);
      setBacklog(found.fd, listener.backlog);
      this.#entriesOf(listener).set(keyOf(address), entryFor(found.fd, address, found.name));
    }
  }

  /** By its own name; a listener that was renamed finds its sockets by their addresses. */
  #claim(
    { name: listener }: Bindable,
    address: OwnAddress,
    ipv4Ports: ReadonlySet<number>,
  ): { readonly fd: number; readonly name: string } | null {
    const own = keptName(KEPT, listener, keyOf(address));
    const isAnyPort = address.kind === 'ip' && address.port === 0;
    const others = isAnyPort ? [] : (this.#keptNames().get(describe(address)) ?? []);
    for (const name of [own, ...others]) {
      const fd = this.kept.claim(name, (each) => isAsBound(each, address, ipv4Ports));
      if (fd !== null) return { fd, name };
    }
    return null;
  }

  /** By which names the last rouse's sockets are kept, by address: asked for thousands in a row. */
  #keptNames(): ReadonlyMap<string, readonly string[]> {
    if (this.#namesByAddress) return this.#namesByAddress;
    const names = new Map<string, string[]>();
    for (const [name, fds] of this.kept.unclaimed(KEPT)) {
      for (const address of new Set(fds.map(addressText)))
        names.set(address, [...(names.get(address) ?? []), name]);
    }
    this.#namesByAddress = names;
    return names;
  }

  #entriesOf({ name }: Pick<Bindable, 'name'>): Map<string, Entry> {
    const entries = this.#open.get(name) ?? new Map<string, Entry>();
    this.#open.set(name, entries);
    return entries;
  }

  /** The listener's sockets, bound where they aren't yet; those of addresses that it doesn't have any more are kept until `retain`. Throws a `RouseError` of code `bind`. */
  async open(listener: Bindable, ipv4Ports: ReadonlySet<number>): Promise<readonly BoundSocket[]> {
    const entries = this.#entriesOf(listener);
    for (const address of listener.addresses) {
      const key = keyOf(address);
      if (address.kind === 'systemd') this.#adopt(listener, address.name, entries);
      else if (!entries.has(key)) entries.set(key, await this.#bind(listener, address, ipv4Ports));
    }
    return this.of(listener.name);
  }

  /** By which of the names that socket units passed nothing is open. */
  get unused(): string[] {
    const keys = [...this.#open.values()].flatMap((entries) => [...entries.keys()]);
    const used = new Set(keys.map((key) => key.split('#')[0]));
    return [...this.kept.passed.keys()].filter((name) => !used.has(`systemd:${name}`));
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
        this.#release(entry);
        entries.delete(key);
        if (!changed.includes(name)) changed.push(name);
      }
      if (entries.size === 0) this.#open.delete(name);
    }
    return changed;
  }

  /** What the service manager keeps stays open for the next rouse, and clients wait in its queue. */
  close(): void {
    for (const entries of this.#open.values()) {
      for (const entry of entries.values()) {
        if (entry.keptAs === null) this.#release(entry);
        else closeFd(entry.fd);
      }
    }
    this.#open.clear();
  }

  #release(entry: Entry): void {
    if (entry.isInherited) return;
    closeFd(entry.fd);
    if (entry.keptAs !== null) this.kept.forget(entry.keptAs);
    if (entry.path !== null) rmSync(entry.path, { force: true });
  }

  #adopt(listener: Bindable, name: string, entries: Map<string, Entry>): void {
    const fds = this.kept.passed.get(name);
    if (!fds) {
      const there = [...this.kept.passed.keys()].join(', ') || 'none';
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
          `listener ${listener.name}: systemd:${name} ${describeUnfit(fd)}`,
        );
      }
      setNonBlocking(fd, true);
      entries.set(key, {
        fd,
        address: formatSocketAddress(address),
        path: null,
        isInherited: true,
        keptAs: null,
      });
    }
  }

  async #bind(
    listener: Bindable,
    address: OwnAddress,
    ipv4Ports: ReadonlySet<number>,
  ): Promise<Entry> {
    const what = `listener ${listener.name}: cannot bind ${describe(address)}`;
    if (address.kind === 'unix') await removeStale(address.path, what);
    // What a reload closed is closed for good when the service manager has let go of it too.
    await this.kept.settled();
    const until = performance.now() + (this.afterCrash ? REBIND_PATIENCE_MS : 0);
    for (;;) {
      try {
        const fd = listenOn(
          socketAddressOf(address),
          listener.backlog,
          isShared(address, ipv4Ports),
        );
        // As systemd's SocketMode= has it: who may connect is said by the folder, and by `access`.
        if (address.kind === 'unix') chmodSync(address.path, 0o666);
        const name = keptName(KEPT, listener.name, keyOf(address));
        const isKept = this.kept.isPossible && this.kept.keep(name, fd);
        return entryFor(fd, address, isKept ? name : null);
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

function socketAddressOf(address: OwnAddress): SocketAddress {
  return address.kind === 'ip' ? { ...address, kind: 'inet' } : address;
}

/** IPv4 on this port is another listener's. */
function isShared(address: OwnAddress, ipv4Ports: ReadonlySet<number>): boolean {
  return address.kind === 'ip' && ipv4Ports.has(address.port);
}

/** A Unix socket whose file is gone can't be reached any more. */
function isAsBound(fd: number, address: OwnAddress, ipv4Ports: ReadonlySet<number>): boolean {
  if (!listensOn(fd, socketAddressOf(address), isShared(address, ipv4Ports))) return false;
  if (address.kind !== 'unix') return true;
  return lstatSync(address.path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function entryFor(fd: number, address: OwnAddress, keptAs: string | null): Entry {
  return {
    fd,
    address: addressText(fd) || describe(address),
    path: address.kind === 'unix' ? address.path : null,
    isInherited: false,
    keptAs,
  };
}

/** What it is bound to; empty: nothing. */
function addressText(fd: number): string {
  const bound = localAddress(fd);
  return bound ? formatSocketAddress(bound) : '';
}

/** What stands against listening on it, and what to do. */
function describeUnfit(fd: number): string {
  const kind = socketKind(fd);
  if (kind === 'stream')
    return 'is a connection, not a listening socket; set Accept=no in its unit';
  const what = kind === null ? 'no socket' : `a ${kind} socket, for which there is no protocol yet`;
  return `is ${what}; set ListenStream= in its unit`;
}

function describe(address: OwnAddress): string {
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
