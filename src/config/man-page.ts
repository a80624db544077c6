import { roffEntry, roffLiteral, roffSection, roffText } from '../base/roff.js';
import {
  FORMS,
  listConfigKeys,
  PRINCIPLES,
  SECTIONS,
  sectionOf,
  TAKES_EFFECT,
} from './reference.js';
import type { KeyEntry } from './schema-tree.js';

const EXAMPLE = `listeners:
  web: { address: "0.0.0.0:80", protocol: http }
services:
  blog:
    routes: [{ host: blog.example.com }]
    run:
      command: [node, server.js]
      directory: /srv/blog
      environment: { PORT: "3000" }
    upstream: tcp:3000
    idle: { freeze: 1m, stop: 10m }`;

/** rouse.yaml(5), from the schema: troff for man(1). */
export function renderConfigManPage(version: string): string {
  const keys = listConfigKeys();
  const lines = [
    `.TH ROUSE.YAML 5 "" "rouse ${version}" "File formats"`,
    ...roffSection('NAME', ['rouse.yaml \\- configuration of rouse']),
    ...roffSection('SYNOPSIS', [roffLiteral('/etc/rouse/rouse.yaml')]),
    ...roffSection('DESCRIPTION', [
      roffText(PRINCIPLES),
      ...FORMS.flatMap(([form, is]) => roffEntry(form, `${is}.`)),
      '.PP',
      roffText(TAKES_EFFECT),
    ]),
    ...SECTIONS.flatMap(({ title, prefix }) =>
      roffSection(
        `"${title.toUpperCase().replaceAll('NAME', '\\fINAME\\fP')}"`,
        keys
          .filter(({ path }) => sectionOf(path) === prefix)
          .flatMap((key) => keyEntry(key, prefix)),
      ),
    ),
    ...roffSection('EXAMPLE', ['.EX', ...EXAMPLE.split('\n').map(exampleLine), '.EE']),
    ...roffSection('"SEE ALSO"', [`${roffLiteral('rouse')}(1), ${roffLiteral('systemd.unit')}(5)`]),
  ];
  return `${lines.join('\n')}\n`;
}

function keyEntry(key: KeyEntry, prefix: string): string[] {
  const facts = [
    key.type,
    key.isRequired ? 'required' : key.shownDefault && `default ${key.shownDefault}`,
    key.reload && `takes effect: ${key.reload}`,
  ].filter(Boolean);
  return [
    ...roffEntry(key.path.slice(prefix.length), key.description),
    '.br',
    roffText(`(${facts.join('; ')})`),
  ];
}

function exampleLine(line: string): string {
  return line.replaceAll('-', '\\-');
}
