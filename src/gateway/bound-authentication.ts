import { equalsName, SPACE } from './byte-classes.js';

/**
 * Schemes whose credentials hold for the connection on which they came (RFC 4559 6, MS-NLMP): who
 * else sends a request on it is taken for whoever logged in.
 */
const BOUND_SCHEMES = ['ntlm', 'negotiate'];

/** Whether an Authorization is of such a scheme. */
export function hasBoundScheme(bytes: Uint8Array, start: number, end: number): boolean {
  let schemeEnd = start;
  while (schemeEnd < end && bytes[schemeEnd] !== SPACE) schemeEnd += 1;
  return BOUND_SCHEMES.some((scheme) => equalsName(bytes, start, schemeEnd, scheme));
}

/** Whether a WWW-Authenticate, a list of challenges, offers such a scheme. */
export function offersBoundScheme(value: string): boolean {
  return value
    .toLowerCase()
    .split(/[\s,]+/)
    .some((word) => BOUND_SCHEMES.includes(word));
}
