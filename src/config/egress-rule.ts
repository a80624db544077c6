import { formatCidr, parseIp } from '../base/ip.js';
import { parsePort } from './address.js';
import { readCidr } from './cidr.js';
import { normaliseServerName } from './host-name.js';
import type { EgressRule, PortRange } from './model.js';
import { ValueError } from './value-error.js';

const FORMS = 'api.example.com:443, *.example.com:443, 10.0.0.0/8:*, [2001:db8::/32]:8000-8080';
const ALL_PORTS = { first: 1, last: 65535 };

/** Reads `NAME:PORTS` or `BLOCK:PORTS`, ports being one, a range or `*`. Throws a `ValueError`. */
export function parseEgressRule(text: string): EgressRule {
  const [, bracketed, plain, portsText] =
    /^(?:\[([^[\]]*)\]|([^:[\]]+)):([0-9*-]+)$/.exec(text) ?? [];
  if (portsText === undefined) throw new ValueError(hint(text));
  const ports = parsePorts(portsText, text);
  if (bracketed !== undefined) return { kind: 'block', cidr: blockOf(bracketed), ports };
  const host = plain ?? '';
  if (host.includes('/') || parseIp(host) !== null) {
    return { kind: 'block', cidr: blockOf(host), ports };
  }
  return { kind: 'name', name: nameOf(host, text), ports };
}

function blockOf(text: string): string {
  return formatCidr(readCidr(text));
}

/** What C libraries read as an address (inet_aton(3)) is no name. */
function nameOf(host: string, text: string): string {
  const name = normaliseServerName(host);
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (!/^(?:\d+|0x[0-9a-f]*)$/.test(last)) return name;
  throw new ValueError(
    `"${text}": "${host}" is neither a host name nor an IP address; write ${FORMS}`,
  );
}

function parsePorts(text: string, whole: string): PortRange {
  if (text === '*') return ALL_PORTS;
  const dash = text.indexOf('-');
  if (dash < 0) {
    const port = parsePort(text, whole);
    return { first: port, last: port };
  }
  const first = parsePort(text.slice(0, dash), whole);
  const last = parsePort(text.slice(dash + 1), whole);
  if (last < first) throw new ValueError(`"${whole}": the range of ports runs backwards`);
  return { first, last };
}

function hint(text: string): string {
  if (parseIp(text) !== null && text.includes(':')) {
    return `"${text}" has no port; write [${text}]:443, or [${text}]:* for every port`;
  }
  if (!text.includes(':') && text !== '') {
    return `"${text}" has no port; write ${text}:443, or ${text}:* for every port`;
  }
  return `"${text}" is no egress rule; write ${FORMS}`;
}
