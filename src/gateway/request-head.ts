import { UPGRADE } from './field-names.js';
import { HostReading } from './host-name.js';

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

/** The fields of a head, as `FieldSection` has them. */
export interface FieldTable {
  /** Four for each field, counted from the head's start: name start, name end, value start, value end. */
  readonly offsets: ArrayLike<number>;
  readonly offsetCount: number;
  /** One for each field (field-names.ts). */
  readonly kinds: ArrayLike<number>;
}

const NO_BODY: BodyFraming = { kind: 'none' };
export const CHUNKED: BodyFraming = { kind: 'chunked' };
const NOTHING = Buffer.alloc(0);
const NO_FIELDS: FieldTable = { offsets: [], offsetCount: 0, kinds: [] };

/**
 * A request's head that can be read in one way only, filled in by `interpretHead`: offsets into the
 * bytes that were received. Texts are made when they are first asked for, and stay; until then the
 * bytes must be left alone. `copy` is for those who keep a head: the next request is read into the
 * same one.
 */
export class RequestHead {
  bytes: Buffer = NOTHING;
  /** Where it begins and ends in `bytes`; all other places count from there too, those in `fields` from `base`. */
  base = 0;
  end = 0;
  fields: FieldTable = NO_FIELDS;
  method = '';
  /** HTTP/1.0 or HTTP/1.1. */
  minorVersion: 0 | 1 = 1;
  targetStart = 0;
  targetEnd = 0;
  /** The target in origin form (or `*`), to send on: this text, then the target from here to its end. */
  pathPrefix: '' | '/' | '*' = '';
  pathStart = 0;
  /** The Host to send on: an absolute-form target's, else the one received. The same: there is none. */
  authorityStart = 0;
  authorityEnd = 0;
  /** What the authority says, where there is one. */
  readonly place = new HostReading();
  framing: BodyFraming = NO_BODY;
  /** The client may send another request on this connection. */
  keepAlive = false;
  /** Protocols that the client offers to change to, in lower case; null: none. */
  upgrade: readonly string[] | null = null;
  expectContinue = false;
  #target: string | null = null;
  #host: string | null = null;
  #headers: readonly HeaderField[] | null = null;

  /** Another head lies in the bytes; the rest is `interpretHead`'s to fill in. */
  begin(bytes: Buffer, base: number, end: number, fields: FieldTable): void {
    this.bytes = bytes;
    this.base = base;
    this.end = end;
    this.fields = fields;
    this.pathPrefix = '';
    this.authorityStart = 0;
    this.authorityEnd = 0;
    this.framing = NO_BODY;
    this.upgrade = null;
    this.expectContinue = false;
    this.#target = null;
    this.#host = null;
    this.#headers = null;
  }

  /** A head of its own, which the next request leaves alone; it shares the bytes. */
  copy(): RequestHead {
    const copy = new RequestHead();
    const { place } = copy;
    const { offsets, offsetCount, kinds } = this.fields;
    Object.assign(copy, this, {
      place: Object.assign(place, this.place),
      fields: {
        offsets: Array.prototype.slice.call(offsets, 0, offsetCount),
        offsetCount,
        kinds: Array.prototype.slice.call(kinds, 0, offsetCount >> 2),
      },
    });
    return copy;
  }

  /** Makes the texts that a log wants now: the bytes will be gone. */
  settle(): void {
    void this.target;
    void this.host;
  }

  /** As received. */
  get rawBytes(): Buffer {
    return this.bytes.subarray(this.base, this.end);
  }

  /** As received. */
  get target(): string {
    this.#target ??= this.bytes.toString('latin1', this.targetStart, this.targetEnd);
    return this.#target;
  }

  get path(): string {
    return this.pathPrefix + this.bytes.toString('latin1', this.pathStart, this.targetEnd);
  }

  get hasAuthority(): boolean {
    return this.authorityEnd > this.authorityStart;
  }

  /** As received; null only in HTTP/1.0. */
  get authority(): string | null {
    if (!this.hasAuthority) return null;
    return this.bytes.toString('latin1', this.authorityStart, this.authorityEnd);
  }

  /** `authority`, normalised, for the router. */
  get host(): string | null {
    if (this.hasAuthority) this.#host ??= this.place.hostIn(this.bytes);
    return this.#host;
  }

  get port(): number | null {
    return this.hasAuthority && this.place.port > 0 ? this.place.port : null;
  }

  /** In the order received. */
  get headers(): readonly HeaderField[] {
    this.#headers ??= readFields(this.bytes, this.base, this.fields);
    return this.#headers;
  }

  /**
   * A copy of `rawBytes` without the lines of `Upgrade`, for a parser that would take the request for
   * an upgrade that isn't to be (RFC 9110 7.8: a server may ignore it).
   */
  rawBytesWithoutUpgrade(): Buffer {
    const { rawBytes, fields } = this;
    const { offsets, offsetCount, kinds } = fields;
    const kept: Buffer[] = [];
    let keptFrom = 0;
    for (let index = 0; index < offsetCount; index += 4) {
      if (kinds[index >> 2] !== UPGRADE) continue;
      kept.push(rawBytes.subarray(keptFrom, offsets[index]));
      keptFrom = index + 4 < offsetCount ? (offsets[index + 4] as number) : rawBytes.length - 2;
    }
    kept.push(rawBytes.subarray(keptFrom));
    return Buffer.concat(kept);
  }
}

function readFields(bytes: Buffer, base: number, { offsets, offsetCount }: FieldTable) {
  const fields: HeaderField[] = [];
  const textAt = (index: number) =>
    bytes.toString(
      'latin1',
      base + (offsets[index] as number),
      base + (offsets[index + 1] as number),
    );
  for (let index = 0; index < offsetCount; index += 4) {
    fields.push({ name: textAt(index), value: textAt(index + 2) });
  }
  return fields;
}
