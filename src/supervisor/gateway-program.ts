import { SMALL_YOUNG_GENERATION } from '../base/heap.js';
import type { GatewaySettings } from '../config/model.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import { lanesOf } from './gateway-share.js';

export interface GatewayProgramSettings {
  /** The gateway's program, a file of the package. */
  readonly gatewayProgram: string;
  /** Gives each gateway a socket for what it logs; null: they log to standard error. */
  readonly openLog: (() => number) | null;
  /** Environment of gateways: how they log. */
  readonly gatewayEnvironment: Readonly<Record<string, string>>;
}

/** The first of a gateway's control channels, one for each lane; the log's descriptor is behind them. */
export const FIRST_CONTROL_FD = 3;

/** What a gateway's process executes: it is told its name, and how many lanes it has. */
export function gatewayProgram(
  settings: GatewayProgramSettings,
  gateway: GatewaySettings,
): Pick<LaunchRequest, 'executable' | 'arguments' | 'environment'> {
  const lanes = lanesOf(gateway).length;
  const variables = {
    ...settings.gatewayEnvironment,
    ROUSE_GATEWAY: gateway.name,
    ROUSE_LANES: String(lanes),
    ...(settings.openLog === null ? {} : { ROUSE_LOG_FD: String(FIRST_CONTROL_FD + lanes) }),
  };
  return {
    executable: process.execPath,
    arguments: [process.execPath, SMALL_YOUNG_GENERATION, settings.gatewayProgram],
    environment: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
  };
}
