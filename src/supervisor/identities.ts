import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RouseError } from '../base/errors.js';
import type { Run } from '../config/model.js';
import {
  type Group,
  type IdRange,
  isMapped,
  parseGroups,
  parseIdMap,
  parseUsers,
  type User,
} from './accounts.js';
import { IdentityTable, type Range } from './identity-table.js';

/** As whom a service runs. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  readonly name: string;
  readonly home: string;
  /** It is this process's own, since here is no other: nothing needs to be changed for it. */
  readonly isOwn: boolean;
}

export type IdentityRequest = Pick<Run, 'user' | 'group' | 'groups'> & { readonly name: string };

/** The texts that identities are resolved from. */
export interface AccountTexts {
  readonly passwd: string;
  readonly group: string;
  readonly uidMap: string;
  readonly gidMap: string;
}

/** Apart from what distributions, systemd (uids-gids) and container engines hand out. */
const SERVICE_IDS: Range = [458_752, 524_287];
/** In a container that maps 65,536 ids, as most do: below systemd's dynamic users. */
const CONTAINER_SERVICE_IDS: Range = [40_000, 59_999];

interface Accounts {
  readonly users: readonly User[];
  readonly groups: readonly Group[];
  readonly uidMap: readonly IdRange[];
  readonly gidMap: readonly IdRange[];
}

/** Finds out as whom services run, and gives those without a user one of their own, for good. */
export class Identities {
  readonly #table: IdentityTable;
  readonly #readTexts: () => AccountTexts;

  /** Throws `system` where the table in the state directory is damaged. */
  constructor(stateRoot: string, readTexts: () => AccountTexts = readAccountTexts) {
    this.#table = new IdentityTable(join(stateRoot, 'identities.json'));
    this.#readTexts = readTexts;
  }

  /** The identity of one service; see {@link resolveAll}. */
  resolve(request: IdentityRequest): Identity {
    const [identity] = this.resolveAll([request]);
    if (identity === undefined) throw new Error('one request has one identity');
    return identity;
  }

  /**
   * The identities of services, in their order; new ones are made durable in one step. Throws
   * `config` for names that don't exist and for root, `isolation` where this user namespace has no
   * such id, `system` where the table can't be written.
   */
  resolveAll(requests: readonly IdentityRequest[]): Identity[] {
    const accounts = readAccounts(this.#readTexts());
    if (mapsOneId(accounts.uidMap)) {
      return requests.map((request) => currentIdentity(request, accounts));
    }
    const own = requests.filter(({ user }) => user === null).map(({ name }) => name);
    this.#table.allocate(own, serviceIds(accounts), (id) => isFree(id, accounts));
    return requests.map((request) => this.#identityOf(request, accounts));
  }

  #identityOf(request: IdentityRequest, accounts: Accounts): Identity {
    const user =
      request.user === null
        ? ownUser(request.name, this.#table.get(request.name))
        : findUser(request, request.user, accounts);
    const gid =
      request.group === null
        ? refuseRoot(request, 'run.user', `the group of ${user.name}`, user.gid)
        : findGroup(request, 'run.group', request.group, accounts);
    const groups = supplementaryGroups(request, user, accounts).filter((group) => group !== gid);
    checkMapped(request, user.uid, [gid, ...groups], accounts);
    return { uid: user.uid, gid, groups, name: user.name, home: user.home, isOwn: false };
  }
}

/** Reads what this host and this user namespace say. */
function readAccountTexts(): AccountTexts {
  const read = (path: string) => readFileSync(path, 'utf8');
  return {
    passwd: read('/etc/passwd'),
    group: read('/etc/group'),
    uidMap: read('/proc/self/uid_map'),
    gidMap: read('/proc/self/gid_map'),
  };
}

function readAccounts(texts: AccountTexts): Accounts {
  return {
    users: parseUsers(texts.passwd),
    groups: parseGroups(texts.group),
    uidMap: parseIdMap(texts.uidMap),
    gidMap: parseIdMap(texts.gidMap),
  };
}

function mapsOneId(map: readonly IdRange[]): boolean {
  return map.reduce((sum, { count }) => sum + count, 0) === 1;
}

/** Rootless: this process's own ids are all that there are; inside they may read 0. */
function currentIdentity(request: IdentityRequest, accounts: Accounts): Identity {
  const [own] = accounts.uidMap;
  const wanted = request.user === null ? null : findUser(request, request.user, accounts).uid;
  const isOther = wanted !== null && wanted !== own?.outside;
  if (isOther || request.group !== null || request.groups.length > 0) {
    const what = `service ${request.name}: run.user, group and groups: no other user can be had here`;
    const advice = 'run rouse as root, or leave them out';
    throw new RouseError('isolation', `${what}: this user namespace maps one id; ${advice}`);
  }
  const ids = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return { ...ids, groups: [], name: request.name, home: '/', isOwn: true };
}

function serviceIds({ uidMap }: Accounts): Range {
  return isMapped(SERVICE_IDS[1], uidMap) ? SERVICE_IDS : CONTAINER_SERVICE_IDS;
}

function isFree(id: number, { users, groups, uidMap, gidMap }: Accounts): boolean {
  const isTaken = users.some(({ uid }) => uid === id) || groups.some(({ gid }) => gid === id);
  return !isTaken && isMapped(id, uidMap) && isMapped(id, gidMap);
}

function ownUser(service: string, id: number | null): User {
  if (id === null) throw new Error(`${service} was given no id`);
  return { name: service, uid: id, gid: id, home: '/' };
}

function findUser(request: IdentityRequest, user: string, { users }: Accounts): User {
  const id = /^\d+$/.test(user) ? Number(user) : null;
  const found = users.find(({ name, uid }) => (id === null ? name === user : uid === id));
  if (found === undefined && id === null) {
    const advice = `create it (useradd --system ${user}), or leave run.user out`;
    throw new RouseError(
      'config',
      `service ${request.name}: run.user: no user ${user} in /etc/passwd; ${advice}`,
    );
  }
  const uid = found?.uid ?? id ?? 0;
  refuseRoot(request, 'run.user', `user ${user}`, uid);
  return found ?? { name: user, uid, gid: uid, home: '/' };
}

function findGroup(
  request: IdentityRequest,
  key: string,
  group: string,
  { groups }: Accounts,
): number {
  const id = /^\d+$/.test(group) ? Number(group) : groups.find(({ name }) => name === group)?.gid;
  if (id === undefined) {
    const advice = `create it (groupadd --system ${group}), or leave it out`;
    throw new RouseError(
      'config',
      `service ${request.name}: ${key}: no group ${group} in /etc/group; ${advice}`,
    );
  }
  return refuseRoot(request, key, `group ${group}`, id);
}

/** Groups of the config, and those that /etc/group gives the user (initgroups(3)), root's left out. */
function supplementaryGroups(request: IdentityRequest, user: User, accounts: Accounts): number[] {
  const given = request.groups.map((group) => findGroup(request, 'run.groups', group, accounts));
  const member = accounts.groups
    .filter(({ gid, members }) => gid !== 0 && members.includes(user.name))
    .map(({ gid }) => gid);
  return [...new Set([...given, ...(request.user === null ? [] : member)])];
}

function refuseRoot(request: IdentityRequest, key: string, what: string, id: number): number {
  if (id !== 0) return id;
  const advice = 'services never run as root: name another, or leave it out for one of its own';
  throw new RouseError(
    'config',
    `service ${request.name}: ${key}: ${what} is root (id 0); ${advice}`,
  );
}

function checkMapped(
  request: IdentityRequest,
  uid: number,
  gids: readonly number[],
  { uidMap, gidMap }: Accounts,
): void {
  const unmapped = isMapped(uid, uidMap) ? gids.find((gid) => !isMapped(gid, gidMap)) : uid;
  if (unmapped === undefined) return;
  const advice = 'choose an id that /proc/self/uid_map and gid_map have';
  throw new RouseError(
    'isolation',
    `service ${request.name}: this user namespace has no id ${unmapped}; ${advice}`,
  );
}
