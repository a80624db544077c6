import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diffConfigs } from '../../src/config/diff.js';
import { parseEgressRule } from '../../src/config/egress-rule.js';
import { configOf, loadText, problemLines } from './support.js';

const configWith = (rest: string) =>
  loadText(`services:\n  a: { run: { command: [cat] }, upstream: tcp:1, ${rest} }\n`);

describe('an egress rule', () => {
  test.each([
    ['API.Example.com:443', { kind: 'name', name: 'api.example.com' }, 443, 443],
    ['*.example.com.:8000-8080', { kind: 'name', name: '*.example.com' }, 8000, 8080],
    ['bücher.example:*', { kind: 'name', name: 'xn--bcher-kva.example' }, 1, 65535],
    ['10.0.0.0/8:*', { kind: 'block', cidr: '10.0.0.0/8' }, 1, 65535],
    ['192.0.2.1:5432', { kind: 'block', cidr: '192.0.2.1/32' }, 5432, 5432],
    ['[2001:DB8::/32]:443', { kind: 'block', cidr: '2001:db8::/32' }, 443, 443],
    ['[::1]:80', { kind: 'block', cidr: '::1/128' }, 80, 80],
    ['[::ffff:10.0.0.0/104]:80', { kind: 'block', cidr: '10.0.0.0/8' }, 80, 80],
  ])('%s is read', (text, rule, first, last) => {
    expect(parseEgressRule(text)).toEqual({ ...rule, ports: { first, last } });
  });

  test.each([
    ['example.com', 'has no port; write example.com:443'],
    ['10.0.0.0/8', 'has no port; write 10.0.0.0/8:443'],
    ['2001:db8::1', 'has no port; write [2001:db8::1]:443'],
    ['example.com:0', 'the port must be a number from 1 to 65535'],
    ['example.com:90-80', 'the range of ports runs backwards'],
    ['example.com:https', 'is no egress rule; write api.example.com:443'],
    ['10.0.0.1/8:*', 'has bits set outside its mask'],
    ['127.1:80', 'is neither a host name nor an IP address'],
    ['2130706433:80', 'is neither a host name nor an IP address'],
    ['0x7f000001:80', 'is neither a host name nor an IP address'],
    ['*:443', 'leave the key out'],
    ['a.*.example.com:443', 'a wildcard stands for the whole leftmost label'],
    ['[example.com]:443', 'is no IP address'],
    ['http://example.com:80', 'is no egress rule'],
    ['', 'is no egress rule'],
  ])('%j is not, and the error says what to write', (text, message) => {
    expect(() => parseEgressRule(text)).toThrow(message);
  });

  test('is read or refused with a reason, whatever it is', () => {
    const piece = fc.constantFrom(
      'a',
      '.',
      ':',
      '*',
      '-',
      '[',
      ']',
      '/',
      '10.0.0.0',
      '8',
      '::1',
      '%',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        try {
          const { ports } = parseEgressRule(pieces.join(''));
          expect(ports.first).toBeLessThanOrEqual(ports.last);
        } catch (error) {
          expect((error as Error).name).not.toMatch(/TypeError|RangeError/);
        }
      }),
    );
  });
});

test('egress in the host network is an error: the service goes wherever it wants', () => {
  const result = configWith('isolation: { network: host }, egress: ["example.com:443"]');
  expect(problemLines(result)).toEqual([
    "main.yaml:2:88: services.a.egress: has no effect in the host's network; take it out, or set isolation.network: private",
  ]);
});

test('changed egress rules take effect at once', () => {
  const [older, newer] = ['example.com:443', 'example.com:80'].map((rule) =>
    configOf(configWith(`egress: ["${rule}"]`)),
  );
  const { services } = diffConfigs(older as never, newer as never);
  expect(services).toMatchObject({ changed: [], routesChanged: ['a'] });
});
