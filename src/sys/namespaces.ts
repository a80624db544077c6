import { closeSync, openSync, writeFileSync } from 'node:fs';
import { messageOf } from '../base/errors.js';
import { CLONE_NEWNET, checked, exitNow, setns } from './libc.js';

let ownNetworkFd: number | null = null;

/**
 * Runs `act` with this thread inside a network namespace (setns(2)): sockets that it creates belong
 * there for good, whoever holds them. Synchronous, so nothing else runs inside. A process that can't
 * come back would serve the wrong network, so it ends.
 */
export function inNetworkOf<T>(networkFd: number, act: () => T): T {
  ownNetworkFd ??= openSync('/proc/thread-self/ns/net', 'r');
  checked(setns(networkFd, CLONE_NEWNET), 'enter a network namespace');
  try {
    return act();
  } finally {
    if (setns(ownNetworkFd, CLONE_NEWNET) < 0) exitNow(70);
  }
}

/** A descriptor of a process's network namespace: keeps it in being, and leads into it. */
export function openNetworkOf(pid: number): number {
  return openSync(`/proc/${pid}/ns/net`, 'r');
}

/**
 * Prepares a fresh network namespace: any port may be bound without privilege, and dialling a port
 * that nobody listens on can't connect to itself by getting that port as its own. Returns what
 * could not be set, in words.
 */
export function prepareNetwork(networkFd: number): string[] {
  const settings = [
    ['ip_unprivileged_port_start', '0'],
    ['ip_local_port_range', '61000 65535'],
  ] as const;
  return inNetworkOf(networkFd, () =>
    settings.flatMap(([name, value]) => {
      try {
        writeFileSync(`/proc/sys/net/ipv4/${name}`, value);
        return [];
      } catch (error) {
        return [`net.ipv4.${name}: ${messageOf(error)}`];
      }
    }),
  );
}

/** Closes a namespace descriptor. */
export function closeNamespace(fd: number): void {
  closeSync(fd);
}
