import { closeFd } from '../../sys/descriptors.js';
import type { NativeLoop } from '../../sys/native-loop.js';
import { disconnect } from '../../sys/stream-io.js';
import type { UpstreamSocket } from '../engine.js';

/** Of one upstream; more are closed. */
const KEPT = 128;

/**
 * Sockets of an instance's network whose connections ended in good order: disconnected, they can be
 * connected once more. That costs less than new ones, which the supervisor has to make, and they are
 * watched already. Like all that is pooled they are closed before the instance's lease is released.
 */
export class SpareSockets {
  readonly #services = new Map<string, Spares>();

  constructor(private readonly loop: NativeLoop) {}

  take(service: string, instance: number, upstream: string): UpstreamSocket | null {
    const spares = this.#services.get(service);
    if (spares?.instance !== instance) return null;
    return spares.sockets.get(upstream)?.pop() ?? null;
  }

  /** Whether the descriptor was taken: it led to the instance's upstream, and both sides have ended. */
  give(service: string, instance: number, upstream: string, socket: UpstreamSocket): boolean {
    const sockets = this.#find(service, instance, upstream);
    if (sockets.length >= KEPT || !disconnect(socket.fd)) return false;
    this.loop.park(socket.fd);
    sockets.push(socket);
    return true;
  }

  #find(service: string, instance: number, upstream: string): UpstreamSocket[] {
    let spares = this.#services.get(service);
    if (spares?.instance !== instance) {
      if (spares) this.#close(spares);
      spares = { instance, sockets: new Map() };
      this.#services.set(service, spares);
    }
    let sockets = spares.sockets.get(upstream);
    if (!sockets) {
      sockets = [];
      spares.sockets.set(upstream, sockets);
    }
    return sockets;
  }

  close(service: string, instance: number): void {
    const spares = this.#services.get(service);
    if (spares?.instance !== instance) return;
    this.#services.delete(service);
    this.#close(spares);
  }

  #close({ sockets }: Spares): void {
    for (const { fd } of [...sockets.values()].flat()) {
      this.loop.forget(fd);
      closeFd(fd);
    }
  }
}

interface Spares {
  readonly instance: number;
  /** By the upstream's key. */
  readonly sockets: Map<string, UpstreamSocket[]>;
}
