/** Where in which file a key stands; lines and columns count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Something wrong with the configuration, and where. */
export interface ConfigProblem {
  readonly message: string;
  readonly position: Position;
  /** As `services.blog.routes[0].host`; empty for the file as a whole. */
  readonly keyPath: string;
  /** The other side of a conflict. */
  readonly related?: Position;
}

export type KeyPath = readonly (string | number)[];

/** `file:line:column: key.path: message`; a conflict names the other side too. */
export function formatProblem(problem: ConfigProblem): string {
  const path = problem.keyPath === '' ? '' : `${problem.keyPath}: `;
  const related =
    problem.related === undefined ? '' : ` (the other: ${formatPosition(problem.related)})`;
  return `${formatPosition(problem.position)}: ${path}${problem.message}${related}`;
}

function formatPosition({ file, line, column }: Position): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}

/** `services.blog.routes[0]`; names that hold dots or the like stand in quotes. */
export function formatKeyPath(path: KeyPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^[\w*-]+$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}

/** By file, line and column. */
export function compareProblems(left: ConfigProblem, right: ConfigProblem): number {
  const [a, b] = [left.position, right.position];
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}
