import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { makeCertificate } from '../support/certificates.js';
import { RawClient } from '../support/raw-client.js';
import { runToEnd } from '../support/run-process.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { type EngineFactory, type ListenerSpec, Rig } from './engine-rig.js';
import { startHttpServer } from './servers.js';

interface Pem {
  readonly cert: string;
  readonly key: string;
}

/** TLS terminated by the engine, requests routed by Host. */
export function httpsCases(createEngine: EngineFactory): void {
  const directory = makeTemporaryDirectory();
  const pems: Record<string, Pem> = {};
  beforeAll(async () => {
    for (const names of [
      ['a.example'],
      ['*.b.example', 'b.example'],
      ['new.example', 'a.example'],
    ]) {
      const [name = ''] = names;
      const files = await makeCertificate(directory.path, [name, ...names.slice(1)]);
      pems[name] = { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
    }
  });
  afterAll(() => directory[Symbol.dispose]());

  const pem = (name: string): Pem => pems[name] as Pem;
  const listener = (...names: string[]): ListenerSpec => ({
    name: 'shop',
    protocol: 'https',
    certificates: names.map(pem),
  });
  const createRig = (target: number, options = {}): Rig =>
    new Rig(createEngine, {
      listeners: [listener('a.example', '*.b.example')],
      services: [
        { name: 'a', routes: [{ host: 'a.example' }], target },
        { name: 'b', routes: [{ host: 'x.b.example' }], target },
      ],
      options,
    });

  /** The subject of the certificate that is shown for a name. */
  async function subjectFor(rig: Rig, servername: string | undefined): Promise<string> {
    const client = tls.connect({
      port: rig.port('shop'),
      host: '127.0.0.1',
      servername: servername ?? '',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    await once(client, 'secureConnect');
    const subject = client.getPeerCertificate().subject.CN;
    expect(client.alpnProtocol).toBe('http/1.1');
    client.destroy();
    return String(subject);
  }

  it('curl gets its page over TLS, and the service learns that it was https', async () => {
    await using server = await startHttpServer((request, response) => {
      response.end(`${request.headers['x-forwarded-proto']} ${request.headers.host}`);
    });
    await using rig = createRig(server.port);
    const curl = await runToEnd([
      'curl',
      '-sS',
      '--cacert',
      `${directory.path}/a.example.pem`,
      '--connect-to',
      `a.example:443:127.0.0.1:${rig.port('shop')}`,
      'https://a.example/',
    ]);
    expect(curl).toMatchObject({ code: 0, stdout: 'https a.example' });
  });

  it('the certificate is that of the name, of a wildcard for it, or the first one', async () => {
    await using rig = createRig(1);
    expect(await subjectFor(rig, 'a.example')).toBe('a.example');
    expect(await subjectFor(rig, 'x.b.example')).toBe('*.b.example');
    expect(await subjectFor(rig, 'b.example')).toBe('*.b.example');
    expect(await subjectFor(rig, 'unknown.example')).toBe('a.example');
    expect(await subjectFor(rig, undefined)).toBe('a.example');
  });

  it('new certificates are shown from the next handshake on, wrong ones never', async () => {
    await using rig = createRig(1);
    rig.update([listener('new.example')]);
    expect(await subjectFor(rig, 'a.example')).toBe('new.example');
    expect(await subjectFor(rig, undefined)).toBe('new.example');
    const broken = { cert: pem('a.example').cert, key: pem('new.example').key };
    rig.update([{ ...listener(), certificates: [broken] }]);
    expect(await subjectFor(rig, 'a.example')).toBe('new.example');
    // Among refusals of handshakes that the test itself left before their end.
    await waitFor(() => rig.host.refusals.some(({ detail }) => detail.includes('not taken')));
  });

  it('one connection carries requests to two services, with bodies', async () => {
    await using server = await startHttpServer((request, response) => {
      request.toArray().then((chunks) => {
        response.end(`${request.headers.host} ${Buffer.concat(chunks).length}`);
      });
    });
    await using rig = createRig(server.port);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
    const answers: string[] = [];
    for (const host of ['a.example', 'x.b.example', 'a.example']) {
      const request = https.request({
        port: rig.port('shop'),
        method: 'POST',
        agent,
        servername: 'a.example',
        headers: { host },
      });
      request.end(Buffer.alloc(300_000));
      const [response] = await once(request, 'response');
      answers.push(Buffer.concat(await response.toArray()).toString());
    }
    expect(answers).toEqual(['a.example 300000', 'x.b.example 300000', 'a.example 300000']);
    agent.destroy();
    await rig.host.allUsesEnded();
  });

  it('a WebSocket works over TLS', async () => {
    await using server = await startHttpServer((_, response) => response.end());
    const sockets = new WebSocketServer({ server: server.server });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    await using rig = createRig(server.port);
    const client = new WebSocket(`wss://127.0.0.1:${rig.port('shop')}/`, {
      rejectUnauthorized: false,
      headers: { host: 'a.example' },
    });
    await once(client, 'open');
    client.send('secret');
    const [echo] = await once(client, 'message');
    expect(String(echo)).toBe('secret');
    client.close();
    await rig.host.allUsesEnded();
    sockets.close();
  });

  it.each([
    ['before it has said anything', Buffer.alloc(0)],
    ['within its hello', Buffer.of(22, 3, 1, 1, 0, 1)],
  ])('a client that leaves %s is let go at once', async (_, bytes) => {
    await using server = await startHttpServer((_, response) => response.end());
    await using rig = createRig(server.port, { helloMs: 600_000 });
    await using client = await RawClient.connect({ port: rig.port('shop') });
    client.socket.end(bytes);
    await client.readToEnd();
  });

  it('plain HTTP, an old TLS version and silence end the connection only', async () => {
    await using server = await startHttpServer((_, response) => response.end('fine'));
    await using rig = createRig(server.port, { helloMs: 300 });
    await using plain = await RawClient.connect({ port: rig.port('shop') });
    await plain.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await plain.readToEnd();
    await using silent = await RawClient.connect({ port: rig.port('shop') });
    await silent.readToEnd();
    const old = tls.connect({
      port: rig.port('shop'),
      host: '127.0.0.1',
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT:@SECLEVEL=0',
      rejectUnauthorized: false,
    });
    const [error] = await once(old, 'error');
    expect(error.code).toMatch(/ALERT_PROTOCOL_VERSION|ECONNRESET|UNSUPPORTED_PROTOCOL/);
    expect(await subjectFor(rig, 'a.example')).toBe('a.example');
  });
}
