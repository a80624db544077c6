import { expect, onTestFinished, test } from 'vitest';
import { Underway } from '../../src/base/underway.js';
import { configFromObject } from '../../src/config/load.js';
import { Instance } from '../../src/supervisor/instance.js';
import type { Launchers } from '../../src/supervisor/launchers.js';
import { PreparedVps } from '../../src/supervisor/prepared-vps.js';
import type { Vps } from '../../src/supervisor/vps.js';
import { closeFd } from '../../src/sys/descriptors.js';
import { createSocketPair } from '../../src/sys/sockets.js';

const CONFIG = {
  enforce: 'none',
  listeners: { in: { address: '127.0.0.1:0', protocol: 'tcp' } },
  services: {
    lines: {
      routes: [{ listener: 'in' }],
      run: { command: ['/bin/echo'] },
      upstream: 'stdio',
    },
  },
};
const ENDS = { source: '127.0.0.1:1', destination: '127.0.0.1:2' };

function readService() {
  const result = configFromObject(CONFIG, '/');
  if (!('config' in result)) throw new Error(JSON.stringify(result));
  const [service] = result.config.services;
  if (service === undefined) throw new Error('no service');
  return service;
}

test('a connection that comes while the VPS is taken down starts nothing by its closed descriptors', async () => {
  let takeDown = () => {};
  const disposed = new Promise<void>((resolve) => (takeDown = resolve));
  const vps: Vps = {
    target: { vpsPidfd: null, namespaces: 0 },
    networkFd: null,
    root: '/',
    cgroup: null,
    adopt: async () => {},
    processes: () => [],
    isPopulated: () => false,
    dispose: () => disposed,
    ended: new Promise(() => {}),
    state: () => ({ kind: 'host', seen: [], cgroup: null }),
  };
  const underway = new Underway();
  let launches = 0;
  const launch = () => {
    launches += 1;
    return Promise.reject(new Error('launched'));
  };
  const instance = new Instance({
    id: 1,
    service: readService(),
    prepared: new PreparedVps({
      ...{ vps, underway, notifyDirectory: null, stateDirectory: null },
      reach: { sockets: [], close() {} },
      egress: { address: null, state: null, close() {} },
    }),
    underway,
    userName: 'root',
    identity: null,
    launcher: { launch } as unknown as Launchers,
    rlimits: {},
    notify: null,
    onOutput: () => {},
    onHold: () => {},
    onTrouble: () => {},
    onGone: () => {},
  });
  const [ours, theirs] = createSocketPair('stream');
  onTestFinished(async () => {
    for (const fd of [ours, theirs]) closeFd(fd);
    takeDown();
    await instance.dispose();
  });
  await expect(instance.serveOn(theirs, ENDS)).rejects.toThrow('launched');
  instance.kill();
  await expect(instance.serveOn(theirs, ENDS)).rejects.toMatchObject({ code: 'start' });
  expect(launches).toBe(1);
});
