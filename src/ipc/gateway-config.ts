import type { Access, Idle, Limits, Protocol } from '../config/model.js';

/**
 * A gateway's share of the configuration: its listeners, and of the services only those that its
 * listeners can lead to. It travels whole in a memfd, as `encodeGatewayConfig` writes it, and takes
 * effect in one step.
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
  /** One object for all services that have the same. */
  readonly terms: ServiceTerms;
}

/** On what terms a gateway serves a service. */
export interface ServiceTerms {
  readonly upstreams: readonly GatewayUpstream[];
  readonly access: Access;
  readonly limits: Limits;
  readonly idle: Idle;
}

/** How it travels: ten thousand services mostly have a few sorts of terms. */
interface EncodedGatewayConfig extends Omit<GatewayConfig, 'services'> {
  readonly terms: readonly ServiceTerms[];
  /** `terms`: index into the list above. */
  readonly services: readonly (Omit<GatewayService, 'terms'> & { readonly terms: number })[];
}

/** As text, in which equal terms stand once. */
export function encodeGatewayConfig(config: GatewayConfig): string {
  const terms: ServiceTerms[] = [];
  const indexes = new Map<ServiceTerms, number>();
  const services = config.services.map((service) => {
    const known = indexes.get(service.terms);
    const index = known ?? terms.push(service.terms) - 1;
    if (known === undefined) indexes.set(service.terms, index);
    return { ...service, terms: index };
  });
  return JSON.stringify({ ...config, terms, services } satisfies EncodedGatewayConfig);
}

/** What `encodeGatewayConfig` encoded. */
export function decodeGatewayConfig(text: string): GatewayConfig {
  const { terms, services, ...others } = JSON.parse(text) as EncodedGatewayConfig;
  return {
    ...others,
    services: services.map((service) => ({
      ...service,
      terms: terms[service.terms] as ServiceTerms,
    })),
  };
}
