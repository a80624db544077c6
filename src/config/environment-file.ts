import { ValueError } from './value-error.js';

/**
 * The variables of an environment file, read as systemd reads its EnvironmentFile=
 * (systemd.exec(5)): NAME=VALUE lines, comments with `#` or `;`, single quotes without escapes,
 * double quotes with, a backslash before a line break joins lines. Throws a `ValueError` that names
 * the line.
 */
export function expandEnvironmentFile(text: string): Record<string, string> {
  const reader = new EnvironmentReader(text.replaceAll('\r\n', '\n'));
  return reader.read();
}

class EnvironmentReader {
  #offset = 0;

  constructor(private readonly text: string) {}

  read(): Record<string, string> {
    const variables: Record<string, string> = {};
    while (this.#skipToAssignment()) {
      const start = this.#offset;
      const match = /([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*/y;
      match.lastIndex = start;
      const found = match.exec(this.text);
      if (found === null) throw this.#fault(start, 'expected NAME=VALUE');
      this.#offset = match.lastIndex;
      variables[found[1] ?? ''] = this.#readValue();
    }
    return variables;
  }

  #skipToAssignment(): boolean {
    const filler = /(?:[ \t\n]+|[#;](?:\\\n|[^\n])*(?:\n|$))*/y;
    filler.lastIndex = this.#offset;
    filler.exec(this.text);
    this.#offset = filler.lastIndex;
    return this.#offset < this.text.length;
  }

  #readValue(): string {
    let value = '';
    /** Trailing blanks count only where they were quoted or escaped. */
    let keptLength = 0;
    while (this.#offset < this.text.length) {
      const character = this.text[this.#offset];
      if (character === '\n') break;
      if (character === "'" || character === '"') {
        value += this.#readQuoted(character);
        keptLength = value.length;
      } else if (character === '\\') {
        const next = this.text[this.#offset + 1] ?? '';
        value += next === '\n' ? '' : next;
        keptLength = value.length;
        this.#offset = Math.min(this.#offset + 2, this.text.length);
      } else {
        value += character;
        if (character !== ' ' && character !== '\t') keptLength = value.length;
        this.#offset += 1;
      }
    }
    return value.slice(0, keptLength);
  }

  #readQuoted(quote: string): string {
    const start = this.#offset;
    let value = '';
    for (this.#offset += 1; this.#offset < this.text.length; this.#offset += 1) {
      const character = this.text[this.#offset] ?? '';
      if (character === quote) {
        this.#offset += 1;
        return value;
      }
      if (character === '\\' && quote === '"') {
        this.#offset += 1;
        value += unescapeInQuotes(this.text[this.#offset] ?? '');
      } else value += character;
    }
    throw this.#fault(start, 'a quote is not closed');
  }

  #fault(offset: number, message: string): ValueError {
    const line = this.text.slice(0, offset).split('\n').length;
    return new ValueError(`line ${line}: ${message}`);
  }
}

/** In double quotes a backslash escapes what it does in a shell, and stays before anything else. */
function unescapeInQuotes(character: string): string {
  if (character === '\n') return '';
  return '"\\`$'.includes(character) ? character : `\\${character}`;
}
