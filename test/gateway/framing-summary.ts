import type { RequestFraming } from '../../src/gateway/request-framing.js';
import type { RequestHead } from '../../src/gateway/request-head.js';

/** Events with neighbouring bytes put together, in a form that compares. */
export interface EventSummary {
  readonly kind: string;
  readonly bytes?: string;
  readonly detail?: unknown;
}

export function summarize(framing: RequestFraming, chunks: readonly Buffer[]): EventSummary[] {
  const summary: EventSummary[] = [];
  for (const chunk of chunks) {
    for (const event of framing.push(chunk)) {
      if (event.kind === 'head') {
        summary.push({
          kind: 'head',
          bytes: event.head.rawBytes.toString('latin1'),
          detail: factsOf(event.head),
        });
        continue;
      }
      if (event.kind === 'end' || event.kind === 'refusal') {
        summary.push({ kind: event.kind, detail: event });
        continue;
      }
      const text = event.bytes.toString('latin1');
      const last = summary.at(-1);
      if (last?.kind === event.kind) {
        summary[summary.length - 1] = { kind: event.kind, bytes: last.bytes + text };
      } else {
        summary.push({ kind: event.kind, bytes: text });
      }
    }
  }
  return summary;
}

/** What a head means. */
function factsOf(head: RequestHead) {
  const { method, target, minorVersion, path, authority, host, port, framing } = head;
  const { keepAlive, upgrade, expectContinue, headers } = head;
  const first = { method, target, minorVersion, path, authority, host, port, framing };
  return { ...first, keepAlive, upgrade, expectContinue, headers };
}

/** Cuts at the positions, each taken modulo the length. */
export function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
}
