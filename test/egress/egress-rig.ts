import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { pino } from 'pino';
import { type Ip, parseIp } from '../../src/base/ip.js';
import { parseEgressRule } from '../../src/config/egress-rule.js';
import { createGuard, type Guard } from '../../src/egress/guard.js';
import { readOwnAddresses } from '../../src/egress/own-addresses.js';
import { type EgressLimits, ServiceEgress } from '../../src/egress/service-egress.js';
import { listenOn } from '../../src/sys/sockets.js';
import { RawClient } from '../support/raw-client.js';

/** Where the servers of the outside are in these tests. */
export const OUTSIDE = '127.0.0.5';

async function resolveNames(name: string): Promise<readonly Ip[]> {
  const found = await lookup(name, { all: true });
  return found.map(({ address }) => parseIp(address) as Ip);
}

export const GUARD: Guard = createGuard({ resolve: resolveNames, readOwnAddresses });

/** The protection taken off: whatever can be read as a target is connected to. */
export const NO_GUARD: Guard = {
  check: async (_policy, { host }) => (host.kind === 'ip' ? [host.ip] : resolveNames(host.name)),
};

export interface RigOptions {
  readonly rules: readonly string[];
  readonly guard?: Guard;
  readonly limits?: EgressLimits;
}

/** One service's egress, on a port of this host instead of one in a VPS. */
export class EgressRig implements AsyncDisposable {
  readonly log: Record<string, unknown>[] = [];
  readonly egress: ServiceEgress;
  readonly #server: net.Server;

  private constructor({ rules, guard = GUARD, limits }: RigOptions) {
    const sink = { write: (line: string) => void this.log.push(JSON.parse(line)) };
    const log = pino({ base: {} }, sink);
    this.egress = new ServiceEgress({ service: 'app', guard, log, ...(limits && { limits }) });
    this.setRules(rules);
    this.#server = this.egress.listen(
      1,
      listenOn({ kind: 'inet', host: '127.0.0.1', port: 0 }, 64),
    );
  }

  static async start(options: RigOptions): Promise<EgressRig> {
    const rig = new EgressRig(options);
    if (!rig.#server.listening) await once(rig.#server, 'listening');
    return rig;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  setRules(rules: readonly string[]): void {
    this.egress.setRules(rules.map(parseEgressRule), true);
  }

  connect(): Promise<RawClient> {
    return RawClient.connect({ port: this.port });
  }

  /** A connection on which the head of an HTTP request was sent. */
  async request(head: string): Promise<RawClient> {
    const client = await this.connect();
    await client.send(head);
    return client;
  }

  /** The status that a CONNECT to this authority gets. */
  async connectStatus(authority: string): Promise<number> {
    await using client = await this.request(`CONNECT ${authority} HTTP/1.1\r\n\r\n`);
    const text = await client.readText('\r\n\r\n');
    return Number(text.slice(9, 12));
  }

  /** The reply that SOCKS gives to a request for this address (type and bytes). */
  async socksReply(address: readonly number[], port: number): Promise<number> {
    await using client = await this.connect();
    await client.send(Buffer.from([5, 1, 0]));
    await client.readUntil(({ length }) => length >= 2);
    await client.send(Buffer.from([5, 1, 0, ...address, port >> 8, port & 255]));
    const received = await client.readUntil(({ length }) => length >= 12);
    return received[3] ?? -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.setRules([]);
    this.egress.unlisten(1);
  }
}

export interface OutsideServer extends AsyncDisposable {
  readonly port: number;
}

async function listening(server: net.Server, host: string): Promise<OutsideServer> {
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

/** Sends back what it gets, and its end after the client's. */
export function startEcho(host = OUTSIDE): Promise<OutsideServer> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  return listening(server, host);
}

/** Answers with the request as it came. */
export function startHttp(host = OUTSIDE): Promise<OutsideServer> {
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const { method, url, rawHeaders } = request;
    response.end(JSON.stringify({ method, url, rawHeaders, body }));
  });
  return listening(server, host);
}
