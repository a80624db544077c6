import { describe, expect, test } from 'vitest';
import { type ToSupervisor, toSupervisorSchema } from '../../src/ipc/messages.js';
import { PROTOCOL_VERSION } from '../../src/ipc/protocol-version.js';

const ENDS = { source: '192.0.2.1:50000', destination: '192.0.2.2:80' };

const SERVICE_ROW = {
  name: 'blog',
  connections: 1,
  held: 0,
  requestsInFlight: 2,
  requestsTotal: 3,
  refusals: { backoff: 1, 'held-limit': 4 },
};

/** One of each kind. */
const MESSAGES: readonly ToSupervisor[] = [
  { type: 'hello', version: PROTOCOL_VERSION },
  { type: 'ready', generation: 0 },
  { type: 'acquire', service: 'blog', listener: 'web', source: ENDS.source, cause: 'request' },
  { type: 'release', service: 'blog', instance: 1, idleMs: 20 },
  { type: 'sockets', id: 1, service: 'blog', instance: 1, upstream: 'tcp:3000', count: 128 },
  { type: 'dial', id: 1, service: 'blog', instance: 1, upstream: 'stdio', ends: ENDS },
  { type: 'hand-over', id: 1, service: 'blog', listener: 'web', ends: ENDS },
  {
    type: 'report',
    id: null,
    services: [SERVICE_ROW],
    listeners: [{ name: 'web', accepted: 1, refused: 0 }],
    more: false,
  },
  { type: 'metrics', id: 7 },
  { type: 'drained' },
  { type: 'beat' },
];

const accepts = (message: unknown) => toSupervisorSchema.safeParse(message).success;
const ofType = (type: ToSupervisor['type']) =>
  MESSAGES.find((message) => message.type === type) as ToSupervisor;

describe('what a gateway says to the supervisor', () => {
  test('there is an example of every kind of message, and each is taken as it is', () => {
    const kinds = toSupervisorSchema.options.map(({ shape }) => shape.type.value);
    expect(MESSAGES.map(({ type }) => type).toSorted()).toEqual(kinds.toSorted());
    for (const message of MESSAGES) expect(toSupervisorSchema.parse(message)).toEqual(message);
  });

  test.each(MESSAGES)('$type: a field too many, or one too few, is refused', (message) => {
    expect(accepts({ ...message, extra: 1 })).toBe(false);
    for (const key of Object.keys(message)) {
      const { [key as 'type']: _, ...rest } = message;
      expect(accepts(rest), `without ${key}`).toBe(false);
    }
  });

  test.each(MESSAGES)('$type: a field of another type is refused', (message) => {
    for (const key of Object.keys(message)) {
      for (const wrong of [{}, Number.NaN, '\u0000'.repeat(600), -1]) {
        const isVersion = key === 'version' && wrong === -1;
        if (!isVersion) expect(accepts({ ...message, [key]: wrong }), key).toBe(false);
      }
    }
  });

  test.each([
    ['a kind that there is not', { type: 'shutdown' }],
    ['nothing', {}],
    ['null', null],
    ['a list', [ofType('drained')]],
    ['a name that is too long', { ...ofType('acquire'), service: 'x'.repeat(65) }],
    ['an empty name', { ...ofType('acquire'), service: '' }],
    ['a source that is too long', { ...ofType('acquire'), source: 'x'.repeat(513) }],
    ['another cause', { ...ofType('acquire'), cause: 'curiosity' }],
    ['more sockets than one packet takes', { ...ofType('sockets'), count: 129 }],
    ['no sockets', { ...ofType('sockets'), count: 0 }],
    ['half an instance', { ...ofType('release'), instance: 0.5 }],
    ['an instance past all counting', { ...ofType('release'), instance: 2 ** 53 }],
    ['time that runs backwards', { ...ofType('release'), idleMs: -1 }],
    ['a third end', { ...ofType('dial'), ends: { ...ENDS, via: '' } }],
    ['a refusal that there is not', reportOf({ refusals: { boredom: 1 } })],
    ['a negative count', reportOf({ connections: -1 })],
    ['a count that is no number', reportOf({ held: '1' })],
    ['a row with more in it', reportOf({ memory: 1 })],
    ['too many rows', { ...ofType('report'), services: Array(257).fill(SERVICE_ROW) }],
  ])('%s is refused', (_, message) => {
    expect(accepts(message)).toBe(false);
  });
});

function reportOf(change: object): object {
  return { ...ofType('report'), services: [{ ...SERVICE_ROW, ...change }] };
}
