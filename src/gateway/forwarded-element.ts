import { formatIp, parseIp } from '../base/ip.js';

/** One proxy's element of a Forwarded header (RFC 7239 4). */
export interface ForwardedElement {
  /** As received. */
  readonly text: string;
  /** Names in lower case, values unquoted. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[!#$%&'*+\\-.^_`|~\\w]+";
const QUOTED = '"(?:[^"\\\\\\x00-\\x08\\x0a-\\x1f\\x7f]|\\\\[\\t -~\\x80-\\xff])*"';
const PAIR = new RegExp(`(${TOKEN})=(${TOKEN}|${QUOTED})`, 'y');
const SEPARATOR = /[ \t]*([,;])[ \t]*/y;

/** Reads the joined values of Forwarded; null when malformed. */
export function parseForwarded(value: string): ForwardedElement[] | null {
  const elements: ForwardedElement[] = [];
  let parameters = new Map<string, string>();
  let elementAt = 0;
  for (let at = 0; ; ) {
    const pair = matchAt(PAIR, value, at);
    const name = pair?.[1]?.toLowerCase();
    if (pair === null || name === undefined || parameters.has(name)) return null;
    parameters.set(name, unquote(pair[2] as string));
    at += pair[0].length;
    const separator = at < value.length ? matchAt(SEPARATOR, value, at) : null;
    if (separator === null && at < value.length) return null;
    if (separator?.[1] !== ';') {
      elements.push({ text: value.slice(elementAt, at), parameters });
      parameters = new Map();
    }
    if (separator === null) return elements;
    at += separator[0].length;
    if (separator[1] === ',') elementAt = at;
  }
}

/**
 * A node of Forwarded or X-Forwarded-For in canonical form and without its port: an address,
 * `unknown`, or an obfuscated `_name` (RFC 7239 6). Null when it is none of these.
 */
export function parseNode(text: string): string | null {
  if (/^unknown$/i.test(text)) return 'unknown';
  if (/^_[\w.-]+$/.test(text)) return text;
  const [, bracketed, v4] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(text) ?? [];
  const ip = parseIp(bracketed ?? v4 ?? text);
  return ip === null ? null : formatIp(ip);
}

/** `name=value` pairs as one element; values that aren't tokens are quoted. */
export function formatElement(parameters: ReadonlyArray<readonly [string, string]>): string {
  return parameters.map(([name, value]) => `${name}=${quote(value)}`).join(';');
}

/** An address as a node: IPv6 in brackets. */
export function formatNode(node: string): string {
  return node.includes(':') ? `[${node}]` : node;
}

const TOKEN_ONLY = new RegExp(`^${TOKEN}$`);

function quote(value: string): string {
  return TOKEN_ONLY.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
