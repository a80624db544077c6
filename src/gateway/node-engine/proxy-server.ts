import type { IncomingMessage, ServerResponse } from 'node:http';
import util from 'node:util';
import httpProxy from 'http-proxy';

/** What http-proxy does with a request, step by step; its types leave it out. */
interface WebPasses {
  webPasses: Array<(request: IncomingMessage, response: ServerResponse) => unknown>;
}

/**
 * http-proxy, left with the one pass that sends a request on and pipes its body. `deleteLength`
 * smuggles (it declares chunked DELETE and OPTIONS requests empty and sends their body all the same);
 * the others are done by rouse, which also handles responses itself.
 */
export function createProxy(): httpProxy {
  takeDeprecationWarning();
  const proxy = httpProxy.createProxyServer({ selfHandleResponse: true, toProxy: true });
  const passes = proxy as unknown as WebPasses;
  passes.webPasses = passes.webPasses.filter((pass) => pass.name === 'stream');
  if (passes.webPasses.length !== 1) throw new Error('http-proxy has no pass named "stream"');
  // Errors come through each request's callback; without a listener http-proxy would throw.
  proxy.on('error', () => {});
  return proxy;
}

/**
 * http-proxy calls the deprecated `util._extend`, of which Node 22 and later warn once (DEP0060).
 * This is that once.
 */
function takeDeprecationWarning(): void {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    (util as unknown as { _extend?: (target: object, source: object) => object })._extend?.({}, {});
  } finally {
    process.emitWarning = emitWarning;
  }
}
