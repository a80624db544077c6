import { UNIX_SOURCE } from '../../access-list.js';
import { sourceAddress } from '../../source-address.js';
import type { RequestOrigin } from '../../upstream-headers.js';
import type { Accepted } from '../context.js';
import { ForwardingLines } from './forwarding-lines.js';
import type { HttpListener } from './http-front.js';

/** Where a connection's requests come from. */
export class ClientOrigin {
  /** Its address, or `unix:`. */
  readonly sourceIp: string;
  /** That of the listener when it was asked last, and what came of it. */
  #judge: HttpListener['isTrusted'] | null = null;
  #lines: ForwardingLines | null = null;

  constructor(
    private readonly accepted: Accepted,
    private readonly listener: HttpListener,
  ) {
    this.sourceIp = sourceAddress(accepted.source);
  }

  /** What the upstream is told of it; null: it is a trusted proxy, whose requests say more. */
  get lines(): ForwardingLines | null {
    const { isTrusted } = this.listener;
    if (this.#judge !== isTrusted) {
      this.#judge = isTrusted;
      const { peerIp } = this;
      this.#lines =
        peerIp !== null && isTrusted(peerIp) ? null : ForwardingLines.of(this.describe());
    }
    return this.#lines;
  }

  get peerIp(): string | null {
    return this.sourceIp === UNIX_SOURCE ? null : this.sourceIp;
  }

  describe(): RequestOrigin {
    const { peerIp } = this;
    const { destination, destinationText } = this.accepted;
    const { isTrusted } = this.listener;
    return { protocol: 'http', peerIp, isTrusted, destination, destinationText };
  }
}
