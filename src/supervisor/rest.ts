import { RouseError } from '../base/errors.js';
import type { ServiceSet } from './service-set.js';
import type { SupervisorParts } from './supervisor-parts.js';

/** What is under way (a VPS that is being built, a process that is being started) gets so long to end. */
const SETTLE_MS = 5000;

/** Throws a `RouseError` of code `upgrade` where a service wouldn't survive one. */
export function checkSurvival({ drivers }: ServiceSet): void {
  const mortal = [...drivers.values()].find(({ instance }) => instance?.isMortal);
  if (!mortal) return;
  const what = `${mortal.service.name} runs without a VPS and would end with the old program`;
  throw new RouseError('upgrade', `${what}; put it to sleep first, or restart rouse`);
}

/**
 * Calls `act` when nothing is under way that must not be broken off, and nothing is said that isn't
 * sent; what gateways and egress process say, and what can wait, waits meanwhile. All goes on when
 * `act` has returned. Rejects with a `RouseError` of code `upgrade` where rest doesn't come in time.
 */
export async function whenAtRest(parts: SupervisorParts, act: () => void): Promise<void> {
  const { egress, gateways, underway } = parts;
  underway.close();
  gateways.pause();
  egress.link?.pause();
  try {
    await comeToRest(parts);
    act();
  } finally {
    gateways.resume();
    egress.link?.resume();
    underway.open();
  }
}

async function comeToRest({ egress, gateways, manager, underway }: SupervisorParts): Promise<void> {
  const signal = AbortSignal.timeout(SETTLE_MS);
  do {
    const flushed = [gateways.flushed(), egress.link?.flushed(), manager.barrier()];
    void underway.track(Promise.all(flushed));
    if (!(await underway.settled(signal))) {
      const seconds = SETTLE_MS / 1000;
      throw new RouseError('upgrade', `rouse did not come to rest within ${seconds} s; try again`);
    }
  } while (!gateways.isFlushed || egress.link?.isFlushed === false);
}
