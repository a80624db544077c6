import type { SpawnRequest } from './spawn.js';

/** What the launcher starts: a program, its paths as they are inside, in a VPS that stands, as somebody. */
export interface LaunchRequest extends SpawnRequest {
  /** pidfd of a process in the VPS, whose namespaces are entered; null: no namespaces. */
  readonly vpsPidfd: number | null;
  /** CLONE_NEW* flags of the namespaces to enter. */
  readonly namespaces: number;
  /** null: this process's own identity (where the kernel maps no other). */
  readonly identity: {
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
  } | null;
  readonly umask: number;
  readonly cpus: readonly number[];
}

export type LaunchResult =
  | { readonly pid: number }
  /** `step`: what failed, in words. */
  | { readonly step: string; readonly errno: number };

/** What the launcher thread is made with. */
export interface LauncherData {
  /** pidfd of a process in whose namespaces it waits between requests; null: this process's own. */
  readonly homePidfd: number | null;
  /** See `assembleFilter`; null: none. */
  readonly filter: Uint8Array | null;
}
