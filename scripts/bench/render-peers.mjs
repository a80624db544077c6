import { count, renderTable, short, spread } from './render.mjs';

const KIBIBYTE = 1024;

const micros = (value) => (value < 100 ? short(value) : count(value));
const kibibytes = (value) => (value / KIBIBYTE).toFixed(2);
const mebibytes = (value) => short(value / KIBIBYTE / KIBIBYTE);

export const formatRatio = (value) => value.toFixed(2);

/** Figure → heading, format. A row shows those that it has. */
const COLUMNS = {
  cpuMicros: ['CPU, µs each', micros],
  growthBytes: ['growth, KiB each', kibibytes],
  basePssBytes: ['base PSS, MiB', mebibytes],
  baseRssBytes: ['base RSS, MiB', mebibytes],
  perSecond: ['per second', micros],
  p50Micros: ['p50, µs', count],
  p99Micros: ['p99, µs', count],
  maxMicros: ['slowest, µs', count],
};

function renderContender({ name, fault, figures, ratio }, columns) {
  if (fault !== null) return [name, fault, ...columns.map(() => '')];
  const cells = columns.map((key) => spread(figures[key], COLUMNS[key][1]));
  return [name, ...cells, spread(ratio, formatRatio)];
}

/** The best of those that an aim names and that were measured; null: none was. */
export function findBest({ metric, contenders }, { of }) {
  const named = contenders.filter(({ name, fault }) => fault === null && of.includes(name));
  const [best = null] = named.sort((a, b) => a.figures[metric].median - b.figures[metric].median);
  return best;
}

function renderAim(row, aim) {
  const best = findBest(row, aim);
  const wanted = `aim: at most ${formatRatio(aim.atMost)} of ${aim.of.join(', ')}`;
  if (best === null) return `${wanted}; not measured\n`;
  const verdict = best.ratio.median <= aim.atMost ? 'holds' : 'does not hold';
  return `${wanted}; ${formatRatio(best.ratio.median)} of ${best.name}: ${verdict}\n`;
}

function renderRow(row) {
  const [first] = row.contenders;
  const columns = Object.keys(COLUMNS).filter((key) => first?.figures?.[key] !== undefined);
  const headings = columns.map((key) => COLUMNS[key][0]);
  const table = renderTable([
    ['', ...headings, `${first?.name} to it`],
    ...row.contenders.map((contender) => renderContender(contender, columns)),
  ]);
  return `${row.name}: ${row.title}\n${table}${row.aims.map((aim) => renderAim(row, aim)).join('')}`;
}

/** The machine in words. */
export function renderMachine({ machine, loadAfter }) {
  const { model, cpus, kernel, node, loadAverage } = machine;
  const load = `load ${loadAverage[0].toFixed(1)} before, ${loadAfter.toFixed(1)} after`;
  return `${model}, ${cpus} CPUs, Linux ${kernel}, Node ${node}, ${load}`;
}

/** Every row with medians, and the smallest and largest round in parentheses. */
export function renderPeers(report) {
  const { rounds, seconds, missing, rows } = report;
  const left = missing.length > 0 ? `not installed: ${missing.join(', ')}\n` : '';
  const where = `${renderMachine(report)}; ${rounds} rounds of ${seconds} s`;
  return `${where}\n${left}\n${rows.map(renderRow).join('\n')}`;
}
