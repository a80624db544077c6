import { equalsName } from './byte-classes.js';

/** Where a body ends (RFC 9112 6.3). `Content-Length: 0` is `none`. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' };

export interface HeaderField {
  /** As received. */
  readonly name: string;
  /** As received (latin1), without the space around it. */
  readonly value: string;
}

export interface RequestFacts {
  readonly method: string;
  /** As received. */
  readonly target: string;
  /** HTTP/1.0 or HTTP/1.1. */
  readonly minorVersion: 0 | 1;
  /** The target in origin form (or `*`), to send on. */
  readonly path: string;
  /** The Host header to send on: an absolute-form target's, else the one received. */
  readonly authority: string | null;
  /** `authority`, normalised, for the router; null only in HTTP/1.0. */
  readonly host: string | null;
  readonly port: number | null;
  readonly framing: BodyFraming;
  /** The client may send another request on this connection. */
  readonly keepAlive: boolean;
  /** Protocols that the client offers to change to, in lower case; null: none. */
  readonly upgrade: readonly string[] | null;
  readonly expectContinue: boolean;
}

/** A request's head that can be read in one way only. */
export class RequestHead implements RequestFacts {
  readonly method: string;
  readonly target: string;
  readonly minorVersion: 0 | 1;
  readonly path: string;
  readonly authority: string | null;
  readonly host: string | null;
  readonly port: number | null;
  readonly framing: BodyFraming;
  readonly keepAlive: boolean;
  readonly upgrade: readonly string[] | null;
  readonly expectContinue: boolean;
  #headers: readonly HeaderField[] | null = null;

  constructor(
    facts: RequestFacts,
    /** As received; valid as long as the caller leaves the memory alone, and `headers` with it. */
    readonly rawBytes: Buffer,
    /** Four for each field: name start, name end, value start, value end. */
    readonly fieldOffsets: readonly number[],
  ) {
    this.method = facts.method;
    this.target = facts.target;
    this.minorVersion = facts.minorVersion;
    this.path = facts.path;
    this.authority = facts.authority;
    this.host = facts.host;
    this.port = facts.port;
    this.framing = facts.framing;
    this.keepAlive = facts.keepAlive;
    this.upgrade = facts.upgrade;
    this.expectContinue = facts.expectContinue;
  }

  /** In the order received; read from `rawBytes` when first asked for. */
  get headers(): readonly HeaderField[] {
    this.#headers ??= readFields(this.rawBytes, this.fieldOffsets);
    return this.#headers;
  }

  /**
   * A copy of `rawBytes` without the lines of `Upgrade`, for a parser that would take the request for
   * an upgrade that isn't to be (RFC 9110 7.8: a server may ignore it).
   */
  rawBytesWithoutUpgrade(): Buffer {
    const { rawBytes, fieldOffsets } = this;
    const kept: Buffer[] = [];
    let keptFrom = 0;
    for (let index = 0; index < fieldOffsets.length; index += 4) {
      const start = fieldOffsets[index] as number;
      if (!equalsName(rawBytes, start, fieldOffsets[index + 1] as number, 'upgrade')) continue;
      kept.push(rawBytes.subarray(keptFrom, start));
      keptFrom = fieldOffsets[index + 4] ?? rawBytes.length - 2;
    }
    kept.push(rawBytes.subarray(keptFrom));
    return Buffer.concat(kept);
  }
}

function readFields(bytes: Buffer, offsets: readonly number[]): HeaderField[] {
  const fields: HeaderField[] = [];
  for (let index = 0; index < offsets.length; index += 4) {
    fields.push({
      name: bytes.toString('latin1', offsets[index], offsets[index + 1]),
      value: bytes.toString('latin1', offsets[index + 2], offsets[index + 3]),
    });
  }
  return fields;
}
