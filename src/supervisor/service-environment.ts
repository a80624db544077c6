export interface EnvironmentRequest {
  readonly directory: string | null;
  /** The user's name in the VPS. */
  readonly user: string;
  /** `run.environment`; wins over the file. */
  readonly environment: Readonly<Record<string, string>>;
  /** What stands in `run.environment_file`. */
  readonly fileEnvironment: Readonly<Record<string, string>>;
  /** rouse's own environment; only LANG, LC_* and TZ of it are handed on. */
  readonly inherited: Readonly<Record<string, string | undefined>>;
  /** PATH where the config sets none. */
  readonly searchPath: string;
  /** Path inside the VPS; null: the service doesn't notify. */
  readonly notifySocket: string | null;
  /** The proxy to the outside, as `127.0.0.1:61042`; null: none. */
  readonly egressAddress: string | null;
  /** Hosts that are reached without it. */
  readonly directHosts: readonly string[];
  /** Its directory that outlives it; null: none. */
  readonly stateDirectory: string | null;
  /** Names of the inherited listening sockets, which are descriptors from 3 on (sd_listen_fds(3)). */
  readonly listenNames: readonly string[];
  /** The client, where the process serves one connection. */
  readonly connection: ConnectionAddresses | null;
}

/** Both ends of a TCP connection; null addresses: a Unix socket. */
export interface ConnectionAddresses {
  readonly remote: { readonly ip: string; readonly port: number } | null;
  readonly local: { readonly ip: string; readonly port: number } | null;
}

/** The environment of a service's process; nothing of rouse's own gets in but locale and time zone. */
export function serviceEnvironment(request: EnvironmentRequest): Record<string, string> {
  return {
    ...localeOf(request.inherited),
    PATH: request.searchPath,
    HOME: request.directory ?? '/',
    USER: request.user,
    LOGNAME: request.user,
    SHELL: '/bin/sh',
    ...proxyVariables(request),
    ...request.fileEnvironment,
    ...request.environment,
    ...protocolVariables(request),
  };
}

function localeOf(inherited: EnvironmentRequest['inherited']): Record<string, string> {
  const pairs = Object.entries(inherited).filter(([name]) => /^(?:LANG|LC_[A-Z]+|TZ)$/.test(name));
  return Object.fromEntries(
    pairs.filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}

/** As curl(1) describes them; programs read them in either case. */
function proxyVariables(request: EnvironmentRequest): Record<string, string> {
  const { egressAddress, directHosts } = request;
  if (egressAddress === null) return {};
  const variables = {
    HTTP_PROXY: `http://${egressAddress}`,
    HTTPS_PROXY: `http://${egressAddress}`,
    ALL_PROXY: `socks5h://${egressAddress}`,
    NO_PROXY: [...new Set(['localhost', '127.0.0.1', '::1', ...directHosts])].join(','),
  };
  const lowerCase = Object.entries(variables).map(([name, value]) => [name.toLowerCase(), value]);
  return { ...variables, ...Object.fromEntries(lowerCase) };
}

function protocolVariables(request: EnvironmentRequest): Record<string, string> {
  const { notifySocket, stateDirectory, listenNames, connection } = request;
  return {
    ...(notifySocket === null ? {} : { NOTIFY_SOCKET: notifySocket }),
    ...(stateDirectory === null ? {} : { STATE_DIRECTORY: stateDirectory }),
    ...(listenNames.length === 0 ? {} : listenVariables(listenNames)),
    ...(connection === null ? {} : connectionVariables(connection)),
  };
}

function listenVariables(names: readonly string[]): Record<string, string> {
  return { LISTEN_FDS: `${names.length}`, LISTEN_FDNAMES: names.join(':') };
}

/** As systemd (systemd.exec(5)), UCSPI (cr.yp.to/proto/ucspi.txt) and xinetd tell who is calling. */
function connectionVariables({ remote, local }: ConnectionAddresses): Record<string, string> {
  if (remote === null || local === null) return { PROTO: 'UNIX' };
  return {
    REMOTE_ADDR: remote.ip,
    REMOTE_PORT: `${remote.port}`,
    REMOTE_HOST: remote.ip,
    PROTO: 'TCP',
    TCPREMOTEIP: remote.ip,
    TCPREMOTEPORT: `${remote.port}`,
    TCPLOCALIP: local.ip,
    TCPLOCALPORT: `${local.port}`,
  };
}

/**
 * A command that gets its own pid as LISTEN_PID, as sd_listen_fds(3) wants it: nobody outside can
 * know the pid before, so a shell sets it and becomes the command.
 */
export function wrapForListenPid(command: readonly string[]): string[] {
  return ['/bin/sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh', ...command];
}

/** A command that is killed when the supervisor dies (PR_SET_PDEATHSIG, by setpriv(1)): where no VPS ends it. */
export function wrapToEndWithSupervisor(
  command: readonly string[],
  setpriv = '/usr/bin/setpriv',
): string[] {
  return [setpriv, '--pdeathsig', 'KILL', '--', ...command];
}

/** A command that runs under prlimit(1) with limits; `Infinity` is unlimited. */
export function wrapForLimits(
  command: readonly string[],
  limits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>,
  prlimit = '/usr/bin/prlimit',
): string[] {
  const options = Object.entries(limits).map(
    ([name, { soft, hard }]) => `--${name}=${limitText(soft)}:${limitText(hard)}`,
  );
  return options.length === 0 ? [...command] : [prlimit, ...options, '--', ...command];
}

function limitText(value: number): string {
  return value === Number.POSITIVE_INFINITY ? 'unlimited' : `${value}`;
}
