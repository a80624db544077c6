import { createPainter, type Painter } from '../base/paint.js';
import { type CommandIo, wantsColour } from './command-io.js';

/** How a command shows things to whom it shows them. */
export interface RenderStyle {
  readonly paint: Painter;
  readonly now: Date;
  /** A person reads: times are relative. */
  readonly relativeTimes: boolean;
}

/** The style for what a command prints on standard output. */
export function styleOf(io: CommandIo): RenderStyle {
  return {
    paint: createPainter(wantsColour(io.stdout, io.env)),
    now: io.now(),
    relativeTimes: io.stdout.isTerminal,
  };
}
