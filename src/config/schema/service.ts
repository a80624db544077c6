import * as z from 'zod';
import { formatCidr, parseIp } from '../../base/ip.js';
import { parseIpPort } from '../address.js';
import { readCidr } from '../cidr.js';
import { parseEgressRule } from '../egress-rule.js';
import { normaliseHost, normaliseServerName } from '../host-name.js';
import { parseUpstream } from '../upstream.js';
import { key, parsedText, withDefaults } from './key.js';
import { run } from './run.js';
import { access, cpuList, cpuShare, duration, path, rate, reference, size } from './values.js';

const STOP_SIGNALS = [
  'SIGTERM',
  'SIGINT',
  'SIGQUIT',
  'SIGHUP',
  'SIGKILL',
  'SIGUSR1',
  'SIGUSR2',
  'SIGABRT',
  'SIGALRM',
  'SIGWINCH',
] as const;

const destination = parsedText('IP, IP:port or CIDR', (text) => {
  const isAlone = text.includes('/') || parseIp(text) !== null;
  if (isAlone) return { cidr: formatCidr(readCidr(text)), port: null };
  const bracketed = /^\[([^\]]*)\]$/.exec(text);
  if (bracketed !== null) return { cidr: formatCidr(readCidr(bracketed[1] ?? '')), port: null };
  if (!text.includes(':')) return { cidr: formatCidr(readCidr(text)), port: null };
  const { host, port } = parseIpPort(text);
  const ip = parseIp(host);
  return { cidr: `${host}/${ip?.family === 4 ? 32 : 128}`, port };
});

const upstream = parsedText('upstream', parseUpstream);

const route = z.strictObject({
  listener: key(
    reference.optional(),
    'at once',
    'Only what arrives on this listener.',
    'all that fit',
  ),
  host: key(
    parsedText('host name', normaliseHost).optional(),
    'at once',
    'Only requests for this host (`http` and `https` listeners); `*.` stands for one label.',
  ),
  sni: key(
    parsedText('host name', normaliseServerName).optional(),
    'at once',
    'Only connections with this server name (`tls` listeners); `*.` stands for one label.',
  ),
  destination: key(
    destination.optional(),
    'at once',
    'Only what the client connected to at this address: IP, `IP:port` or CIDR.',
  ),
  upstream: key(upstream.optional(), 'next start', 'Where this traffic goes.', "the service's"),
});

const stage = duration.optional();

const idle = z.union([
  z.strictObject({
    freeze: key(
      stage,
      'at once',
      'Freezes the service so long after its last use; alone: it is never stopped.',
    ),
    stop: key(
      stage,
      'at once',
      'Stops the service so long after its last use.',
      "`5m` where `freeze` isn't given",
    ),
    reclaim: key(
      z.boolean().default(false),
      'at once',
      'Pushes the memory of a frozen service out to swap and files.',
    ),
    hold: key(
      z.boolean().default(false),
      'next start',
      'The service may keep itself awake: it gets a NOTIFY_SOCKET, and says `ROUSE_HOLD=1` and `ROUSE_HOLD=0` there.',
    ),
    quiet: key(
      duration.prefault('1h'),
      'at once',
      'A connection without bytes for so long holds nothing awake, and is closed when the service stops.',
    ),
  }),
  z.literal('never'),
]);

const ready = z.union([
  z.enum(['connect', 'notify']),
  z.strictObject({
    http: key(
      z.string().regex(/^\/[\x21-\x7e]*$/, { error: 'must be a path that starts with /' }),
      'next start',
      'Ready when a GET of this path answers 2xx or 3xx.',
    ),
  }),
]);

const limits = z.strictObject({
  connections: key(
    z.int().min(1).prefault(10_000),
    'at once',
    'Open connections and requests in flight, at most.',
  ),
  held: key(
    z.int().min(0).prefault(4096),
    'at once',
    'Connections that wait for the service to start, at most.',
  ),
  held_age: key(duration.optional(), 'at once', 'How long one may wait.', '`start_timeout`'),
  per_source: key(
    z.int().min(1).optional(),
    'at once',
    'Connections of one client address, at most.',
    'no limit',
  ),
  rate: key(
    rate.optional(),
    'at once',
    'New connections or requests, at most: `100/s`, `600/m`.',
    'no limit',
  ),
});

const resources = z.strictObject({
  memory: key(
    size.optional(),
    'next start',
    'Memory of all its processes together, at most; and as much swap, where there is some.',
    'no limit',
  ),
  cpu: key(
    cpuShare.optional(),
    'next start',
    'CPU time, at most: `50%` of one CPU, `200%`.',
    'no limit',
  ),
  tasks: key(
    z.int().min(1).optional(),
    'next start',
    'Processes and threads, at most.',
    'no limit',
  ),
  io: key(
    z.int().min(1).max(10_000).optional(),
    'next start',
    'Its weight where several want the same disk.',
    '100',
  ),
  tmp: key(
    size.optional(),
    'next start',
    'Size of its /tmp, and of its /var/tmp, /run and /dev/shm each.',
    'half of the memory',
  ),
  descriptors: key(
    z.int().min(16).optional(),
    'next start',
    'Open files of each process, at most; the same as `run.rlimits.nofile`.',
    'inherited',
  ),
});

const isolation = z.strictObject({
  network: key(
    z.enum(['private', 'host']).prefault('private'),
    'next start',
    "`private`: a loopback of its own and nothing else; `host`: the host's network.",
  ),
  writable: key(z.array(path).default([]), 'next start', 'Paths that the service may write to.'),
  readable: key(
    z.array(path).default([]),
    'next start',
    'Paths that it may read beyond what every service may.',
  ),
  hidden: key(z.array(path).default([]), 'next start', 'Paths that it may not see.'),
  state: key(
    z.boolean().default(false),
    'next start',
    'A directory of its own that outlives it, writable, named in `STATE_DIRECTORY`.',
  ),
});

const reachAddress = parsedText('loopback IP:port', parseIpPort);

const egressRule = parsedText('name or CIDR, with ports', parseEgressRule);

export const service = z.strictObject({
  routes: key(
    z.array(route).default([]),
    'at once',
    'What brings traffic here; without any the service is started by `rouse wake` and `reach` only.',
  ),
  run: key(run.prefault({}), 'next start', 'The program.'),
  upstream: key(
    upstream.optional(),
    'next start',
    'Where it takes connections: `tcp:PORT`, `tcp:HOST:PORT`, `unix:PATH`, `socket` (inherits a listening socket) or `stdio` (a process a connection).',
    'required',
  ),
  reach: key(
    z.record(reference, reachAddress).default({}),
    'next start',
    'Other services that it uses, each with the loopback address at which it finds them.',
  ),
  egress: key(
    z.array(egressRule).default([]),
    'at once',
    "What it may connect to outside, through the HTTP and SOCKS proxy that `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` name: `api.example.com:443`, `*.example.com:443`, `10.0.0.0/8:*`, `[2001:db8::/32]:8000-8080`. Names allow targets by name, blocks targets by address. Loopback, link-local and the host's own addresses are never reached by name, and by address only where a block lies within them. The first rule takes effect at the next start.",
    'nothing',
  ),
  ready: key(
    ready.prefault('connect'),
    'next start',
    'How rouse knows that it takes connections: it can connect, the service says `READY=1` (`notify`), or an HTTP path answers; `socket` and `stdio` need nothing.',
  ),
  start_timeout: key(duration.prefault('30s'), 'next start', 'How long a start may take.'),
  idle: key(
    idle.prefault({}),
    'at once',
    'What becomes of it when nobody uses it; `never`: nothing.',
    '`{ stop: 5m }`',
  ),
  stop_signal: key(z.enum(STOP_SIGNALS).prefault('SIGTERM'), 'next start', 'Asks it to stop.'),
  stop_timeout: key(
    duration.prefault('10s'),
    'next start',
    'How long it may take to stop before it is killed.',
  ),
  limits: key(withDefaults(limits), 'at once', 'What more than this is refused, with a reason.'),
  access: key(access.optional(), 'at once', 'Who may use it.', 'everybody'),
  resources: key(withDefaults(resources), 'next start', 'What it may use of the machine.'),
  isolation: key(withDefaults(isolation), 'next start', 'What it sees of the machine.'),
  cpus: key(cpuList.default([]), 'next start', 'CPUs that it may run on, by number.', 'all'),
});

export type ServiceShape = z.output<typeof service>;
export type RouteShape = z.output<typeof route>;
export type IdleShape = z.output<typeof idle>;
