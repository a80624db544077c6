/** Text for troff, man(7): nothing in it is taken for a request or an escape; `code` becomes bold, *words* italic. */
export function roffText(markdown: string): string {
  const parts = markdown.split(/(`[^`]+`|\*[a-z][a-z ]*\*)/);
  const text = parts.map((part) => {
    if (part.startsWith('`') && part.length > 1) return bold(part.slice(1, -1));
    if (/^\*[a-z][a-z ]*\*$/.test(part)) return `\\fI${escaped(part.slice(1, -1))}\\fP`;
    return escaped(part);
  });
  return guarded(text.join(''));
}

/** A word or a line as it is typed. */
export function roffLiteral(text: string): string {
  return guarded(bold(text));
}

/** `.SH` and what follows; nothing where there is nothing. */
export function roffSection(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`.SH ${title}`, ...lines];
}

/** A term and, indented below it, what it is. */
export function roffEntry(term: string, text: string): string[] {
  return ['.TP', roffLiteral(term), roffText(text)];
}

function bold(text: string): string {
  return `\\fB${escaped(text)}\\fP`;
}

function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replaceAll('…', '...');
}

/** A dot or an apostrophe at the start of a line would be a request. */
function guarded(text: string): string {
  return text
    .split('\n')
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
    .join('\n');
}
