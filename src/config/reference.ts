import * as z from 'zod';
import { config } from './schema/config.js';
import { type KeyEntry, listKeys } from './schema-tree.js';

/** What holds for the whole file. */
export const PRINCIPLES = `A configuration is a YAML 1.2 file. Unknown keys are errors, and every error names file, line and
column. Relative paths count from the file they stand in, but for Unix upstreams, which are the
service's own. Integers that start with a zero are text.`;

/** How values are written. */
export const FORMS: readonly (readonly [form: string, is: string])[] = [
  ['duration', '`500ms`, `30s`, `5m`, `2h`, `1d`; less than 25 days'],
  ['size', '`64K`, `256M`, `2G`, `1T` (powers of 1024), or bytes'],
  ['rate', '`100/s`, `600/m`, `1000/h`'],
  ['name', 'letters, digits, `.`, `_` and `-`, 63 at most; starts with a letter or a digit'],
  [
    'address',
    '`0.0.0.0:80`, `[::]:443`, `127.0.0.1:2000-2099`, `unix:PATH`, `systemd:NAME`; port 0: the kernel chooses',
  ],
  [
    'host name',
    'compared without case, port and trailing dot; `*.example.com`: exactly one more label',
  ],
];

/** The words for when a change takes effect. */
export const TAKES_EFFECT = `A change takes effect after \`rouse reload\` or SIGHUP: *at once*; at the *next start* of the
service (at once where it is asleep); when the *listener reopens* or the *gateway restarts*, which
the reload does; or with a *restart of rouse*.`;

const INTRODUCTION = `# Configuration reference

Generated from the schema in \`src/config/schema/\`; a test holds the two together.

${PRINCIPLES}

| form | is |
|---|---|
${FORMS.map(([form, is]) => `| ${form} | ${is} |`).join('\n')}

${TAKES_EFFECT} The last column says which.
`;

/** The parts of the page, by where their keys stand. */
export const SECTIONS: readonly { readonly title: string; readonly prefix: string }[] = [
  { title: 'Top level', prefix: '' },
  { title: 'listeners.NAME', prefix: 'listeners.NAME.' },
  { title: 'services.NAME (and defaults)', prefix: 'services.NAME.' },
  { title: 'gateways.NAME', prefix: 'gateways.NAME.' },
];

/** Every key of the configuration; those of `defaults` are those of a service, and left out. */
export function listConfigKeys(): KeyEntry[] {
  return listKeys(config).filter(({ path }) => !path.startsWith('defaults.'));
}

/** `config/REFERENCE.md`. */
export function renderReference(): string {
  const keys = listConfigKeys();
  const sections = SECTIONS.map(({ title, prefix }) => {
    const rows = keys
      .filter(({ path }) => sectionOf(path) === prefix)
      .map((key) => renderRow(key, prefix));
    return [
      `## ${title}`,
      '',
      '| key | type | default | | takes effect |',
      '|---|---|---|---|---|',
      ...rows,
    ].join('\n');
  });
  return `${[INTRODUCTION.trimEnd(), ...sections].join('\n\n')}\n`;
}

/** The prefix of the part that a key belongs to. */
export function sectionOf(path: string): string {
  const longest = SECTIONS.map(({ prefix }) => prefix).filter((prefix) => path.startsWith(prefix));
  return longest.at(-1) ?? '';
}

function renderRow(key: KeyEntry, prefix: string): string {
  const shownDefault = key.isRequired ? 'required' : key.shownDefault;
  const cells = [
    `\`${key.path.slice(prefix.length)}\``,
    key.type,
    shownDefault,
    key.description,
    key.reload,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** JSON Schema (2020-12) of the configuration, for editors. */
export function toJsonSchema(): object {
  const schema = z.toJSONSchema(config, {
    io: 'input',
    override: ({ jsonSchema }) => {
      for (const name of ['form', 'reload', 'shownDefault']) delete jsonSchema[name];
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return { title: 'rouse configuration', ...schema };
}
