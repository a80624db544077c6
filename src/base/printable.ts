/**
 * The text with every control character except tab written out as `\x1b`: what services and clients
 * send must not be able to move a terminal's cursor or fake a line.
 */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\t]/gu, escapeCharacter);
}

/** Like {@link printable}, but colours (SGR sequences, ECMA-48 8.3.117) stay as they are. */
export function printableWithColour(text: string): string {
  return text
    .split(COLOUR)
    .map((part, index) => (index % 2 === 1 ? part : printable(part)))
    .join('');
}

const ESCAPE = String.fromCharCode(27);
const COLOUR = new RegExp(`(${ESCAPE}\\[[0-9;:]{0,32}m)`);

function escapeCharacter(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}
