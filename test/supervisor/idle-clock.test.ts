import { describe, expect, it } from 'vitest';
import { nextIdleDue } from '../../src/supervisor/idle-clock.js';

describe('the idle clock', () => {
  const both = { freezeMs: 60_000, stopMs: 600_000 };

  it('freezes first and stops later, both counted from the last use', () => {
    expect(nextIdleDue(1000, both, 'running')).toEqual({ event: 'freeze-due', atMs: 61_000 });
    expect(nextIdleDue(1000, both, 'frozen')).toEqual({ event: 'stop-due', atMs: 601_000 });
  });

  it('never stops a service that is only to be frozen', () => {
    const idle = { freezeMs: 5, stopMs: null };
    expect(nextIdleDue(0, idle, 'running')).toEqual({ event: 'freeze-due', atMs: 5 });
    expect(nextIdleDue(0, idle, 'frozen')).toBeNull();
  });

  it('leaves out a freeze that would not come before the stop', () => {
    for (const freezeMs of [10, 11]) {
      const due = nextIdleDue(0, { freezeMs, stopMs: 10 }, 'running');
      expect(due).toEqual({ event: 'stop-due', atMs: 10 });
    }
  });

  it('lets a service with idle: never run for ever', () => {
    expect(nextIdleDue(0, { freezeMs: null, stopMs: null }, 'running')).toBeNull();
  });

  it('is silent about services that are not up', () => {
    for (const state of ['stopped', 'starting', 'stopping', 'failed'] as const) {
      expect(nextIdleDue(0, both, state)).toBeNull();
    }
  });
});
