import {
  fcntl,
  IPPROTO_TCP,
  lastErrno,
  libc,
  NativeMemory,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  TCP_NODELAY,
} from './libc.js';
import {
  decodeSocketAddress,
  encodeSocketAddress,
  formatIpv4,
  type SocketAddress,
} from './socket-address.js';

/**
 * The calls that move bytes, for engines that work on descriptors. Addresses are plain numbers
 * (user space ends far below 2^53): a call with them costs least. All descriptors are non-blocking.
 */
const recvCall = libc.func('long recv(int, uintptr_t, size_t, int)') as Transfer;
const sendCall = libc.func('long send(int, uintptr_t, size_t, int)') as Transfer;
const accept4 = libc.func('int accept4(int, uintptr_t, uintptr_t, int)') as Transfer;
const shutdownCall = libc.func('int shutdown(int, int)') as (fd: number, how: number) => number;
const setsockoptCall = libc.func('int setsockopt(int, int, int, uintptr_t, uint32_t)') as (
  fd: number,
  level: number,
  option: number,
  value: number,
  length: number,
) => number;
const spliceCall = libc.func(
  'long splice(int, uintptr_t, int, uintptr_t, size_t, unsigned int)',
) as (
  inFd: number,
  inOffset: number,
  outFd: number,
  outOffset: number,
  length: number,
  flags: number,
) => number;

type Transfer = (fd: number, address: number, lengthOrAddress: number, flags: number) => number;

export const EAGAIN = 11;
const MSG_NOSIGNAL = 0x4000;
const MSG_MORE = 0x8000;
const SHUT_WR = 1;
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
const SPLICE_F_MORE = 4;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const SOL_SOCKET = 1;
const SO_LINGER = 13;
const SO_KEEPALIVE = 9;
const TCP_KEEPIDLE = 4;

/** Memory outside the heap that bytes pass through: `bytes` and `address` are the same place. */
export class TransferBuffer extends NativeMemory {
  readonly start = Number(this.address);
}

/** Received bytes; 0: end of file; negative: minus errno. */
export function receiveInto(
  fd: number,
  buffer: TransferBuffer,
  offset: number,
  length: number,
): number {
  const received = recvCall(fd, buffer.start + offset, length, 0);
  return received >= 0 ? received : -lastErrno();
}

/** Sent bytes; negative: minus errno. `more`: more follows at once (MSG_MORE). */
export function sendFrom(
  fd: number,
  buffer: TransferBuffer,
  offset: number,
  length: number,
  more = false,
): number {
  const sent = sendCall(
    fd,
    buffer.start + offset,
    length,
    more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL,
  );
  return sent >= 0 ? sent : -lastErrno();
}

/** Moves bytes between a socket and a pipe without copying (splice(2)); negative: minus errno. */
export function spliceBytes(fromFd: number, toFd: number, length: number, more: boolean): number {
  const flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
  const moved = spliceCall(fromFd, 0, toFd, 0, length, flags);
  return moved >= 0 ? moved : -lastErrno();
}

/** Makes a pipe larger where the kernel allows it; returns the size in bytes that it has then (pipe(7)). */
export function growPipe(fd: number, wantedBytes: number): number {
  const size = fcntl(fd, F_SETPIPE_SZ, wantedBytes);
  return size > 0 ? size : fcntl(fd, F_GETPIPE_SZ, 0);
}

const peer = new NativeMemory(160);
const peerAddress = Number(peer.address);
const peerLength = peerAddress + 128;

/** Accepts one connection, non-blocking; negative: minus errno. `AcceptedPeer` says where it came from. */
export function acceptOn(fd: number): number {
  peer.bytes.writeInt32LE(128, 128);
  const accepted = accept4(fd, peerAddress, peerLength, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return accepted >= 0 ? accepted : -lastErrno();
}

const IPV4_FAMILY = 2;

/** The address of the connection that `acceptOn` accepted last; as text only when somebody asks. */
export class AcceptedPeer {
  /** Of an IPv4 address. */
  readonly #ipv4: number;
  readonly #port: number;
  /** The address of another family, as the kernel wrote it. */
  readonly #name: Buffer | null;

  constructor() {
    const { bytes } = peer;
    const isIpv4 = bytes[0] === IPV4_FAMILY && bytes[1] === 0;
    this.#ipv4 = isIpv4 ? bytes.readInt32BE(4) : 0;
    this.#port = isIpv4 ? bytes.readUInt16BE(2) : 0;
    this.#name = isIpv4 ? null : Buffer.from(bytes.subarray(0, bytes.readInt32LE(128)));
  }

  /** null for families other than IP and Unix. */
  get address(): SocketAddress | null {
    if (this.#name) return decodeSocketAddress(this.#name);
    return { kind: 'inet', host: formatIpv4(this.#ipv4), port: this.#port };
  }
}

/** No more is sent: the peer reads end of file after what was (shutdown(2)). */
export function endSending(fd: number): void {
  shutdownCall(fd, SHUT_WR);
}

const option = new NativeMemory(8);
const optionAddress = Number(option.address);

/** close(2) will send RST: what wasn't delivered is lost, and the peer sees that it was broken off. */
export function resetOnClose(fd: number): void {
  option.bytes.writeInt32LE(1, 0);
  option.bytes.writeInt32LE(0, 4);
  setsockoptCall(fd, SOL_SOCKET, SO_LINGER, optionAddress, 8);
}

/** Small writes go out at once. Ignored on Unix sockets. */
export function sendAtOnce(fd: number): void {
  option.bytes.writeInt32LE(1, 0);
  setsockoptCall(fd, IPPROTO_TCP, TCP_NODELAY, optionAddress, 4);
}

/** Dead peers are found after that long without traffic, in seconds, and some tries. */
export function keepAlive(fd: number, idleSeconds: number): void {
  option.bytes.writeInt32LE(1, 0);
  setsockoptCall(fd, SOL_SOCKET, SO_KEEPALIVE, optionAddress, 4);
  option.bytes.writeInt32LE(idleSeconds, 0);
  setsockoptCall(fd, IPPROTO_TCP, TCP_KEEPIDLE, optionAddress, 4);
}

const ioctlCall = libc.func('int ioctl(int, ulong, uintptr_t)') as (
  fd: number,
  request: number,
  address: number,
) => number;
/** SIOCOUTQ (tcp(7), unix(7)): what the peer hasn't acknowledged, or read, yet. */
const TIOCOUTQ = 0x5411;

/** Bytes that were sent and may still be lost by a reset; 0 where that can't be told. */
export function undeliveredBytes(fd: number): number {
  option.bytes.writeInt32LE(0, 0);
  return ioctlCall(fd, TIOCOUTQ, optionAddress) < 0 ? 0 : option.bytes.readInt32LE(0);
}

const connectCall = libc.func('int connect(int, uintptr_t, uint32_t)') as (
  fd: number,
  address: number,
  length: number,
) => number;
const EINPROGRESS = 115;

/** The address that was connected to last lies in `name`: services are few, connections many. */
const name = new NativeMemory(32);
const nameAddress = Number(name.address);
let nameBytes = 0;
let nameTarget: Target | null = null;

interface Target {
  readonly host: string;
  readonly port: number;
}

/**
 * Starts to connect; 0, or errno where that failed at once. That it succeeded or was refused is told
 * by the first use or by an event.
 */
export function startConnecting(fd: number, target: Target): number {
  if (target !== nameTarget) {
    const encoded = encodeSocketAddress({ kind: 'inet', ...target });
    nameBytes = encoded.copy(name.bytes);
    nameTarget = target;
  }
  if (connectCall(fd, nameAddress, nameBytes) === 0) return 0;
  const errno = lastErrno();
  return errno === EINPROGRESS ? 0 : errno;
}

/** A struct sockaddr of family AF_UNSPEC. */
const unspecified = new NativeMemory(16);
const unspecifiedAddress = Number(unspecified.address);

/**
 * Makes an unconnected socket of one whose connection was ended by both sides (connect(2), AF_UNSPEC);
 * false, and nothing done, where the peer hasn't acknowledged all that was sent: that would be lost.
 */
export function disconnect(fd: number): boolean {
  if (undeliveredBytes(fd) !== 0) return false;
  return connectCall(fd, unspecifiedAddress, 16) === 0;
}
