/** A whole number with separators. */
export const count = (value) => Math.round(value).toLocaleString('en');
/** One digit after the point. */
export const short = (value) => value.toFixed(1);

/** `median (min-max)`. */
export const spread = ({ median, min, max }, format) =>
  `${format(median)} (${format(min)}-${format(max)})`;

/** Rows of text, the first the heading, in columns. */
export function renderTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const renderRow = (row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd();
  return `${rows.map(renderRow).join('\n')}\n`;
}

/** Requests and connections a second, and CPU time: medians, with the smallest and largest round. */
export function renderThroughput(results) {
  return renderTable([
    ['case', 'directly, per second', 'through rouse, per second', 'CPU of rouse, µs each'],
    ...results.map(({ name, directPerSecond, rousePerSecond, rouseCpuMicroseconds }) => [
      name,
      spread(directPerSecond, count),
      spread(rousePerSecond, count),
      spread(rouseCpuMicroseconds, short),
    ]),
  ]);
}

/** First byte of a cold service in milliseconds. */
export function renderColdStart(results) {
  return renderTable([
    ['case', 'own time to listen, ms', 'first byte through rouse, ms', 'overhead, ms'],
    ...results.map(({ name, listenMs, firstByteMs, overheadMs }) => [
      name,
      spread(listenMs, short),
      spread(firstByteMs, short),
      short(overheadMs),
    ]),
  ]);
}
