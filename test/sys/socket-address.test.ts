import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closeFd } from '../../src/sys/descriptors.js';
import {
  decodeSocketAddress,
  encodeSocketAddress,
  formatSocketAddress,
} from '../../src/sys/socket-address.js';
import { listenOn, localAddress } from '../../src/sys/sockets.js';

const port = fc.integer({ min: 0, max: 65535 });
const SUN_PATH_BYTES = 108;

test('every IPv4 address and port comes back as it was', () => {
  fc.assert(
    fc.property(fc.ipV4(), port, (host, number) => {
      const address = { kind: 'inet', host, port: number } as const;
      expect(decodeSocketAddress(encodeSocketAddress(address))).toEqual(address);
    }),
  );
});

test('every IPv6 address comes back in its canonical form', () => {
  fc.assert(
    fc.property(fc.ipV6(), port, (host, number) => {
      const decoded = decodeSocketAddress(
        encodeSocketAddress({ kind: 'inet', host, port: number }),
      );
      const canonical = new URL(`http://[${host}]`).hostname.slice(1, -1);
      const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical);
      if (mapped) expect(decoded).toMatchObject({ host: expect.stringMatching(/^[\d.]+$/) });
      else expect(decoded).toEqual({ kind: 'inet', host: canonical, port: number });
    }),
  );
});

test('IPv4 in IPv6 is told as IPv4', () => {
  const mapped = { kind: 'inet', host: '::ffff:192.0.2.7', port: 80 } as const;
  expect(decodeSocketAddress(encodeSocketAddress(mapped))).toEqual({
    ...mapped,
    host: '192.0.2.7',
  });
});

test('every path and every abstract name comes back as it was', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
    .filter((text) => !text.includes('\0') && Buffer.byteLength(text) < SUN_PATH_BYTES - 1);
  fc.assert(
    fc.property(name, fc.boolean(), (text, isAbstract) => {
      const address = { kind: 'unix', path: isAbstract ? `\0${text}` : text } as const;
      const encoded = encodeSocketAddress(address);
      expect(decodeSocketAddress(encoded)).toEqual(address);
      expect(encoded.length).toBe(2 + Buffer.byteLength(address.path) + (isAbstract ? 0 : 1));
    }),
  );
});

test.each(['', 'x'.repeat(SUN_PATH_BYTES), `/${'ä'.repeat(54)}`])(
  'a path that does not fit is refused: %s',
  (path) => {
    expect(() => encodeSocketAddress({ kind: 'unix', path })).toThrow(RangeError);
  },
);

test.each(['localhost', '1.2.3', '1.2.3.4.5', '::g', '1.2.3.4%lo'])(
  'what is no IP address is refused: %s',
  (host) => {
    expect(() => encodeSocketAddress({ kind: 'inet', host, port: 1 })).toThrow(/not an IP address/);
  },
);

test.each([
  ['127.0.0.1:80', { kind: 'inet', host: '127.0.0.1', port: 80 }],
  ['[::1]:443', { kind: 'inet', host: '::1', port: 443 }],
  ['/run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
  ['@abstract', { kind: 'unix', path: '\0abstract' }],
] as const)('%s is how people write it', (text, address) => {
  expect(formatSocketAddress(address)).toBe(text);
});

test.each(['127.0.0.1', '127.9.8.7', '::1'])('the kernel reads %s as it was meant', (host) => {
  const fd = listenOn({ kind: 'inet', host, port: 0 }, 1);
  expect(localAddress(fd)).toEqual({ kind: 'inet', host, port: expect.any(Number) });
  closeFd(fd);
});

test('bytes of another family are no address', () => {
  expect(decodeSocketAddress(Buffer.alloc(0))).toBeNull();
  expect(decodeSocketAddress(Buffer.from([16, 0, 1, 2, 3, 4]))).toBeNull();
});
