const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const;

/** How a word looks on a terminal. */
export type Paint = keyof typeof CODES;

/** Colours a text, or returns it as it is. */
export type Painter = (paint: Paint, text: string) => string;

/** A painter that colours only when told so. */
export function createPainter(colour: boolean): Painter {
  if (!colour) return (_paint, text) => text;
  return (paint, text) => `\x1b[${CODES[paint]}m${text}\x1b[0m`;
}
