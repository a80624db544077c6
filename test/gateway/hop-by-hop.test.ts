import { expect, it } from 'vitest';
import { removeHopByHop } from '../../src/gateway/hop-by-hop.js';

function remove(headers: Record<string, string>, keepUpgrade = false): Record<string, string> {
  const list = Object.entries(headers).map(([name, value]) => ({ name, value }));
  const kept = removeHopByHop(list, { keepUpgrade });
  return Object.fromEntries(kept.map(({ name, value }) => [name, value]));
}

it('what is for this connection only stays here', () => {
  const headers = {
    Accept: '*/*',
    Connection: 'keep-alive, X-Mine',
    'Keep-Alive': 'timeout=5',
    'Proxy-Connection': 'keep-alive',
    'Proxy-Authorization': 'Basic x',
    'Transfer-Encoding': 'chunked',
    Upgrade: 'h2c',
    'x-mine': '1',
    'X-Other': '2',
  };
  expect(remove(headers)).toEqual({ Accept: '*/*', 'X-Other': '2' });
});

it('that a client takes trailers goes on, other transfer codings do not', () => {
  expect(remove({ TE: 'gzip, Trailers' })).toEqual({ TE: 'trailers', Connection: 'TE' });
  expect(remove({ TE: 'gzip' })).toEqual({});
});

it('an upgrade goes on where it is one', () => {
  const headers = { Connection: 'Upgrade', Upgrade: 'websocket', TE: 'trailers' };
  expect(remove(headers, true)).toEqual({
    Upgrade: 'websocket',
    TE: 'trailers',
    Connection: 'Upgrade, TE',
  });
});
