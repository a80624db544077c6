import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildCidrMatcher } from '../../src/gateway/access-list.js';
import {
  describeForwarding,
  dropForwarding,
  type ForwardingInput,
} from '../../src/gateway/forwarded.js';
import { parseForwarded } from '../../src/gateway/forwarded-element.js';

type Headers = Readonly<Record<string, string>>;

function describeFor(headers: Headers, input: Partial<ForwardingInput> = {}) {
  const forwarding = describeForwarding({
    headers: toList(headers),
    peerIp: '10.0.0.1',
    isTrusted: buildCidrMatcher(['10.0.0.0/8']),
    protocol: 'http',
    authority: 'shop.example',
    destination: null,
    ...input,
  });
  const fields = Object.fromEntries(forwarding.fields.map(({ name, value }) => [name, value]));
  return { ...forwarding, fields };
}

function toList(headers: Headers) {
  return Object.entries(headers).map(([name, value]) => ({ name, value }));
}

const STRANGER = { peerIp: '192.0.2.7' };

describe('a stranger', () => {
  it('is told about, and not believed', () => {
    const lies = {
      'X-Forwarded-For': '1.1.1.1',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'bank.example',
      Forwarded: 'for=1.1.1.1;proto=https',
    };
    const { fields, clientIp, isPeerTrusted } = describeFor(lies, STRANGER);
    expect(fields).toEqual({
      'X-Forwarded-For': '192.0.2.7',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': 'shop.example',
      Forwarded: 'for=192.0.2.7;host=shop.example;proto=http',
    });
    expect({ clientIp, isPeerTrusted }).toEqual({ clientIp: '192.0.2.7', isPeerTrusted: false });
  });

  it('from IPv6, to a port, is told about in quotes', () => {
    const { fields } = describeFor(
      {},
      {
        peerIp: '2001:DB8::1',
        authority: 'shop.example:8443',
        protocol: 'https',
        destination: { ip: '::1', port: 8443 },
      },
    );
    expect(fields['X-Forwarded-For']).toBe('2001:db8::1');
    expect(fields['X-Forwarded-Proto']).toBe('https');
    expect(fields.Forwarded).toBe(
      'for="[2001:db8::1]";host="shop.example:8443";proto=https;by="[::1]:8443"',
    );
  });

  it('on an IPv6 socket with an IPv4 address is an IPv4 one', () => {
    expect(describeFor({}, { peerIp: '::ffff:192.0.2.7' }).clientIp).toBe('192.0.2.7');
  });

  it('on a Unix socket is unknown', () => {
    const { fields, clientIp } = describeFor({ 'X-Forwarded-For': '1.1.1.1' }, { peerIp: null });
    expect(fields['X-Forwarded-For']).toBe('unknown');
    expect(fields.Forwarded).toBe('for=unknown;host=shop.example;proto=http');
    expect(clientIp).toBeNull();
  });

  it('without a host is told about without one', () => {
    const { fields } = describeFor({}, { ...STRANGER, authority: null });
    expect(fields).toEqual({
      'X-Forwarded-For': '192.0.2.7',
      'X-Forwarded-Proto': 'http',
      Forwarded: 'for=192.0.2.7;proto=http',
    });
  });
});

describe('a trusted proxy', () => {
  it('is believed and added', () => {
    const { fields, clientIp } = describeFor({
      'x-forwarded-for': '192.0.2.7, 10.0.0.2',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'bank.example:444',
    });
    expect(fields).toEqual({
      'X-Forwarded-For': '192.0.2.7, 10.0.0.2, 10.0.0.1',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'bank.example:444',
      Forwarded:
        'for=192.0.2.7;host="bank.example:444";proto=https, for=10.0.0.2, for=10.0.0.1;host=shop.example;proto=http',
    });
    expect(clientIp).toBe('192.0.2.7');
  });

  it('that speaks Forwarded only is believed in all headers', () => {
    const { fields, clientIp } = describeFor({
      Forwarded: 'For="[2001:db8::7]:1234";Proto=https;host="bank.example", for=10.0.0.2;by=_x',
    });
    expect(fields).toEqual({
      'X-Forwarded-For': '2001:db8::7, 10.0.0.2, 10.0.0.1',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'bank.example',
      Forwarded:
        'For="[2001:db8::7]:1234";Proto=https;host="bank.example", for=10.0.0.2;by=_x, for=10.0.0.1;host=shop.example;proto=http',
    });
    expect(clientIp).toBe('2001:db8::7');
  });

  it('that passes a client’s Forwarded on unread does not make us pass it on', () => {
    const { fields } = describeFor({ Forwarded: 'for=1.1.1.1', 'X-Forwarded-For': '192.0.2.7' });
    expect(fields.Forwarded).toBe('for=192.0.2.7, for=10.0.0.1;host=shop.example;proto=http');
    expect(fields['X-Forwarded-For']).toBe('192.0.2.7, 10.0.0.1');
  });

  it('does not make a client’s invented hops the client', () => {
    const { clientIp } = describeFor({ 'X-Forwarded-For': '1.1.1.1, 192.0.2.7, 10.0.0.2' });
    expect(clientIp).toBe('192.0.2.7');
  });

  it('is believed as far as what it says can be read', () => {
    const { fields, clientIp } = describeFor({ 'X-Forwarded-For': '1.1.1.1, <script>, 10.0.0.2' });
    expect(fields['X-Forwarded-For']).toBe('10.0.0.2, 10.0.0.1');
    expect(clientIp).toBe('10.0.0.2');
  });

  it('that hides its client is the client', () => {
    expect(describeFor({ Forwarded: 'for=_hidden' }).clientIp).toBe('10.0.0.1');
    expect(describeFor({ 'X-Forwarded-For': 'unknown' }).clientIp).toBe('10.0.0.1');
  });

  it.each(['ftp', '', 'https"'])('with the protocol %j is not believed in that', (proto) => {
    expect(describeFor({ 'X-Forwarded-Proto': proto }).fields['X-Forwarded-Proto']).toBe('http');
  });

  it('with a malformed host is not believed in that', () => {
    const { fields } = describeFor({ 'X-Forwarded-Host': 'a b' });
    expect(fields['X-Forwarded-Host']).toBe('shop.example');
  });
});

describe('headers that go on', () => {
  const headers = toList({
    Accept: '1',
    forwarded: '2',
    'X-Forwarded-For': '3',
    X_Forwarded_Proto: '4',
    'X-Forwarded-Port': '5',
    'X-Real-IP': '6',
    'X-Forwardable': '7',
  });

  it('of a stranger are without any that tell of clients', () => {
    expect(dropForwarding(headers, false).map(({ value }) => value)).toEqual(['1', '7']);
  });

  it('of a trusted proxy are without those that are set anew', () => {
    expect(dropForwarding(headers, true).map(({ value }) => value)).toEqual(['1', '5', '6', '7']);
  });
});

describe('Forwarded', () => {
  it.each([
    '',
    'for',
    'for=',
    'for=a;',
    'for=a,',
    ',for=a',
    'for=a;for=b',
    'for = a',
    'for="a',
    'for=a b',
    'for=a@',
  ])('%j is malformed', (value) => {
    expect(parseForwarded(value)).toBeNull();
  });

  it('whatever comes, what goes out can be read', () => {
    const part = fc.constantFrom(
      'for=',
      '1.1.1.1',
      '"',
      '\\',
      ',',
      ';',
      ' ',
      '[::1]',
      'host=a',
      '=',
      '_x',
      'proto=https',
      '\xe4',
    );
    const value = fc.array(part, { maxLength: 10 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(value, value, fc.boolean(), (forwarded, forwardedFor, hasBoth) => {
        const headers = {
          Forwarded: forwarded,
          ...(hasBoth && { 'X-Forwarded-For': forwardedFor }),
        };
        const { fields } = describeFor(headers);
        const elements = parseForwarded(fields.Forwarded ?? '');
        const hops = fields['X-Forwarded-For']?.split(', ');
        expect(elements?.length).toBe(hops?.length);
        expect(hops?.at(-1)).toBe('10.0.0.1');
      }),
      { seed: 1, numRuns: 1_000 },
    );
  });
});
