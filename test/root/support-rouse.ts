import type { Rouse } from 'rouse';
import type { TestContext } from 'vitest';

/** Skips, with the reason, where there is no root to isolate services with. */
export function needRoot({ skip }: TestContext): void {
  skip(process.getuid?.() !== 0, 'needs root: services get namespaces and identities of their own');
}

/** The port of a listener that was bound to port 0 (of its first address). */
export async function portOf(rouse: Rouse, listener: string): Promise<number> {
  const [address = ''] = await rouse.addresses(listener);
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

/** The row of a service in `rouse status`. */
export async function serviceOf(rouse: Rouse, name: string) {
  const { services } = await rouse.status();
  const found = services.find((service) => service.name === name);
  if (!found) throw new Error(`no service ${name} in the status`);
  return found;
}
