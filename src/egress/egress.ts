import type { RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { EgressRule } from '../config/model.js';
import { Channel } from '../ipc/channel.js';
import type { FromEgress, ToEgress } from '../ipc/egress-messages.js';
import { EGRESS_PROTOCOL_VERSION } from '../ipc/protocol-version.js';
import { closeFd, readMemfd } from '../sys/descriptors.js';
import { createGuard } from './guard.js';
import { readOwnAddresses } from './own-addresses.js';
import { Resolver } from './resolver.js';
import { ServiceEgress } from './service-egress.js';

const RULES_LIMIT_BYTES = 4 * 1024 * 1024;

/**
 * The egress process: connects services to the outside, each to what its rules allow. Who asks it
 * knows by the socket that they come in on, which the supervisor made in that service's network.
 */
export class Egress {
  readonly #channel: Channel<ToEgress, FromEgress>;
  readonly #services = new Map<string, ServiceEgress>();

  constructor(
    controlFd: number,
    private readonly log: Logger,
    onEnd: (failure: RouseError | null) => void,
  ) {
    this.#channel = new Channel<ToEgress, FromEgress>(controlFd, {
      // The supervisor is trusted, and of this version: it made this process.
      parse: (value) => value as ToEgress,
      onMessage: (message, fds) => this.#onMessage(message, fds),
      onEnd,
    });
    this.#channel.send({ type: 'hello', version: EGRESS_PROTOCOL_VERSION });
  }

  #onMessage(message: ToEgress, fds: number[]): void {
    const [fd] = fds;
    switch (message.type) {
      case 'rules':
        if (fd !== undefined) this.#setRules(message, fd);
        break;
      case 'listen':
        if (fd !== undefined) this.#service(message.service).listen(message.id, fd);
        break;
      case 'unlisten':
        for (const service of this.#services.values()) service.unlisten(message.id);
        for (const unknown of fds) closeFd(unknown);
        break;
      case 'beat':
        this.#channel.send({ type: 'beat' });
        break;
    }
  }

  #setRules(message: Extract<ToEgress, { type: 'rules' }>, fd: number): void {
    const rules = JSON.parse(readMemfd(fd, RULES_LIMIT_BYTES)) as readonly EgressRule[];
    const service = this.#service(message.service);
    service.setRules(rules, message.logsAccess);
    if (rules.length === 0 && !service.isListening) this.#services.delete(message.service);
  }

  #service(name: string): ServiceEgress {
    const known = this.#services.get(name);
    if (known) return known;
    const resolver = new Resolver();
    const guard = createGuard({ resolve: (host) => resolver.resolve(host), readOwnAddresses });
    const service = new ServiceEgress({ service: name, guard, log: this.log });
    this.#services.set(name, service);
    return service;
  }
}
