const FIRST_FD = 3;

/**
 * The descriptors that systemd passed to this process, by name (sd_listen_fds(3)); the variables are
 * taken out of the environment. Empty where they are for another process.
 */
export function takeInheritedSockets(environment: NodeJS.ProcessEnv): Map<string, number[]> {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = environment;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete environment[name];
  const sockets = new Map<string, number[]>();
  if (Number(LISTEN_PID) !== process.pid) return sockets;
  const names = LISTEN_FDNAMES?.split(':') ?? [];
  for (let index = 0; index < Number(LISTEN_FDS ?? 0); index += 1) {
    const name = names[index] || 'unknown';
    sockets.set(name, [...(sockets.get(name) ?? []), FIRST_FD + index]);
  }
  return sockets;
}
