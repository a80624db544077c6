import { afterEach, expect, test } from 'vitest';
import { closeFd } from '../../src/sys/descriptors.js';
import { type Packet, receivePacket } from '../../src/sys/fd-passing.js';
import { Journal } from '../../src/sys/journal.js';
import { fcntl } from '../../src/sys/libc.js';
import { bindDatagram, reconnectDatagram } from '../../src/sys/sockets.js';
import { decodeEntry, JournalReceiver, readEntryFile } from '../support/journal-receiver.js';

const F_GET_SEALS = 1034;

const cleanups: Array<() => void> = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

function open() {
  const receiver = new JournalReceiver();
  const journal = Journal.open(receiver.path);
  cleanups.push(
    () => receiver[Symbol.dispose](),
    () => journal.close(),
  );
  return { receiver, journal };
}

test('an entry arrives with its fields, lines and all', () => {
  const { receiver, journal } = open();
  const entry = { MESSAGE: 'one\ntwo', PRIORITY: '6', SOURCE: '[2001:db8::1]:80' };
  journal.write(entry);
  expect(receiver.receiveAll()).toEqual([entry]);
});

test('a process that got a socket of its own writes to the same journal', () => {
  const { receiver, journal } = open();
  const passed = journal.openSocket();
  cleanups.push(() => closeFd(passed));
  new Journal(passed).write({ MESSAGE: 'from a gateway' });
  expect(receiver.receiveAll()).toEqual([{ MESSAGE: 'from a gateway' }]);
});

test('a gateway that was taken over cannot turn what others log to itself', () => {
  const { receiver, journal } = open();
  const gateway = journal.openSocket();
  const trap = `rouse-test-trap-${process.pid}`;
  const trapFd = bindDatagram(`\0${trap}`);
  cleanups.push(() => [gateway, trapFd].forEach(closeFd));
  expect(reconnectDatagram(gateway, `@${trap}`)).toBe(0);
  journal.write({ MESSAGE: 'secret' });
  expect(receivePacket(trapFd)).toBeNull();
  expect(receiver.receiveAll()).toEqual([{ MESSAGE: 'secret' }]);
});

test('an entry that no datagram takes comes as a memory file that nobody can change', () => {
  const path = `rouse-test-journal-${process.pid}`;
  const fd = bindDatagram(`\0${path}`);
  const journal = Journal.open(`@${path}`);
  cleanups.push(
    () => closeFd(fd),
    () => journal.close(),
  );
  const MESSAGE = 'x'.repeat(1024 * 1024);
  journal.write({ MESSAGE, LIST: 'a\nb' });
  const { bytes, fds } = receiveWithFds(fd);
  expect(bytes.length).toBe(0);
  const [file = -1] = fds;
  expect(readEntryFile(file)).toEqual({ MESSAGE, LIST: 'a\nb' });
  expect(fcntl(file, F_GET_SEALS, 0)).toBe(15);
  journal.write({ MESSAGE: 'small again' });
  expect(decodeEntry(receiveWithFds(fd).bytes)).toEqual({ MESSAGE: 'small again' });
});

function receiveWithFds(fd: number): Packet {
  const packet = receivePacket(fd);
  if (packet === null || packet === 'end') throw new Error(`no packet but ${packet}`);
  cleanups.push(() => packet.fds.forEach(closeFd));
  return packet;
}

test('a journal that does not read stops nobody; what is missing is said when it goes on', () => {
  const { receiver, journal } = open();
  for (let number = 0; number < 1000; number += 1) journal.write({ NUMBER: String(number) });
  const taken = receiver.receiveAll();
  expect(taken.length).toBeGreaterThan(0);
  expect(taken.length).toBeLessThan(1000);
  expect(taken.map(({ NUMBER }) => Number(NUMBER))).toEqual(taken.map((_, index) => index));
  journal.write({ MESSAGE: 'on again' });
  journal.write({ MESSAGE: 'and again' });
  const lost = 1000 - taken.length;
  expect(receiver.receiveAll()).toMatchObject([
    { MESSAGE: 'on again' },
    {
      MESSAGE: `${lost} lines are missing here: the journal was too slow`,
      PRIORITY: '4',
      LOST: `${lost}`,
    },
    { MESSAGE: 'and again' },
  ]);
});

test('a journal that was started anew is found again, what it missed is counted', () => {
  const path = `rouse-test-journal-anew-${process.pid}`;
  const first = bindDatagram(`\0${path}`);
  const journal = Journal.open(`@${path}`);
  cleanups.push(() => journal.close());
  closeFd(first);
  journal.write({ MESSAGE: 'lost' });
  const second = bindDatagram(`\0${path}`);
  cleanups.push(() => closeFd(second));
  journal.write({ MESSAGE: 'found' });
  const texts = [1, 2].map(() => decodeEntry(receiveWithFds(second).bytes).MESSAGE);
  expect(texts).toEqual(['found', '1 line is missing here: the journal was too slow']);
});

test('a process that starts while no journal listens gets a socket all the same', () => {
  const path = `rouse-test-journal-gone-${process.pid}`;
  const fd = bindDatagram(`\0${path}`);
  const journal = Journal.open(`@${path}`);
  closeFd(fd);
  const passed = journal.openSocket();
  cleanups.push(
    () => journal.close(),
    () => closeFd(passed),
  );
  expect(() => new Journal(passed).write({ MESSAGE: 'nobody hears this' })).not.toThrow();
});

test('where no journal listens that is an error by name', () => {
  expect(() => Journal.open('/nonexistent/journal')).toThrow(
    'connect /nonexistent/journal: ENOENT',
  );
});
