import * as z from 'zod';
import { parseSize } from '../../base/size.js';
import { key, withDefaults } from './key.js';
import { filledText, looseText, path, umask } from './values.js';

const RLIMIT_NAMES = [
  'as',
  'core',
  'cpu',
  'data',
  'fsize',
  'locks',
  'memlock',
  'msgqueue',
  'nice',
  'nofile',
  'nproc',
  'rss',
  'rtprio',
  'rttime',
  'sigpending',
  'stack',
] as const;

const rlimit = z
  .union([z.string(), z.int()])
  .transform((given, context) => {
    const [soft, hard = soft, ...more] = String(given).split(':').map(parseLimit);
    if (soft != null && hard != null && more.length === 0) {
      if (soft <= hard) return { soft, hard };
      context.addIssue({ code: 'custom', message: 'the soft limit is above the hard one' });
      return z.NEVER;
    }
    const message = `"${given}" is no limit; write a number, a size, unlimited or SOFT:HARD`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .meta({ form: 'number, size, `unlimited` or `SOFT:HARD`' });

function parseLimit(text: string): number | null {
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : parseSize(text);
}

const rlimits = Object.fromEntries(
  RLIMIT_NAMES.map((name) => [
    name,
    key(
      rlimit.optional(),
      'next start',
      `As RLIMIT_${name.toUpperCase()} in setrlimit(2).`,
      'inherited',
    ),
  ]),
) as Record<(typeof RLIMIT_NAMES)[number], z.ZodOptional<typeof rlimit>>;

const variableName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'the name of a variable has A-Z a-z 0-9 _ only' })
  .meta({ form: 'VARIABLE' });

export const run = z.strictObject({
  command: key(
    z.array(looseText).min(1).optional(),
    'next start',
    "Program and arguments; looked up in the PATH of `environment`, else the system's; with a slash: from `directory`.",
    'required',
  ),
  directory: key(path.optional(), 'next start', 'Working directory, readable in the VPS.', '/'),
  environment: key(
    z.record(variableName, looseText).default({}),
    'next start',
    "Variables of the service; rouse's own aren't inherited.",
  ),
  environment_file: key(
    path.optional(),
    'next start',
    'File of NAME=VALUE lines, read at every start; `environment` wins over it.',
  ),
  user: key(
    filledText.optional(),
    'next start',
    'User to run as, a name or a number, never root.',
    'an identity of its own',
  ),
  group: key(filledText.optional(), 'next start', 'Group to run as.', "the user's"),
  groups: key(z.array(filledText).default([]), 'next start', 'Supplementary groups.'),
  umask: key(umask.prefault('022'), 'next start', 'File mode creation mask.'),
  nice: key(z.int().min(-20).max(19).optional(), 'next start', 'Scheduling priority, nice(2).'),
  rlimits: key(
    withDefaults(z.strictObject(rlimits)),
    'next start',
    'Resource limits of its processes.',
  ),
});
