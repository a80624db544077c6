import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import {
  type EnvironmentRequest,
  serviceEnvironment,
  wrapForLimits,
  wrapForListenPid,
} from '../../src/supervisor/service-environment.js';

const DEFAULT_PATH = '/usr/bin:/bin';

const REQUEST: EnvironmentRequest = {
  directory: '/srv/blog',
  user: 'blog',
  environment: {},
  fileEnvironment: {},
  inherited: {},
  searchPath: DEFAULT_PATH,
  notifySocket: null,
  stateDirectory: null,
  egressAddress: null,
  directHosts: [],
  listenNames: [],
  connection: null,
};

describe('the environment of a service', () => {
  it('names the proxy to the outside as every program looks for it; the config has the last word', () => {
    const environment = serviceEnvironment({
      ...REQUEST,
      egressAddress: '127.0.0.1:61042',
      directHosts: ['127.0.0.9', '127.0.0.1'],
      environment: { http_proxy: '' },
    });
    expect(environment).toMatchObject({
      HTTP_PROXY: 'http://127.0.0.1:61042',
      http_proxy: '',
      HTTPS_PROXY: 'http://127.0.0.1:61042',
      https_proxy: 'http://127.0.0.1:61042',
      ALL_PROXY: 'socks5h://127.0.0.1:61042',
      all_proxy: 'socks5h://127.0.0.1:61042',
      NO_PROXY: 'localhost,127.0.0.1,::1,127.0.0.9',
      no_proxy: 'localhost,127.0.0.1,::1,127.0.0.9',
    });
  });

  it('has what programs expect, and no more', () => {
    expect(serviceEnvironment(REQUEST)).toEqual({
      PATH: DEFAULT_PATH,
      HOME: '/srv/blog',
      USER: 'blog',
      LOGNAME: 'blog',
      SHELL: '/bin/sh',
    });
    expect(serviceEnvironment({ ...REQUEST, directory: null }).HOME).toBe('/');
  });

  it('gets locale and time zone from rouse, but none of its secrets', () => {
    const inherited = {
      LANG: 'C.UTF-8',
      LC_ALL: 'C',
      TZ: 'UTC',
      TOKEN: 'x',
      PATH: '/evil',
      LANGUAGE: 'x',
      LISTEN_FDS: '9',
      NOTIFY_SOCKET: '/run/systemd/notify',
      LC_TIME: undefined,
    };
    const environment = serviceEnvironment({ ...REQUEST, inherited });
    expect(environment).toMatchObject({ LANG: 'C.UTF-8', LC_ALL: 'C', TZ: 'UTC' });
    expect(Object.keys(environment)).toHaveLength(8);
    expect(environment.PATH).toBe(DEFAULT_PATH);
  });

  it('takes the config over the environment file, and the file over defaults', () => {
    const environment = serviceEnvironment({
      ...REQUEST,
      fileEnvironment: { HOME: '/file', PORT: '1' },
      environment: { PORT: '2' },
    });
    expect(environment).toMatchObject({ HOME: '/file', PORT: '2' });
  });

  it('lets nothing override what the protocol between rouse and the service needs', () => {
    const forged = { NOTIFY_SOCKET: '/x', LISTEN_FDS: '7', LISTEN_FDNAMES: 'x' };
    const environment = serviceEnvironment({
      ...REQUEST,
      environment: forged,
      fileEnvironment: forged,
      notifySocket: '/run/rouse-notify/socket',
      listenNames: ['web', 'admin'],
    });
    expect(environment).toMatchObject({
      NOTIFY_SOCKET: '/run/rouse-notify/socket',
      LISTEN_FDS: '2',
      LISTEN_FDNAMES: 'web:admin',
    });
  });

  it('tells a process of a connection who calls, in the words of systemd, UCSPI and xinetd', () => {
    const connection = {
      remote: { ip: '192.0.2.7', port: 50000 },
      local: { ip: '198.51.100.1', port: 7 },
    };
    expect(serviceEnvironment({ ...REQUEST, connection })).toMatchObject({
      REMOTE_ADDR: '192.0.2.7',
      REMOTE_PORT: '50000',
      REMOTE_HOST: '192.0.2.7',
      PROTO: 'TCP',
      TCPREMOTEIP: '192.0.2.7',
      TCPREMOTEPORT: '50000',
      TCPLOCALIP: '198.51.100.1',
      TCPLOCALPORT: '7',
    });
    const unix = serviceEnvironment({ ...REQUEST, connection: { remote: null, local: null } });
    expect(unix.PROTO).toBe('UNIX');
    expect(unix).not.toHaveProperty('REMOTE_ADDR');
  });
});

describe('a wrapped command', () => {
  it('finds its own pid in LISTEN_PID', async () => {
    const [file = '', ...rest] = wrapForListenPid([
      '/bin/sh',
      '-c',
      'echo "$LISTEN_PID $$ $1"',
      'x',
      'a  b',
    ]);
    const child = spawn(file, rest, { env: { LISTEN_PID: '1' } });
    const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    expect(output).toBe(`${child.pid} ${child.pid} a  b\n`);
  });

  it('runs under the limits that were asked for', () => {
    const limits = {
      nofile: { soft: 77, hard: 99 },
      core: { soft: 0, hard: Number.POSITIVE_INFINITY },
    };
    const command = ['/bin/sh', '-c', 'ulimit -Sn; ulimit -Hn; ulimit -Sc'];
    const [file = '', ...rest] = wrapForLimits(command, limits);
    expect(rest).toContain('--core=0:unlimited');
    const [, ...withoutCore] = rest.filter((option) => !option.startsWith('--core'));
    const output = execFileSync(file, ['--nofile=77:99', ...withoutCore], { encoding: 'utf8' });
    expect(output.split('\n').slice(0, 2)).toEqual(['77', '99']);
  });

  it('stays as it is where there are no limits', () => {
    expect(wrapForLimits(['/bin/true'], {})).toEqual(['/bin/true']);
  });
});
