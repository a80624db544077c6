import { rmSync } from 'node:fs';
import type { Underway } from '../base/underway.js';
import type { EgressDoor, EgressDoorState } from './egress-doors.js';
import type { ReachDoor, ReachSocket } from './reach.js';
import type { Vps, VpsState } from './vps.js';

/** What an upgraded supervisor goes on with. */
export interface PreparedVpsState {
  readonly vps: VpsState;
  readonly notifyDirectory: string | null;
  readonly stateDirectory: string | null;
  readonly reach: readonly ReachSocket[];
  readonly egress: EgressDoorState | null;
}

export interface PreparedVpsParts {
  readonly vps: Vps;
  /** Directory of the notify socket out here; null: none. */
  readonly notifyDirectory: string | null;
  /** Its directory that outlives it; null: none. */
  readonly stateDirectory: string | null;
  /** Where it reaches other services. */
  readonly reach: ReachDoor;
  /** Its way to the outside. */
  readonly egress: EgressDoor;
  readonly underway: Underway;
}

/** A VPS with all that was made for the incarnation which will live in it. */
export class PreparedVps {
  constructor(private readonly parts: PreparedVpsParts) {}

  get vps(): Vps {
    return this.parts.vps;
  }

  get notifyDirectory(): string | null {
    return this.parts.notifyDirectory;
  }

  get stateDirectory(): string | null {
    return this.parts.stateDirectory;
  }

  /** Where its proxy to the outside takes connections in there; null: there is none. */
  get egressAddress(): string | null {
    return this.parts.egress.address;
  }

  state(): PreparedVpsState {
    const { vps, notifyDirectory, stateDirectory, reach, egress } = this.parts;
    return {
      vps: vps.state(),
      notifyDirectory,
      stateDirectory,
      reach: reach.sockets,
      egress: egress.state,
    };
  }

  /** Ends every process in it, and it, with all that was made for it. */
  release(): Promise<void> {
    return this.parts.underway.track(this.#release());
  }

  async #release(): Promise<void> {
    const { vps, notifyDirectory, reach, egress } = this.parts;
    reach.close();
    egress.close();
    await vps.dispose();
    if (notifyDirectory !== null) rmSync(notifyDirectory, { recursive: true, force: true });
  }
}
