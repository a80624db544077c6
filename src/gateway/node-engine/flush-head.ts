import type { OutgoingMessage } from 'node:http';

/** What `OutgoingMessage` has and its types leave out. */
interface MessageInternals {
  readonly _header: string | null;
  _implicitHeader(): void;
  _send(data: string, encoding: BufferEncoding): boolean;
}

/** As `flushHeaders`, which would send header bytes above 127 as UTF-8: two for each. */
export function flushHead(message: OutgoingMessage): void {
  const internals = message as unknown as MessageInternals;
  if (internals._header === null) internals._implicitHeader();
  internals._send('', 'latin1');
}
