import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { closeFd } from '../../src/sys/descriptors.js';
import { bindDatagram, listenOn, localAddress } from '../../src/sys/sockets.js';
import { get } from '../support/http-client.js';
import { RawClient } from '../support/raw-client.js';
import { WITH_LISTEN_PID } from '../support/stand-in-manager.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { helloService, serviceOf, titled, whyNoIsolation } from './root-support.js';
import { ServedRouse, type ServeOptions } from './served-rouse.js';

const held: number[] = [];
afterEach(() => {
  for (const fd of held.splice(0)) closeFd(fd);
});

/** A listening socket that the test holds, as systemd does. */
function listenSomewhere(): { fd: number; port: number } {
  const fd = listenOn({ kind: 'inet', host: '127.0.0.1', port: 0 }, 128);
  held.push(fd);
  const address = localAddress(fd);
  return { fd, port: address?.kind === 'inet' ? address.port : 0 };
}

const passing = (sockets: Readonly<Record<string, number>>): ServeOptions => ({
  prefix: WITH_LISTEN_PID,
  inherited: Object.values(sockets),
  environment: {
    LISTEN_FDS: String(Object.keys(sockets).length),
    LISTEN_FDNAMES: Object.keys(sockets)
      .map((name) => name.replace(/\d$/, ''))
      .join(':'),
  },
});

const CONFIG = {
  listeners: {
    web: { address: 'systemd:web', protocol: 'http' },
    db: { address: 'systemd:db', protocol: 'tcp' },
  },
  services: {
    web: helloService('web'),
    db: serviceOf(['echo-server.js', 3000], { routes: [{ listener: 'db' }] }),
  },
};

describe.skipIf(whyNoIsolation !== null)(titled('sockets that systemd passes'), () => {
  test('are listened on by their names, several of one name together', async () => {
    const [web, db, more] = [listenSomewhere(), listenSomewhere(), listenSomewhere()];
    const options = passing({ web1: web.fd, db: db.fd, web2: more.fd });
    await using rouse = await ServedRouse.start(CONFIG, options);
    for (const { port } of [web, more]) {
      expect((await get(port, '/')).body).toContain('hello');
    }
    await using client = await RawClient.connect({ port: db.port });
    await client.send('hello\n');
    await client.readText('hello');
    const { listeners } = await rouse.status();
    expect(listeners.map(({ addresses }) => addresses)).toEqual([
      [`127.0.0.1:${web.port}`, `127.0.0.1:${more.port}`],
      [`127.0.0.1:${db.port}`],
    ]);
    expect((await rouse.command('reload')).stdout).toBe('nothing changed\n');
    expect((await get(web.port, '/')).status).toBe(200);
  });

  test('take connections while rouse is restarted: they are served by the next one', async () => {
    const [web, db] = [listenSomewhere(), listenSomewhere()];
    const options = passing({ web: web.fd, db: db.fd });
    const first = await ServedRouse.start(CONFIG, options);
    expect((await get(web.port, '/one')).status).toBe(200);
    first.process.signal('SIGTERM');
    expect((await first.process.ended).code).toBe(0);
    const between = get(web.port, '/between');
    await using second = await ServedRouse.start(CONFIG, options);
    expect((await between).body).toContain('path /between');
    expect(second.process.output).not.toContain('"level":"error"');
  });

  test('a name that is not there is an error, with those that are', async () => {
    const [web, other] = [listenSomewhere(), listenSomewhere()];
    const options = { ...passing({ web: web.fd, other: other.fd }), mayFail: true };
    await using rouse = await ServedRouse.start(CONFIG, options);
    expect(await rouse.process.ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        'listener db: systemd passed no socket named db; it passed: web, other',
      ),
    });
  });

  test('of another process are none: LISTEN_PID must be its own', async () => {
    const web = listenSomewhere();
    const { environment, inherited } = passing({ web: web.fd });
    const foreign = { ...environment, LISTEN_PID: '1' };
    const options = { environment: foreign, inherited, mayFail: true };
    await using rouse = await ServedRouse.start(CONFIG, options);
    expect((await rouse.process.ended).stderr).toContain(
      'listener web: systemd passed no socket named web; it passed: none',
    );
  });

  test('a socket that is no listening stream is refused, by what it is', async () => {
    using directory = makeTemporaryDirectory();
    const web = bindDatagram(join(directory.path, 'datagram'));
    held.push(web);
    const options = { ...passing({ web }), mayFail: true };
    await using rouse = await ServedRouse.start(CONFIG, options);
    expect((await rouse.process.ended).stderr).toContain(
      'listener web: systemd:web is a datagram socket, for which there is no protocol yet; set ListenStream= in its unit',
    );
  });
});
