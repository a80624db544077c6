import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { LRUCache } from 'lru-cache';

const REMEMBERED_NAMES = 1_000;

interface Entry {
  readonly certificate: X509Certificate;
  readonly context: tls.SecureContext;
}

/** The certificates of one listener, looked up by the name that a client asks for. */
export class SecureContexts {
  readonly #entries: readonly Entry[];
  readonly #byName = new LRUCache<string, tls.SecureContext>({ max: REMEMBERED_NAMES });

  /** Takes PEM text; throws where it is none, or where key and certificate don't belong together. */
  constructor(certificates: ReadonlyArray<{ readonly cert: string; readonly key: string }>) {
    this.#entries = certificates.map(({ cert, key }) => ({
      certificate: new X509Certificate(cert),
      context: tls.createSecureContext({ cert, key, minVersion: 'TLSv1.2' }),
    }));
    if (this.#entries.length === 0) throw new Error('no certificate');
  }

  /** For a certificate with the exact name, else with a wildcard for it, else the first one. */
  find(serverName: string): tls.SecureContext | undefined {
    const remembered = this.#byName.get(serverName);
    if (remembered !== undefined) return remembered;
    const found = this.#search(serverName) ?? this.#entries[0]?.context;
    if (found !== undefined) this.#byName.set(serverName, found);
    return found;
  }

  #search(serverName: string): tls.SecureContext | undefined {
    let byWildcard: tls.SecureContext | undefined;
    for (const { certificate, context } of this.#entries) {
      const name = certificate.checkHost(serverName);
      if (name !== undefined && !name.includes('*')) return context;
      if (name !== undefined) byWildcard ??= context;
    }
    return byWildcard;
  }
}
