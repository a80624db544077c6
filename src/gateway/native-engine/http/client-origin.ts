import type { RequestOrigin } from '../../upstream-headers.js';
import type { Accepted } from '../context.js';
import { ForwardingLines } from './forwarding-lines.js';
import type { HttpListener } from './http-front.js';

/** Where a connection's requests come from. */
export class ClientOrigin {
  readonly #peerIp: string | null;
  /** That of the listener when it was asked last, and what came of it. */
  #judge: HttpListener['isTrusted'] | null = null;
  #lines: ForwardingLines | null = null;

  constructor(
    private readonly accepted: Accepted,
    private readonly listener: HttpListener,
  ) {
    this.#peerIp = ipOf(accepted.source);
  }

  /** What the upstream is told of it; null: it is a trusted proxy, whose requests say more. */
  get lines(): ForwardingLines | null {
    const { isTrusted } = this.listener;
    if (this.#judge !== isTrusted) {
      this.#judge = isTrusted;
      const isPeerTrusted = this.#peerIp !== null && isTrusted(this.#peerIp);
      this.#lines = isPeerTrusted ? null : ForwardingLines.of(this.describe());
    }
    return this.#lines;
  }

  describe(): RequestOrigin {
    const { destination, destinationText } = this.accepted;
    const { isTrusted } = this.listener;
    return { protocol: 'http', peerIp: this.#peerIp, isTrusted, destination, destinationText };
  }
}

/** The address of `ip:port` or `[ip6]:port`; null for Unix clients. */
function ipOf(source: string): string | null {
  if (source.startsWith('unix:')) return null;
  if (source.startsWith('[')) return source.slice(1, source.indexOf(']'));
  return source.slice(0, source.lastIndexOf(':'));
}
