import { expect, it } from 'vitest';
import { RawClient } from '../support/raw-client.js';
import { waitFor } from '../support/wait-for.js';
import type { EngineFactory } from './engine-rig.js';
import { createHttpRig } from './http-rig.js';
import { startHttpServer } from './servers.js';
import { SMUGGLING_CASES } from './smuggling.js';

/** The catalogue over the wire: what is refused never reaches a service whole. */
export function smugglingCases(createEngine: EngineFactory): void {
  it.each(SMUGGLING_CASES)('$name', async ({ bytes, expected }) => {
    const completed: string[] = [];
    await using server = await startHttpServer((request, response) => {
      request.on('error', () => {});
      request.resume().on('end', () => {
        completed.push(`${request.method} ${request.url}`);
        response.end('served\n');
      });
    });
    await using rig = createHttpRig(createEngine, [server.port], {
      services: [{ name: 'a', routes: [{ listener: 'web' }], target: server.port }],
    });
    await using client = await RawClient.connect({ port: rig.port('web') });
    await client.send(bytes);
    if (typeof expected === 'number') {
      const text = (await client.readToEnd()).toString();
      expect(text.startsWith(`HTTP/1.1 ${expected} `)).toBe(true);
      expect(text).toContain('\r\nConnection: close\r\n');
      expect(text).not.toContain('served');
      expect(completed).toEqual([]);
    } else {
      await waitFor(() => completed.length === expected.requests, { what: 'the requests' });
      await waitFor(() => client.received.toString().match(/HTTP\/1\.1 200/g));
    }
  });

  it('requests before a refused one are answered first', async () => {
    await using server = await startHttpServer((_, response) => {
      setTimeout(() => response.end('served\n'), 50);
    });
    await using rig = createHttpRig(createEngine, [server.port]);
    await using client = await RawClient.connect({ port: rig.port('web') });
    const good = 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n';
    await client.send(`${good}${good}GET / HTTP/1.1\r\nHost : a.example\r\n\r\n${good}`);
    const text = (await client.readToEnd()).toString();
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 400']);
    expect(text.endsWith('The request cannot be read in one way only.\n')).toBe(true);
  });
}
