/** A row of passwd(5). */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** A row of group(5). */
export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** Reads the text of /etc/passwd; lines that aren't rows of it are passed over. */
export function parseUsers(text: string): User[] {
  return rowsOf(text, 7).map(([name = '', , uid, gid, , home = '/']) => {
    return { name, uid: Number(uid), gid: Number(gid), home: home || '/' };
  });
}

/** Reads the text of /etc/group; lines that aren't rows of it are passed over. */
export function parseGroups(text: string): Group[] {
  return rowsOf(text, 4).map(([name = '', , gid, members = '']) => {
    return { name, gid: Number(gid), members: members.split(',').filter(Boolean) };
  });
}

/** A run of ids that a user namespace maps (user_namespaces(7)). */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** Reads the text of /proc/self/uid_map or gid_map. */
export function parseIdMap(text: string): IdRange[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
      return { inside, outside, count };
    });
}

/** Whether an id means anything in this user namespace. */
export function isMapped(id: number, map: readonly IdRange[]): boolean {
  return map.some(({ inside, count }) => id >= inside && id < inside + count);
}

function rowsOf(text: string, columns: number): string[][] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((row) => row.length === columns && /^\d+$/.test(row[2] ?? ''));
}
