import { spawn } from 'node:child_process';
import {
  chmodSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { findGatewayPaths, gatewayVpsArguments } from '../../dist/supervisor/gateway-vps-plan.js';
import { findHelper, hostFiles } from '../../dist/supervisor/host-files.js';
import { wrapForLimits } from '../../dist/supervisor/service-environment.js';
import { HeldVps, HostVps, type Vps } from '../../dist/supervisor/vps.js';
import { serviceVpsArguments, type VpsRequest } from '../../dist/supervisor/vps-plan.js';
import { closeFd, createPipe } from '../../dist/sys/descriptors.js';
import { Launcher } from '../../dist/sys/launcher.js';
import { FIXTURES } from '../support/fixture.js';

/** The program, as text: a gateway's VPS has perl (in /usr), but none of the tests' files. */
const ATTACKER = readFileSync(join(FIXTURES, 'attacker.pl'), 'utf8');
const PACKAGE_ROOT = join(import.meta.dirname, '../..');
/** Nobody else's, and in no range that rouse gives to services. */
export const ATTACKER_ID = 61_999;
const HOLDER_COMMAND = ['/bin/cat'];

export type FilterOption = 'standard' | 'pinned' | null;

/** How an attack's process is started; what is left out is as rouse does it. */
export interface Ground {
  /** null: the filter is off. */
  readonly filter?: FilterOption;
  /** null: as root. */
  readonly identity?: {
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
  } | null;
  readonly rlimits?: Readonly<Record<string, { soft: number; hard: number }>>;
  readonly cpus?: readonly number[];
}

const OWN_IDENTITY = { uid: ATTACKER_ID, gid: ATTACKER_ID, groups: [] };

/** VPSs as rouse builds them, with one protection or another left out, and a process in them that attacks. */
export class AttackLab implements AsyncDisposable {
  /** In a tree that VPSs show: nothing in it is hidden but by name. */
  readonly directory: string;
  readonly #launchers = new Map<FilterOption, Promise<Launcher>>();
  readonly #vpss: Vps[] = [];

  constructor() {
    mkdirSync('/var/lib', { recursive: true });
    this.directory = mkdtempSync('/var/lib/rouse-attack-');
    chmodSync(this.directory, 0o755);
    for (const name of ['state', 'runtime']) mkdirSync(join(this.directory, name), { mode: 0o755 });
  }

  /** A file that everybody may read, so that only a VPS keeps it from somebody. */
  file(path: string, content: string, mode = 0o644): string {
    const full = join(this.directory, path);
    mkdirSync(join(full, '..'), { recursive: true });
    writeFileSync(full, content, { mode });
    return full;
  }

  /** A service's VPS; `parts` replace parts of the request that rouse makes. */
  serviceVps(parts: Partial<VpsRequest> = {}): Promise<Vps> {
    const request: VpsRequest = {
      name: 'attacker',
      hostname: 'attacker',
      network: 'private',
      directory: null,
      readable: [],
      writable: [],
      hidden: [],
      programReadable: [],
      stateRoot: join(this.directory, 'state'),
      runtimeRoot: join(this.directory, 'runtime'),
      notifyDirectory: null,
      cgroupDirectory: null,
      tmpBytes: null,
      stateDirectory: null,
      extraTmpfs: [],
      command: HOLDER_COMMAND,
      ...parts,
    };
    return this.#build(serviceVpsArguments(request, hostFiles), request.network);
  }

  gatewayVps(): Promise<Vps> {
    const readable = findGatewayPaths(process.execPath, PACKAGE_ROOT, hostFiles);
    const plan = {
      hostname: 'gateway',
      network: 'none',
      readable,
      command: HOLDER_COMMAND,
    } as const;
    return this.#build(gatewayVpsArguments(plan, hostFiles), 'private');
  }

  /** No VPS: the host itself. */
  hostVps(): Vps {
    return new HostVps(null);
  }

  async #build(vpsArguments: readonly string[], network: 'private' | 'host'): Promise<Vps> {
    const bubblewrap = findHelper('bwrap', 'bubblewrap');
    const vps = await HeldVps.build({
      name: 'attacker',
      bubblewrap,
      arguments: vpsArguments,
      network,
      dialledPorts: [],
      cgroup: null,
    });
    this.#vpss.push(vps);
    return vps;
  }

  /** What the attacker says: `done …` or `refused …`. */
  async attack(
    vps: Vps,
    attack: readonly (string | number)[],
    ground: Ground = {},
  ): Promise<string> {
    const { filter = 'standard', identity = OWN_IDENTITY, rlimits = {}, cpus = [] } = ground;
    const launcher = await this.#launcher(filter);
    const { readFd, writeFd } = createPipe();
    const command = ['/usr/bin/perl', '-e', ATTACKER, ...attack.map(String)];
    const argv = wrapForLimits(command, rlimits);
    try {
      await launcher.launch({
        executable: argv[0] as string,
        arguments: argv,
        environment: ['PATH=/usr/bin:/bin'],
        directory: '/',
        descriptors: [
          [0, 0],
          [writeFd, 1],
          [writeFd, 2],
        ],
        ...vps.target,
        identity,
        umask: 0o022,
        cpus,
      });
    } finally {
      closeFd(writeFd);
    }
    return (await text(createReadStream('', { fd: readFd }))).trim();
  }

  #launcher(filter: FilterOption): Promise<Launcher> {
    const launcher = this.#launchers.get(filter) ?? Launcher.create({ homePidfd: null, filter });
    this.#launchers.set(filter, launcher);
    return launcher;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const launcher of this.#launchers.values()) await (await launcher).close();
    for (const vps of this.#vpss) await vps.dispose();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The same attack by a plain child of this process: with every capability, or as a user that may still gain some. */
export async function attackUnprotected(
  attack: readonly (string | number)[],
  { uid }: { uid?: number } = {},
): Promise<string> {
  const command = ['-e', ATTACKER, ...attack.map(String)];
  const child = spawn('/usr/bin/perl', command, {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  return (await text(child.stdout)).trim();
}
