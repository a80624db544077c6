import { type ToGateway, type ToSupervisor, toSupervisorSchema } from './messages.js';
import { PROTOCOL_VERSION } from './protocol-version.js';

/**
 * How a supervisor talks to a gateway of a certain version of the protocol. After an upgrade the
 * gateways of the last version end their connections yet: a change of the protocol that they would
 * misunderstand raises the version, and keeps a row here for the last one, which translates.
 */
export interface Dialect {
  /** Throws on what isn't a message of it. */
  readonly parse: (value: unknown) => ToSupervisor;
  /** What is sent in place of a message; null: there is nothing like it, and nothing is. */
  readonly render: (message: ToGateway) => unknown;
}

export const CURRENT_DIALECT: Dialect = {
  parse: (value) => toSupervisorSchema.parse(value),
  render: (message) => message,
};

const DIALECTS: ReadonlyMap<number, Dialect> = new Map([[PROTOCOL_VERSION, CURRENT_DIALECT]]);

/** null: a version that isn't spoken. */
export function dialectOf(version: number): Dialect | null {
  return DIALECTS.get(version) ?? null;
}
