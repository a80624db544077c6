// A closed loop of clients on one epoll set: cheaper than any proxy, and every answer is compared.
import { closeFd } from '../../../../dist/sys/descriptors.js';
import { EPOLLIN, EPOLLOUT, Epoll } from '../../../../dist/sys/epoll.js';
import { createStreamSocket } from '../../../../dist/sys/sockets.js';
import {
  EAGAIN,
  receiveInto,
  sendAtOnce,
  sendFrom,
  startConnecting,
  TransferBuffer,
} from '../../../../dist/sys/stream-io.js';
import { Latencies } from './latencies.mjs';

const BUFFER_BYTES = 262_144;
const STALL_MS = 20_000;
/** A contender with as many failures is given up. */
const MAX_FAILURES = 1000;

const buffer = new TransferBuffer(BUFFER_BYTES);

class Client {
  fd = -1;
  sequence = 0;
  startedMs = 0;
  exchange = null;

  constructor(run, number) {
    this.run = run;
    this.number = number;
  }

  /** Begins an exchange, on a new connection where there is none. */
  begin() {
    const { run } = this;
    this.startedMs = performance.now();
    this.sequence += 1;
    this.exchange = run.makeExchange(this.number, this.sequence);
    if (this.fd >= 0) return this.send();
    this.fd = createStreamSocket('inet');
    const errno = startConnecting(this.fd, run.target);
    if (errno !== 0) return this.fail(`connect: errno ${errno}`);
    sendAtOnce(this.fd);
    run.clients[this.fd] = this;
    run.epoll.add(this.fd, EPOLLIN, 0);
    this.send();
  }

  send() {
    if (this.exchange.request === '') return;
    const length = buffer.bytes.latin1Write(this.exchange.request, 0);
    const sent = sendFrom(this.fd, buffer, 0, length);
    if (sent === length) return;
    // Not connected yet.
    if (sent === -EAGAIN) this.run.epoll.modify(this.fd, EPOLLIN | EPOLLOUT, 0);
    else this.fail(`send: ${sent}`);
  }

  onEvent(events) {
    if ((events & EPOLLOUT) !== 0) {
      this.run.epoll.modify(this.fd, EPOLLIN, 0);
      return this.send();
    }
    const received = receiveInto(this.fd, buffer, 0, BUFFER_BYTES);
    if (received === -EAGAIN) return;
    if (received <= 0) return this.end(received);
    const isComplete = this.exchange.take(buffer.bytes, received);
    if (isComplete === null) return this.fail(`wrong answer: ${this.exchange.describe()}`);
    if (isComplete) this.finish();
  }

  /** The connection ended: where nothing else tells the end of an answer, that does. */
  end(received) {
    if (received === 0 && this.exchange.end?.() === true) return this.finish();
    this.fail(`the connection ended early (${received}): ${this.exchange.describe()}`);
  }

  finish() {
    this.run.latencies.add(performance.now() - this.startedMs);
    if (!this.run.keepAlive) this.close();
    this.run.next(this);
  }

  fail(reason) {
    this.close();
    this.run.failures.push(reason);
    this.run.next(this);
  }

  close() {
    this.run.clients[this.fd] = undefined;
    closeFd(this.fd);
    this.fd = -1;
  }
}

class Run {
  epoll = new Epoll();
  clients = [];
  latencies = new Latencies();
  failures = [];
  active = 0;

  constructor({ port, keepAlive, seconds, count }, makeExchange) {
    this.target = { host: '127.0.0.1', port };
    this.keepAlive = keepAlive;
    this.makeExchange = makeExchange;
    this.untilMs = performance.now() + seconds * 1000;
    this.left = count ?? Number.POSITIVE_INFINITY;
  }

  get isOver() {
    return (
      this.left <= 0 || performance.now() >= this.untilMs || this.failures.length >= MAX_FAILURES
    );
  }

  next(client) {
    if (!this.isOver) {
      this.left -= 1;
      return client.begin();
    }
    if (client.fd >= 0) client.close();
    this.active -= 1;
  }

  loop() {
    while (this.active > 0) {
      const count = this.epoll.wait(STALL_MS);
      if (count === 0) throw new Error(`no answer in ${STALL_MS} ms`);
      for (let index = 0; index < count; index += 1) {
        this.clients[this.epoll.fdAt(index)]?.onEvent(this.epoll.eventsAt(index));
      }
    }
  }
}

/**
 * Loads what listens on a port of 127.0.0.1.
 * @param options `{ port, connections, keepAlive, seconds, count }`: until the time is over or, where
 *   that is given, `count` exchanges were begun
 * @param makeExchange `(client, sequence) → { request, take, end, describe }`; `take(bytes, length)`
 *   says whether the answer is complete, and null when it is wrong; `end()`, where there is one, whether
 *   it is complete when the connection ends
 * @returns `{ count, seconds, p50Micros, p99Micros, failures }`
 */
export function drive(options, makeExchange) {
  const startedMs = performance.now();
  const run = new Run(options, makeExchange);
  for (let number = 0; number < options.connections; number += 1) {
    run.active += 1;
    run.next(new Client(run, number));
  }
  run.loop();
  run.epoll.close();
  const seconds = (performance.now() - startedMs) / 1000;
  const { latencies, failures } = run;
  return { ...latencies.summarize(), seconds, failures: failures.length, reason: failures[0] };
}
