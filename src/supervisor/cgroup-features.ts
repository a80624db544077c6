import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cgroup } from '../sys/cgroups.js';

const BLOCK_DEVICES = '/sys/block';

/** What cgroups can do here besides having controllers. */
export interface CgroupFeatures {
  /** Linux 5.2. */
  readonly freeze: boolean;
  /** Linux 5.14. */
  readonly kill: boolean;
  /** Why memory can't be reclaimed on demand (Linux 5.19); null: it can. */
  readonly whyNoReclaim: string | null;
  /** Why weights of io have no effect; null: they have, as far as can be seen. */
  readonly whyNoIoWeight: string | null;
}

/** Tries them on an empty cgroup. `root`: where the hierarchy is mounted, in which some are switched on. */
export function findFeatures(probe: Cgroup, root: Cgroup): CgroupFeatures {
  return {
    freeze: probe.read('cgroup.freeze') !== null,
    kill: probe.tryWrite('cgroup.kill', '1'),
    // An empty cgroup has nothing to reclaim (EAGAIN): that the file is there tells enough.
    whyNoReclaim: probe.has('memory.reclaim') ? null : 'this kernel has no memory.reclaim',
    whyNoIoWeight: findIoWeight(probe, root),
  };
}

/** A weight is taken by every kernel that knows weights, and used by some disks only. */
function findIoWeight(probe: Cgroup, root: Cgroup): string | null {
  if (!probe.has('io.weight') && !probe.has('io.bfq.weight'))
    return 'this kernel has neither io.weight nor io.bfq.weight';
  const hasCost = /\benable=1\b/.test(root.read('io.cost.qos') ?? '');
  return hasCost || schedulers().some((text) => text.includes('[bfq]'))
    ? null
    : 'no disk here goes by weights';
}

/** Of every disk, as its queue/scheduler has them: the one in use in brackets. */
function schedulers(): string[] {
  try {
    return readdirSync(BLOCK_DEVICES).flatMap((name) => {
      try {
        return [readFileSync(join(BLOCK_DEVICES, name, 'queue/scheduler'), 'utf8')];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}
