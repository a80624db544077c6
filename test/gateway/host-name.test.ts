import { describe, expect, it } from 'vitest';
import { normalizeName, parseHostHeader } from '../../src/gateway/host-name.js';

describe('a Host header', () => {
  it.each([
    ['Blog.Example.COM', 'blog.example.com', null],
    ['blog.example.com.', 'blog.example.com', null],
    ['blog.example.com:8080', 'blog.example.com', 8080],
    ['blog.example.com.:80', 'blog.example.com', 80],
    ['blog.example.com:', 'blog.example.com', null],
    ['localhost', 'localhost', null],
    ['my_service-1', 'my_service-1', null],
    ['127.0.0.1:3000', '127.0.0.1', 3000],
    ['[::1]', '::1', null],
    ['[2001:DB8:0:0:0:0:0:1]:443', '2001:db8::1', 443],
    ['[::ffff:127.0.0.1]', '127.0.0.1', null],
    ['a:65535', 'a', 65535],
    [`${'a'.repeat(63)}.${'b'.repeat(63)}`, `${'a'.repeat(63)}.${'b'.repeat(63)}`, null],
  ])('%s is for %s, port %s', (value, host, port) => {
    expect(parseHostHeader(value)).toEqual({ host, port });
  });

  it.each([
    '',
    '.',
    '..',
    'a..b',
    '.a',
    'a.b..',
    ':80',
    'a:0',
    'a:65536',
    'a:000080',
    'a:-1',
    'a:8o',
    'a:80:81',
    'a: 80',
    'a b',
    ' a',
    'a,b',
    'user@a',
    'a/b',
    'a?b',
    'a#b',
    'a\\b',
    'a%2eb',
    'ä.example',
    'a\0b',
    '*.a',
    '::1',
    '[::1',
    '::1]',
    '[]',
    '[127.0.0.1]',
    '[::1]x',
    '[::1]80',
    '[fe80::1%eth0]',
    '[fe80::1%25eth0]',
    '[v1.x]',
    'a'.repeat(64),
    `${'a.'.repeat(126)}aa`,
  ])('%j is malformed', (value) => {
    expect(parseHostHeader(value)).toBeNull();
  });
});

describe('a name', () => {
  it('of 253 characters passes, with a final dot too', () => {
    const name = `${'a.'.repeat(126)}a`;
    expect(normalizeName(name)).toBe(name);
    expect(normalizeName(`${name}.`)).toBe(name);
  });
});
