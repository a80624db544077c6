import { setTimeout as delay } from 'node:timers/promises';
import { closeFd } from '../../../../dist/sys/descriptors.js';
import { createStreamSocket } from '../../../../dist/sys/sockets.js';
import {
  EAGAIN,
  receiveInto,
  sendFrom,
  startConnecting,
  TransferBuffer,
} from '../../../../dist/sys/stream-io.js';
import { makeExchanges } from './exchanges.mjs';

const BUFFER_BYTES = 65_536;
const PATIENCE_MS = 10_000;
const buffer = new TransferBuffer(BUFFER_BYTES);
const open = [];

/** Waits for what a socket has to say. */
async function receive(fd) {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const received = receiveInto(fd, buffer, 0, BUFFER_BYTES);
    if (received !== -EAGAIN) return received;
    if (performance.now() > untilMs) throw new Error('no answer');
    await delay(0);
  }
}

async function send(fd, request) {
  const length = buffer.bytes.latin1Write(request, 0);
  for (let tries = 0; sendFrom(fd, buffer, 0, length) !== length; tries += 1) {
    if (tries > PATIENCE_MS) throw new Error('not connected');
    await delay(1);
    buffer.bytes.latin1Write(request, 0);
  }
}

async function openOne(target, exchange) {
  const fd = createStreamSocket('inet');
  open.push(fd);
  startConnecting(fd, target);
  await send(fd, exchange.request);
  for (let isComplete = false; !isComplete; ) {
    const received = await receive(fd);
    isComplete = received > 0 ? exchange.take(buffer.bytes, received) : null;
    if (isComplete === null) throw new Error(`connection ${open.length}: ${exchange.describe()}`);
  }
}

/** Opens `idle` connections, each with one exchange, and leaves them open. */
export async function openIdle(options) {
  const makeExchange = makeExchanges(options);
  const target = { host: '127.0.0.1', port: options.port };
  for (let number = 0; number < options.idle; number += 1) {
    await openOne(target, makeExchange(number, 1));
  }
  return { count: open.length, failures: 0 };
}

/** Closes them all. */
export function closeIdle() {
  for (const fd of open.splice(0)) closeFd(fd);
}
