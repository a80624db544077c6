import type { EgressRefusalCode } from './refusals.js';
import type { Target } from './target.js';

/** What a client of the proxy asks for, in whichever protocol. */
export interface ProxyRequest {
  readonly target: Target;
  /** What the client is told once the connection stands. */
  readonly granted: Buffer;
  /** What the other side gets before all that the client sends. */
  readonly preface: Buffer;
}

/** How refusals are told in a protocol. */
export type RefusalWriter = (code: EgressRefusalCode) => Buffer;

/** Of a pure parser: what it read and in how many bytes, what is wrong, or null for "need more". */
export type Parsed<T> =
  | { readonly value: T; readonly lengthBytes: number }
  | { readonly refusal: EgressRefusalCode };
