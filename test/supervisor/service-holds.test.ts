import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Underway } from '../../src/base/underway.js';
import { configFromObject } from '../../src/config/load.js';
import type { Service } from '../../src/config/model.js';
import type { Instance } from '../../src/supervisor/instance.js';
import type { InstanceEvents, InstanceFactory } from '../../src/supervisor/instance-factory.js';
import { ITSELF } from '../../src/supervisor/lease-book.js';
import type { OutputLog } from '../../src/supervisor/output-log.js';
import { ServiceDriver } from '../../src/supervisor/service-driver.js';
import { StartQueue } from '../../src/supervisor/start-queue.js';

const BY_COMMAND = { cause: 'command', source: null, listener: null } as const;

function readService(): Service {
  const idle = { freeze: '1h', hold: true };
  const holder = { run: { command: ['x'] }, upstream: 'tcp:80', ready: 'notify', idle };
  const result = configFromObject({ services: { holder } }, '/');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config.services[0] as Service;
}

/** A driver whose incarnations do nothing but wait to be told that they are ready, or that they failed. */
function makeDriver() {
  const did: string[] = [];
  const told: InstanceEvents[] = [];
  let end: { ready: () => void; fail: () => void } = { ready: () => {}, fail: () => {} };
  const underway = new Underway();
  const create = async (service: Service, events: InstanceEvents): Promise<Instance> => {
    told.push(events);
    const bringUp = () =>
      new Promise<null>((resolve, reject) => {
        end = { ready: () => resolve(null), fail: () => reject(new Error('no')) };
      });
    const act = (name: string) => () => void did.push(name);
    const dispose = async () => {};
    return {
      ...{ id: told.length, service, isOver: true, lastExit: null, bringUp, dispose },
      ...{ freeze: act('freeze'), thaw: act('thaw') },
    } as unknown as Instance;
  };
  const driver = new ServiceDriver(readService(), {
    instances: { create } as unknown as InstanceFactory,
    startQueue: new StartQueue(1, underway),
    underway,
    output: { recent: () => [], flush: async () => {} } as unknown as OutputLog,
    log: pino({ level: 'silent' }),
    ...{ onState() {}, onGone() {}, onAsleep() {}, onEvent() {} },
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    ...{ driver, did, settle },
    hold: (isHeld: boolean) => told.at(-1)?.onHold(isHeld),
    ready: async () => {
      end.ready();
      await settle();
    },
    fail: async () => {
      end.fail();
      await settle();
    },
  };
}

test('a hold that a service sends with its readiness, or before, keeps it awake', async () => {
  const { driver, settle, hold, ready } = makeDriver();
  const woken = driver.wake(BY_COMMAND);
  await settle();
  hold(true);
  await ready();
  await woken;
  expect([driver.state, driver.idleDue, [...driver.leases.keys()]]).toEqual([
    ...['running', null, [ITSELF]],
  ]);
  hold(false);
  expect(driver.idleDue).toMatchObject({ event: 'freeze-due' });
});

test('a hold that is read when the service was just frozen thaws it', async () => {
  const { driver, settle, hold, ready, did } = makeDriver();
  const woken = driver.wake(BY_COMMAND);
  await settle();
  await ready();
  await woken;
  expect(driver.freeze()).toBe(true);
  hold(true);
  expect([driver.state, driver.idleDue]).toEqual(['running', null]);
  expect(did).toEqual(['freeze', 'thaw']);
  expect(driver.freeze()).toBe(false);
});

test('a hold of a start that failed is none of the next one’s', async () => {
  const { driver, settle, hold, ready, fail } = makeDriver();
  const failed = driver.wake(BY_COMMAND);
  await settle();
  hold(true);
  const refusal = expect(failed).rejects.toThrow('no');
  await fail();
  await refusal;
  expect(driver.leases.size).toBe(0);
  hold(true);
  expect(driver.leases.size).toBe(0);
  const woken = driver.wake(BY_COMMAND);
  await settle();
  await ready();
  await woken;
  expect(driver.idleDue).toMatchObject({ event: 'freeze-due' });
});
