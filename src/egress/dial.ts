import net from 'node:net';
import { messageOf } from '../base/errors.js';
import { formatIp, type Ip } from '../base/ip.js';
import { EgressRefusal } from './refusals.js';

const CONNECT_TIMEOUT_MS = 10_000;
/** A name can have any number. */
const MAX_ADDRESSES = 8;

/**
 * A connection to the first of the addresses that takes one. Addresses only: nothing is looked up
 * here. Rejects with an `EgressRefusal`.
 */
export async function dial(
  addresses: readonly Ip[],
  port: number,
  signal: AbortSignal,
): Promise<net.Socket> {
  let failure = new EgressRefusal('unreachable');
  for (const ip of addresses.slice(0, MAX_ADDRESSES)) {
    try {
      return await connect(ip, port, signal);
    } catch (error) {
      failure =
        error instanceof EgressRefusal ? error : new EgressRefusal('unreachable', messageOf(error));
      if (signal.aborted) break;
    }
  }
  throw failure;
}

function connect(ip: Ip, port: number, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const host = formatIp(ip);
    const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    const fail = (error: Error) => {
      settle();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onError = (error: Error) => fail(error);
    const onAbort = () => fail(new EgressRefusal('unreachable', 'the client went away'));
    const timer = setTimeout(
      () => fail(new EgressRefusal('timeout', `${host} does not answer`)),
      CONNECT_TIMEOUT_MS,
    );
    signal.addEventListener('abort', onAbort);
    socket.on('error', onError);
    socket.once('connect', () => {
      if (isConnectedToItself(socket)) return fail(new Error(`nobody listens on ${host}`));
      settle();
      resolve(socket);
    });
  });
}

/** On loopback a dial of a port that nobody listens on can get that port as its own. */
function isConnectedToItself(socket: net.Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}
