import { z } from 'zod';

/**
 * What supervisor and egress process say to each other. The process gets what it needs and asks for
 * nothing: what it says is parsed strictly, anything but these means that it is compromised.
 */
export const fromEgressSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('hello'), version: z.number().int() }),
  /** The answer to `beat`. */
  z.strictObject({ type: z.literal('beat') }),
]);

export type FromEgress = z.infer<typeof fromEgressSchema>;

export type ToEgress =
  /** With a memfd of the service's `EgressRule[]`, in effect at once; none: nothing is allowed. */
  | { readonly type: 'rules'; readonly service: string; readonly logsAccess: boolean }
  /** With a listening socket: who connects to it is this service. */
  | { readonly type: 'listen'; readonly service: string; readonly id: number }
  | { readonly type: 'unlisten'; readonly id: number }
  /** Answered with `beat`: the process still turns. */
  | { readonly type: 'beat' };
