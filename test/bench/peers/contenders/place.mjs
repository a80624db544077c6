import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const PATIENCE_MS = 30_000;

const directories = new Set();
process.once('exit', () => {
  for (const path of directories) remove(path);
});

function remove(path) {
  directories.delete(path);
  rmSync(path, { recursive: true, force: true });
}

/** A directory for a contender's files, removed at the end of this process at the latest; `write` returns the path. */
export function makeDirectory() {
  const path = mkdtempSync(join(tmpdir(), 'rouse-bench-'));
  directories.add(path);
  return {
    path,
    write(name, text) {
      writeFileSync(join(path, name), text);
      return join(path, name);
    },
    makeDirectory(name) {
      mkdirSync(join(path, name), { mode: 0o777 });
      return join(path, name);
    },
    remove: () => remove(path),
  };
}

/** A port of 127.0.0.1 that nobody listens on now. */
export async function findFreePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function tryConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (isOpen) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}

/** Resolves when somebody listens on a port; rejects when the program ended. */
export async function waitForPort(port, program) {
  const untilMs = Date.now() + PATIENCE_MS;
  while (!(await tryConnect(port))) {
    program.check();
    if (Date.now() > untilMs) throw new Error(`nobody listens on port ${port}`);
    await delay(10);
  }
}

/** A process and all that come from it, as pids. */
export function listTree(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...children.split(' ').filter(Boolean).map(Number).flatMap(listTree)];
}
