import { TransferBuffer } from '../../../sys/stream-io.js';

export const INPUT_BYTES = 64 * 1024;
/** A head with all that forwarding adds to it; or a head, what came with it of a body, and framing. */
export const OUTPUT_BYTES = 384 * 1024;
/** What was kept of earlier output passes through here. */
const KEPT_BYTES = 64 * 1024;
/** A head that came in pieces, or was kept elsewhere. */
const STAGE_BYTES = 128 * 1024;
/** Most request heads, with what forwarding adds, fit in here. */
export const SLOT_BYTES = 2048;
const SLOTS = 512;

/** What is read lies here until the next `Peer.receive`. */
export const INPUT_AT = 0;
/** What is composed lies here until it is sent: nothing stays between two events. */
export const OUTPUT_AT = INPUT_AT + INPUT_BYTES;
export const KEPT_AT = OUTPUT_AT + OUTPUT_BYTES;
export const KEPT_END = KEPT_AT + KEPT_BYTES;
const STAGE_AT = KEPT_END;
const SLOTS_AT = STAGE_AT + STAGE_BYTES;

/**
 * What the HTTP of a thread reads and sends, for all its connections in one piece: within it bytes
 * are moved at the cost of a call, and without an object for the place where they lie.
 */
export const memory = new TransferBuffer(SLOTS_AT + SLOTS * SLOT_BYTES);
/** The same as places to look at; all offsets of this folder count from its start. */
export const bytes = memory.bytes;

/** Below it moving byte by byte costs less. */
const SHORT_BYTES = 16;

/** Moves bytes to `at`, and returns where they end there. */
export function move(from: number, to: number, at: number): number {
  if (to - from >= SHORT_BYTES) bytes.copyWithin(at, from, to);
  else
    for (let index = from; index < to; index += 1)
      bytes[at + index - from] = bytes[index] as number;
  return at + to - from;
}

/** Writes bytes from elsewhere to `at`, and returns where they end there. */
export function put(source: Uint8Array, at: number): number {
  bytes.set(source, at);
  return at + source.length;
}

/** Brings a head that lies elsewhere into the memory; returns where it begins there. */
export function stage(source: Buffer, from: number, to: number): number {
  if (source === bytes) return from;
  source.copy(bytes, STAGE_AT, from, to);
  return STAGE_AT;
}

/** Places for heads that may have to be sent again. */
const freeSlots = Array.from(
  { length: SLOTS },
  (_, index) => SLOTS_AT + (SLOTS - 1 - index) * SLOT_BYTES,
);

/** A place of `SLOT_BYTES`, the caller's until `giveSlot`; -1: all are taken. */
export function takeSlot(): number {
  return freeSlots.pop() ?? -1;
}

export function giveSlot(slot: number): void {
  freeSlots.push(slot);
}
