import { Refusal } from '../../ipc/refusals.js';
import { demandOf, refusalOf } from './context.js';
import { answerRedirect } from './http-answer.js';
import type { HttpExchange } from './http-exchange.js';
import type { HttpRelay } from './http-relay.js';

/** Routes one request, holds it until its service is awake, and has it relayed. */
export async function serveRequest(exchange: HttpExchange, relay: HttpRelay): Promise<void> {
  const { context, client, head } = exchange;
  if (client.listener.redirect === 'https') return redirect(exchange);
  const table = context.host.router.current;
  const { name } = client.listener;
  const match = table.match(name, client.destination.address, head.host, null);
  if (match === null) return exchange.refuse(new Refusal('no-route', null, head.host ?? 'no host'));
  exchange.match = match;
  try {
    const demand = demandOf(client, match, head.host);
    const use = await context.host.acquire(demand, exchange.abort.signal);
    exchange.heldMs = performance.now() - exchange.beganMs;
    relay.relay(exchange, match, use);
  } catch (thrown) {
    const refusal = refusalOf(thrown);
    if (refusal === null) exchange.logAccess();
    else exchange.refuse(refusal);
  }
}

/** To the default port: on which one https is offered outside, nobody here knows. */
function redirect(exchange: HttpExchange): void {
  const { head, response } = exchange;
  if (head.host === null) {
    exchange.refuse(new Refusal('bad-request', null, 'no host'));
    return;
  }
  const host = head.host.includes(':') ? `[${head.host}]` : head.host;
  const path = head.path === '*' ? '/' : head.path;
  answerRedirect(response, `https://${host}${path}`, exchange.mustClose);
}
