import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTarget, parseAuthority, parseHost } from '../../src/egress/target.js';

describe('a target', () => {
  test.each([
    ['example.com:443', 'example.com:443'],
    ['EXAMPLE.com.:443', 'example.com:443'],
    ['_srv.example.com:1', '_srv.example.com:1'],
    ['10.0.0.1:65535', '10.0.0.1:65535'],
    ['[2001:DB8::1]:443', '[2001:db8::1]:443'],
    ['[::ffff:10.0.0.1]:443', '10.0.0.1:443'],
  ])('%s is %s', (text, target) => {
    expect(formatTarget(parseAuthority(text, null) as never)).toBe(target);
  });

  test.each([
    ...['2130706433', '0x7f000001', '0x7f.1', '127.1', '0177.0.0.1', '127.0.0.01', '127.0.0.1.'],
    ...['1.2.3.4.5', '127.0.0.256', 'a.0x7f', 'example.1', '0', '0x'],
    ...['', '.', 'a..b', '-a.example', 'a b', 'user@example.com', 'exämple.com', '１２７.0.0.1'],
    ...['fe80::1%eth0', '::1%lo', '::ffff:0x7f000001', 'a/b', 'a\0.example', '*.example.com'],
    ...['x'.repeat(64), Array(130).fill('a').join('.')],
  ])('a host %j is none', (text) => {
    expect(parseHost(text)).toBeNull();
  });

  test.each([
    ...['example.com', 'example.com:', 'example.com:0', 'example.com:65536', 'example.com:080'],
    ...['::1:443', '[::1]', '[127.0.0.1]:80', '[example.com]:80', '[::1]x:80', 'a:80:90', ':80'],
    ...['example.com:+80', 'example.com: 80', 'http://example.com:80'],
  ])('an authority %j is none', (text) => {
    expect(parseAuthority(text, null)).toBeNull();
  });

  test('whatever is taken for a name has letters in its last label: no resolver reads an address in it', () => {
    const part = fc.stringMatching(/^(?:0x)?[0-9a-fx]{1,10}$/);
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const host = parseHost(parts.join('.'));
        if (host?.kind !== 'name') return;
        const last = host.name.split('.').at(-1) ?? '';
        expect(Number.isNaN(Number(last))).toBe(true);
        // What the URL standard would make an address of, is no name here.
        expect(new URL(`http://${host.name}/`).hostname).toBe(host.name);
      }),
    );
  });
});
