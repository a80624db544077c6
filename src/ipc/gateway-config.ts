import type { Access, Idle, Limits, Protocol } from '../config/model.js';

/**
 * A gateway's share of the configuration: its listeners, and of the services only those that its
 * listeners can lead to. It travels whole in a memfd and takes effect in one step.
 */
export interface GatewayConfig {
  readonly generation: number;
  readonly gateway: string;
  readonly listeners: readonly GatewayListener[];
  readonly services: readonly GatewayService[];
  readonly log: { readonly level: string; readonly access: boolean };
}

export interface GatewayListener {
  readonly name: string;
  readonly protocol: Protocol;
  readonly redirect: 'https' | null;
  readonly access: Access;
  readonly trustedProxies: readonly string[];
  /** PEM text: the gateway can't read the files. */
  readonly certificates: readonly { readonly cert: string; readonly key: string }[];
  /** For `reach`: everything that arrives here goes to this service; routes don't apply. */
  readonly fixedService: string | null;
}

export interface GatewayRoute {
  readonly listener: string | null;
  readonly host: string | null;
  readonly sni: string | null;
  readonly destination: { readonly cidr: string; readonly port: number | null } | null;
  /** Index into the service's upstreams. */
  readonly upstream: number;
}

export interface GatewayUpstream {
  /** As the config writes it in full, `tcp:127.0.0.1:80`: its name in messages, which a reload can't shift. */
  readonly key: string;
  readonly kind: 'tcp' | 'unix' | 'socket' | 'stdio';
}

export interface GatewayService {
  readonly name: string;
  readonly routes: readonly GatewayRoute[];
  readonly upstreams: readonly GatewayUpstream[];
  readonly access: Access;
  readonly limits: Limits;
  readonly idle: Idle;
}
