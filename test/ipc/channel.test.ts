import { readdirSync, writeSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { RouseError } from '../../src/base/errors.js';
import { Channel } from '../../src/ipc/channel.js';
import { closeFd, createPipe } from '../../src/sys/descriptors.js';
import { receivePacket, sendPacket } from '../../src/sys/fd-passing.js';
import { createSocketPair } from '../../src/sys/sockets.js';
import { waitFor } from '../support/wait-for.js';

interface Numbered {
  readonly number: number;
}

function parseNumbered(value: unknown): Numbered {
  const { number } = value as Numbered;
  if (typeof number !== 'number') throw new TypeError('number must be a number');
  return { number };
}

/** One end of a channel that remembers all that it was told. */
class Recorder {
  readonly messages: Array<{ number: number; fds: number[] }> = [];
  readonly ends: Array<RouseError | null> = [];
  readonly channel: Channel<Numbered, Numbered>;

  constructor(fd: number, onMessage: (message: Numbered) => void = () => {}) {
    this.channel = new Channel<Numbered, Numbered>(fd, {
      parse: parseNumbered,
      onMessage: (message, fds) => {
        this.messages.push({ ...message, fds });
        onMessage(message);
      },
      onEnd: (failure) => this.ends.push(failure),
    });
  }

  get numbers(): number[] {
    return this.messages.map(({ number }) => number);
  }
}

const cleanups: Array<() => void> = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function makePair(): { left: Recorder; right: Recorder } {
  const [a, b] = createSocketPair('seqpacket');
  const [left, right] = [new Recorder(a), new Recorder(b)];
  cleanups.push(() => {
    for (const { channel } of [left, right]) channel.close();
  });
  return { left, right };
}

/** A channel whose other end the test holds, to say what no channel says. */
function makeRawPair(): { fd: number; end: Recorder } {
  const [fd, other] = createSocketPair('seqpacket');
  const end = new Recorder(other);
  cleanups.push(() => {
    end.channel.close();
    closeFd(fd);
  });
  return { fd, end };
}

const countOpen = () => readdirSync('/proc/self/fd').length;
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('a control channel', () => {
  test('carries messages both ways, each once and in order', async () => {
    const { left, right } = makePair();
    for (const number of upTo(500)) {
      left.channel.send({ number });
      right.channel.send({ number: number + 1000 });
    }
    await waitFor(() => right.messages.length === 500 && left.messages.length === 500);
    expect(right.numbers).toEqual(upTo(500));
    expect(left.numbers).toEqual(upTo(500).map((number) => number + 1000));
  });

  test('brings each message’s descriptors with it', async () => {
    const { left, right } = makePair();
    const { readFd, writeFd } = createPipe();
    left.channel.send({ number: 1 });
    left.channel.send({ number: 2 }, [readFd, writeFd]);
    left.channel.send({ number: 3 });
    await waitFor(() => right.messages.length === 3);
    expect(right.messages.map(({ fds }) => fds.length)).toEqual([0, 2, 0]);
    const [read = -1, write = -1] = right.messages[1]?.fds ?? [];
    expect(writeSync(write, 'still a pipe')).toBe(12);
    for (const fd of [read, write, readFd, writeFd]) closeFd(fd);
  });

  test('leaves descriptors to the sender, or closes them once they are sent', async () => {
    const { left, right } = makePair();
    const before = countOpen();
    const kept = createPipe();
    const given = createPipe();
    left.channel.send({ number: 1 }, [kept.readFd]);
    left.channel.send({ number: 2 }, [given.readFd], { closeAfter: true });
    await waitFor(() => right.messages.length === 2);
    for (const { fds } of right.messages) for (const fd of fds) closeFd(fd);
    expect(countOpen()).toBe(before + 3);
    for (const fd of [kept.readFd, kept.writeFd, given.writeFd]) closeFd(fd);
  });

  test('keeps what the other side is too slow to take, and brings it later', async () => {
    const { fd, end } = makeRawPair();
    for (const number of upTo(5000)) end.channel.send({ number });
    const numbers: number[] = [];
    await waitFor(() => {
      for (let packet = receivePacket(fd); packet !== null; packet = receivePacket(fd)) {
        if (packet === 'end') throw new Error('the channel ended');
        numbers.push(JSON.parse(packet.bytes.toString()).number);
      }
      return numbers.length === 5000;
    });
    expect(numbers).toEqual(upTo(5000));
    expect(end.ends).toEqual([]);
  });

  test('gives up on a side that does not read, and closes what was to be sent', () => {
    const { end } = makeRawPair();
    const before = countOpen();
    const { readFd, writeFd } = createPipe();
    for (let number = 0; end.ends.length === 0 && number < 100_000; number += 1) {
      end.channel.send({ number });
      if (number === 10_000) end.channel.send({ number }, [readFd], { closeAfter: true });
    }
    expect(end.ends).toEqual([expect.any(RouseError)]);
    expect(end.ends[0]).toMatchObject({
      code: 'protocol',
      message: 'the other side of the control channel does not read',
    });
    closeFd(writeFd);
    // The channel's own descriptor is closed too.
    expect(countOpen()).toBe(before - 1);
  });

  test('bounds the descriptors that wait, too', () => {
    const { end } = makeRawPair();
    const { readFd, writeFd } = createPipe();
    const many = Array<number>(200).fill(readFd);
    let sent = 0;
    for (; end.ends.length === 0 && sent < 1000; sent += 1) end.channel.send({ number: 1 }, many);
    expect(end.ends).toHaveLength(1);
    expect(sent).toBeLessThan(1000);
    for (const fd of [readFd, writeFd]) closeFd(fd);
  });

  test.each([
    ['no JSON', 'number: 1'],
    ['half of a message', '{"number":'],
    ['two messages in one', '{"number":1}{"number":2}'],
    ['no object', 'null'],
    ['what its parser refuses', '{"number":"one"}'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00])],
  ])('ends when it is told %s, and closes what came with it', async (_, bytes) => {
    const { fd, end } = makeRawPair();
    const before = countOpen();
    const { readFd, writeFd } = createPipe();
    sendPacket(fd, Buffer.from('{"number":1}'), []);
    sendPacket(fd, Buffer.from(bytes as string), [readFd, writeFd]);
    sendPacket(fd, Buffer.from('{"number":3}'), []);
    await waitFor(() => end.ends.length === 1);
    expect(end.ends[0]).toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('not a message of the control channel'),
    });
    expect(end.numbers).toEqual([1]);
    for (const own of [readFd, writeFd]) closeFd(own);
    expect(countOpen()).toBe(before - 1);
  });

  test('ends with the reason of a handler that throws', async () => {
    const [fd, other] = createSocketPair('seqpacket');
    const end = new Recorder(other, () => {
      throw new RouseError('protocol', 'acquire came with 1 descriptors instead of 0');
    });
    sendPacket(fd, Buffer.from('{"number":1}'), []);
    await waitFor(() => end.ends.length === 1);
    expect(end.ends[0]?.message).toBe('acquire came with 1 descriptors instead of 0');
    closeFd(fd);
  });

  test('ends without a failure when the other side closes, after its last words', async () => {
    const { left, right } = makePair();
    left.channel.send({ number: 1 });
    left.channel.close();
    await waitFor(() => right.ends.length === 1);
    expect(right.ends).toEqual([null]);
    expect(right.numbers).toEqual([1]);
    expect(left.ends).toEqual([]);
  });

  test('does nothing after its end but close what it was given', async () => {
    const { left, right } = makePair();
    right.channel.close();
    await waitFor(() => left.ends.length === 1);
    const before = countOpen();
    const { readFd, writeFd } = createPipe();
    left.channel.send({ number: 1 }, [readFd], { closeAfter: true });
    left.channel.send({ number: 2 }, [writeFd]);
    expect(countOpen()).toBe(before + 1);
    closeFd(writeFd);
    left.channel.close();
    expect(left.ends).toHaveLength(1);
  });

  test('may be closed by the handler of a message: none comes after that', async () => {
    const [fd, other] = createSocketPair('seqpacket');
    const end: Recorder = new Recorder(other, () => end.channel.close());
    for (const number of upTo(10)) sendPacket(fd, Buffer.from(JSON.stringify({ number })), []);
    await waitFor(() => end.messages.length > 0);
    await new Promise(setImmediate);
    expect(end.numbers).toEqual([0]);
    expect(end.ends).toEqual([]);
    closeFd(fd);
  });
});
