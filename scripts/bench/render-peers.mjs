import { count, renderTable, short, spread } from './render.mjs';

const ratio = (value) => value.toFixed(2);

function renderContender({ name, cpuMicros, perSecond, p50Micros, p99Micros, ratio: toFirst }) {
  return [
    name,
    spread(cpuMicros, short),
    spread(perSecond, count),
    count(p50Micros.median),
    count(p99Micros.median),
    spread(toFirst, ratio),
  ];
}

/** The best of those that an aim names, of those that were measured; null: none was. */
function findBest(row, { of }) {
  const named = row.contenders.filter(({ name }) => of.includes(name));
  return named.sort((a, b) => a.cpuMicros.median - b.cpuMicros.median)[0] ?? null;
}

function renderAim(row, aim) {
  const best = findBest(row, aim);
  const wanted = `aim: at most ${ratio(aim.atMost)} of ${aim.of.join(', ')}`;
  if (best === null) return `${wanted}; not installed\n`;
  const verdict = best.ratio.median <= aim.atMost ? 'holds' : 'does not hold';
  return `${wanted}; ${ratio(best.ratio.median)} of ${best.name}: ${verdict}\n`;
}

function renderRow(row) {
  const first = row.contenders[0]?.name;
  const table = renderTable([
    ['', 'CPU, µs each', 'per second', 'p50, µs', 'p99, µs', `${first} to it`],
    ...row.contenders.map(renderContender),
  ]);
  return `${row.name}: ${row.title}\n${table}${row.aims.map((aim) => renderAim(row, aim)).join('')}`;
}

/** Every row with medians, and the smallest and largest round in parentheses. */
export function renderPeers({ machine, rounds, seconds, missing, rows }) {
  const { model, cpus, kernel, node, loadAverage } = machine;
  const where = `${model}, ${cpus} CPUs, Linux ${kernel}, Node ${node}, load ${loadAverage.join(' ')}`;
  const left = missing.length > 0 ? `not installed: ${missing.join(', ')}\n` : '';
  return `${where}; ${rounds} rounds of ${seconds} s\n${left}\n${rows.map(renderRow).join('\n')}`;
}
