import { findBest, formatRatio, renderMachine } from './render-peers.mjs';

const BEGIN = '<!-- npm run bench -- peers --markdown README.md -->';
const END = '<!-- /peers -->';

/** What has a column of its own; all others share the last one. */
const COLUMNS = ['rouse native', 'rouse node', 'haproxy', 'nginx'];
const MILLI = 1000;

const digits = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(value < 100 ? 1 : 0));
const formatMicros = (value) =>
  value < MILLI ? `${digits(value)} µs` : `${digits(value / MILLI)} ms`;
const formatKibibytes = (value) => `${(value / 1024).toFixed(2)} KiB`;
const formatMebibytes = (value) => `${Math.round(value / 1024 / 1024)} MiB`;

function formatFigure({ figures }, metric) {
  const { median } = figures[metric];
  if (metric !== 'growthBytes') return formatMicros(median);
  return `${formatKibibytes(median)}, base ${formatMebibytes(figures.basePssBytes.median)}`;
}

/** A figure; what was missing or failed is told. */
function renderCell(row, name) {
  const contender = row.contenders.find((each) => each.name === name);
  if (contender === undefined) return '';
  return contender.fault === null ? formatFigure(contender, row.metric) : contender.fault;
}

const renderOthers = (row) =>
  row.contenders
    .filter(({ name }) => !COLUMNS.includes(name))
    .map(({ name }) => `${name} ${renderCell(row, name)}`)
    .join(', ');

/** `0.87 (0.83-0.90) of haproxy, aim 0.90`; bold where it doesn't hold. */
function renderAim(row, aim) {
  const best = findBest(row, aim);
  if (best === null) return `not measured, aim ${formatRatio(aim.atMost)}`;
  const { median, min, max } = best.ratio;
  const ratio = median <= aim.atMost ? formatRatio(median) : `**${formatRatio(median)}**`;
  const range = `${formatRatio(min)}-${formatRatio(max)}`;
  return `${ratio} (${range}) of ${best.name}, aim ${formatRatio(aim.atMost)}`;
}

function renderRow(row) {
  const figures = COLUMNS.map((name) => renderCell(row, name));
  const aims = row.aims.map((aim) => renderAim(row, aim)).join('; ');
  return `| ${[row.title, ...figures, renderOthers(row), aims].join(' | ')} |`;
}

/** The README's table: the figure that counts of each row, and how it compares. */
export function renderMarkdown(report) {
  const { machine, rounds, seconds, rows } = report;
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const heading = ['work', ...COLUMNS, 'others', 'the first one to'];
  return [
    `${machine.date.slice(0, 10)}: ${renderMachine(report)}; ${rounds} rounds of ${seconds} s;`,
    `${versions.join(', ')}.`,
    '',
    `| ${heading.join(' | ')} |`,
    `|${'---|'.repeat(heading.length)}`,
    ...rows.map(renderRow),
  ].join('\n');
}

/** `text` with `table` between the marks. Throws where there are none. */
export function placeInMarkdown(text, table) {
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error(`no place for the table: '${BEGIN}' … '${END}'`);
  return `${text.slice(0, from + BEGIN.length)}\n${table}\n${text.slice(to)}`;
}
