import { Refusal } from '../../ipc/refusals.js';
import { httpsLocation, redirectTo } from '../refusal-answer.js';
import { demandOf, refusalOf } from './context.js';
import { answer } from './http-answer.js';
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
    const demand = demandOf(client, match);
    const use = await context.host.acquire(demand, exchange.abort.signal);
    exchange.heldMs = performance.now() - exchange.beganMs;
    relay.relay(exchange, match, use);
  } catch (thrown) {
    const refusal = refusalOf(thrown);
    if (refusal === null) exchange.logAccess();
    else exchange.refuse(refusal);
  }
}

function redirect(exchange: HttpExchange): void {
  const { head, response } = exchange;
  if (head.host === null) exchange.refuse(new Refusal('bad-request', null, 'no host'));
  else answer(response, redirectTo(httpsLocation(head.host, head.path)), exchange.mustClose);
}
