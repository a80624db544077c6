/** Made of parts, so that a test can break any of them. */
export interface HelloParts {
  readonly version?: readonly number[];
  readonly sessionId?: Buffer;
  readonly suites?: Buffer;
  readonly compressions?: Buffer;
  /** Null: the hello ends before them. */
  readonly extensions?: readonly Buffer[] | null;
}

export function vector(lengthBytes: 1 | 2, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(body.length, 0, lengthBytes);
  return Buffer.concat([length, body]);
}

export function extension(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(type >> 8, type & 255), vector(2, body)]);
}

export function hostName(name: string): Buffer {
  return Buffer.concat([Buffer.of(0), vector(2, Buffer.from(name, 'latin1'))]);
}

export function serverName(...names: readonly Buffer[]): Buffer {
  return extension(0, vector(2, ...names));
}

/** A key share as long as X25519MLKEM768's. */
export const LONG_KEY_SHARE = extension(51, Buffer.alloc(1_700, 7));

/** The handshake message. */
export function helloMessage(parts: HelloParts = {}): Buffer {
  const { extensions = [serverName(hostName('a.example'))] } = parts;
  const body = Buffer.concat([
    Buffer.from(parts.version ?? [3, 3]),
    Buffer.alloc(32, 1),
    vector(1, parts.sessionId ?? Buffer.alloc(32, 2)),
    vector(2, parts.suites ?? Buffer.of(0x13, 1, 0x13, 2)),
    vector(1, parts.compressions ?? Buffer.of(0)),
    extensions === null ? Buffer.alloc(0) : vector(2, ...extensions),
  ]);
  return Buffer.concat([
    Buffer.of(1, body.length >> 16, (body.length >> 8) & 255, body.length & 255),
    body,
  ]);
}

/** The bytes in handshake records of the given sizes, the rest in one. */
export function records(message: Buffer, sizes: readonly number[] = []): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, 16_384, 16_384, 16_384, 16_384]) {
    const payload = message.subarray(at, at + size);
    if (payload.length > 0) parts.push(Buffer.of(22, 3, 1), vector(2, payload));
    at += size;
  }
  return Buffer.concat(parts);
}
