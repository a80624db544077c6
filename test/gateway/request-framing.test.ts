import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FramingEvent, RequestFraming } from '../../src/gateway/request-framing.js';
import { SMUGGLING_CASES } from '../cases/smuggling.js';
import { pieces, summarize } from './framing-summary.js';
import { requestSequence } from './http-arbitraries.js';

const GET = 'GET /x HTTP/1.1\r\nHost: a.example\r\n';
const UPGRADE = `${GET}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;

function pushText(framing: RequestFraming, text: string): FramingEvent[] {
  return framing.push(Buffer.from(text, 'latin1'));
}

describe('the smuggling catalogue', () => {
  it.each(SMUGGLING_CASES)('$name', ({ bytes, expected }) => {
    const events = new RequestFraming().push(bytes);
    const refusal = events.find((event) => event.kind === 'refusal');
    const ends = events.filter((event) => event.kind === 'end').length;
    if (typeof expected === 'number') {
      expect(refusal).toMatchObject({ status: expected });
      expect(ends).toBe(0);
    } else {
      expect(refusal).toBeUndefined();
      expect(ends).toBe(expected.requests);
    }
  });

  it.each(SMUGGLING_CASES)('one byte at a time: $name', ({ bytes }) => {
    const whole = summarize(new RequestFraming(), [bytes]);
    const bytewise = summarize(
      new RequestFraming(),
      [...bytes].map((byte) => Buffer.of(byte)),
    );
    expect(bytewise).toEqual(whole);
  });
});

describe('splitting', () => {
  it('any requests split anywhere are read alike', () => {
    fc.assert(
      fc.property(requestSequence(), fc.array(fc.nat()), (requests, cuts) => {
        const bytes = Buffer.concat(requests.map(({ bytes }) => bytes));
        const events = summarize(new RequestFraming(), pieces(bytes, cuts));
        expect(events).toEqual(summarize(new RequestFraming(), [bytes]));
        expect(events.filter(({ kind }) => kind === 'end')).toHaveLength(requests.length);
        const bodies = events.filter(({ kind }) => kind === 'body').map(({ bytes }) => bytes);
        const expected = requests.map(({ rawBody }) => rawBody.toString('latin1'));
        expect(bodies).toEqual(expected.filter((body) => body !== ''));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it('any mutilated requests split anywhere are refused at the same place', () => {
    const mutation = fc.tuple(fc.nat(), fc.constantFrom(0, 9, 10, 13, 32, 44, 58, 59, 48, 95, 255));
    fc.assert(
      fc.property(requestSequence(), mutation, fc.array(fc.nat()), (requests, [at, byte], cuts) => {
        const bytes = Buffer.concat(requests.map(({ bytes }) => bytes));
        bytes[at % bytes.length] = byte;
        const events = summarize(new RequestFraming(), pieces(bytes, cuts));
        expect(events).toEqual(summarize(new RequestFraming(), [bytes]));
      }),
      { seed: 2, numRuns: 500 },
    );
  });
});

describe('limits', () => {
  it.each([0, 1, 7])(
    'a head of exactly the limit passes, one byte more does not (cut at %i)',
    (cut) => {
      const head = Buffer.from(`${GET}\r\n`);
      for (const [headBytes, expected] of [
        [head.length, 'end'],
        [head.length - 1, 'refusal'],
      ] as const) {
        const events = summarize(new RequestFraming({ headBytes }), pieces(head, [cut]));
        expect(events.at(-1)?.kind).toBe(expected);
      }
    },
  );

  it('a target of exactly the limit passes, one byte more is 414', () => {
    expect(pushText(new RequestFraming({ targetBytes: 2 }), `${GET}\r\n`).at(-1)?.kind).toBe('end');
    const refused = pushText(new RequestFraming({ targetBytes: 1 }), `${GET}\r\n`);
    expect(refused).toMatchObject([{ kind: 'refusal', status: 414 }]);
  });

  it('as many headers as allowed pass', () => {
    const framing = new RequestFraming({ headers: 2 });
    expect(pushText(framing, `${GET}X-A: 1\r\n\r\n`).at(-1)?.kind).toBe('end');
  });

  it('an endless method is refused before its end', () => {
    expect(pushText(new RequestFraming(), 'X'.repeat(33))).toMatchObject([{ status: 501 }]);
  });
});

describe('after a refusal', () => {
  it('nothing comes any more', () => {
    const framing = new RequestFraming();
    expect(pushText(framing, `${GET}\r\n\0`).map(({ kind }) => kind)).toEqual([
      'head',
      'end',
      'refusal',
    ]);
    expect(pushText(framing, `${GET}\r\n`)).toEqual([]);
  });
});

describe('upgrades', () => {
  it('what follows an upgrade request waits, and is raw once the upgrade is accepted', () => {
    const framing = new RequestFraming();
    const kinds = pushText(framing, `${UPGRADE}\x81\x00`).map(({ kind }) => kind);
    expect(kinds).toEqual(['head', 'end']);
    expect(framing.isHeld).toBe(true);
    expect(pushText(framing, '\n\n')).toEqual([]);
    expect(framing.becomeRaw()).toEqual([
      { kind: 'raw', bytes: Buffer.from('\x81\0\n\n', 'latin1') },
    ]);
    expect(pushText(framing, '\0')).toEqual([{ kind: 'raw', bytes: Buffer.of(0) }]);
  });

  it('what follows a declined upgrade is the next request', () => {
    const framing = new RequestFraming();
    pushText(framing, `${UPGRADE}${GET}\r`);
    expect(framing.continueHttp()).toEqual([]);
    expect(pushText(framing, '\n').map(({ kind }) => kind)).toEqual(['head', 'end']);
  });

  it('a body of an upgrade request is framed before the wait', () => {
    const framing = new RequestFraming();
    const head = UPGRADE.replace('\r\n\r\n', '\r\nContent-Length: 2\r\n\r\n');
    expect(pushText(framing, `${head}ab`).map(({ kind }) => kind)).toEqual(['head', 'body', 'end']);
    expect(framing.isHeld).toBe(true);
  });

  it('a client that sends too much while it waits is refused', () => {
    const framing = new RequestFraming({ heldBytes: 4 });
    pushText(framing, `${UPGRADE}1234`);
    expect(pushText(framing, '5')).toMatchObject([{ kind: 'refusal', status: 400 }]);
    expect(() => framing.becomeRaw()).toThrow('no upgrade request is waiting');
  });

  it('Upgrade without Connection: upgrade is no upgrade', () => {
    const framing = new RequestFraming();
    pushText(framing, `${GET}Upgrade: websocket\r\n\r\n`);
    expect(framing.isHeld).toBe(false);
    expect(framing.isBetweenRequests).toBe(true);
  });
});

describe('reading from a buffer of the caller', () => {
  it('positions tell where head, body and end lie', () => {
    const bytes = Buffer.from(`--${GET}Content-Length: 5\r\n\r\nhello${GET}\r\n--`);
    const framing = new RequestFraming();
    const end = bytes.length - 2;
    const found: string[] = [];
    for (let at = 2; ; at = framing.position) {
      const step = framing.read(bytes, at, end);
      if (step === 'need-more') break;
      found.push(`${step} ${framing.position - at}`);
    }
    const headBytes = GET.length + 'Content-Length: 5\r\n\r\n'.length;
    expect(found).toEqual([
      `head ${headBytes}`,
      'body 5',
      'end 0',
      `head ${GET.length + 2}`,
      'end 0',
    ]);
  });
});
