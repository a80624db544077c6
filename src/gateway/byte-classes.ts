/** A table with 1 for each byte in the class: one look-up decides, and nothing is allocated. */
function byteClass(accepts: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (accepts(byte) ? 1 : 0));
}

/** tchar (RFC 9110 5.6.2). */
export const TOKEN = byteClass((byte) =>
  /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte)),
);

/** field-vchar, SP and HTAB (RFC 9110 5.5). */
export const FIELD_VALUE = byteClass((byte) => byte === 9 || (byte >= 0x20 && byte !== 0x7f));

/** Visible ASCII without `#`: fragments are never sent (RFC 9112 3.2). */
export const TARGET = byteClass((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x23);

/** What stands unescaped in a quoted-string (RFC 9110 5.6.4). */
export const QUOTED = byteClass(
  (byte) => FIELD_VALUE[byte] === 1 && byte !== 0x22 && byte !== 0x5c,
);

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const BACKSLASH = 0x5c;

/** The first position from `at` on, up to `end`, that isn't in the class. */
export function skipClass(table: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  while (index < end && table[bytes[index] as number] === 1) index += 1;
  return index;
}

/** Whether bytes, without case, are a name that is given in lower case. */
export function equalsName(bytes: Uint8Array, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let index = 0; index < lower.length; index++) {
    if (toLower(bytes[start + index] as number) !== lower.charCodeAt(index)) return false;
  }
  return true;
}

/** The value of a hexadecimal digit, -1 for other bytes. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function toLower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}
