import { readFileSync } from 'node:fs';

/** The users and groups of /etc/passwd and /etc/group, by name. */
export interface Accounts {
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

export function readAccounts(): Accounts {
  return {
    users: parseAccounts(readText('/etc/passwd')),
    groups: parseAccounts(readText('/etc/group')),
  };
}

/** Name → id, of lines as in passwd(5) and group(5): the id is the third field of both. */
export function parseAccounts(text: string): Map<string, number> {
  const ids = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name = '', , id = ''] = line.split(':');
    if (name !== '' && /^\d+$/.test(id) && !ids.has(name)) ids.set(name, Number(id));
  }
  return ids;
}

/** The id of a name or a number; null where there is no such name or it is no id (0 to 2^32 - 2). */
export function findId(account: string, ids: ReadonlyMap<string, number>): number | null {
  const id = ids.get(account) ?? (/^\d{1,10}$/.test(account) ? Number(account) : null);
  return id !== null && id < 2 ** 32 - 1 ? id : null;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
