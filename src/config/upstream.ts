import { formatIp, parseIp } from '../base/ip.js';
import { checkUnixPath, parsePort } from './address.js';
import type { Upstream } from './model.js';
import { ValueError } from './value-error.js';

/** Reads `tcp:PORT`, `tcp:HOST:PORT`, `unix:PATH`, `socket` or `stdio`; throws a `ValueError`. */
export function parseUpstream(text: string): Upstream {
  if (text === 'socket' || text === 'stdio') return { kind: text };
  if (text.startsWith('tcp:')) return tcpUpstream(text);
  if (text.startsWith('unix:')) return { kind: 'unix', path: absolutePath(text.slice(5)) };
  if (text === 'listener' || text.startsWith('udp:')) {
    throw new ValueError(`the upstream "${text}" is not supported by this version yet`);
  }
  const hint = /^\d+$/.test(text) ? `tcp:${text}` : 'tcp:PORT, unix:/PATH, socket or stdio';
  throw new ValueError(`"${text}" is no upstream; write ${hint}`);
}

function tcpUpstream(text: string): Upstream {
  const rest = text.slice(4);
  const colon = rest.lastIndexOf(':');
  if (colon === -1) return { kind: 'tcp', host: '127.0.0.1', port: parsePort(rest, text) };
  const host = rest.slice(0, colon);
  return {
    kind: 'tcp',
    host: upstreamHost(host, text),
    port: parsePort(rest.slice(colon + 1), text),
  };
}

function upstreamHost(host: string, text: string): string {
  if (host === 'localhost') return '127.0.0.1';
  const bracketed = /^\[(.*)\]$/.exec(host);
  const ip = bracketed === null && host.includes(':') ? null : parseIp(bracketed?.[1] ?? host);
  if (ip !== null) return formatIp(ip);
  throw new ValueError(`"${text}": the host must be an IP address ([::1] for IPv6) or localhost`);
}

function absolutePath(path: string): string {
  if (path.startsWith('/')) return checkUnixPath(path);
  throw new ValueError(
    `the path after unix: is the service's own, as it sees it, and must start with / (not "${path}")`,
  );
}

/** An upstream as users write it. */
export function formatUpstream(upstream: Upstream): string {
  if (upstream.kind === 'unix') return `unix:${upstream.path}`;
  if (upstream.kind !== 'tcp') return upstream.kind;
  const host = upstream.host.includes(':') ? `[${upstream.host}]` : upstream.host;
  return `tcp:${host}:${upstream.port}`;
}
