import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type AccountTexts,
  Identities,
  type IdentityRequest,
} from '../../src/supervisor/identities.js';
import { IdentityTable } from '../../src/supervisor/identity-table.js';

const FULL_MAP = '         0          0 4294967295\n';
const TEXTS: AccountTexts = {
  passwd: [
    'root:x:0:0:root:/root:/bin/bash',
    'blog:x:1001:1002:,,,:/home/blog:/bin/sh',
    'operator:x:11:0::/:/bin/sh',
    'a damaged line',
  ].join('\n'),
  group: ['root:x:0:blog', 'blog:x:1002:', 'ssl-cert:x:110:blog,other', 'video:x:44:'].join('\n'),
  uidMap: FULL_MAP,
  gidMap: FULL_MAP,
};
const FIRST = 458_752;
const LAST = 524_287;

let stateRoot: string;
beforeEach(() => {
  stateRoot = mkdtempSync(join(tmpdir(), 'rouse-identities-'));
});
afterEach(() => rmSync(stateRoot, { recursive: true }));

function open(texts: Partial<AccountTexts> = {}): Identities {
  return new Identities(stateRoot, () => ({ ...TEXTS, ...texts }));
}

function service(name: string, run: Partial<IdentityRequest> = {}): IdentityRequest {
  return { name, user: null, group: null, groups: [], ...run };
}

function codeOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('a service without a user', () => {
  it('gets an identity of its own, the same after a restart', () => {
    const first = open().resolve(service('blog'));
    expect(first).toMatchObject({ name: 'blog', home: '/', groups: [], isOwn: false });
    expect(first.uid).toBeGreaterThanOrEqual(FIRST);
    expect(first.uid).toBeLessThanOrEqual(LAST);
    expect(first.gid).toBe(first.uid);
    expect(open().resolve(service('blog'))).toEqual(first);
    expect(readdirSync(stateRoot)).toEqual(['identities.json']);
  });

  it('shares its identity with no service of another instance on this host, of the same name least of all', () => {
    const instances = ['rouse', 'rouse-edge', 'rouse-inner'].map((name) => join(stateRoot, name));
    const names = Array.from({ length: 300 }, (_, index) => `s${index}`);
    const ids = instances.map((root) => {
      mkdirSync(root);
      const identities = new Identities(root, () => TEXTS);
      return identities.resolveAll(names.map((name) => service(name))).map(({ uid }) => uid);
    });
    expect(new Set(ids.flat()).size).toBe(900);
    const again = new Identities(instances[0] ?? '', () => TEXTS);
    expect(names.map((name) => again.resolve(service(name)).uid)).toEqual(ids[0]);
  });

  it('shares it with none that another instance gives away at the very same time', () => {
    const files = ['rouse', 'rouse-edge'].map((name) => join(stateRoot, name, 'identities.json'));
    for (const file of files) mkdirSync(dirname(file));
    const [own, other] = files.map((file) => new IdentityTable(file));
    let isOthersTurn = true;
    own?.allocate(['blog'], [FIRST, LAST], () => {
      // After it has looked what is taken, before its own table is written.
      if (isOthersTurn) other?.allocate(['blog'], [FIRST, LAST], () => true);
      isOthersTurn = false;
      return true;
    });
    expect(own?.get('blog')).toBeGreaterThanOrEqual(FIRST);
    expect(own?.get('blog')).not.toBe(other?.get('blog'));
    expect(new IdentityTable(files[0] ?? '').get('blog')).toBe(own?.get('blog'));
  });

  it('never shares its identity with another, however many there are', () => {
    const names = Array.from({ length: 3000 }, (_, index) => `s${index}`);
    const identities = open().resolveAll([...names, '__proto__'].map((name) => service(name)));
    expect(new Set(identities.map(({ uid }) => uid)).size).toBe(3001);
    const again = open().resolveAll(names.map((name) => service(name)));
    expect(again).toEqual(identities.slice(0, -1));
    expect(open().resolve(service('__proto__'))).toEqual(identities.at(-1));
  });

  it('gets no id that an account of the host has', () => {
    const { uid } = open().resolve(service('blog'));
    rmSync(join(stateRoot, 'identities.json'));
    const passwd = `taken:x:${uid}:100::/:/bin/sh\n`;
    const other = open({ passwd }).resolve(service('blog')).uid;
    expect(other).toBe(uid === LAST ? FIRST : uid + 1);
    rmSync(join(stateRoot, 'identities.json'));
    expect(open({ group: `taken:x:${uid}:\n` }).resolve(service('blog')).uid).toBe(other);
  });

  it('keeps what a removed service had from everybody else', () => {
    const { uid } = open().resolve(service('removed'));
    const ids = { removed: uid };
    const kept = JSON.parse(readFileSync(join(stateRoot, 'identities.json'), 'utf8'));
    expect(kept).toEqual({ version: 1, ids });
    open().resolve(service('new'));
    const after = JSON.parse(readFileSync(join(stateRoot, 'identities.json'), 'utf8'));
    expect(after.ids.removed).toBe(uid);
    expect(after.ids.new).not.toBe(uid);
  });

  it('gets a mapped id in a container that maps 65,536', () => {
    const map = '0 100000 65536\n';
    const { uid } = open({ uidMap: map, gidMap: map }).resolve(service('blog'));
    expect(uid).toBeGreaterThanOrEqual(40_000);
    expect(uid).toBeLessThan(60_000);
  });

  it('may have a group of the host', () => {
    expect(open().resolve(service('x', { group: 'video' })).gid).toBe(44);
  });
});

describe('a damaged table of identities', () => {
  it.each([
    '',
    '{',
    '[]',
    'null',
    '{"version":2,"ids":{}}',
    '{"version":1}',
    '{"version":1,"ids":{"a":"7"}}',
    '{"version":1,"ids":{"a":0}}',
    '{"version":1,"ids":{"a":458752,"b":458752}}',
  ])('is an error that says what to do, and is left as it is: %j', (text) => {
    const file = join(stateRoot, 'identities.json');
    writeFileSync(file, text);
    expect(() => open()).toThrow(
      /cannot use the table of identities .*identities\.json: .*; restore/,
    );
    expect(readFileSync(file, 'utf8')).toBe(text);
  });
});

describe('a service with a user', () => {
  it('runs as that user, in the groups of that user, but never in that of root', () => {
    expect(open().resolve(service('x', { user: 'blog', groups: ['video', '45'] }))).toEqual({
      uid: 1001,
      gid: 1002,
      groups: [44, 45, 110],
      name: 'blog',
      home: '/home/blog',
      isOwn: false,
    });
  });

  it('may name user and groups by number, known or not', () => {
    expect(open().resolve(service('x', { user: '1001' }))).toMatchObject({
      gid: 1002,
      name: 'blog',
    });
    const unknown = open().resolve(service('x', { user: '4711', group: '12' }));
    expect(unknown).toMatchObject({ uid: 4711, gid: 12, groups: [], name: '4711' });
  });

  it.each([
    [{ user: 'root' }, /service x: run\.user: user root is root/],
    [{ user: '0' }, /service x: run\.user: user 0 is root/],
    [{ user: '00' }, /run\.user: user 00 is root/],
    [{ user: 'operator' }, /run\.user: the group of operator is root/],
    [{ group: 'root' }, /service x: run\.group: group root is root/],
    [{ groups: ['0'] }, /service x: run\.groups: group 0 is root/],
    [{ user: 'nobody-here' }, /run\.user: no user nobody-here in \/etc\/passwd; create it/],
    [{ group: 'none-here' }, /run\.group: no group none-here in \/etc\/group; create it/],
  ])('is refused as root or a stranger: %j', (run, message) => {
    expect(() => open().resolve(service('x', run))).toThrow(message);
    expect(codeOf(() => open().resolve(service('x', run)))).toBe('config');
  });

  it('is refused where the user namespace lacks the id', () => {
    const map = '0 100000 65536\n';
    const resolve = () =>
      open({ uidMap: map, gidMap: map }).resolve(service('x', { user: '70000' }));
    expect(codeOf(resolve)).toBe('isolation');
  });
});

describe('rootless', () => {
  const map = '         0       1000          1\n';
  const rootless = {
    uidMap: map,
    gidMap: map,
    passwd: `${TEXTS.passwd}\nme:x:1000:1000::/home/me:/bin/sh`,
  };

  it('services run as who started rouse', () => {
    const uid = process.getuid?.();
    const identity = open(rootless).resolve(service('blog'));
    expect(identity).toMatchObject({ uid, name: 'blog', groups: [], isOwn: true });
    expect(open(rootless).resolve(service('blog', { user: 'me' }))).toMatchObject({ uid });
    expect(readdirSync(stateRoot)).toEqual([]);
  });

  it.each([{ user: 'blog' }, { group: 'video' }, { groups: ['video'] }])(
    'another identity is refused: %j',
    (run) => {
      expect(codeOf(() => open(rootless).resolve(service('x', run)))).toBe('isolation');
    },
  );
});
