/** Ten thousand wrong references to ten thousand names must not take minutes. */
const MAX_CANDIDATES = 1000;

/** `; did you mean "…"?` with the closest of the known names, or nothing where none is close. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const closest = suggest(name, known);
  return closest === null ? '' : `; did you mean "${closest}"?`;
}

function suggest(name: string, known: Iterable<string>): string | null {
  let closest: string | null = null;
  let best = Math.max(1, Math.floor(name.length / 3)) + 1;
  let candidates = 0;
  for (const candidate of known) {
    candidates += 1;
    if (candidates > MAX_CANDIDATES) break;
    if (Math.abs(candidate.length - name.length) >= best) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < best) {
      best = distance;
      closest = candidate;
    }
  }
  return closest;
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from one to the other. */
function editDistance(from: string, to: string): number {
  if (from.length > 100 || to.length > 100) return Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
      );
      if (
        row > 1 &&
        column > 1 &&
        from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1]
      ) {
        cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      }
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
