import { once } from 'node:events';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AdminClient } from '../../src/admin/client.js';
import { AdminServer } from '../../src/admin/server.js';
import { runToEnd } from '../support/run-process.js';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';
import { MemoryAdminApi } from './memory-admin-api.js';
import { sampleExplanation, sampleStatus } from './sample-status.js';

let directory: TemporaryDirectory;
let socketPath: string;
let api: MemoryAdminApi;
let server: AdminServer;
let client: AdminClient;
let logged: string[];

beforeEach(async () => {
  directory = makeTemporaryDirectory();
  socketPath = join(directory.path, 'admin.sock');
  api = new MemoryAdminApi();
  logged = [];
  server = createServerHere();
  await server.listen();
  client = new AdminClient(socketPath);
});

afterEach(async () => {
  await server.close();
  directory[Symbol.dispose]();
});

function createServerHere(): AdminServer {
  const log = pino({ base: null }, { write: (line: string) => logged.push(line) });
  return new AdminServer({ api, socketPath, mode: 0o660, gid: null, listeningFd: null, log });
}

async function ask(method: string, path: string, body = ''): Promise<[number, string]> {
  const call = request({ socketPath, method, path, agent: false });
  call.end(body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += chunk;
  return [response.statusCode ?? 0, text];
}

describe('calls', () => {
  test('the client gets what the supervisor says', async () => {
    expect(await client.status()).toEqual(sampleStatus());
    expect(await client.explain('blog')).toEqual(sampleExplanation());
    expect(await client.reload()).toMatchObject({ added: ['new'], deferred: ['blog'] });
  });

  test('options arrive at the supervisor', async () => {
    await client.wake('blog', { wait: true });
    await client.wake('shop', { wait: false });
    await client.sleep('blog', { force: true });
    await client.freeze('blog');
    await client.restart('blog');
    expect(api.calls).toEqual([
      'wake blog wait=true',
      'wake shop wait=false',
      'sleep blog force=true',
      'freeze blog',
      'restart blog',
    ]);
  });

  test('a refusal arrives with its code and its sentence', async () => {
    await expect(client.sleep('blog', { force: false })).rejects.toMatchObject({
      name: 'RouseError',
      code: 'busy',
      message: 'blog: 2 connections are open',
    });
    await expect(client.wake('mail', { wait: true })).rejects.toMatchObject({ code: 'start' });
    await expect(client.freeze('a/../b c')).rejects.toMatchObject({
      code: 'unknown-service',
      message: 'a/../b c: no service of this name is configured',
    });
  });

  test('calls that change something are in the log, others are not', async () => {
    await client.status();
    await client.freeze('blog');
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { audit: 'freeze', service: 'blog', msg: 'freeze asked for' },
    ]);
  });

  test('200 clients at once are all answered', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => client.status()));
    expect(answers.every((status) => status.services.length === 3)).toBe(true);
  });
});

describe('plain HTTP', () => {
  test('curl can ask', async ({ skip }) => {
    const curl = ['curl', '-s', '--unix-socket', socketPath, 'http://rouse/v1/status'];
    const result = await runToEnd(curl).catch(() => null);
    if (!result) return skip('curl is not installed');
    expect(JSON.parse(result.stdout)).toEqual(sampleStatus());
  });

  test.each([
    ['GET', '/', 404],
    ['GET', '/v1/services/blog', 404],
    ['GET', '/v1/services/blog/unknown', 404],
    ['GET', '/v1/services/blog/wake', 405],
    ['POST', '/v1/status', 405],
    ['POST', '/v1/services/%ff/wake', 400],
    ['POST', '/v1/services/blog/wake?wait=perhaps', 400],
    ['GET', '/v1/services/blog/logs?lines=-1', 400],
    ['GET', '/v1/services/blog/logs?lines=1e9', 400],
    ['GET', '/v1/services/nobody/logs?follow=true', 404],
    ['POST', '/v1/services/blog/sleep', 409],
    ['POST', '/v1/services/mail/wake', 503],
  ])('%s %s is answered with %i and a reason', async (method, path, status) => {
    const [got, text] = await ask(method, path);
    expect(got).toBe(status);
    expect(JSON.parse(text)).toEqual({ code: expect.any(String), message: expect.any(String) });
  });

  test('a body without end is cut off', async () => {
    const call = request({ socketPath, method: 'POST', path: '/v1/reload', agent: false });
    const block = Buffer.alloc(64 * 1024);
    const cutOff = new Promise((resolve) => call.once('close', resolve));
    call.on('error', () => {});
    const feed = (): void => {
      while (!call.destroyed && call.write(block));
    };
    call.on('drain', feed);
    feed();
    await cutOff;
    expect((await client.status()).services).toHaveLength(3);
  });

  test('metrics carry every service, listener and gateway', async () => {
    const [status, text] = await ask('GET', '/metrics');
    expect(status).toBe(200);
    expect(text.split('\n')).toEqual(
      expect.arrayContaining([
        'rouse_service_state{service="blog",state="running"} 1',
        'rouse_service_state{service="blog",state="stopped"} 0',
        'rouse_connections{service="blog"} 2',
        'rouse_held{service="blog"} 1',
        'rouse_requests_total{service="blog"} 42',
        'rouse_starts_total{service="mail"} 2',
        'rouse_failures_total{service="mail"} 2',
        'rouse_cold_start_ms{service="blog",quantile="0.99"} 55.25',
        'rouse_listener_accepted_total{listener="web"} 45',
        'rouse_listener_refused_total{listener="web"} 3',
        'rouse_gateway_restarts_total{gateway="main"} 1',
      ]),
    );
    expect(text).not.toContain('rouse_cold_start_ms{service="shop"');
  });
});

describe('streams', () => {
  test('the last lines of a log come without their ends', async () => {
    const signal = new AbortController().signal;
    const lines = await collect(client.logs('blog', { lines: 2, follow: false, signal }));
    expect(lines).toEqual(['sécond', 'third']);
  });

  test('the log of an unknown service is an error', async () => {
    const signal = new AbortController().signal;
    const stream = client.logs('nobody', { lines: 2, follow: true, signal });
    await expect(collect(stream)).rejects.toMatchObject({ code: 'unknown-service' });
  });

  test('an event after the stream is open is not missed', async () => {
    const stop = new AbortController();
    const { events, first } = await openEvents(stop.signal);
    api.emit(sampleEvent('woken by 127.0.0.1:1 on web'));
    expect((await first).value).toEqual(sampleEvent('woken by 127.0.0.1:1 on web'));
    stop.abort();
    expect((await events.next()).done).toBe(true);
    await waitFor(() => api.openStreams === 0, { what: 'the stream to end at the server' });
  });

  test('streams end when the server closes, and the socket file goes', async () => {
    const { first } = await openEvents(new AbortController().signal);
    await server.close();
    expect((await first).done).toBe(true);
    expect(existsSync(socketPath)).toBe(false);
  });
});

type Events = ReturnType<AdminClient['events']>;

/** An event stream that misses nothing from now on, and the promise of its first event. */
async function openEvents(signal: AbortSignal) {
  let events: Events | undefined;
  let first: ReturnType<Events['next']> | undefined;
  await new Promise<void>((resolve) => {
    events = client.events(signal, resolve);
    first = events.next();
  });
  return { events: events as Events, first: first as ReturnType<Events['next']> };
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const collected: string[] = [];
  for await (const line of lines) collected.push(line);
  return collected;
}

function sampleEvent(reason: string) {
  const at = '2026-01-02T03:04:05.000Z';
  return { at, service: 'blog', from: 'stopped', to: 'starting', reason } as const;
}

describe('the socket file', () => {
  test('only owner and group may open it, and nothing else is left in the directory', () => {
    expect(statSync(socketPath).mode & 0o777).toBe(0o660);
    expect(readdirSync(directory.path)).toEqual(['admin.sock']);
  });

  test('a second rouse is told that one answers, and the first goes on', async () => {
    await expect(createServerHere().listen()).rejects.toMatchObject({ code: 'running' });
    expect((await client.status()).services).toHaveLength(3);
  });

  test('the file of one that was killed is taken over', async () => {
    await server.close();
    await leaveStaleSocket(socketPath);
    expect(existsSync(socketPath)).toBe(true);
    server = createServerHere();
    await server.listen();
    expect((await client.status()).services).toHaveLength(3);
  });

  test('a file that is no socket is left alone', async () => {
    await server.close();
    writeFileSync(socketPath, 'precious');
    await expect(createServerHere().listen()).rejects.toMatchObject({ code: 'bind' });
    expect(statSync(socketPath).size).toBe(8);
  });

  test('a path that no socket can have is an error that says so', async () => {
    const options = {
      api,
      mode: 0o660,
      gid: null,
      listeningFd: null,
      log: pino({ level: 'silent' }),
    };
    const long = new AdminServer({ ...options, socketPath: `/tmp/${'x'.repeat(120)}/a` });
    await expect(long.listen()).rejects.toThrow(/107 bytes.*--runtime-dir/);
  });

  test('without a rouse the client says how to start one', async () => {
    const nowhere = new AdminClient(join(directory.path, 'none.sock'));
    await expect(nowhere.status()).rejects.toMatchObject({
      code: 'not-running',
      message: `nothing answers on ${join(directory.path, 'none.sock')}: no such file; start it with rouse serve`,
    });
  });

  test('a server that dies amid its answer is an error, not an end', async () => {
    const path = join(directory.path, 'dying.sock');
    const dying = createServer((socket) => {
      socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na\nb\r\n');
    }).listen(path);
    await once(dying, 'listening');
    const signal = new AbortController().signal;
    const stream = new AdminClient(path).logs('blog', { lines: 1, follow: true, signal });
    await expect(collect(stream)).rejects.toThrow(/broke off/);
    dying.close();
  });
});

/** A socket file that a process left behind when it was killed. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await runToEnd([process.execPath, '-e', script]);
}
