import { readdirSync, readSync, writeSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { closeFd, createPipe } from '../../src/sys/descriptors.js';
import {
  PACKET_LIMIT_FDS,
  type Packet,
  receivePacket,
  sendPacket,
} from '../../src/sys/fd-passing.js';
import { fcntl, sendto } from '../../src/sys/libc.js';
import { createSocketPair } from '../../src/sys/sockets.js';

/** The limit of one packet, and what fcntl(2) calls these. */
const PACKET_LIMIT_BYTES = 64 * 1024;
const F_GETFD = 1;
const FD_CLOEXEC = 1;

const toClose: number[] = [];
afterEach(() => {
  for (const fd of toClose.splice(0)) closeFd(fd);
});

function makePair(): [number, number] {
  const pair = createSocketPair('seqpacket');
  toClose.push(...pair);
  return pair;
}

function makePipe() {
  const pipe = createPipe();
  toClose.push(pipe.readFd, pipe.writeFd);
  return pipe;
}

function receive(fd: number): Packet {
  const packet = receivePacket(fd);
  if (packet === null || packet === 'end') throw new Error(`no packet but ${packet}`);
  toClose.push(...packet.fds);
  return packet;
}

const countOpen = () => readdirSync('/proc/self/fd').length;

test('packets keep their bounds, their order and their bytes', () => {
  const [a, b] = makePair();
  const packets = [Buffer.from('one'), Buffer.alloc(PACKET_LIMIT_BYTES, 7), Buffer.from([0, 255])];
  for (const packet of packets) expect(sendPacket(a, packet, [])).toBe(true);
  for (const packet of packets) expect(receive(b)).toEqual({ bytes: packet, fds: [] });
  expect(receivePacket(b)).toBeNull();
});

test('a descriptor arrives as another one for the same file, close-on-exec', () => {
  const [a, b] = makePair();
  const { readFd, writeFd } = makePipe();
  sendPacket(a, Buffer.from('take this'), [readFd]);
  const { fds } = receive(b);
  expect(fds).toHaveLength(1);
  const [passed = -1] = fds;
  expect(passed).not.toBe(readFd);
  expect(fcntl(passed, F_GETFD, 0)).toBe(FD_CLOEXEC);
  writeSync(writeFd, 'through the pipe');
  const bytes = Buffer.alloc(32);
  expect(bytes.toString('utf8', 0, readSync(passed, bytes))).toBe('through the pipe');
});

test('as many descriptors as one packet takes arrive in their order', () => {
  const [a, b] = makePair();
  const pipes = Array.from({ length: 8 }, makePipe);
  const sent = Array.from(
    { length: PACKET_LIMIT_FDS },
    (_, index) => pipes[index % 8]?.writeFd ?? -1,
  );
  sendPacket(a, Buffer.from('many'), sent);
  const { fds } = receive(b);
  expect(fds).toHaveLength(PACKET_LIMIT_FDS);
  const [, , third = -1] = fds;
  writeSync(third, 'x');
  expect(readSync(pipes[2]?.readFd ?? -1, Buffer.alloc(1))).toBe(1);
});

test('what is too large is refused before it is sent', () => {
  const [a, b] = makePair();
  expect(() => sendPacket(a, Buffer.alloc(PACKET_LIMIT_BYTES + 1), [])).toThrow(RangeError);
  const tooMany = Array<number>(PACKET_LIMIT_FDS + 1).fill(a);
  expect(() => sendPacket(a, Buffer.from('x'), tooMany)).toThrow(RangeError);
  expect(receivePacket(b)).toBeNull();
});

test('a packet that is larger than may be is an error, and its descriptors do not stay open', () => {
  const [a, b] = makePair();
  const bytes = Buffer.alloc(PACKET_LIMIT_BYTES + 1);
  expect(sendto(a, bytes, bytes.length, 0, null, 0)).toBe(bytes.length);
  const before = countOpen();
  expect(() => receivePacket(b)).toThrow(/EMSGSIZE/);
  expect(countOpen()).toBe(before);
  sendPacket(a, Buffer.from('next'), []);
  expect(receive(b).bytes.toString()).toBe('next');
});

test('a full socket is told, not waited for; what was taken arrives', () => {
  const [a, b] = makePair();
  let sent = 0;
  while (sendPacket(a, Buffer.alloc(4096, sent), [])) sent += 1;
  expect(sent).toBeGreaterThan(0);
  for (let index = 0; index < sent; index += 1) expect(receive(b).bytes[0]).toBe(index & 255);
  expect(receivePacket(b)).toBeNull();
});

test('the end of the other side is told, after what it sent', () => {
  const [a, b] = createSocketPair('seqpacket');
  toClose.push(b);
  sendPacket(a, Buffer.from('last words'), []);
  closeFd(a);
  expect(receive(b).bytes.toString()).toBe('last words');
  expect(receivePacket(b)).toBe('end');
  expect(() => sendPacket(b, Buffer.from('anybody?'), [])).toThrow(/EPIPE/);
});
