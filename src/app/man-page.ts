import type { Command } from 'commander';
import { roffEntry, roffLiteral, roffSection, roffText } from '../base/roff.js';
import { EXIT_MEANINGS, optionsOf } from './help.js';
import { type CommandName, MANUALS, type Manual, PROGRAM_MANUAL } from './manual.js';

const SIGNALS = {
  SIGHUP: '`rouse serve` reads its configuration again; one that is wrong changes nothing.',
  SIGTERM: '`rouse serve` lets open connections finish and stops; a second one stops at once.',
};

const ENVIRONMENT = {
  'RUNTIME_DIRECTORY, STATE_DIRECTORY': 'Where its files are, as systemd sets them.',
  'XDG_RUNTIME_DIR, XDG_STATE_HOME': 'The same for users other than root.',
  'LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID':
    'Sockets of systemd, which listeners take with `address: systemd:NAME`.',
  'NOTIFY_SOCKET, WATCHDOG_USEC': 'Where and how often `rouse serve` tells systemd how it is.',
  NO_COLOR: 'No colours, also on a terminal.',
};

/** rouse(1) with every command: troff for man(1). */
export function renderManPage(program: Command, version: string): string {
  const commands = program.commands.filter((command) => command.name() in MANUALS);
  const lines = [
    `.TH ROUSE 1 "" "rouse ${version}" "User commands"`,
    ...roffSection('NAME', [`rouse \\- ${roffText(PROGRAM_MANUAL.summary)}`]),
    ...roffSection('SYNOPSIS', synopsisOf('rouse', PROGRAM_MANUAL)),
    ...roffSection('DESCRIPTION', paragraphs(PROGRAM_MANUAL)),
    ...roffSection('COMMANDS', commands.flatMap(commandPart)),
    ...roffSection('"EXIT STATUS"', entries(EXIT_MEANINGS)),
    ...roffSection('ENVIRONMENT', entries(ENVIRONMENT)),
    ...roffSection('SIGNALS', entries(SIGNALS)),
    ...roffSection('FILES', entries(PROGRAM_MANUAL.files ?? {})),
    ...roffSection('EXAMPLES', entries(Object.fromEntries(PROGRAM_MANUAL.examples))),
    ...roffSection('"SEE ALSO"', [
      ['rouse.yaml(5)', 'systemd.socket(5)', 'bwrap(1)', 'cgroups(7)', 'namespaces(7)']
        .map((page) => page.replace(/^([^(]+)/, (name) => roffLiteral(name)))
        .join(', '),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

function commandPart(command: Command): string[] {
  const manual: Manual = MANUALS[command.name() as CommandName];
  const { exitStatus = {}, examples } = manual;
  return [
    `.SS "${command.name()} \\- ${manual.summary}"`,
    ...synopsisOf(`rouse ${command.name()}`, manual),
    ...paragraphs(manual).flatMap((line, index) => (index === 0 ? ['.PP', line] : [line])),
    ...optionsOf(command).flatMap(([term, text]) => roffEntry(term, text)),
    ...Object.entries(exitStatus).flatMap(([code, text]) => [
      '.PP',
      roffText(`Exits ${code}: ${text}`),
    ]),
    ...entries(Object.fromEntries(examples)),
  ];
}

function synopsisOf(name: string, { synopsis }: Manual): string[] {
  return synopsis.flatMap((form, index) => [
    ...(index === 0 ? [] : ['.br']),
    `${roffLiteral(name)} ${roffText(form)}`.trimEnd(),
  ]);
}

function paragraphs({ description }: Manual): string[] {
  return description.flatMap((text, index) => [...(index === 0 ? [] : ['.PP']), roffText(text)]);
}

function entries(rows: Readonly<Record<string, string>>): string[] {
  return Object.entries(rows).flatMap(([term, text]) => roffEntry(term, text));
}
