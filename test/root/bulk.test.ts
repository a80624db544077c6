import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBulkBytes } from '../fixtures/bulk-bytes.js';
import { type CertificateFiles, makeCertificate } from '../support/certificates.js';
import { readStatusField } from '../support/processes.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { expectBulkBytes } from './bulk-check.js';
import { listenersOf, RunningRouse, serviceOf, titled, whyNoIsolation } from './root-support.js';

const MEBIBYTES = 1024;
/** Measured: up to 38 MiB for the first transfer of a fresh gateway, less for each later one. */
const GROWTH_LIMIT_KIB = 96 * 1024;
const TIMEOUT_MS = 180_000;
const NAME = 'bulk.test';

/** The bytes, put into the hash on their way. */
function* hashed(blocks: Iterable<Buffer>, hash: Hash): Iterable<Buffer> {
  for (const block of blocks) {
    hash.update(block);
    yield block;
  }
}

describe.skipIf(whyNoIsolation !== null)(titled('1 GiB for a slow reader'), () => {
  const directory = makeTemporaryDirectory();
  let running: RunningRouse;
  let certificate: CertificateFiles;
  let ca: Buffer;

  beforeAll(async () => {
    certificate = await makeCertificate(directory.path, [NAME]);
    ca = readFileSync(certificate.cert);
    const { cert, key } = certificate;
    const server = (args: (string | number)[], settings: Record<string, unknown>) =>
      serviceOf(['bulk-server.js', 3000, ...args], settings);
    running = await RunningRouse.start({
      listeners: {
        ...listenersOf({ tcp: 'tcp', tls: 'tls', web: 'http' }),
        secure: { address: '127.0.0.1:0', protocol: 'https', certificates: [certificate] },
      },
      services: {
        plain: server(['tcp', MEBIBYTES], { routes: [{ listener: 'tcp' }] }),
        sealed: server(['tls', MEBIBYTES, cert, key], {
          routes: [{ sni: NAME }],
          isolation: { readable: [directory.path] },
        }),
        web: server(['http'], { routes: [{ host: NAME }] }),
      },
    });
  });

  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  /** Fails where the gateway takes more memory for it than some buffers. */
  async function expectFlatMemory(transfer: () => Promise<void>): Promise<void> {
    const pid = (await running.rouse.status()).gateways[0]?.pid as number;
    // Forgets the highest value so far (proc_pid_clear_refs(5)).
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    const before = Number.parseInt(readStatusField(pid, 'VmHWM'), 10);
    await transfer();
    const grownKib = Number.parseInt(readStatusField(pid, 'VmHWM'), 10) - before;
    expect(grownKib).toBeLessThan(GROWTH_LIMIT_KIB);
  }

  test('comes whole through a tcp listener', { timeout: TIMEOUT_MS }, async () => {
    const port = await running.port('tcp');
    await expectFlatMemory(() =>
      expectBulkBytes(net.connect({ host: '127.0.0.1', port }), MEBIBYTES),
    );
  });

  test('comes whole through a tls listener, unopened', { timeout: TIMEOUT_MS }, async () => {
    const port = await running.port('tls');
    await expectFlatMemory(async () => {
      const socket = tls.connect({ host: '127.0.0.1', port, servername: NAME, ca });
      await once(socket, 'secureConnect');
      await expectBulkBytes(socket, MEBIBYTES);
    });
  });

  test.each(['http', 'https'] as const)(
    'comes whole as a response over %s',
    { timeout: TIMEOUT_MS },
    async (protocol) => {
      const port = await running.port(protocol === 'http' ? 'web' : 'secure');
      const options = {
        host: '127.0.0.1',
        port,
        path: `/${MEBIBYTES}`,
        headers: { host: NAME },
        agent: false,
      };
      await expectFlatMemory(async () => {
        const request =
          protocol === 'http' ? http.get(options) : https.get({ ...options, servername: NAME, ca });
        const [response] = (await once(request, 'response')) as [http.IncomingMessage];
        await expectBulkBytes(response, MEBIBYTES);
      });
    },
  );

  test('goes whole as an upload over http', { timeout: TIMEOUT_MS }, async () => {
    const port = await running.port('web');
    await expectFlatMemory(async () => {
      const options = {
        host: '127.0.0.1',
        port,
        method: 'PUT',
        headers: { host: NAME },
        agent: false,
      };
      const request = http.request(options);
      const answered = once(request, 'response');
      const hash = createHash('sha256');
      await pipeline(Readable.from(hashed(makeBulkBytes(MEBIBYTES), hash)), request);
      const [response] = (await answered) as [http.IncomingMessage];
      const answer = Buffer.concat(await response.toArray()).toString();
      expect(answer).toBe(`${hash.digest('hex')}\n`);
    });
  });
});
