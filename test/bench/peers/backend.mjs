// The servers behind all contenders, in one process that is started once. It listens in the host's
// network for the peers, and in the network of each VPS for rouse: the same program answers both.

import { closeFd } from '../../../dist/sys/descriptors.js';
import { EPOLLIN, EPOLLOUT, Epoll } from '../../../dist/sys/epoll.js';
import {
  acceptOn,
  EAGAIN,
  receiveInto,
  sendAtOnce,
  sendFrom,
  TransferBuffer,
} from '../../../dist/sys/stream-io.js';
import { answerMessages } from './answer-messages.mjs';
import { listenSomewhere, portOf } from './listen.mjs';
import { describeRequest, readHeader } from './load/http-text.mjs';
import { fillPattern, PATTERN_BYTES } from './load/pattern.mjs';

const WAIT_MS = 10;
const BUFFER_BYTES = 65_536;

const epoll = new Epoll();
const buffer = new TransferBuffer(BUFFER_BYTES);
/** By descriptor. */
const handlers = [];

class Connection {
  constructor(fd) {
    this.fd = fd;
  }

  /** Received bytes, in `buffer`; 0: nothing more now, or the connection is closed. */
  receive() {
    const received = receiveInto(this.fd, buffer, 0, BUFFER_BYTES);
    if (received === 0 || (received < 0 && received !== -EAGAIN)) this.close();
    return Math.max(0, received);
  }

  /** Answers are smaller than the socket's buffer. */
  send(length) {
    if (sendFrom(this.fd, buffer, 0, length) !== length) this.close();
  }

  close() {
    handlers[this.fd] = undefined;
    closeFd(this.fd);
  }
}

class Echo extends Connection {
  onEvent() {
    const received = this.receive();
    if (received > 0) this.send(received);
  }
}

class Http extends Connection {
  #text = '';

  constructor(fd, service) {
    super(fd);
    this.service = service;
  }

  onEvent() {
    const received = this.receive();
    if (received === 0) return;
    this.#text += buffer.bytes.latin1Slice(0, received);
    if (!this.#text.endsWith('\r\n\r\n')) return;
    const head = this.#text;
    this.#text = '';
    this.#answer(head);
  }

  #answer(head) {
    const small = head.toLowerCase();
    const header = (name) => readHeader(head, small, name);
    const body = describeRequest({
      service: this.service,
      path: head.slice(4, head.indexOf(' ', 4)),
      host: header('host:'),
      forwardedFor: header('x-forwarded-for:'),
      proto: header('x-forwarded-proto:'),
      forwardedHost: header('x-forwarded-host:'),
      by: /for="?([^";]*)/i.exec(header('forwarded:'))?.[1],
    });
    const closes = header('connection:').toLowerCase() === 'close';
    const type = `content-type: text/plain\r\n${closes ? 'connection: close\r\n' : ''}`;
    const answer = `HTTP/1.1 200 OK\r\n${type}content-length: ${body.length}\r\n\r\n${body}`;
    this.send(buffer.bytes.latin1Write(answer, 0));
    if (closes && handlers[this.fd] === this) this.close();
  }
}

let pattern = null;

function readyPattern() {
  if (pattern !== null) return;
  pattern = new TransferBuffer(PATTERN_BYTES);
  fillPattern(pattern.bytes);
}

/** Answers a line with a number by as many bytes. */
class Bulk extends Connection {
  #left = 0;
  #offset = 0;
  #isWatching = false;

  onEvent(events) {
    if ((events & EPOLLIN) !== 0) this.#request();
    if (handlers[this.fd] === this) this.#pump();
  }

  #request() {
    const received = this.receive();
    if (received === 0) return;
    this.#left = Number(buffer.bytes.latin1Slice(0, received));
    this.#offset = 0;
  }

  /** As much as one turn allows, so that others have theirs. */
  #pump() {
    if (this.#left > 0) {
      const length = Math.min(this.#left, PATTERN_BYTES - this.#offset);
      const sent = sendFrom(this.fd, pattern, this.#offset, length);
      if (sent < 0 && sent !== -EAGAIN) return this.close();
      this.#left -= Math.max(0, sent);
      this.#offset = (this.#offset + Math.max(0, sent)) % PATTERN_BYTES;
    }
    if (this.#isWatching === this.#left > 0) return;
    this.#isWatching = this.#left > 0;
    epoll.modify(this.fd, this.#isWatching ? EPOLLIN | EPOLLOUT : EPOLLIN, 0);
  }
}

const KINDS = { echo: Echo, http: Http, bulk: Bulk };

class Listener {
  constructor(fd, Kind, service) {
    this.fd = fd;
    this.Kind = Kind;
    this.service = service;
  }

  onEvent() {
    for (let fd = acceptOn(this.fd); fd >= 0; fd = acceptOn(this.fd)) {
      sendAtOnce(fd);
      handlers[fd] = new this.Kind(fd, this.service);
      epoll.add(fd, EPOLLIN, 0);
    }
  }
}

/** `{ kind, service, port, networkPid }`; a process's network, null: the host's. */
function listen({ kind, service, port, networkPid }) {
  if (kind === 'bulk') readyPattern();
  const fd = listenSomewhere(port, networkPid);
  handlers[fd] = new Listener(fd, KINDS[kind], service);
  epoll.add(fd, EPOLLIN, 0);
  return { port: portOf(fd) };
}

function turn() {
  const count = epoll.wait(WAIT_MS);
  for (let index = 0; index < count; index += 1) {
    handlers[epoll.fdAt(index)]?.onEvent(epoll.eventsAt(index));
  }
  setImmediate(turn);
}

answerMessages(listen);
turn();
