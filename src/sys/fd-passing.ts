import { closeFd } from './descriptors.js';
import {
  lastErrno,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  NativeMemory,
  recvmsg,
  SOL_SOCKET,
  SystemError,
  sendmsg,
} from './libc.js';

/**
 * One packet of a SEQPACKET or datagram socket with descriptors (sendmsg(2), recvmsg(2), SCM_RIGHTS in unix(7)).
 * The areas live outside the JavaScript heap since msghdr holds their addresses; the calls are
 * synchronous, so one set serves all channels of a thread.
 */
const PACKET_LIMIT_BYTES = 64 * 1024;
/** SCM_MAX_FD is 253. */
export const PACKET_LIMIT_FDS = 240;

const SCM_RIGHTS = 1;
const MSG_TRUNC = 0x20;
const MSG_CMSG_CLOEXEC = 0x40000000;
const EAGAIN = 11;
const CMSG_HEADER_BYTES = 16;

const data = new NativeMemory(PACKET_LIMIT_BYTES);
const control = new NativeMemory(CMSG_HEADER_BYTES + 4 * 256);
const vector = new NativeMemory(16);
const header = new NativeMemory(56);

function prepare(dataBytes: number, controlBytes: number): void {
  vector.bytes.writeBigUInt64LE(data.address, 0);
  vector.bytes.writeBigUInt64LE(BigInt(dataBytes), 8);
  header.bytes.fill(0);
  header.bytes.writeBigUInt64LE(vector.address, 16);
  header.bytes.writeBigUInt64LE(1n, 24);
  header.bytes.writeBigUInt64LE(controlBytes > 0 ? control.address : 0n, 32);
  header.bytes.writeBigUInt64LE(BigInt(controlBytes), 40);
}

/** Sends one packet; the descriptors stay the caller's. False: the socket's buffer is full. Throws a `SystemError`. */
export function sendPacket(fd: number, packet: Buffer, fds: readonly number[]): boolean {
  if (packet.length > PACKET_LIMIT_BYTES || fds.length > PACKET_LIMIT_FDS) {
    throw new RangeError(
      `a packet of ${packet.length} bytes and ${fds.length} descriptors is too large`,
    );
  }
  packet.copy(data.bytes);
  const controlLength = CMSG_HEADER_BYTES + 4 * fds.length;
  if (fds.length > 0) {
    control.bytes.writeBigUInt64LE(BigInt(controlLength), 0);
    control.bytes.writeInt32LE(SOL_SOCKET, 8);
    control.bytes.writeInt32LE(SCM_RIGHTS, 12);
    for (const [index, passed] of fds.entries()) {
      control.bytes.writeInt32LE(passed, CMSG_HEADER_BYTES + 4 * index);
    }
  }
  prepare(packet.length, fds.length > 0 ? (controlLength + 7) & ~7 : 0);
  if (sendmsg(fd, header.address, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
  const errno = lastErrno();
  if (errno === EAGAIN) return false;
  throw new SystemError('send a packet', errno);
}

export interface Packet {
  readonly bytes: Buffer;
  /** Close-on-exec; the caller's from here on. */
  readonly fds: number[];
}

/** Receives one packet; null: none there yet; `'end'`: the other side closed. A truncated packet is a `SystemError`. */
export function receivePacket(fd: number): Packet | 'end' | null {
  prepare(PACKET_LIMIT_BYTES, control.bytes.length);
  const received = recvmsg(fd, header.address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0) {
    const errno = lastErrno();
    if (errno === EAGAIN) return null;
    if (errno === ECONNRESET) return 'end';
    throw new SystemError('receive a packet', errno);
  }
  const fds = readPassedFds();
  // Without room for descriptors fewer arrive (MSG_CTRUNC): who needs them sees that.
  if (header.bytes.readInt32LE(48) & MSG_TRUNC) {
    for (const passed of fds) closeFd(passed);
    throw new SystemError('receive a packet', EMSGSIZE);
  }
  if (received === 0 && fds.length === 0) return 'end';
  return { bytes: Buffer.from(data.bytes.subarray(0, received)), fds };
}

const ECONNRESET = 104;
const EMSGSIZE = 90;

function readPassedFds(): number[] {
  const controlBytes = Number(header.bytes.readBigUInt64LE(40));
  const fds: number[] = [];
  let offset = 0;
  while (offset + CMSG_HEADER_BYTES <= controlBytes) {
    const length = Number(control.bytes.readBigUInt64LE(offset));
    if (length < CMSG_HEADER_BYTES || offset + length > controlBytes) break;
    const isRights =
      control.bytes.readInt32LE(offset + 8) === SOL_SOCKET &&
      control.bytes.readInt32LE(offset + 12) === SCM_RIGHTS;
    for (let at = offset + CMSG_HEADER_BYTES; isRights && at + 4 <= offset + length; at += 4) {
      fds.push(control.bytes.readInt32LE(at));
    }
    offset += (length + 7) & ~7;
  }
  return fds;
}
