import net from 'node:net';

const PATIENCE_MS = 30_000;

/**
 * Sends a request and resolves when `isComplete` holds for what came back; rejects when the
 * connection ends before. The socket stays open.
 */
function exchange(socket, request, isComplete) {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    const settle = (error) => {
      socket.off('data', onData).off('error', settle).off('close', onClose);
      if (error) reject(error);
      else resolve();
    };
    const onClose = () =>
      settle(new Error(`connection ended after ${JSON.stringify(`${answer}`)}`));
    const onData = (bytes) => {
      answer = answer.length === 0 ? bytes : Buffer.concat([answer, bytes]);
      if (isComplete(answer)) settle();
    };
    socket.on('data', onData).on('error', settle).on('close', onClose);
    socket.write(request);
  });
}

function connect(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    socket.setTimeout(PATIENCE_MS, () =>
      socket.destroy(new Error(`no answer in ${PATIENCE_MS} ms`)),
    );
    socket.once('error', reject);
    socket.once('connect', () => resolve(socket.off('error', reject)));
  });
}

/** Request after request on one connection, until `isOver`; the number of answers. */
async function exchangeOnOne(target, isOver) {
  const socket = await connect(target.port);
  let count = 0;
  for (; !isOver(); count += 1) await exchange(socket, target.request, target.isComplete);
  socket.on('error', () => {}).destroy();
  return count;
}

/** A connection for every request, until `isOver`; the number of answers. */
async function exchangeOnMany(target, isOver) {
  let count = 0;
  for (; !isOver(); count += 1) {
    const socket = await connect(target.port);
    await exchange(socket, target.request, target.isComplete);
    const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
    socket.end();
    await closed;
  }
  return count;
}

/**
 * Loads a server from `clients` clients at once for `seconds`.
 * @param target `{ port, request, isComplete, keepAlive }`
 * @returns `{ count, seconds }`: answers, and how long it really took
 */
export async function load(target, clients, seconds) {
  const startedMs = performance.now();
  const isOver = () => performance.now() - startedMs > seconds * 1000;
  const run = target.keepAlive ? exchangeOnOne : exchangeOnMany;
  const counts = await Promise.all(Array.from({ length: clients }, () => run(target, isOver)));
  const count = counts.reduce((total, each) => total + each, 0);
  return { count, seconds: (performance.now() - startedMs) / 1000 };
}
