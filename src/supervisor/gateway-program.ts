import { SMALL_YOUNG_GENERATION } from '../base/heap.js';
import type { GatewaySettings } from '../config/model.js';
import type { LaunchRequest } from '../sys/launch-request.js';
import { lanesOf } from './gateway-share.js';

export interface GatewayProgramSettings {
  /** The gateway's program, a file of the package. */
  readonly gatewayProgram: string;
  /** Environment of gateways: how they log. */
  readonly gatewayEnvironment: Readonly<Record<string, string>>;
}

/** What a gateway's process executes: it is told how many lanes it has. */
export function gatewayProgram(
  settings: GatewayProgramSettings,
  gateway: GatewaySettings,
): Pick<LaunchRequest, 'executable' | 'arguments' | 'environment'> {
  const variables = {
    ...settings.gatewayEnvironment,
    ROUSE_LANES: String(lanesOf(gateway).length),
  };
  return {
    executable: process.execPath,
    arguments: [process.execPath, SMALL_YOUNG_GENERATION, settings.gatewayProgram],
    environment: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
  };
}
