import type { Protocol } from '../../config/model.js';
import type { GatewayListener } from '../../ipc/gateway-config.js';
import { buildCidrMatcher } from '../access-list.js';

/** What of a listener's settings may change while its connections are open. */
export class ListenerSettings {
  readonly name: string;
  readonly protocol: Protocol;
  /** Services reach each other on it. */
  readonly isReach: boolean;
  redirect: 'https' | null = null;
  certificates: GatewayListener['certificates'] = [];
  /** Whether the address is of a proxy whose word about its clients is believed. */
  isTrusted: (ip: string) => boolean = () => false;

  constructor(listener: GatewayListener) {
    this.name = listener.name;
    this.protocol = listener.protocol;
    this.isReach = listener.fixedService !== null;
    this.update(listener);
  }

  update(listener: GatewayListener): void {
    this.redirect = listener.redirect;
    this.certificates = listener.certificates;
    this.isTrusted = buildCidrMatcher(listener.trustedProxies);
  }
}
