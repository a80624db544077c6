import { encodeGatewayConfig, type GatewayConfig } from '../ipc/gateway-config.js';

/** A lane's share of the config as the supervisor keeps it, for the gateway's successors too: in a few bytes a service. */
export class LaneShare {
  readonly generation: number;
  /** Names. */
  readonly listeners: ReadonlySet<string>;
  /** Names of those that its listeners lead to. */
  readonly services: ReadonlySet<string>;
  /** As it travels. */
  readonly encoded: Buffer;

  constructor(config: GatewayConfig) {
    this.generation = config.generation;
    this.listeners = new Set(config.listeners.map(({ name }) => name));
    this.services = new Set(config.services.map(({ name }) => name));
    this.encoded = Buffer.from(encodeGatewayConfig(config));
  }
}
