import { makeHosts } from '../names.mjs';
import { describeRequest } from './http-text.mjs';
import { fillPattern, PATTERN_BYTES } from './pattern.mjs';

const MESSAGE_BYTES = 64;
/** Spreads numbers (Knuth's multiplicative hash). */
const SPREADING = 2_654_435_761;

/** `true` when complete, `false` when more must come, null when it differs. */
const compareText = (answer, expected) => {
  if (answer === expected) return true;
  return expected.startsWith(answer) ? false : null;
};

/** A message that no other exchange has, and that comes back as it was. */
function makeEcho() {
  return (client, sequence) => {
    const request = `${`client ${client} message ${sequence} `.padEnd(MESSAGE_BYTES - 1, '.')}\n`;
    let answer = '';
    return {
      request,
      take(bytes, length) {
        answer += bytes.latin1Slice(0, length);
        return compareText(answer, request);
      },
      describe: () => answer,
    };
  };
}

/** Nothing is sent; the whole answer is `expected`. */
function makeGreeting({ expected }) {
  return () => {
    let answer = '';
    return {
      request: '',
      take(bytes, length) {
        answer += bytes.latin1Slice(0, length);
        return compareText(answer, expected) === null ? null : false;
      },
      end: () => answer === expected,
      describe: () => answer,
    };
  };
}

/** Which of the names a client asks for: its own, or with `rotate` another one each time. */
function chooseName({ names, rotate = false }, client, sequence) {
  if (!rotate) return client % names;
  return (Math.imul(client * 65_537 + sequence, SPREADING) >>> 0) % names;
}

/**
 * A GET of a path that no other exchange has, to one of `names` hosts of `services`. The answer tells
 * the service, the path and what was forwarded.
 */
function makeHttp(options) {
  const { names, services = names, keepAlive } = options;
  const hosts = makeHosts(names);
  const connection = keepAlive ? '' : 'connection: close\r\n';
  return (client, sequence) => {
    const name = chooseName(options, client, sequence);
    const host = hosts[name];
    const path = `/client/${client}/request/${sequence}`;
    const expected = describeRequest({
      service: name % services,
      path,
      host,
      forwardedFor: '127.0.0.1',
      proto: 'http',
      forwardedHost: host,
      by: '127.0.0.1',
    });
    let answer = '';
    return {
      request: `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nuser-agent: bench\r\naccept: */*\r\n${connection}\r\n`,
      take(bytes, length) {
        answer += bytes.latin1Slice(0, length);
        return checkHttp(answer, expected);
      },
      describe: () => `${answer}, expected ${expected}`,
    };
  };
}

function checkHttp(answer, expected) {
  const headEnd = answer.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  if (!answer.startsWith('HTTP/1.1 200')) return null;
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(answer)?.[1]);
  if (length !== expected.length) return null;
  return compareText(answer.slice(headEnd + 4), expected);
}

let pattern = null;

/** `bytes` of the pattern, compared byte by byte. */
function makeBulk({ bytes: total }) {
  pattern ??= fillPattern(Buffer.alloc(2 * PATTERN_BYTES));
  return () => {
    let received = 0;
    return {
      request: `${total}\n`,
      take(bytes, length) {
        const from = received % PATTERN_BYTES;
        if (bytes.compare(pattern, from, from + length, 0, length) !== 0) return null;
        received += length;
        return received > total ? null : received === total;
      },
      describe: () => `differs after ${received} of ${total} bytes`,
    };
  };
}

const KINDS = { echo: makeEcho, greeting: makeGreeting, http: makeHttp, bulk: makeBulk };

/** What `drive` needs, from `{ kind, … }`. */
export const makeExchanges = (options) => KINDS[options.kind](options);
