import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  helloMessage,
  hostName,
  LONG_KEY_SHARE,
  records,
  serverName,
} from '../gateway/client-hellos.js';
import { type CertificateFiles, makeCertificate } from '../support/certificates.js';
import { RawClient } from '../support/raw-client.js';
import { runToEnd } from '../support/run-process.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { listenersOf, RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';

const UNRECOGNIZED_NAME = Buffer.of(21, 3, 3, 0, 2, 2, 112);
const NAMES = ['alpha', 'beta'] as const;

/** A connection that sends each byte by itself. */
class Trickle extends Duplex {
  constructor(private readonly socket: net.Socket) {
    super();
    socket.on('data', (chunk) => this.push(chunk) || socket.pause());
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const [byte, rest] = [chunk.subarray(0, 1), chunk.subarray(1)];
    this.socket.write(byte, () => {
      if (rest.length === 0) done();
      else setImmediate(() => this._write(rest, _encoding, done));
    });
  }

  override _destroy(_error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    done(null);
  }
}

describe.skipIf(whyNoIsolation !== null)(titled('TLS passed through unopened'), () => {
  const directory = makeTemporaryDirectory();
  const certificates = new Map<string, CertificateFiles>();
  let running: RunningRouse;
  let port: number;

  beforeAll(async () => {
    for (const name of NAMES) {
      certificates.set(name, await makeCertificate(directory.path, [`${name}.test`]));
    }
    const sealed = (name: string) => {
      const { cert = '', key = '' } = certificates.get(name) ?? {};
      return serviceOf(['tls-server.js', 3000, cert, key, name], {
        routes: [{ sni: `${name}.test` }],
        isolation: { readable: [directory.path] },
      });
    };
    const byName = (sni: string) => serviceOf(['fast-server.pl', 3000], { routes: [{ sni }] });
    running = await RunningRouse.start({
      listeners: listenersOf({ sealed: 'tls' }),
      services: {
        alpha: sealed('alpha'),
        beta: sealed('beta'),
        mirror: byName('mirror.test'),
        untouched: byName('untouched.test'),
      },
    });
    port = await running.port('sealed');
  });

  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  test.each(NAMES)(
    'openssl s_client that asks for %s.test wakes its server and sees that certificate',
    async (name) => {
      const command = ['openssl', 's_client', '-connect', `127.0.0.1:${port}`, '-ign_eof'];
      const options = [
        '-servername',
        `${name}.test`,
        '-CAfile',
        certificates.get(name)?.cert ?? '',
      ];
      const { stdout, stderr } = await runToEnd([...command, ...options, '-verify_return_error'], {
        input: 'GET /who HTTP/1.0\r\n\r\n',
      });
      expect(stdout, stderr).toContain(`hello from ${name}, server name ${name}.test, path /who\n`);
      expect(stdout).toContain('Verify return code: 0 (ok)');
      expect(await running.service(name)).toMatchObject({ starts: 1 });
    },
  );

  test('a client whose every byte comes by itself is served as any other', async () => {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    const ca = readFileSync(certificates.get('alpha')?.cert ?? '');
    const client = tls.connect({ socket: new Trickle(socket), servername: 'alpha.test', ca });
    client.write('GET /slowly HTTP/1.0\r\n\r\n');
    let answer = '';
    client.setEncoding('utf8').on('data', (text: string) => {
      answer += text;
    });
    await once(client, 'end');
    client.destroy();
    expect(answer).toContain('hello from alpha, server name alpha.test, path /slowly\n');
  });

  test('a long ClientHello in three records, byte by byte, reaches the server as it was sent', async () => {
    const extensions = [LONG_KEY_SHARE, serverName(hostName('mirror.test'))];
    const hello = records(helloMessage({ extensions }), [100, 1000]);
    await using client = await RawClient.connect({ port });
    await client.sendInPieces(hello, 1);
    expect((await client.readToEnd()).equals(hello)).toBe(true);
  });

  test.each([
    ['asks for a name that nobody has', [serverName(hostName('nobody.test'))]],
    ['asks for no name', []],
  ])('a client that %s gets an unrecognized_name alert', async (_, extensions) => {
    await using client = await RawClient.connect({ port });
    await client.send(records(helloMessage({ extensions })));
    expect(await client.readToEnd()).toEqual(UNRECOGNIZED_NAME);
  });

  test('openssl s_client names the alert', async () => {
    const command = ['openssl', 's_client', '-connect', `127.0.0.1:${port}`];
    const { code, stderr } = await runToEnd([...command, '-servername', 'nobody.test']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('unrecognized name'),
    });
  });

  test('what is no TLS is refused with an alert, and wakes nothing', async () => {
    await using client = await RawClient.connect({ port });
    await client.send('GET / HTTP/1.1\r\nHost: untouched.test\r\n\r\n');
    expect((await client.readToEnd()).subarray(0, 2)).toEqual(Buffer.of(21, 3));
    expect(await running.service('untouched')).toMatchObject({ state: 'stopped', starts: 0 });
  });
});
