import {
  alertRecord,
  ClientHelloReader,
  type ClientHelloResult,
  unrecognizedNameAlert,
} from '../client-hello.js';
import { type Connection, type EngineContext, noteRefusal } from './context.js';
import { closeLingering } from './sockets.js';
import { relayConnection } from './tcp-relay.js';

/** Serves a connection of a `tls` listener: routed by the ClientHello's server name, passed on unopened. */
export async function serveTls(context: EngineContext, connection: Connection): Promise<void> {
  const hello = await readHello(context, connection);
  if (hello === null) return;
  const { result, bytes } = hello;
  if (result.kind !== 'hello') {
    noteRefusal(context, connection, 'bad-request', null, result.reason);
    closeLingering(connection.socket, alertRecord(result.alert));
    return;
  }
  const { listener, destination } = connection;
  const table = context.host.router.current;
  const match = table.match(listener.name, destination.address, null, result.serverName);
  if (match === null) {
    noteRefusal(context, connection, 'no-route', null, result.serverName ?? 'no server name');
    closeLingering(connection.socket, unrecognizedNameAlert());
    return;
  }
  await relayConnection(context, connection, match, result.serverName, bytes);
}

interface HelloRead {
  readonly result: Exclude<ClientHelloResult, { kind: 'need-more' }>;
  /** All that was read, the hello and whatever came with it. */
  readonly bytes: Buffer;
}

/** Leaves the socket paused. Null when the client left or was too slow: then the socket is closed. */
function readHello(context: EngineContext, connection: Connection): Promise<HelloRead | null> {
  const { socket } = connection;
  const reader = new ClientHelloReader();
  const chunks: Buffer[] = [];
  const deadlineMs = performance.now() + context.limits.helloMs;

  return new Promise((resolve) => {
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      const result = reader.push(chunk);
      if (result.kind !== 'need-more') finish({ result, bytes: Buffer.concat(chunks) });
    };
    const giveUp = (): void => {
      socket.destroy();
      finish(null);
    };
    const stopWatching = context.sweeps.watch(context.limits.helloMs, (nowMs) => {
      if (nowMs < deadlineMs) return;
      noteRefusal(context, connection, 'request-timeout', null, 'no ClientHello in time');
      giveUp();
    });
    const finish = (read: HelloRead | null): void => {
      stopWatching();
      socket.pause();
      socket.off('data', onData).off('end', giveUp).off('close', giveUp);
      resolve(read);
    };
    socket.on('data', onData).once('end', giveUp).once('close', giveUp);
    socket.resume();
  });
}
