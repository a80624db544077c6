import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RouseError } from '../../src/base/errors.js';
import {
  encodeJournalEntry,
  type JournalFields,
  journalFieldsOf,
} from '../../src/base/journal-entry.js';
import { createLog } from '../../src/base/log.js';
import { decodeEntry } from '../support/journal-receiver.js';

/** What a log writes to the journal. */
function logged(write: (log: ReturnType<typeof createLog>) => void, name = 'rouse') {
  const entries: JournalFields[] = [];
  const journal = { write: (fields: JournalFields) => void entries.push(fields) };
  write(createLog({ level: 'trace', name, pretty: false, journal, fields: { gateway: 'edge' } }));
  return entries;
}

test('who looks for a service, a listener or a client finds them by field', () => {
  const [entry] = logged((log) =>
    log.info(
      { service: 'blog', event: 'wake', listener: 'web', source: '192.0.2.7:4242', idleMs: 20 },
      'woken by 192.0.2.7:4242 on web',
    ),
  );
  expect(entry).toMatchObject({
    MESSAGE: 'blog: woken by 192.0.2.7:4242 on web',
    PRIORITY: '6',
    SYSLOG_IDENTIFIER: 'rouse',
    SERVICE: 'blog',
    EVENT: 'wake',
    LISTENER: 'web',
    SOURCE: '192.0.2.7:4242',
    IDLE_MS: '20',
    GATEWAY: 'edge',
  });
});

test('levels are priorities that journalctl -p understands', () => {
  const entries = logged((log) => {
    for (const level of ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const)
      log[level](level);
  });
  expect(entries.map(({ PRIORITY }) => PRIORITY)).toEqual(['2', '3', '4', '6', '7', '7']);
});

test('a line that names its subject does not name it twice', () => {
  const entries = logged((log) => {
    log.info({ service: 'blog' }, '127.0.0.1:4 GET / 200 (blog, 3 ms)');
    log.error('it ended');
  });
  expect(entries.map(({ MESSAGE }) => MESSAGE)).toEqual([
    '127.0.0.1:4 GET / 200 (blog, 3 ms)',
    'gateway edge: it ended',
  ]);
});

test('the cause of an error is in the message, its stack in a field of its own', () => {
  const [entry] = logged((log) =>
    log.error({ err: new RouseError('system', 'bind: EACCES'), service: 'db' }, 'cannot listen'),
  );
  expect(entry).toMatchObject({
    MESSAGE: 'db: cannot listen: bind: EACCES',
    PRIORITY: '3',
    ERROR: 'bind: EACCES',
  });
  expect(entry?.ERROR_STACK).toContain('RouseError: bind: EACCES');
});

test('which process wrote is said, unless it is the supervisor', () => {
  const component = (name: string) => logged((log) => log.info('x'), name)[0]?.COMPONENT;
  expect(component('egress')).toBe('egress');
  expect(component('rouse')).toBeUndefined();
});

test('fields that the journal keeps for itself cannot be set from a log line', () => {
  const entry = journalFieldsOf({
    ...{ msg: 'real', level: 'info', name: 'rouse' },
    ...{ message: 'faked', priority: 0, syslogIdentifier: 'sshd', _PID: 1, '9lives': true, é: 'x' },
    nothing: null,
    list: ['a', 1],
  });
  expect(entry).toMatchObject({
    ...{ MESSAGE: 'real', PRIORITY: '6', SYSLOG_IDENTIFIER: 'rouse' },
    ...{ ROUSE_MESSAGE: 'faked', ROUSE_PRIORITY: '0', ROUSE_SYSLOG_IDENTIFIER: 'sshd' },
    ...{ PID: '1', LIVES: 'true', LIST: '["a",1]' },
  });
  expect(Object.keys(entry)).not.toContain('NOTHING');
});

test('a message cannot move the cursor of a terminal', () => {
  expect(journalFieldsOf({ msg: 'a\x1b[2Jb' }).MESSAGE).toBe('a\\x1b[2Jb');
});

test('whatever a client sends, journald reads the fields that were meant, and no others', () => {
  const values = fc.dictionary(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,20}$/), fc.string());
  const hostile = fc.constantFrom('x\nPRIORITY=0\n_PID=1\n', '\n', '', 'a=b', '\0', '\n'.repeat(9));
  fc.assert(
    fc.property(values, hostile, (fields, value) => {
      const entry = { ...fields, SOURCE: value };
      expect(decodeEntry(encodeJournalEntry(entry))).toEqual({ ...entry });
    }),
  );
  expect(decodeEntry(encodeJournalEntry({ A: undefined, B: 'b' }))).toEqual({ B: 'b' });
});
