import * as z from 'zod';
import { key } from './key.js';
import { access, cidr, listenAddress, path } from './values.js';

const protocol = z.enum(['tcp', 'tls', 'http', 'https'], {
  error: (issue) =>
    issue.input === 'udp' ? 'the protocol "udp" is not supported by this version yet' : undefined,
});

const certificate = z.strictObject({
  cert: key(path, 'at once', 'PEM file with the certificate and its chain.'),
  key: key(path, 'at once', 'PEM file with the private key.'),
});

export const listener = z.strictObject({
  address: key(
    z.union([listenAddress, z.array(listenAddress).min(1)]),
    'listener reopens',
    'Where to listen: `IP:PORT`, `IP:FIRST-LAST`, `[IPv6]:PORT`, `unix:PATH`, `systemd:NAME` (inherited, by its LISTEN_FDNAMES name), or a list of these.',
  ),
  protocol: key(
    protocol,
    'listener reopens',
    'What arrives: `tcp`, `tls` (routed by SNI, passed through unopened), `http`, or `https` (terminated here).',
  ),
  certificates: key(
    z.array(certificate).optional(),
    'at once',
    '`https` only, and needed there: the certificates, chosen by SNI; the first is for clients that send none.',
  ),
  redirect: key(
    z.enum(['https']).optional(),
    'at once',
    '`http` only: answers every request with a 308 to the same place on https.',
  ),
  access: key(access.optional(), 'at once', 'Who may connect to this listener.', 'everybody'),
  trusted_proxies: key(
    z.array(cidr).optional(),
    'at once',
    'Clients whose X-Forwarded-* and Forwarded headers are believed.',
    "the top level's",
  ),
  backlog: key(
    z.int().min(1).max(65535).prefault(4096),
    'listener reopens',
    'How many connections may wait to be accepted; the kernel caps it at net.core.somaxconn.',
  ),
});

export type ListenerShape = z.output<typeof listener>;
