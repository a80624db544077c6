import { describe, expect, it } from 'vitest';
import { buildAccessList, buildCidrMatcher } from '../../src/gateway/access-list.js';

describe('access', () => {
  it('without any list is for all', () => {
    const mayConnect = buildAccessList({ allow: null, deny: [] });
    expect(['127.0.0.1', '::1', 'unix:'].map(mayConnect)).toEqual([true, true, true]);
  });

  it('with an empty allow list is for nobody', () => {
    const mayConnect = buildAccessList({ allow: [], deny: [] });
    expect(['127.0.0.1', '::1', 'unix:'].map(mayConnect)).toEqual([false, false, false]);
  });

  it('with an allow list is for those in it only', () => {
    const mayConnect = buildAccessList({ allow: ['10.0.0.0/8', '2001:db8::/32'], deny: [] });
    expect(mayConnect('10.200.0.1')).toBe(true);
    expect(mayConnect('11.0.0.1')).toBe(false);
    expect(mayConnect('2001:db8:ffff::1')).toBe(true);
    expect(mayConnect('2001:db9::1')).toBe(false);
  });

  it('with a deny list only is for all others', () => {
    const mayConnect = buildAccessList({ allow: null, deny: ['10.0.0.0/8'] });
    expect(mayConnect('10.0.0.1')).toBe(false);
    expect(mayConnect('11.0.0.1')).toBe(true);
    expect(mayConnect('unix:')).toBe(true);
  });

  it('goes by the most specific block, whichever list it is in', () => {
    const mayConnect = buildAccessList({
      allow: ['0.0.0.0/0', '10.1.2.0/24'],
      deny: ['10.0.0.0/8', '10.1.2.3'],
    });
    expect(mayConnect('192.0.2.1')).toBe(true);
    expect(mayConnect('10.9.9.9')).toBe(false);
    expect(mayConnect('10.1.2.4')).toBe(true);
    expect(mayConnect('10.1.2.3')).toBe(false);
  });

  it('denies in a tie', () => {
    const mayConnect = buildAccessList({ allow: ['10.0.0.0/8'], deny: ['10.0.0.0/8'] });
    expect(mayConnect('10.0.0.1')).toBe(false);
  });

  it('knows IPv4 clients of IPv6 sockets, and link-local ones', () => {
    const mayConnect = buildAccessList({ allow: ['10.0.0.0/8', 'fe80::/10'], deny: [] });
    expect(mayConnect('::ffff:10.0.0.1')).toBe(true);
    expect(mayConnect('fe80::1%eth0')).toBe(true);
    expect(buildAccessList({ allow: ['::/0'], deny: [] })('::ffff:10.0.0.1')).toBe(false);
  });

  it('is not for what is no address', () => {
    expect(buildAccessList({ allow: null, deny: [] })('nonsense')).toBe(false);
  });

  it('with a malformed block cannot be built', () => {
    expect(() => buildAccessList({ allow: ['10.0.0.0/99'], deny: [] })).toThrow(
      '"10.0.0.0/99" is not a CIDR',
    );
  });

  it('tells trusted proxies from others', () => {
    const isTrusted = buildCidrMatcher(['10.0.0.0/8']);
    expect([isTrusted('10.0.0.1'), isTrusted('11.0.0.1'), isTrusted('unix:')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(buildCidrMatcher([])('10.0.0.1')).toBe(false);
  });
});
