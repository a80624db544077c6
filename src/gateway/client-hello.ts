import { parseIp } from '../base/ip.js';
import { ByteStore } from './byte-store.js';
import { normalizeName } from './host-name.js';

/** What the first bytes of a TLS connection say; `alert` is the description to answer with (RFC 8446 6). */
export type ClientHelloResult =
  | { readonly kind: 'need-more' }
  | { readonly kind: 'hello'; readonly serverName: string | null }
  | { readonly kind: 'refusal'; readonly reason: string; readonly alert: number };

/** Alert descriptions (RFC 8446 6, RFC 6066 3). */
const ALERTS = {
  unexpectedMessage: 10,
  recordOverflow: 22,
  illegalParameter: 47,
  decodeError: 50,
  protocolVersion: 70,
  unrecognizedName: 112,
} as const;

/** Record headers included. */
export const MAX_HELLO_BYTES = 64 * 1024;

const NEED_MORE: ClientHelloResult = { kind: 'need-more' };
const RECORD_HANDSHAKE = 22;
const RECORD_HEADER_BYTES = 5;
const MAX_RECORD_BYTES = 1 << 14;
const MESSAGE_CLIENT_HELLO = 1;
const MESSAGE_HEADER_BYTES = 4;
const EXTENSION_SERVER_NAME = 0;
const NAME_TYPE_HOST_NAME = 0;

/** Reads a ClientHello from all bytes that came so far; `ClientHelloReader` for many small pieces. */
export function readClientHello(bytes: Uint8Array): ClientHelloResult {
  return new ClientHelloReader().push(bytes);
}

/** A fatal alert as a TLS record of its own. */
export function alertRecord(description: number): Buffer {
  return Buffer.from([21, 3, 3, 0, 2, 2, description]);
}

/** For a server name that nobody answers to (RFC 6066 3). */
export function unrecognizedNameAlert(): Buffer {
  return alertRecord(ALERTS.unrecognizedName);
}

/**
 * Puts a ClientHello together from any number of TCP segments and TLS records (RFC 8446 5.1), looks
 * at each byte once, and refuses at the first byte that proves that it is none. It copies what it
 * keeps; what follows the hello is not looked at.
 */
export class ClientHelloReader {
  #result: ClientHelloResult = NEED_MORE;
  #totalBytes = 0;
  #headerBytes = 0;
  #recordBytes = 0;
  #recordLeftBytes = 0;
  readonly #message = new ByteStore();

  /** Takes the next bytes. Once decided, the result stays. */
  push(chunk: Uint8Array): ClientHelloResult {
    let at = 0;
    while (at < chunk.length && this.#result === NEED_MORE) {
      if (this.#recordLeftBytes === 0) {
        this.#result = this.#takeHeaderByte(chunk[at] as number);
        at += 1;
        continue;
      }
      const end = Math.min(chunk.length, at + this.#recordLeftBytes);
      this.#message.append(chunk, at, end);
      this.#recordLeftBytes -= end - at;
      at = end;
      this.#result = this.#judgeMessage();
    }
    return this.#result;
  }

  #takeHeaderByte(byte: number): ClientHelloResult {
    this.#totalBytes += 1;
    switch (this.#headerBytes++) {
      case 0:
        return byte === RECORD_HANDSHAKE ? NEED_MORE : refuseFirstByte(byte, this.#totalBytes);
      case 1:
        return byte === 3 ? NEED_MORE : refuse('not a TLS version', ALERTS.protocolVersion);
      case 2: // RFC 8446 5.1: the rest of legacy_record_version is ignored for all purposes.
        return NEED_MORE;
      case 3:
        this.#recordBytes = byte << 8;
        return this.#recordBytes <= MAX_RECORD_BYTES ? NEED_MORE : REFUSE_LONG_RECORD;
      default:
        this.#headerBytes = 0;
        return this.#beginRecord(this.#recordBytes + byte);
    }
  }

  #beginRecord(lengthBytes: number): ClientHelloResult {
    if (lengthBytes === 0) return refuse('empty handshake record', ALERTS.unexpectedMessage);
    if (lengthBytes > MAX_RECORD_BYTES) return REFUSE_LONG_RECORD;
    this.#totalBytes += lengthBytes;
    if (this.#totalBytes > MAX_HELLO_BYTES) return REFUSE_LONG_HELLO;
    this.#recordLeftBytes = lengthBytes;
    return NEED_MORE;
  }

  #judgeMessage(): ClientHelloResult {
    const message = this.#message.bytes;
    if (message[0] !== MESSAGE_CLIENT_HELLO) {
      return refuse('the first message is not a ClientHello', ALERTS.unexpectedMessage);
    }
    if (message.length > 1 && message[1] !== 0) return REFUSE_LONG_HELLO;
    if (message.length < MESSAGE_HEADER_BYTES) return NEED_MORE;
    const endBytes = MESSAGE_HEADER_BYTES + readUint16(message, 2);
    if (endBytes + RECORD_HEADER_BYTES > MAX_HELLO_BYTES) return REFUSE_LONG_HELLO;
    if (message.length < endBytes) return NEED_MORE;
    if (message.length > endBytes || this.#recordLeftBytes > 0) {
      return refuse('bytes after the ClientHello in its record', ALERTS.unexpectedMessage);
    }
    return parseHello(message.subarray(MESSAGE_HEADER_BYTES, endBytes));
  }
}

/** ClientHello without the message header (RFC 8446 4.1.2). */
function parseHello(hello: Uint8Array): ClientHelloResult {
  if (hello.length > 0 && hello[0] !== 3) {
    return refuse('not a TLS version in the ClientHello', ALERTS.protocolVersion);
  }
  const sessionIdAt = 2 + 32;
  const suitesAt = endOfVector8(hello, sessionIdAt, 0, 32);
  const compressionsAt = endOfVector16(hello, suitesAt, 2);
  if (compressionsAt < 0 || (compressionsAt - suitesAt) % 2 !== 0) return REFUSE_LENGTHS;
  const extensionsAt = endOfVector8(hello, compressionsAt, 1, 255);
  if (extensionsAt < 0) return REFUSE_LENGTHS;
  if (extensionsAt === hello.length) return { kind: 'hello', serverName: null };
  if (endOfVector16(hello, extensionsAt, 0) !== hello.length) return REFUSE_LENGTHS;
  return parseExtensions(hello.subarray(extensionsAt + 2));
}

function parseExtensions(extensions: Uint8Array): ClientHelloResult {
  const seen = new Set<number>();
  let result: ClientHelloResult = { kind: 'hello', serverName: null };
  for (let at = 0; at < extensions.length; ) {
    const end = endOfVector16(extensions, at + 2, 0);
    if (end < 0) return REFUSE_LENGTHS;
    const type = readUint16(extensions, at);
    if (seen.has(type)) {
      return refuse(`extension ${type} comes twice`, ALERTS.illegalParameter);
    }
    seen.add(type);
    if (type === EXTENSION_SERVER_NAME) result = parseServerName(extensions.subarray(at + 4, end));
    if (result.kind === 'refusal') return result;
    at = end;
  }
  return result;
}

/** The list has exactly one name: other types than host_name never came to be (RFC 6066 3). */
function parseServerName(extension: Uint8Array): ClientHelloResult {
  if (endOfVector16(extension, 0, 1) !== extension.length) return REFUSE_LENGTHS;
  if (extension[2] !== NAME_TYPE_HOST_NAME) {
    return refuse('server name of an unknown type', ALERTS.decodeError);
  }
  const end = endOfVector16(extension, 3, 1);
  if (end < 0) return refuse('malformed or empty server name', ALERTS.decodeError);
  if (end !== extension.length) return refuse('several server names', ALERTS.illegalParameter);
  const text = Buffer.from(extension.buffer, extension.byteOffset + 5, end - 5).toString('latin1');
  const serverName = normalizeName(text);
  if (serverName === null) return refuse('malformed server name', ALERTS.illegalParameter);
  if (parseIp(serverName) !== null) {
    return refuse('an address as server name', ALERTS.illegalParameter);
  }
  return { kind: 'hello', serverName };
}

/** Where the vector with a one-byte length at `at` ends; -1 when it doesn't fit (or `at` is -1). */
function endOfVector8(bytes: Uint8Array, at: number, min: number, max: number): number {
  const length = at < 0 ? undefined : bytes[at];
  if (length === undefined || length < min || length > max) return -1;
  const end = at + 1 + length;
  return end <= bytes.length ? end : -1;
}

/** The same with a two-byte length. */
function endOfVector16(bytes: Uint8Array, at: number, min: number): number {
  if (at < 0 || at + 2 > bytes.length) return -1;
  const length = readUint16(bytes, at);
  const end = at + 2 + length;
  return length >= min && end <= bytes.length ? end : -1;
}

function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

function refuse(reason: string, alert: number): ClientHelloResult {
  return { kind: 'refusal', reason, alert };
}

const REFUSE_LONG_RECORD = refuse('record longer than 16 KiB', ALERTS.recordOverflow);
const REFUSE_LONG_HELLO = refuse('ClientHello longer than 64 KiB', ALERTS.illegalParameter);
const REFUSE_LENGTHS = refuse('lengths in the ClientHello that do not fit', ALERTS.decodeError);

function refuseFirstByte(byte: number, totalBytes: number): ClientHelloResult {
  if (totalBytes > 1) {
    return refuse('another record within the ClientHello', ALERTS.unexpectedMessage);
  }
  if ((byte & 0x80) !== 0) return refuse('not TLS (SSLv2?)', ALERTS.protocolVersion);
  return refuse('not TLS', ALERTS.unexpectedMessage);
}
