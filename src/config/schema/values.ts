import * as z from 'zod';
import { formatDuration, MAX_DURATION_MS, parseDuration } from '../../base/duration.js';
import { formatCidr } from '../../base/ip.js';
import { parseSize } from '../../base/size.js';
import { parseListenAddress } from '../address.js';
import { readCidr } from '../cidr.js';
import { ValueError } from '../value-error.js';
import { key, parsedText } from './key.js';

/** Text where a whole number may stand without quotes; other YAML values lose how they were written. */
export const looseText = z
  .union([z.string(), z.int()], { error: () => 'expected text; put the value in quotes' })
  .transform(String)
  .refine((text) => !text.includes('\0'), 'a zero byte is not allowed')
  .meta({ form: 'text' });

export const filledText = looseText
  .refine((text) => text !== '', 'may not be empty')
  .meta({ form: 'text' });

export const path = z
  .string()
  .refine((text) => text !== '' && !text.includes('\0'), 'this is no path')
  .meta({ form: 'path' });

export const duration = parsedText('duration', (text) => {
  const durationMs = parseDuration(text);
  if (durationMs !== null) return durationMs;
  if (!/^\d+(?:ms|[smhd])$/.test(text)) {
    throw new ValueError(`"${text}" is no duration; write 500ms, 30s, 5m, 2h or 1d`);
  }
  const longest = formatDuration(MAX_DURATION_MS - (MAX_DURATION_MS % 86_400_000));
  throw new ValueError(`"${text}" is too long; ${longest} at most`);
});

export const size = z
  .union([z.string(), z.int()])
  .transform((given, context) => {
    const sizeBytes = parseSize(String(given));
    if (sizeBytes !== null && sizeBytes > 0) return sizeBytes;
    context.addIssue({ code: 'custom', message: `"${given}" is no size; write 64K, 256M or 2G` });
    return z.NEVER;
  })
  .meta({ form: 'size' });

const RATE_UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000 } as const;

export const rate = parsedText('rate', (text) => {
  const match = /^([1-9]\d{0,8})\/([smh])$/.exec(text);
  if (match === null) throw new ValueError(`"${text}" is no rate; write 100/s or 600/m`);
  return { count: Number(match[1]), perMs: RATE_UNITS_MS[match[2] as 's' | 'm' | 'h'] };
});

export const cpuShare = parsedText('per cent of one CPU', (text) => {
  const match = /^([1-9]\d{0,5})%$/.exec(text);
  if (match === null) throw new ValueError(`"${text}" is no share of a CPU; write 50% or 200%`);
  return Number(match[1]);
});

export const umask = z
  .union([z.string(), z.int()])
  .transform((given, context) => {
    const match = typeof given === 'string' ? /^(?:0o?)?([0-7]{1,3})$/.exec(given) : null;
    if (match !== null) return Number.parseInt(match[1] ?? '', 8);
    context.addIssue({ code: 'custom', message: `"${given}" is no umask; write it in octal, 022` });
    return z.NEVER;
  })
  .meta({ form: 'octal digits' });

export const cidr = parsedText('IP or CIDR', (text) => formatCidr(readCidr(text)));

export const listenAddress = parsedText('address', parseListenAddress);

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** The name of a service, a listener or a gateway: it becomes part of paths and cgroups. */
export const name = z
  .string()
  .regex(NAME, {
    error: 'a name starts with a letter or a digit and has 63 of A-Z a-z 0-9 . _ - at most',
  })
  .meta({ form: 'name' });

/** A reference to a name: whether it exists is checked elsewhere, with a suggestion. */
export const reference = z.string().meta({ form: 'name' });

export const cpuList = z.array(z.int().min(0).max(4095));

/** `access` of listeners and of services. */
export const access = z.strictObject({
  allow: key(
    z.array(cidr).optional(),
    'at once',
    'Who may connect; an empty list: nobody.',
    'everybody',
  ),
  deny: key(
    z.array(cidr).prefault([]),
    'at once',
    'Who may not connect; of several matches the most specific wins, of equal ones this.',
  ),
});
