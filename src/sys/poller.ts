import koffi from 'koffi';
import { libc, NativeMemory } from './libc.js';

/**
 * Waits for descriptors that Node can't watch (SEQPACKET, datagram sockets, pidfds): libuv's own
 * uv_poll on the main thread's loop, level-triggered. For the main thread only.
 */
export interface Watch {
  /** Stops watching; to be called before the descriptor is closed. Idempotent. */
  close(): void;
  /** Changes what is waited for. */
  want(events: PollEvents): void;
}

/** A way to wait for a descriptor: `onReady` is called whenever it is ready, level-triggered. */
export type WatchFd = (
  fd: number,
  events: PollEvents,
  onReady: (events: PollEvents) => void,
) => Watch;

export interface PollEvents {
  readonly read?: boolean;
  readonly write?: boolean;
}

const UV_READABLE = 1;
const UV_WRITABLE = 2;
const UV_POLL_HANDLE = 8;

const callbackType = koffi.pointer(koffi.proto('void rouse_uv_poll_cb(void *, int, int)'));
const closeCallbackType = koffi.pointer(koffi.proto('void rouse_uv_close_cb(void *)'));
const uvDefaultLoop = libc.func('void *uv_default_loop()') as () => bigint;
const uvHandleSize = libc.func('size_t uv_handle_size(int)') as (type: number) => number | bigint;
const uvPollInit = libc.func('int uv_poll_init(void *, void *, int)');
const uvPollStart = libc.func('uv_poll_start', 'int', ['void *', 'int', callbackType]);
const uvPollStop = libc.func('int uv_poll_stop(void *)');
const uvClose = libc.func('uv_close', 'void', ['void *', closeCallbackType]);
const uvUnref = libc.func('void uv_unref(void *)');

interface Entry {
  readonly memory: NativeMemory;
  readonly onReady: (events: PollEvents) => void;
  closed: boolean;
}

const entries = new Map<bigint, Entry>();
const handleSizeBytes = Number(uvHandleSize(UV_POLL_HANDLE));

const onPoll = koffi.register((handle: bigint, status: number, events: number) => {
  const entry = entries.get(handle);
  if (!entry || entry.closed) return;
  const isError = status < 0;
  entry.onReady({
    read: isError || (events & UV_READABLE) !== 0,
    write: isError || (events & UV_WRITABLE) !== 0,
  });
}, callbackType);

const onClosed = koffi.register((handle: bigint) => {
  const entry = entries.get(handle);
  entries.delete(handle);
  entry?.memory.release();
}, closeCallbackType);

function bits(events: PollEvents): number {
  return (events.read ? UV_READABLE : 0) | (events.write ? UV_WRITABLE : 0);
}

/**
 * Calls `onReady` whenever the descriptor is ready. `keepAlive: false` doesn't keep the process
 * from ending. Throws where the descriptor can't be polled.
 */
export function watchFd(
  fd: number,
  events: PollEvents,
  onReady: (events: PollEvents) => void,
  options: { readonly keepAlive?: boolean } = {},
): Watch {
  const memory = new NativeMemory(handleSizeBytes);
  const status = uvPollInit(uvDefaultLoop(), memory.address, fd);
  if (status < 0) {
    memory.release();
    throw new Error(`cannot watch descriptor ${fd}: error ${-status}`);
  }
  const entry: Entry = { memory, onReady, closed: false };
  entries.set(memory.address, entry);
  uvPollStart(memory.address, bits(events), onPoll);
  if (options.keepAlive === false) uvUnref(memory.address);
  return {
    want(next) {
      if (entry.closed) return;
      uvPollStart(memory.address, bits(next), onPoll);
    },
    close() {
      if (entry.closed) return;
      entry.closed = true;
      uvPollStop(memory.address);
      uvClose(memory.address, onClosed);
    },
  };
}
