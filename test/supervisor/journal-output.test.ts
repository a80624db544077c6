import { expect, test } from 'vitest';
import type { JournalFields } from '../../src/base/journal-entry.js';
import { JournalOutput } from '../../src/supervisor/journal-output.js';

function createOutput(pid: number | null = 4711) {
  const entries: JournalFields[] = [];
  const clock = { ms: 0 };
  const write = (fields: JournalFields, waits: boolean) => {
    expect(waits, 'a service makes the supervisor wait').toBe(false);
    entries.push(fields);
  };
  const output = new JournalOutput({
    service: 'blog',
    journal: { openSocket: () => -1, write },
    pid: () => pid,
    nowMs: () => clock.ms,
  });
  return { output, entries, clock };
}

test('what a service prints is its own in the journal', () => {
  const { output, entries } = createOutput();
  output.add('listening on 3000');
  expect(entries).toEqual([
    {
      MESSAGE: 'listening on 3000',
      PRIORITY: '6',
      SYSLOG_IDENTIFIER: 'blog',
      SERVICE: 'blog',
      SERVICE_PID: '4711',
    },
  ]);
});

test('a service says how important a line is as services of systemd do', () => {
  const { output, entries } = createOutput();
  for (const line of ['<3>disk full', '<7>', '<8>no level', 'x <3>y']) output.add(line);
  expect(entries.map(({ PRIORITY, MESSAGE }) => [PRIORITY, MESSAGE])).toEqual([
    ['3', 'disk full'],
    ['7', ''],
    ['6', '<8>no level'],
    ['6', 'x <3>y'],
  ]);
});

test('where any of several processes may have printed it, no pid is told', () => {
  const { output, entries } = createOutput(null);
  output.add('hello');
  expect(entries[0]?.SERVICE_PID).toBeUndefined();
});

test('a service that prints without end does not use up what the journal takes from all', () => {
  const { output, entries, clock } = createOutput();
  for (let line = 0; line < 20_000; line += 1) output.add(`${line}`);
  expect(entries).toHaveLength(5000);
  clock.ms += 29_999;
  output.add('still the same half minute');
  expect(entries).toHaveLength(5000);
  clock.ms += 1;
  output.add('on again');
  expect(entries.slice(5000)).toMatchObject([
    {
      MESSAGE:
        'blog: 15001 lines that it printed are left out here; `rouse logs blog` has the last of them',
      SYSLOG_IDENTIFIER: 'rouse',
      PRIORITY: '4',
    },
    { MESSAGE: 'on again' },
  ]);
});
