import type { Paint, Painter } from '../base/paint.js';
import { printable } from '../base/printable.js';

/** A cell: its text, and how it is painted where there are colours. */
export interface Cell {
  readonly text: string;
  readonly paint?: Paint | undefined;
}

export interface Column<Row> {
  readonly title: string;
  readonly alignRight?: boolean;
  cell(row: Row): Cell | string | number | null;
}

/** Aligned columns, two spaces between, a line of titles on top; `-` for null. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  paint: Painter,
): string[] {
  const cells = rows.map((row) => columns.map((column) => toCell(column.cell(row))));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...cells.map((line) => line[index]?.text.length ?? 0)),
  );
  const titles = columns.map(({ title }): Cell => ({ text: title, paint: 'bold' }));
  return [titles, ...cells].map((line) =>
    line
      .map((cell, index) => {
        const isLast = index === line.length - 1;
        const padded = pad(cell.text, isLast, widths[index] ?? 0, columns[index]?.alignRight);
        return cell.paint ? paint(cell.paint, padded) : padded;
      })
      .join('  '),
  );
}

function toCell(value: Cell | string | number | null): Cell {
  if (value === null) return { text: '-' };
  if (typeof value === 'object') return { ...value, text: printable(value.text) };
  return { text: printable(String(value)) };
}

function pad(text: string, isLast: boolean, width: number, alignRight = false): string {
  if (alignRight) return text.padStart(width);
  return isLast ? text : text.padEnd(width);
}
