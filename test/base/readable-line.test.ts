import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RouseError } from '../../src/base/errors.js';
import { createLog, type LogOptions } from '../../src/base/log.js';
import { printable, printableWithColour } from '../../src/base/printable.js';
import { formatReadableLine, type LogEntry } from '../../src/base/readable-line.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';

const time = new Date(2026, 0, 2, 12, 0, 1).toISOString();
const ESC = String.fromCharCode(27);

function line(entry: LogEntry): string {
  return formatReadableLine({ level: 'info', time, name: 'rouse', ...entry }, { colour: false });
}

test.each<[LogEntry, string]>([
  [
    { service: 'blog', event: 'wake', source: '127.0.0.1:53122', listener: 'web' },
    '12:00:01  blog        woken by 127.0.0.1:53122 on web',
  ],
  [{ service: 'blog', event: 'ready', ms: 41 }, '12:00:01  blog        ready in 41 ms'],
  [
    { service: 'blog', event: 'stop', reason: 'idle for 5 s' },
    '12:00:01  blog        stopped: idle for 5 s',
  ],
  [
    { service: 'blog', event: 'ready', ms: 41, instance: 7, msg: 'ready in 41 ms' },
    '12:00:01  blog        ready in 41 ms',
  ],
  [{ msg: 'reloaded', generation: 3 }, '12:00:01  rouse       reloaded  generation=3'],
  [
    { level: 'warn', gateway: 'main', msg: 'ended; a new one takes over' },
    '12:00:01  main        warning: ended; a new one takes over',
  ],
  [
    { level: 'error', msg: 'cannot read it', err: { type: 'RouseError', message: 'EACCES' } },
    '12:00:01  rouse       error: cannot read it: EACCES',
  ],
])('%j is shown as a sentence', (entry, expected) => {
  expect(line(entry)).toBe(expected);
});

test('what a client or a service sent cannot move the cursor or fake a line', () => {
  const shown = line({ service: 'blog', msg: `GET /${ESC}[2J\n12:00:01  blog  ready` });
  expect(shown).toBe('12:00:01  blog        GET /\\x1b[2J\\x0a12:00:01  blog  ready');
  expect(printable('a\tb\u009b')).toBe('a\tb\\x9b');
  const colour = `${ESC}[1;31mred${ESC}[0m`;
  expect(printableWithColour(`${colour}${ESC}[2J`)).toBe(`${colour}\\x1b[2J`);
});

function logged(options: Partial<LogOptions>, write: (log: ReturnType<typeof createLog>) => void) {
  using directory = makeTemporaryDirectory();
  const file = join(directory.path, 'log');
  const destinationFd = openSync(file, 'a');
  write(createLog({ level: 'info', name: 'rouse', pretty: false, destinationFd, ...options }));
  closeSync(destinationFd);
  return readFileSync(file, 'utf8');
}

test('without a terminal the log is JSON, and written before the call returns', () => {
  const text = logged({}, (log) => {
    log.debug('not this');
    log.info({ service: 'blog', event: 'ready', ms: 41 }, 'ready in 41 ms');
  });
  expect(JSON.parse(text)).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    pid: process.pid,
    name: 'rouse',
    service: 'blog',
    event: 'ready',
    ms: 41,
    msg: 'ready in 41 ms',
  });
});

test('on a terminal it is one line for a person, in colour', () => {
  const text = logged({ pretty: true, colour: true }, (log) =>
    log.info({ service: 'blog', event: 'ready', ms: 41 }, 'ready in 41 ms'),
  );
  expect(text).toMatch(/^\S+\d\d:\d\d:\d\d\S+ {2}\S+blog {6}\S+ {2}\S+ready in 41 ms\S+\n$/);
  expect(text).toContain(`${ESC}[32mready in 41 ms${ESC}[0m`);
});

test('a stack is shown for a bug, not for what was reported on purpose', () => {
  const pretty = { pretty: true, colour: false };
  const bug = logged(pretty, (log) => log.error({ err: new TypeError('x is undefined') }, 'oops'));
  expect(bug).toMatch(/error: oops: x is undefined\n {4}at /);
  const report = logged(pretty, (log) => log.error({ err: new RouseError('bind', 'taken') }, 'no'));
  expect(report).toMatch(/error: no: taken\n$/);
});
