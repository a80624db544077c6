import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { startEcho, startHttp } from '../egress/egress-rig.js';
import { listDescendants, readStatusField } from '../support/processes.js';
import { waitFor } from '../support/wait-for.js';
import { listenersOf, RunningRouse, titled, whyNoIsolation } from './root-support.js';
import { runInside, shellService } from './shell-service.js';

const CURL = "curl -sS --max-time 15 --noproxy ''";

async function startWith(egress: readonly string[]) {
  const config = {
    log: { access: true },
    listeners: listenersOf({ shell: 'tcp' }),
    services: { app: shellService('shell', { egress }) },
  };
  const running = await RunningRouse.start(config);
  const port = await running.port('shell');
  const reload = (rules: readonly string[]) =>
    running.rouse.reload({
      enforce: 'required',
      ...config,
      services: { app: shellService('shell', { egress: rules }) },
    });
  return { running, reload, run: (line: string) => runInside(port, line) };
}

function findEgressProcess({ rouse }: RunningRouse): number | null {
  const found = listDescendants(rouse.pid).find(({ pid }) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('egress-process.js');
    } catch {
      return false;
    }
  });
  return found?.pid ?? null;
}

describe.skipIf(whyNoIsolation !== null)(titled('a service with a way out'), () => {
  test('reaches what its rules allow, over each proxy that its environment names, and nothing else', async () => {
    await using server = await startHttp('127.0.0.5');
    await using other = await startHttp('127.0.0.6');
    const allowed = `127.0.0.5:${server.port}`;
    const { running, run } = await startWith([`127.0.0.5/32:${server.port}`]);
    await using _ = running;
    expect(await run(`${CURL} http://${allowed}/plain`)).toContain('"url":"/plain"');
    expect(await run(`${CURL} --proxytunnel http://${allowed}/tunnel`)).toContain(
      '"url":"/tunnel"',
    );
    const socks = `${CURL} --proxy "$ALL_PROXY" http://${allowed}/socks`;
    expect(await run(socks)).toContain('"url":"/socks"');
    const denied = `http://127.0.0.6:${other.port}/`;
    expect(await run(`${CURL} ${denied}`)).toContain('No egress rule');
    expect(await run(`${CURL} -p ${denied}`)).toContain('response 403');
    expect(await run(`${CURL} --proxy "$ALL_PROXY" ${denied}`)).toMatch(/socks5|SOCKS5/i);
    expect(await run(`${CURL} --noproxy '*' http://${allowed}/`)).toContain("Couldn't connect");
    const lines = running.log.map((line) => JSON.parse(line)).filter((it) => it.event === 'egress');
    expect(lines).toContainEqual(
      expect.objectContaining({ service: 'app', target: allowed, verdict: 'allowed' }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({ target: `127.0.0.6:${other.port}`, code: 'not-allowed' }),
    );
  });

  test('has it from a process without a privilege, which sees nothing of the host but its network', async () => {
    const { running } = await startWith(['example.com:443']);
    await using _ = running;
    const pid = await waitFor(() => findEgressProcess(running));
    for (const field of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(Number.parseInt(readStatusField(pid, field), 16)).toBe(0);
    }
    expect(readStatusField(pid, 'NoNewPrivs')).toBe('1');
    expect(readStatusField(pid, 'Seccomp')).toBe('2');
    const ids = `${readStatusField(pid, 'Uid')} ${readStatusField(pid, 'Gid')}`.split(/\s+/);
    expect(new Set(ids).size).toBe(1);
    expect(ids).not.toContain('0');
    const namespace = (of: number | string, name: string) => readlinkSync(`/proc/${of}/ns/${name}`);
    expect(namespace(pid, 'net')).toBe(namespace('self', 'net'));
    for (const name of ['mnt', 'pid', 'ipc', 'uts']) {
      expect(namespace(pid, name)).not.toBe(namespace('self', name));
    }
    const inEtc = readdirSync(`/proc/${pid}/root/etc`);
    expect(inEtc).toContain('hosts');
    for (const name of ['passwd', 'shadow', 'rouse']) expect(inEtc).not.toContain(name);
    const top = readdirSync(`/proc/${pid}/root`);
    const ofRouse = process.cwd().split('/')[1];
    for (const name of ['home', 'root', 'tmp', 'srv'].filter((each) => each !== ofRouse)) {
      expect(top).not.toContain(name);
    }
  });

  test('has it again when that process was killed', async () => {
    await using server = await startHttp('127.0.0.5');
    const { running, run } = await startWith(['127.0.0.5/32:*']);
    await using _ = running;
    const ask = `${CURL} http://127.0.0.5:${server.port}/`;
    expect(await run(ask)).toContain('"method":"GET"');
    const victim = await waitFor(() => findEgressProcess(running));
    process.kill(victim, 'SIGKILL');
    expect(await run(ask)).toContain('"method":"GET"');
    expect(findEgressProcess(running)).not.toBe(victim);
  });

  test('is held to changed rules at once, in connections that stand too', async () => {
    await using echo = await startEcho('127.0.0.5');
    const { running, reload, run } = await startWith(['127.0.0.5/32:*']);
    await using _ = running;
    const connect = [
      '$proxy = IO::Socket::INET->new(substr($ENV{HTTP_PROXY}, 7))',
      `print $proxy "CONNECT 127.0.0.5:${echo.port} HTTP/1.1\\r\\n\\r\\n"`,
      ...['print while <$proxy>', 'print "over"'],
    ];
    const standing = run(`perl -MIO::Socket::INET -e '${connect.join('; ')}'`);
    await waitFor(() => running.log.some((line) => line.includes('"verdict":"allowed"')));
    expect((await reload(['127.0.0.6/32:*'])).changed).toEqual(['service app']);
    expect(await standing).toMatch(/^HTTP\/1.1 200[\s\S]*over$/);
    const ask = `${CURL} -p http://127.0.0.5:${echo.port}/`;
    expect(await run(ask)).toContain('response 403');
  });

  test('costs no process where no service has one', async () => {
    const { running, run, reload } = await startWith([]);
    await using _ = running;
    expect(await run('env')).not.toMatch(/_proxy/i);
    expect(findEgressProcess(running)).toBeNull();
    await reload(['example.com:443']);
    await waitFor(() => findEgressProcess(running));
    await reload([]);
    expect(findEgressProcess(running)).toBeNull();
  });
});
