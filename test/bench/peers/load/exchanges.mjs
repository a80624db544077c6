import { describeRequest } from './http-text.mjs';
import { fillPattern, PATTERN_BYTES } from './pattern.mjs';

const MESSAGE_BYTES = 64;

/** A message that no other exchange has, and that comes back as it was. */
function makeEcho() {
  return (client, sequence) => {
    const request = `${`client ${client} message ${sequence} `.padEnd(MESSAGE_BYTES - 1, '.')}\n`;
    let answer = '';
    return {
      request,
      take(bytes, length) {
        answer += bytes.latin1Slice(0, length);
        if (answer === request) return true;
        return request.startsWith(answer) ? false : null;
      },
      describe: () => answer,
    };
  };
}

/**
 * A GET of a path that no other exchange has, to the client's host; `hosts` are names, the first is
 * that of service 0 and so on. The answer tells the service, the path and what was forwarded.
 */
function makeHttp({ hosts, keepAlive }) {
  const connection = keepAlive ? '' : 'connection: close\r\n';
  return (client, sequence) => {
    const service = client % hosts.length;
    const host = hosts[service];
    const path = `/client/${client}/request/${sequence}`;
    const expected = describeRequest({
      service,
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
  if (answer.length < headEnd + 4 + length) return false;
  return answer.slice(headEnd + 4) === expected ? true : null;
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

const KINDS = { echo: makeEcho, http: makeHttp, bulk: makeBulk };

/** What `drive` needs, from `{ kind, … }`. */
export const makeExchanges = (options) => KINDS[options.kind](options);
