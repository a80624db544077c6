import { formatIp, parseIp } from '../base/ip.js';
import type { ListenAddress } from './model.js';
import { ValueError } from './value-error.js';

const FORMS = '0.0.0.0:80, [::]:443, 127.0.0.1:2000-2099, unix:/path or systemd:NAME';

/** sun_path holds 108 bytes with the final zero, unix(7). */
const MAX_UNIX_PATH_BYTES = 107;

/**
 * Reads a listener's address; a port range becomes one address a port. Unix paths are left as they
 * stand. Throws a `ValueError`.
 */
export function parseListenAddress(text: string): ListenAddress[] {
  if (text.startsWith('unix:')) return [{ kind: 'unix', path: checkUnixPath(text.slice(5)) }];
  if (text.startsWith('systemd:')) return [{ kind: 'systemd', name: descriptorName(text) }];
  const { host, ports } = splitHostPort(text);
  const ip = parseIp(host);
  if (ip === null) throw new ValueError(hostHint(host, ports));
  return expandPorts(ports, text).map((port) => ({
    kind: 'ip',
    host: formatIp(ip),
    port,
    family: ip.family,
  }));
}

/** An address as users write it. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  if (address.kind === 'systemd') return `systemd:${address.name}`;
  return formatHostPort(address.host, address.port);
}

export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Reads `IP:PORT` with a port from 1 on; throws a `ValueError`. */
export function parseIpPort(text: string): { host: string; port: number } {
  const { host, ports } = splitHostPort(text);
  const ip = parseIp(host);
  if (ip === null) throw new ValueError(hostHint(host, ports));
  return { host: formatIp(ip), port: parsePort(ports, text) };
}

/** A port from 1 on; throws a `ValueError`. */
export function parsePort(text: string, whole: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65535) return port;
  throw new ValueError(`"${whole}": the port must be a number from 1 to 65535`);
}

/** Returns the path; throws a `ValueError` where the kernel couldn't take it. */
export function checkUnixPath(path: string): string {
  if (path === '') throw new ValueError('the path after unix: is missing');
  if (path.startsWith('@') || path.includes('\0')) {
    throw new ValueError('abstract Unix sockets are not supported; write a path');
  }
  if (Buffer.byteLength(path) > MAX_UNIX_PATH_BYTES) {
    throw new ValueError(`a Unix socket's path may have ${MAX_UNIX_PATH_BYTES} bytes at most`);
  }
  return path;
}

function descriptorName(text: string): string {
  const name = text.slice('systemd:'.length);
  // sd_listen_fds_with_names(3): FDNAMES are separated by colons, 255 characters at most.
  if (/^[\x21-\x39\x3b-\x7e]{1,255}$/.test(name)) return name;
  throw new ValueError(`"${text}": after systemd: comes a name from LISTEN_FDNAMES`);
}

function splitHostPort(text: string): { host: string; ports: string } {
  const bracketed = /^\[([^\]]*)\]:([0-9-]+)$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1] ?? '', ports: bracketed[2] ?? '' };
  if (/^:?\d{1,5}$/.test(text)) {
    const port = text.replace(':', '');
    throw new ValueError(
      `"${text}" names no address; write 127.0.0.1:${port} for this host only or 0.0.0.0:${port} for every address`,
    );
  }
  if (parseIp(text) !== null) {
    const host = text.includes(':') ? `[${text}]` : text;
    throw new ValueError(`"${text}" has no port; write ${host}:PORT`);
  }
  const plain = /^([^:[\]]+):([0-9-]+)$/.exec(text);
  if (plain !== null) return { host: plain[1] ?? '', ports: plain[2] ?? '' };
  throw new ValueError(`"${text}" is no address; write ${FORMS}`);
}

function hostHint(host: string, ports: string): string {
  const meant = host === 'localhost' ? '127.0.0.1' : 'its IP address';
  return `"${host}" is no IP address and names are not looked up; write ${host === 'localhost' ? `${meant}:${ports}` : meant}`;
}

function expandPorts(ports: string, whole: string): number[] {
  if (ports === '0') return [0];
  const [first = '', last] = ports.split('-');
  if (last === undefined) return [parsePort(first, whole)];
  const low = parsePort(first, whole);
  const high = parsePort(ports.slice(first.length + 1), whole);
  if (high < low) throw new ValueError(`"${whole}": the range of ports runs backwards`);
  return Array.from({ length: high - low + 1 }, (_, index) => low + index);
}
