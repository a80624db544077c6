import { type Cidr, cidrContains, type Ip, parseCidr } from '../base/ip.js';
import type { EgressRule, PortRange } from '../config/model.js';
import type { Target } from './target.js';

interface Block {
  readonly cidr: Cidr;
  readonly ports: PortRange;
}

/**
 * The rules of one service. Rules with a name are for targets by name, rules with a block are for
 * targets by address: a name that no rule has isn't even looked up, for a look-up alone carries
 * data out.
 */
export class Policy {
  readonly #names = new Map<string, PortRange[]>();
  readonly #blocks: Block[] = [];

  constructor(rules: readonly EgressRule[]) {
    for (const rule of rules) {
      if (rule.kind === 'block') this.#addBlock(rule.cidr, rule.ports);
      else this.#names.set(rule.name, [...(this.#names.get(rule.name) ?? []), rule.ports]);
    }
  }

  #addBlock(text: string, ports: PortRange): void {
    const cidr = parseCidr(text);
    if (cidr !== null) this.#blocks.push({ cidr, ports });
  }

  /** Whether some rule is about this target; an address may be forbidden nevertheless. */
  permits({ host, port }: Target): boolean {
    return host.kind === 'name'
      ? this.#permitsName(host.name, port)
      : this.blocksOf(host.ip, port).length > 0;
  }

  /** The blocks of all rules that contain the address. */
  blocksOf(ip: Ip, port: number): Cidr[] {
    return this.#blocks
      .filter(({ cidr, ports }) => cidrContains(cidr, ip) && contains(ports, port))
      .map(({ cidr }) => cidr);
  }

  #permitsName(name: string, port: number): boolean {
    const dot = name.indexOf('.');
    const wildcard = dot < 0 ? null : `*${name.slice(dot)}`;
    return [name, wildcard].some((key) =>
      (this.#names.get(key ?? '') ?? []).some((ports) => contains(ports, port)),
    );
  }
}

function contains({ first, last }: PortRange, port: number): boolean {
  return port >= first && port <= last;
}
