import { closeFd } from './descriptors.js';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  bind,
  checked,
  connect,
  getpeername,
  getsockname,
  getsockopt,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  lastErrno,
  listen,
  NativeMemory,
  SO_ERROR,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
  SystemError,
  setsockopt,
  socket,
  socketpair,
  TCP_NODELAY,
} from './libc.js';
import {
  decodeSocketAddress,
  encodeSocketAddress,
  formatSocketAddress,
  type SocketAddress,
} from './socket-address.js';

/** One scratch area for the calls below: they are synchronous, and no address of it outlives a call. */
const scratch = new NativeMemory(256);
const lengthAddress = scratch.address + 192n;

function familyOf(address: SocketAddress): number {
  if (address.kind === 'unix') return AF_UNIX;
  return address.host.includes(':') ? AF_INET6 : AF_INET;
}

function setFlag(fd: number, level: number, option: number): void {
  scratch.bytes.writeInt32LE(1, 0);
  checked(setsockopt(fd, level, option, scratch.address, 4), `socket option ${option}`);
}

/**
 * An unconnected stream socket in this thread's network namespace, non-blocking, close-on-exec. What
 * is relayed goes out as it came: TCP doesn't hold small writes back (TCP_NODELAY, tcp(7)).
 */
export function createStreamSocket(family: 'inet' | 'inet6' | 'unix'): number {
  const domain = { inet: AF_INET, inet6: AF_INET6, unix: AF_UNIX }[family];
  const fd = checked(socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
  if (family !== 'unix') setFlag(fd, IPPROTO_TCP, TCP_NODELAY);
  return fd;
}

/**
 * A listening socket in this thread's network namespace. `backlog` is capped by net.core.somaxconn.
 * `[::]` takes IPv4 too unless `ipv6Only`. Throws a `SystemError`.
 */
export function listenOn(address: SocketAddress, backlog: number, ipv6Only = false): number {
  const family = familyOf(address);
  const what = `bind ${formatSocketAddress(address)}`;
  const fd = checked(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), what);
  try {
    if (address.kind === 'inet') setFlag(fd, SOL_SOCKET, SO_REUSEADDR);
    if (family === AF_INET6) {
      scratch.bytes.writeInt32LE(ipv6Only ? 1 : 0, 0);
      checked(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, scratch.address, 4), what);
    }
    const name = encodeSocketAddress(address);
    checked(bind(fd, name, name.length), what);
    checked(listen(fd, backlog), what);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** A bound datagram socket on a path. */
export function bindDatagram(path: string): number {
  const fd = checked(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), `bind ${path}`);
  const name = encodeSocketAddress({ kind: 'unix', path });
  if (bind(fd, name, name.length) < 0) {
    const errno = lastErrno();
    closeFd(fd);
    throw new SystemError(`bind ${path}`, errno);
  }
  return fd;
}

/** Connects a datagram socket, for everyone who has it; as connect(2). An abstract path begins with `@`. */
export function reconnectDatagram(fd: number, path: string): number {
  const name = encodeSocketAddress({ kind: 'unix', path: path.replace(/^@/, '\0') });
  return connect(fd, name, name.length);
}

/** A Unix datagram socket that isn't connected, non-blocking. Throws a `SystemError`. */
export function createDatagramSocket(): number {
  return checked(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
}

/** A datagram socket that sends to this path (an abstract one with `@`), non-blocking. Throws a `SystemError`. */
export function connectDatagram(path: string): number {
  const fd = createDatagramSocket();
  try {
    checked(reconnectDatagram(fd, path), `connect ${path}`);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

export type ConnectResult = 'connected' | 'in-progress' | { readonly errno: number };

/** connect(2) on a non-blocking socket. A TCP socket that reached itself counts as refused. */
export function startConnect(fd: number, address: SocketAddress): ConnectResult {
  const name = encodeSocketAddress(address);
  if (connect(fd, name, name.length) === 0) {
    return connectedToItself(fd) ? { errno: ECONNREFUSED } : 'connected';
  }
  const errno = lastErrno();
  return errno === EINPROGRESS ? finishConnect(fd) : { errno };
}

/** How a connect that was in progress ended; on loopback that is known at once. */
export function finishConnect(fd: number): ConnectResult {
  const errno = socketError(fd);
  if (errno !== 0) return { errno };
  if (peerAddress(fd) === null) return 'in-progress';
  return connectedToItself(fd) ? { errno: ECONNREFUSED } : 'connected';
}

const ECONNREFUSED = 111;
const EINPROGRESS = 115;

function connectedToItself(fd: number): boolean {
  const local = localAddress(fd);
  const peer = peerAddress(fd);
  if (local?.kind !== 'inet' || peer?.kind !== 'inet') return false;
  return local.port === peer.port && local.host === peer.host;
}

/** SO_ERROR: the pending error, which it clears. */
function socketError(fd: number): number {
  return option(fd, SO_ERROR);
}

const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const SO_PROTOCOL = 38;

function option(fd: number, name: number, level = SOL_SOCKET): number {
  scratch.bytes.writeInt32LE(4, 192);
  if (getsockopt(fd, level, name, scratch.address, lengthAddress) < 0) return lastErrno();
  return scratch.bytes.readInt32LE(0);
}

/** Whether a socket is just as `listenOn` makes it for this address; for port 0 on any port of the host. */
export function listensOn(fd: number, address: SocketAddress, ipv6Only = false): boolean {
  const bound = localAddress(fd);
  if (bound === null || !isListeningStream(fd)) return false;
  if (address.kind === 'unix') return bound.kind === 'unix' && bound.path === address.path;
  if (bound.kind !== 'inet' || option(fd, SO_PROTOCOL) !== IPPROTO_TCP) return false;
  const { host, port } = decodeSocketAddress(encodeSocketAddress(address)) as typeof bound;
  const isSame = bound.host === host && (port === 0 || bound.port === port);
  if (!isSame || familyOf(address) !== AF_INET6) return isSame;
  return (option(fd, IPV6_V6ONLY, IPPROTO_IPV6) === 1) === ipv6Only;
}

/** Changes the backlog of a socket that listens already (listen(2)). Throws a `SystemError`. */
export function setBacklog(fd: number, backlog: number): void {
  checked(listen(fd, backlog), 'listen');
}

/** Whether this is a stream socket that listens (SO_ACCEPTCONN). */
export function isListeningStream(fd: number): boolean {
  return (
    localAddress(fd) !== null &&
    option(fd, SO_TYPE) === SOCK_STREAM &&
    option(fd, SO_ACCEPTCONN) === 1
  );
}

/** What kind of socket a descriptor is; null: another kind, or no socket at all. */
export function socketKind(fd: number): 'stream' | 'datagram' | 'seqpacket' | null {
  const kinds = {
    [SOCK_STREAM]: 'stream',
    [SOCK_DGRAM]: 'datagram',
    [SOCK_SEQPACKET]: 'seqpacket',
  };
  return (kinds as Record<number, ReturnType<typeof socketKind>>)[option(fd, SO_TYPE)] ?? null;
}

export function localAddress(fd: number): SocketAddress | null {
  return addressBy(getsockname, fd);
}

function peerAddress(fd: number): SocketAddress | null {
  return addressBy(getpeername, fd);
}

function addressBy(call: typeof getsockname, fd: number): SocketAddress | null {
  scratch.bytes.writeInt32LE(128, 192);
  if (call(fd, scratch.address, lengthAddress) < 0) return null;
  const length = Math.min(128, scratch.bytes.readInt32LE(192));
  return decodeSocketAddress(scratch.bytes.subarray(0, length));
}

/** Two connected Unix sockets, close-on-exec: `seqpacket` non-blocking (control channel), `stream` blocking (stdio). */
export function createSocketPair(type: 'seqpacket' | 'stream'): [number, number] {
  const kind = type === 'seqpacket' ? SOCK_SEQPACKET | SOCK_NONBLOCK : SOCK_STREAM;
  checked(socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, scratch.address), 'socketpair');
  return [scratch.bytes.readInt32LE(0), scratch.bytes.readInt32LE(4)];
}
