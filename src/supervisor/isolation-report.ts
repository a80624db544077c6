import { formatSize } from '../base/size.js';
import type { Service } from '../config/model.js';
import type { IsolationRow } from '../ipc/admin-api.js';
import { type Capabilities, type Capability, findingFor } from './capabilities.js';
import type { Identity } from './identities.js';

/** What of it applies to one service. */
export interface ReportSubject {
  readonly service: Service;
  readonly capabilities: Capabilities;
  /** null: there is no isolation, of any kind, by choice. */
  readonly identity: Identity | null;
}

const NOTHING = 'not enforced';

/** What is enforced for a service on this machine, and by what: one row for each kind of isolation. */
export function reportIsolation(subject: ReportSubject): IsolationRow[] {
  return [
    namespaceRow(subject),
    addressRow(subject),
    dataRow(subject),
    identityRow(subject),
    ...resourceRows(subject),
    faultRow(subject),
    physicalRow(subject),
  ];
}

function row(kind: string, what: string, by: string): IsolationRow {
  return { kind, what, by };
}

/** Needs namespaces; says why there are none. */
function heldRow(
  { capabilities }: ReportSubject,
  kind: string,
  what: string,
  by: string,
): IsolationRow {
  const { namespaces } = capabilities;
  return namespaces.by === null ? row(kind, NOTHING, namespaces.reason) : row(kind, what, by);
}

function namespaceRow(subject: ReportSubject): IsolationRow {
  const by = 'pid, ipc, uts and cgroup namespaces; its own /proc';
  return heldRow(subject, 'namespace', 'sees and signals its own processes only', by);
}

function addressRow(subject: ReportSubject): IsolationRow {
  const { isolation, reach, egress } = subject.service;
  if (isolation.network === 'host')
    return row('address', NOTHING, "isolation.network: host: it has the host's network");
  const services = Object.keys(reach);
  const what = [
    'loopback and ports of its own',
    services.length === 0 ? 'reaches no other service' : `reaches ${services.join(', ')}`,
    egress.length === 0 ? 'no way out' : `out to ${count(egress.length, 'rule')} of egress`,
  ];
  const by = egress.length === 0 ? 'net namespace' : 'net namespace, egress proxy';
  return heldRow(subject, 'address', what.join('; '), by);
}

function dataRow(subject: ReportSubject): IsolationRow {
  const { writable, readable, hidden, state } = subject.service.isolation;
  const what = [
    "system read-only; /tmp and /run its own; /home, /root and rouse's directories hidden",
    ...listed('writable', [...writable, ...(state ? ['its state directory'] : [])]),
    ...listed('readable', readable),
    ...listed('hidden', hidden),
  ];
  return heldRow(subject, 'data', what.join('; '), 'mount namespace');
}

function listed(name: string, paths: readonly string[]): string[] {
  return paths.length === 0 ? [] : [`${name} ${paths.join(', ')}`];
}

function identityRow({ identity, capabilities }: ReportSubject): IsolationRow {
  const { users, filter } = capabilities;
  const calls =
    filter.by === null
      ? `no system-call filter (${filter.reason})`
      : 'system-call filter (seccomp)';
  const by = `empty bounding set, no_new_privs, ${calls}`;
  if (users.by === null || identity === null || identity.isOwn) {
    return row('identity', "rouse's own user, without capabilities", by);
  }
  return row(
    'identity',
    `user ${identity.name} (${identity.uid}), never root, no capabilities`,
    by,
  );
}

function resourceRows(subject: ReportSubject): IsolationRow[] {
  const { resources, idle } = subject.service;
  const { memoryBytes, cpuPercent, tasks, ioWeight, tmpBytes, descriptors } = resources;
  const limits: [string, string | null, Capability][] = [
    ['memory', memoryBytes === null ? null : formatSize(memoryBytes), 'memory'],
    ['cpu', cpuPercent === null ? null : `${cpuPercent}%`, 'cpu'],
    ['tasks', tasks === null ? null : `${tasks}`, 'tasks'],
    ['io weight', ioWeight === null ? null : `${ioWeight}`, 'io'],
    ['tmp', tmpBytes === null ? null : formatSize(tmpBytes), 'tmp'],
    ['descriptors', descriptors === null ? null : `${descriptors}`, 'descriptors'],
    ['reclaim', idle.reclaim ? 'while frozen' : null, 'reclaim'],
  ];
  const rows = limits.flatMap(([name, value, capability]) => {
    if (value === null) return [];
    const finding = findingFor(subject.service, capability, subject.capabilities);
    return finding.by === null
      ? [row('resource', `${name} ${value}: ${NOTHING}`, finding.reason)]
      : [row('resource', `${name} ${value}`, finding.by)];
  });
  return rows.length > 0 ? rows : [row('resource', 'no limits', 'none are configured (resources)')];
}

function faultRow({ service, capabilities }: ReportSubject): IsolationRow {
  const { memoryBytes, tasks } = service.resources;
  const unbounded = [memoryBytes === null ? 'memory' : '', tasks === null ? 'tasks' : ''].filter(
    Boolean,
  );
  const bounds = unbounded.length === 0 ? '' : `; ${unbounded.join(' and ')} without a limit`;
  return row(
    'fault',
    `ends alone, all of it at once${bounds}`,
    capabilities.namespaces.by === null ? 'signals' : 'pid namespace',
  );
}

function physicalRow({ service, capabilities }: ReportSubject): IsolationRow {
  if (service.cpus.length === 0)
    return row('physical', 'runs on all CPUs', 'none are configured (cpus)');
  const { cpus } = capabilities;
  const what = `CPU ${service.cpus.join(', ')}`;
  return cpus.by === null
    ? row('physical', `${what}: ${NOTHING}`, cpus.reason)
    : row('physical', what, cpus.by);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
