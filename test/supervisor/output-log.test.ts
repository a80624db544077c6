import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LineSplitter } from '../../src/supervisor/line-splitter.js';
import { OutputLog, type OutputLogOptions } from '../../src/supervisor/output-log.js';

const AT = '2026-01-02T03:04:05.678Z';
const ESCAPE = '\x1b';

let directory: string;
let errors: string[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rouse-output-'));
  errors = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

function open(options: Partial<OutputLogOptions> = {}): OutputLog {
  return new OutputLog({
    name: 'blog',
    directory: join(directory, 'logs'),
    onError: (message) => errors.push(message),
    now: () => new Date(AT),
    ...options,
  });
}

async function take(lines: AsyncIterator<string>, count: number): Promise<unknown[]> {
  const taken = [];
  for (let index = 0; index < count; index += 1) taken.push((await lines.next()).value);
  return taken;
}

describe('what a service prints', () => {
  it('can be read after it stopped and after rouse was started again, with times', async () => {
    const log = open();
    log.write(Buffer.from('one\ntwo\r\nthr'));
    log.write(Buffer.from('ee\nunfinished'));
    await log.finish();
    expect(log.recent()).toEqual(['one', 'two', 'three', 'unfinished']);
    expect(await open().tail(3)).toEqual([`${AT} two`, `${AT} three`, `${AT} unfinished`]);
    expect(await open({ name: 'other' }).tail(3)).toEqual([]);
  });

  it('cannot attack a terminal', async () => {
    const log = open();
    log.write(Buffer.from(`${ESCAPE}]0;owned\x07 \0 \x7f \x9b a\rb\tc héllo €\n`));
    log.write(Buffer.from([0xff, 0xfe, 0x0a]));
    await log.finish();
    const [first = '', second = ''] = log.recent();
    expect(first).toBe('\\x1b]0;owned\\x07 \\x00 \\x7f \\x9b a\\x0db\tc héllo €');
    expect(second).toBe('\ufffd\ufffd');
    expect(await log.tail(2)).toEqual([`${AT} ${first}`, `${AT} ${second}`]);
  });

  it('without any line end is cut into lines of 8 KiB', async () => {
    const log = open();
    for (let index = 0; index < 3; index += 1) log.write(Buffer.alloc(8 * 1024, 'x'));
    await log.finish();
    expect(log.recent().map(({ length }) => length)).toEqual([8192, 8192, 8192]);
  });

  it('keeps its last twenty lines at hand', async () => {
    const log = open();
    for (let index = 1; index <= 50; index += 1) log.write(Buffer.from(`${index}\n`));
    expect(log.recent()).toEqual(Array.from({ length: 20 }, (_, index) => `${index + 31}`));
    await log.finish();
  });

  it('takes no more disk than twice the limit, and keeps the newest', async () => {
    const limitBytes = 4096;
    const log = open({ limitBytes });
    for (let round = 0; round < 40; round += 1) {
      for (let line = 0; line < 25; line += 1) log.write(Buffer.from(`${round * 25 + line}\n`));
      if (round % 3 === 0) await log.flush();
    }
    await log.finish();
    const logs = join(directory, 'logs');
    expect(readdirSync(logs).toSorted()).toEqual(['blog.log', 'blog.log.1']);
    const sizes = readdirSync(logs).map((file) => statSync(join(logs, file)).size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limitBytes);
    const kept = await log.tail(100_000);
    const numbers = kept.map((line) => Number(line.slice(AT.length + 1)));
    expect(numbers.at(-1)).toBe(999);
    expect(numbers).toEqual(numbers.map((_, index) => 1000 - numbers.length + index));
    expect(numbers.length).toBeGreaterThan(limitBytes / 30);
  });

  it('that floods the disk is left out and counted, and memory stays bounded', async () => {
    const log = open();
    let isWritable = true;
    const chunk = Buffer.from(`${'x'.repeat(1000)}\n`.repeat(60));
    for (let index = 0; index < 100; index += 1) isWritable = log.write(chunk);
    expect(isWritable).toBe(false);
    await log.finish();
    expect(log.write(Buffer.from('after\n'))).toBe(true);
    const [notice, last] = await log.tail(2);
    expect(notice).toMatch(/ \(\d+ lines left out\)$/);
    expect(last).toBe(`${AT} after`);
  });

  it('is written without being asked', async () => {
    const log = open();
    log.write(Buffer.from('hello\n'));
    const file = join(directory, 'logs', 'blog.log');
    await expect.poll(() => readFileSync(file, 'utf8')).toBe(`${AT} hello\n`);
  });

  it('is lost without harm while the disk fails, which is said once', async () => {
    writeFileSync(join(directory, 'logs'), 'not a folder');
    const log = open();
    for (const line of ['a\n', 'b\n']) {
      log.write(Buffer.from(line));
      await log.flush();
    }
    expect(errors).toEqual([expect.stringMatching(/^service blog: cannot keep what it prints: /)]);
    expect(log.recent()).toEqual(['a', 'b']);
    rmSync(join(directory, 'logs'));
    mkdirSync(join(directory, 'logs'));
    log.write(Buffer.from('c\n'));
    expect(await log.tail(9)).toEqual([`${AT} c`]);
  });
});

describe('following what a service prints', () => {
  it('gives the last lines and then every new one, none twice, until it is ended', async () => {
    const log = open();
    log.write(Buffer.from('a\nb\nc\n'));
    const controller = new AbortController();
    const lines = log.follow(controller.signal, 2);
    expect(await take(lines, 2)).toEqual([`${AT} b`, `${AT} c`]);
    log.write(Buffer.from('d\n'));
    await log.flush();
    log.write(Buffer.from('e\n'));
    expect(await take(lines, 2)).toEqual([`${AT} d`, `${AT} e`]);
    controller.abort();
    expect((await lines.next()).done).toBe(true);
    await log.finish();
  });

  it('neither loses nor doubles a line that comes while the last ones are read', async () => {
    const log = open();
    const controller = new AbortController();
    const lines = log.follow(controller.signal, 1000);
    const first = lines.next();
    for (let index = 0; index < 200; index += 1) {
      log.write(Buffer.from(`${index}\n`));
      if (index % 10 === 0) await new Promise(setImmediate);
      if (index % 25 === 0) void log.flush();
    }
    const rest = await take(lines, 199);
    const all = [(await first).value, ...rest];
    expect(all).toEqual(Array.from({ length: 200 }, (_, index) => `${AT} ${index}`));
    controller.abort();
    await log.finish();
  });

  it('ends at once for a reader who has gone already', async () => {
    const lines = open().follow(AbortSignal.abort(), 5);
    expect((await lines.next()).done).toBe(true);
  });

  it('leaves out lines for a reader who is too slow, and says so', async () => {
    const log = open();
    const controller = new AbortController();
    const lines = log.follow(controller.signal);
    const first = lines.next();
    await log.flush();
    log.write(Buffer.from('first\n'));
    expect((await first).value).toBe(`${AT} first`);
    const chunk = Buffer.from(`${'x'.repeat(1000)}\n`.repeat(60));
    for (let index = 0; index < 50; index += 1) {
      log.write(chunk);
      await log.flush();
    }
    controller.abort();
    const seen = [];
    for await (const line of lines) seen.push(line);
    expect(seen.length).toBeLessThan(1100);
    expect(seen.at(-1)).toMatch(/^\(\d+ lines left out: the reader is too slow\)$/);
  });
});

describe('cutting into lines', () => {
  it('does not depend on how the bytes arrive', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 30 }), { maxLength: 8 });
    fc.assert(
      fc.property(texts, fc.array(fc.nat(200)), (parts, cuts) => {
        fc.pre(!parts.join('').includes('\ufffd'));
        const bytes = Buffer.from(parts.join('\n'));
        const offsets = [
          ...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length]),
        ];
        offsets.sort((a, b) => a - b);
        const pieces = offsets.slice(1).map((end, index) => bytes.subarray(offsets[index], end));
        const whole = new LineSplitter(16);
        const split = new LineSplitter(16);
        const expected = [...whole.push(bytes), ...whole.finish()];
        const actual = pieces.flatMap((piece) => split.push(piece));
        expect([...actual, ...split.finish()]).toEqual(expected);
        expect(expected.join('')).not.toContain('\ufffd');
      }),
    );
  });
});
