import type { Command } from 'commander';
import { type CommandName, MANUALS, type Manual, PROGRAM_MANUAL } from './manual.js';

const INDENT = ' '.repeat(7);
const DEEPER = ' '.repeat(14);
const MAX_WIDTH = 80;

/** What exit codes mean where a command doesn't say more. */
export const EXIT_MEANINGS = {
  0: 'Done.',
  1: 'It failed; standard error says why.',
  2: 'Wrong usage.',
};

/** A command's help, arranged as a man page (man-pages(7)). */
export function renderHelp(command: Command, columns: number): string {
  const width = Math.min(columns, MAX_WIDTH);
  const isProgram = command.parent === null;
  const manual = isProgram ? PROGRAM_MANUAL : manualOf(command.name());
  const name = isProgram ? 'rouse' : `rouse ${command.name()}`;
  const sections: [string, string[]][] = [
    ['NAME', wrap(`${name} - ${manual.summary}`, INDENT, width)],
    ['SYNOPSIS', manual.synopsis.map((form) => `${INDENT}${name} ${form}`.trimEnd())],
    ['DESCRIPTION', paragraphs(manual.description, width)],
    ['COMMANDS', isProgram ? renderCommands() : []],
    ['OPTIONS', renderEntries(optionsOf(command), width)],
    ['EXIT STATUS', renderExitStatus(manual, width)],
    ['FILES', renderEntries(Object.entries(manual.files ?? {}), width)],
    ['EXAMPLES', renderEntries(manual.examples, width)],
  ];
  return `${sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [title, ...lines].join('\n'))
    .join('\n\n')}\n`;
}

function manualOf(name: string): Manual {
  return (
    MANUALS[name as CommandName] ?? { summary: name, synopsis: [''], description: [], examples: [] }
  );
}

/** An option and its sentence, each. */
export function optionsOf(command: Command): [string, string][] {
  const help = command.createHelp();
  return help
    .visibleOptions(command)
    .map((option) => [help.optionTerm(option), `${option.description}.`]);
}

function renderCommands(): string[] {
  return Object.entries(MANUALS).map(
    ([name, manual]) => `${INDENT}${name.padEnd(15)}${manual.summary}`,
  );
}

function renderExitStatus(manual: Manual, width: number): string[] {
  const shown = { ...EXIT_MEANINGS, ...manual.exitStatus };
  return Object.entries(shown).flatMap(([code, meaning]) =>
    wrap(`${code}  ${meaning}`, INDENT, width, '   '),
  );
}

function renderEntries(entries: readonly (readonly [string, string])[], width: number): string[] {
  return entries.flatMap(([term, text]) => [`${INDENT}${term}`, ...wrap(text, DEEPER, width)]);
}

function paragraphs(texts: readonly string[], width: number): string[] {
  return texts.flatMap((text, index) => [...(index ? [''] : []), ...wrap(text, INDENT, width)]);
}

/** Breaks at spaces; lines after the first are indented by `hanging` more. */
function wrap(text: string, indent: string, width: number, hanging = ''): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    const isEmpty = line.trim() === '';
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `${indent}${hanging}${word}`;
    } else {
      line += isEmpty ? word : ` ${word}`;
    }
  }
  return [...lines, line];
}
