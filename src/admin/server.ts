import { rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { messageOf, RouseError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { AdminApi } from '../ipc/admin-api.js';
import { closeFd, duplicateFd } from '../sys/descriptors.js';
import { toHttpError } from './http-errors.js';
import { sendLines } from './line-stream.js';
import { type AdminCall, routeRequest } from './routes.js';
import { bindSocketFile } from './socket-file.js';

/** No call has a body; what a client sends all the same is read and forgotten up to here. */
const MAX_BODY_BYTES = 16 * 1024;
const MAX_CLIENTS = 512;

export interface AdminServerOptions {
  readonly api: AdminApi;
  readonly socketPath: string;
  /** Permission bits of the socket file. */
  readonly mode: number;
  /** Group of the socket file, from `admin.group`; null: the process's own. */
  readonly gid: number | null;
  /** The socket of an earlier self of this process, which is listening there; null: it is to be made. */
  readonly listeningFd: number | null;
  readonly log: Logger;
  /** Who calls, for the audit log; null or left out where that can't be found. */
  readonly peerUid?: (socket: Socket) => number | null;
}

/** HTTP on a Unix socket that carries an {@link AdminApi}; `curl --unix-socket` speaks to it too. */
export class AdminServer {
  readonly #server: Server;
  /** Calls that aren't answered yet. */
  readonly #pending = new Set<ServerResponse>();
  /** Ends streams. */
  #stop = new AbortController();
  #fd: number | null = null;
  #inode: number | null = null;

  constructor(private readonly options: AdminServerOptions) {
    this.#server = createServer(
      { maxHeaderSize: 16 * 1024, headersTimeout: 10_000, requestTimeout: 30_000 },
      (request, response) => this.#onRequest(request, response),
    );
    this.#server.maxConnections = MAX_CLIENTS;
    this.#server.on('error', (error) => options.log.error({ err: error }, 'admin socket'));
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#pending.add(response);
    response.once('close', () => this.#pending.delete(response));
    answer(this.options, this.#stop.signal, request, response).catch((error) =>
      fail(this.options.log, response, error),
    );
  }

  /** Takes calls. @throws RouseError `running` or `bind` */
  async listen(): Promise<void> {
    const { gid, listeningFd, mode, socketPath: path } = this.options;
    this.#fd = listeningFd ?? (await bindSocketFile({ path, mode, gid }));
    this.#inode = (await stat(path).catch(() => null))?.ino ?? null;
    await this.#accept(this.#fd);
  }

  #accept(fd: number): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen({ fd: duplicateFd(fd) }, resolve);
    });
  }

  /** The listening socket, in which clients wait while nobody accepts. */
  get fd(): number {
    if (this.#fd === null) throw new Error('the admin socket does not listen');
    return this.#fd;
  }

  /** Takes no more calls, whose clients wait; ends streams. Resolves when those that came before are answered: after a moment with the advice to ask again. */
  async suspend(): Promise<void> {
    this.#stop.abort();
    const refuse = setTimeout(() => this.#refusePending(), CLOSE_GRACE_MS);
    await closeServer(this.#server);
    clearTimeout(refuse);
  }

  #refusePending(): void {
    for (const response of this.#pending) {
      const again = new RouseError('upgrade', 'rouse is being upgraded: ask again');
      if (!response.headersSent) fail(this.options.log, response, again);
    }
  }

  /** Takes calls again. */
  resume(): void {
    this.#stop = new AbortController();
    void this.#accept(this.fd);
  }

  /** Ends streams, lets calls in progress finish for a moment, removes the socket file. */
  async close(): Promise<void> {
    this.#stop.abort();
    await closeServer(this.#server);
    if (this.#fd !== null) closeFd(this.#fd);
    if (this.#inode !== null) await removeOwn(this.options.socketPath, this.#inode);
    this.#fd = null;
    this.#inode = null;
  }
}

const CLOSE_GRACE_MS = 1000;

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), 2 * CLOSE_GRACE_MS);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** A successor may already listen there: its file is left alone. */
async function removeOwn(path: string, inode: number): Promise<void> {
  const stats = await stat(path).catch(() => null);
  if (stats?.ino === inode) await rm(path, { force: true });
}

async function answer(
  options: AdminServerOptions,
  stop: AbortSignal,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  discardBody(request);
  const result = routeRequest(request.method ?? '', request.url ?? '');
  if ('notFound' in result) {
    return sendError(response, 404, `no such call: ${result.notFound}`);
  }
  if ('allow' in result) {
    response.setHeader('allow', result.allow);
    return sendError(response, 405, `use ${result.allow} for ${request.url}`);
  }
  await perform(options, stop, request, response, result.call);
}

function discardBody(request: IncomingMessage): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) request.destroy();
  });
  request.on('error', () => {});
}

async function perform(
  options: AdminServerOptions,
  stop: AbortSignal,
  request: IncomingMessage,
  response: ServerResponse,
  call: AdminCall,
): Promise<void> {
  const { api, log } = options;
  switch (call.kind) {
    case 'json': {
      if (call.changes) audit(log, call, options.peerUid?.(request.socket) ?? null);
      return sendJson(response, 200, await call.run(api));
    }
    case 'stream': {
      if (call.service !== null) await requireService(api, call.service);
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const signal = AbortSignal.any([stop, gone.signal]);
      return sendLines(response, call.open(api, signal), call.contentType, signal);
    }
    case 'metrics': {
      // Loaded at the first use: most hosts never ask.
      const { renderMetrics } = await import('./metrics.js');
      const { contentType, text } = await renderMetrics(await api.status());
      response.writeHead(200, { 'content-type': contentType }).end(text);
    }
  }
}

function audit(
  log: Logger,
  call: { readonly action: string; readonly service: string | null },
  uid: number | null,
): void {
  const { action, service } = call;
  const by = uid === null ? '' : ` by uid ${uid}`;
  const fields = {
    audit: action,
    ...(service !== null && { service }),
    ...(uid !== null && { uid }),
  };
  log.info(fields, `${action} asked for${by}`);
}

/** Before the head of a stream is sent: afterwards there is no way left to say it. */
async function requireService(api: AdminApi, name: string): Promise<void> {
  const { services } = await api.status();
  if (services.some((service) => service.name === name)) return;
  throw new RouseError('unknown-service', `${name}: no service of this name is configured`);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  // It took too long, and was answered otherwise.
  if (response.headersSent) return;
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}

function sendError(response: ServerResponse, status: number, message: string): void {
  sendJson(response, status, { code: 'usage', message });
}

function fail(log: Logger, response: ServerResponse, thrown: unknown): void {
  // It took too long, and was answered otherwise.
  if (response.writableEnded) return;
  const { status, body } = toHttpError(thrown);
  if (body.code === 'system') log.error({ err: thrown }, 'admin socket: a call failed');
  if (response.headersSent) {
    response.destroy(thrown instanceof Error ? thrown : new Error(messageOf(thrown)));
  } else {
    sendJson(response, status, body);
  }
}
