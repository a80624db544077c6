import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServiceState } from '../../src/ipc/admin-api.js';
import {
  LIFECYCLE_EVENTS,
  type LifecycleContext,
  nextTransition,
} from '../../src/supervisor/state-table.js';
import { SimulatedService } from './simulated-service.js';

const STATES: ServiceState[] = ['stopped', 'starting', 'running', 'frozen', 'stopping', 'failed'];

const QUIET: LifecycleContext = {
  leases: 0,
  demanded: false,
  backoffOver: false,
  cleanExit: false,
  alive: false,
};

const contexts = fc.record({
  leases: fc.nat(2),
  demanded: fc.boolean(),
  backoffOver: fc.boolean(),
  cleanExit: fc.boolean(),
  alive: fc.boolean(),
});

function step(state: ServiceState, event: (typeof LIFECYCLE_EVENTS)[number], context = {}) {
  return nextTransition(state, event, { ...QUIET, ...context });
}

describe('the lifecycle', () => {
  it('has an answer to every event in every state', () => {
    for (const state of STATES) {
      for (const event of LIFECYCLE_EVENTS) {
        const next = step(state, event);
        expect(STATES, `${state} × ${event}`).toContain(next.state);
      }
    }
  });

  it('starts a stopped service at its first demand, and once for all that follow', () => {
    expect(step('stopped', 'demand')).toEqual({ state: 'starting', effects: ['start'] });
    expect(step('starting', 'demand')).toEqual({ state: 'starting', effects: [] });
  });

  it('answers all that wait when the service is ready, and lets an unused one go idle', () => {
    expect(step('starting', 'ready')).toEqual({
      state: 'running',
      effects: ['grant', 'arm-idle'],
    });
  });

  it('keeps a leased service awake although its idle time is over', () => {
    for (const event of ['freeze-due', 'stop-due', 'freeze-now'] as const) {
      expect(step('running', event, { leases: 1 })).toEqual({ state: 'running', effects: [] });
    }
    expect(step('frozen', 'stop-due', { leases: 1 })).toEqual({ state: 'frozen', effects: [] });
  });

  it('thaws a frozen service for a demand', () => {
    const { state, effects } = step('frozen', 'demand', { demanded: true });
    expect(state).toBe('running');
    expect(effects.filter((effect) => effect !== 'cancel-idle')).toEqual(['thaw', 'grant']);
  });

  it('queues the stop signal of a frozen service before it thaws', () => {
    for (const event of ['stop-due', 'stop-now', 'restart-now'] as const) {
      const { state, effects } = step('frozen', event);
      expect(state).toBe('stopping');
      expect(effects.indexOf('signal-stop')).toBeLessThan(effects.indexOf('thaw'));
      expect(effects).toContain('signal-stop');
    }
  });

  it('starts again at once what was wanted while it stopped', () => {
    expect(step('stopping', 'demand', { demanded: true }).state).toBe('stopping');
    const { state, effects } = step('stopping', 'gone', { demanded: true });
    expect(state).toBe('starting');
    expect(effects.at(-1)).toBe('start');
  });

  it('closes the connections of a service that crashed, and refuses until the backoff is over', () => {
    const crash = step('running', 'gone', { leases: 2 });
    expect(crash.state).toBe('failed');
    expect(crash.effects).toEqual(
      expect.arrayContaining(['close-connections', 'report-exit', 'arm-backoff']),
    );
    expect(step('failed', 'demand', { demanded: true })).toEqual({
      state: 'failed',
      effects: ['refuse'],
    });
    expect(step('failed', 'backoff-over').state).toBe('failed');
    expect(step('failed', 'demand', { demanded: true, backoffOver: true })).toEqual({
      state: 'starting',
      effects: ['start'],
    });
  });

  it('starts a failed service for rouse wake in spite of the backoff', () => {
    expect(step('failed', 'wake-now', { demanded: true })).toEqual({
      state: 'starting',
      effects: ['start'],
    });
  });

  it('takes a clean exit for a stop, not for a failure', () => {
    const { state, effects } = step('running', 'gone', { cleanExit: true });
    expect(state).toBe('stopped');
    expect(effects).not.toContain('arm-backoff');
  });

  it('takes a clean exit before readiness for a failure', () => {
    const { state, effects } = step('starting', 'gone', { cleanExit: true, demanded: true });
    expect(state).toBe('failed');
    expect(effects).toContain('refuse');
  });

  it('kills what did not become ready in time before it is started again', () => {
    const timeout = step('starting', 'start-failed', { demanded: true, alive: true });
    expect(timeout).toEqual({ state: 'failed', effects: ['arm-backoff', 'refuse', 'kill'] });
    const early = step('failed', 'wake-now', { demanded: true, alive: true });
    expect(early).toEqual({ state: 'stopping', effects: ['kill'] });
    expect(step('stopping', 'gone', { demanded: true }).state).toBe('starting');
  });

  it('kills a service that is told to stop while it starts', () => {
    expect(step('starting', 'stop-now', { demanded: true, alive: true })).toEqual({
      state: 'stopping',
      effects: ['refuse', 'kill'],
    });
  });

  it('kills a service that outlives its stop timeout', () => {
    expect(step('stopping', 'stop-timeout')).toEqual({ state: 'stopping', effects: ['kill'] });
  });

  it('grants only what runs, and refuses nobody who runs, in whatever situation', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...STATES),
        fc.constantFrom(...LIFECYCLE_EVENTS),
        contexts,
        (from, event, context) => {
          const { state, effects } = nextTransition(from, event, context);
          if (effects.includes('grant')) expect(state).toBe('running');
          if (effects.includes('refuse')) expect(['failed', 'stopping']).toContain(state);
          if (effects.includes('freeze')) expect([state, context.leases]).toEqual(['frozen', 0]);
          expect(effects.includes('start')).toBe(state === 'starting' && from !== 'starting');
          expect(new Set(effects).size).toBe(effects.length);
        },
      ),
    );
  });

  it('answers every demand and never stops what is in use, in any order of events', () => {
    const names = Object.keys(new SimulatedService().moves);
    const sequences = fc.array(fc.constantFrom(...names), { maxLength: 120 });
    fc.assert(
      fc.property(sequences, (sequence) => {
        const service = new SimulatedService();
        for (const name of sequence) service.moves[name]?.();
        service.settle();
        expect(service.waiting).toBe(0);
        expect(service.granted + service.refused).toBe(service.demanded);
        expect(service.complaints).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
});
