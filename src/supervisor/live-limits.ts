import { RouseError } from '../base/errors.js';
import { parseSize } from '../base/size.js';
import type { Service } from '../config/model.js';
import { type Capabilities, type Capability, findingFor } from './capabilities.js';

type Resources = Service['resources'];

interface LimitKey {
  readonly capability: Capability;
  readonly resource: 'memoryBytes' | 'cpuPercent' | 'tasks' | 'ioWeight';
  readonly example: string;
  /** null: not a value of this limit. */
  parse(text: string): number | null;
}

const LIMITS: Readonly<Record<string, LimitKey>> = {
  memory: { capability: 'memory', resource: 'memoryBytes', example: '512M', parse: parseSize },
  cpu: {
    capability: 'cpu',
    resource: 'cpuPercent',
    example: '50%',
    parse: (text) => (/^\d{1,6}%$/.test(text) ? Number(text.slice(0, -1)) : null),
  },
  tasks: { capability: 'tasks', resource: 'tasks', example: '100', parse: wholeNumber },
  io: { capability: 'io', resource: 'ioWeight', example: '100', parse: wholeNumber },
};

const MAX_IO_WEIGHT = 10_000;

function wholeNumber(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/**
 * The limits that `rouse set` asks for. Throws `usage` for what is none, `isolation` for what can't
 * be had here.
 */
export function parseLimits(
  service: Service,
  wanted: Readonly<Record<string, string>>,
  capabilities: Capabilities,
): Partial<Resources> {
  const entries = Object.entries(wanted).map(([key, text]): [string, number | null] => {
    const limit = Object.hasOwn(LIMITS, key) ? LIMITS[key] : undefined;
    if (!limit) {
      throw new RouseError(
        'usage',
        `${key}: no limit; there are ${Object.keys(LIMITS).join(', ')}`,
      );
    }
    const finding = findingFor(service, limit.capability, capabilities);
    if (finding.by === null) {
      const what = `service ${service.name}: ${key} cannot be enforced here`;
      throw new RouseError('isolation', `${what}: ${finding.reason}; ${finding.remedy}`);
    }
    return [limit.resource, text === 'none' ? null : parseValue(key, text, limit)];
  });
  if (entries.length === 0) throw new RouseError('usage', 'no limit given; write memory=512M');
  return Object.fromEntries(entries);
}

function parseValue(key: string, text: string, limit: LimitKey): number {
  const value = limit.parse(text);
  const isTooMuch = limit.resource === 'ioWeight' && (value ?? 0) > MAX_IO_WEIGHT;
  if (value !== null && value > 0 && !isTooMuch) return value;
  throw new RouseError('usage', `${key}: "${text}" is no value; write ${limit.example} or none`);
}
