import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Service } from '../config/model.js';
import type { Identities } from './identities.js';
import { switchable } from './instance-factory.js';

/** The directory of a service that outlives it, its user's and nobody else's; null: it wants none. */
export function makeStateDirectory(
  service: Service,
  stateDir: string,
  identities: Identities,
): string | null {
  if (!service.isolation.state) return null;
  const parent = join(stateDir, 'services');
  mkdirSync(parent, { recursive: true });
  chmodSync(parent, 0o711);
  const directory = join(parent, service.name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const identity = switchable(identities.resolve({ name: service.name, ...service.run }));
  if (identity) chownSync(directory, identity.uid, identity.gid);
  return directory;
}
