import { type Cidr, formatIp, type Ip } from '../base/ip.js';
import type { Policy } from './policy.js';
import { EgressRefusal } from './refusals.js';
import { whyForbidden } from './special-addresses.js';
import { formatTarget, type Target } from './target.js';

/** Decides what may be connected to. */
export interface Guard {
  /** The addresses to connect to, each of them checked. Rejects with an `EgressRefusal`. */
  check(policy: Policy, target: Target): Promise<readonly Ip[]>;
}

export interface GuardSettings {
  /** All addresses of a name; rejects with an `EgressRefusal` where it has none. */
  readonly resolve: (name: string) => Promise<readonly Ip[]>;
  readonly readOwnAddresses: () => readonly Cidr[];
}

/**
 * The rules first, then the addresses. A name is looked up once, and what is given back is what was
 * checked: nothing can change in between. A name that has one forbidden address is refused whole.
 */
export function createGuard({ resolve, readOwnAddresses }: GuardSettings): Guard {
  return {
    async check(policy, target) {
      if (!policy.permits(target)) throw new EgressRefusal('not-allowed');
      const { host, port } = target;
      if (host.kind === 'ip') {
        const reasons = policy
          .blocksOf(host.ip, port)
          .map((block) => whyForbidden(host.ip, readOwnAddresses(), block));
        if (!reasons.includes(null)) throw forbidden(target, host.ip, reasons[0] ?? '');
        return [host.ip];
      }
      const addresses = await resolve(host.name);
      const own = readOwnAddresses();
      for (const ip of addresses) {
        const reason = whyForbidden(ip, own, null);
        if (reason !== null) throw forbidden(target, ip, reason);
      }
      return addresses;
    },
  };
}

function forbidden(target: Target, ip: Ip, reason: string): EgressRefusal {
  const detail = `${formatTarget(target)} leads to ${formatIp(ip)}, ${reason}`;
  return new EgressRefusal('forbidden-address', detail);
}
