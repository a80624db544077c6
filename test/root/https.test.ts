import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, renameSync } from 'node:fs';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CertificateFiles, makeCertificate } from '../support/certificates.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { helloService, RunningRouse, titled, whyNoIsolation } from './root-support.js';

/** A TLS connection that trusts nobody but this certificate. */
async function connect(port: number, servername: string, cert: string): Promise<tls.TLSSocket> {
  const ca = readFileSync(cert);
  const socket = tls.connect({ port, host: '127.0.0.1', servername, ca });
  await once(socket, 'secureConnect');
  return socket.setEncoding('utf8');
}

/** The body of the answer; the connection stays open. */
async function ask(socket: tls.TLSSocket, path: string, host: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  let answer = '';
  for (;;) {
    const [, length, body] = /\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n(.*)/is.exec(answer) ?? [];
    if (body !== undefined && body.length === Number(length)) return body;
    answer += (await once(socket, 'data'))[0];
  }
}

function fingerprintOf(cert: string): string {
  return new X509Certificate(readFileSync(cert)).fingerprint256;
}

describe.skipIf(whyNoIsolation !== null)(titled('an https listener'), () => {
  const directory = makeTemporaryDirectory();
  const certificates = new Map<string, CertificateFiles>();
  let running: RunningRouse;
  let port: number;

  beforeAll(async () => {
    for (const name of ['blog.test', 'wiki.test']) {
      certificates.set(name, await makeCertificate(directory.path, [name]));
    }
    const named = (NAME: string) =>
      helloService('secure', {
        routes: [{ host: `${NAME}.test` }],
        run: { environment: { NAME } },
      });
    running = await RunningRouse.start({
      listeners: {
        secure: {
          address: '127.0.0.1:0',
          protocol: 'https',
          certificates: [...certificates.values()],
        },
      },
      services: { blog: named('blog'), wiki: named('wiki') },
    });
    port = await running.port('secure');
  });

  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  test.each(['blog', 'wiki'])(
    'shows the certificate of the name and wakes the service of the host: %s',
    async (name) => {
      const { cert } = certificates.get(`${name}.test`) as CertificateFiles;
      const socket = await connect(port, `${name}.test`, cert);
      expect(await ask(socket, '/headers', `${name}.test`)).toContain(
        '"X-Forwarded-Proto","https"',
      );
      expect(await ask(socket, '/', `${name}.test`)).toContain(`hello from ${name}, `);
      socket.destroy();
    },
  );

  test('shows a certificate that was replaced on disk to new clients; the old ones stay connected', async () => {
    const { cert, key } = certificates.get('blog.test') as CertificateFiles;
    const before = await running.rouse.status();
    const old = await connect(port, 'blog.test', cert);
    using elsewhere = makeTemporaryDirectory();
    const renewed = await makeCertificate(elsewhere.path, ['blog.test']);
    const wanted = fingerprintOf(renewed.cert);
    renameSync(renewed.key, key);
    renameSync(renewed.cert, cert);
    await waitFor(
      async () => {
        const socket = await connect(port, 'blog.test', cert);
        const { fingerprint256 } = socket.getPeerCertificate();
        socket.destroy();
        return fingerprint256 === wanted;
      },
      { what: 'the new certificate to be shown' },
    );
    expect(await ask(old, '/', 'blog.test')).toContain('hello from blog, ');
    old.destroy();
    const after = await running.rouse.status();
    const pids = ({ gateways, supervisor }: typeof before) => [gateways[0]?.pid, supervisor.pid];
    expect(pids(after)).toEqual(pids(before));
  });
});
