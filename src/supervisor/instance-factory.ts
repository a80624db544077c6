import { chownSync } from 'node:fs';
import { join } from 'node:path';
import type { Service } from '../config/model.js';
import type { ProcessExit } from '../sys/processes.js';
import type { Identities, Identity } from './identities.js';
import { Instance } from './instance.js';
import type { Machine } from './machine.js';
import { NOTIFY_DIRECTORY } from './vps-plan.js';
import type { PreparedVps, VpsStore } from './vps-store.js';

export interface InstanceEvents {
  readonly onOutput: (chunk: Buffer) => void;
  readonly onHold: (isHeld: boolean) => void;
  readonly onTrouble: (message: string) => void;
  readonly onGone: (exit: ProcessExit | null) => void;
}

export type InstanceFactory = (service: Service, events: InstanceEvents) => Promise<Instance>;

/** Makes incarnations: each with a number of its own, a VPS from the store, and the service's identity. */
export function createInstanceFactory(
  store: VpsStore,
  identities: Identities,
  machine: Machine,
): InstanceFactory {
  let lastId = 0;
  return async (service, events) => {
    const identity = identities.resolve({ name: service.name, ...service.run });
    const prepared = await store.take(service);
    lastId += 1;
    return new Instance({
      id: lastId,
      service,
      prepared,
      userName: identity.name,
      identity: switchable(identity),
      launcher: machine.launchers,
      rlimits: machine.rlimitsOf(service),
      notify: notifyPaths(prepared, switchable(identity)),
      ...events,
    });
  };
}

/** Rootless, everything runs as the one user that there is. */
export function switchable(identity: Identity): Identity | null {
  return process.getuid?.() === 0 && identity.uid !== 0 ? identity : null;
}

function notifyPaths(prepared: PreparedVps, identity: Identity | null) {
  const outside = prepared.notifyDirectory;
  if (outside === null) return null;
  if (identity) chownSync(outside, identity.uid, identity.gid);
  const inside = prepared.vps.target.vpsPidfd === null ? outside : NOTIFY_DIRECTORY;
  return { outside: join(outside, 'notify'), inside: join(inside, 'notify') };
}
