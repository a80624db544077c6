import { type Cidr, formatCidr, formatIp, parseCidr, parseIp } from '../base/ip.js';
import { ValueError } from './value-error.js';

/**
 * Reads `10.0.0.0/8`, or an address alone, as people write them: throws a `ValueError` that says
 * what is wrong, also where bits are set outside the mask (`parseCidr` would clear them).
 */
export function readCidr(text: string): Cidr {
  const [address = '', length, ...more] = text.split('/');
  const ip = parseIp(address);
  if (ip === null || more.length > 0) {
    throw new ValueError(`"${text}" is no IP address and no CIDR; write 10.0.0.1 or 10.0.0.0/8`);
  }
  const cidr = parseCidr(text);
  if (cidr === null) throw new ValueError(maskFault(text, address, length ?? ''));
  if (formatIp(cidr.ip) === formatIp(ip)) return cidr;
  const meant = formatCidr(cidr);
  throw new ValueError(
    `"${text}" has bits set outside its mask; write ${meant} or the address alone`,
  );
}

function maskFault(text: string, address: string, length: string): string {
  const bits = address.includes(':') ? 128 : 32;
  return /^(0|[1-9]\d{0,2})$/.test(length) && Number(length) <= bits
    ? `"${text}" mixes IPv4 and IPv6; write the IPv4 CIDR`
    : `"${text}": the mask must be a number from 0 to ${bits}`;
}
