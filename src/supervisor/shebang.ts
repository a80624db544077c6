/**
 * The commands that a script's first line starts, in order: the interpreter, and with env(1) the
 * program that it looks up. Null: not a script. (execve(2), "Interpreter scripts"; `env -S` of
 * coreutils 8.30.)
 */
export function parseShebang(start: string): readonly string[] | null {
  const line = /^#![ \t]*([^\n\0]*)/.exec(start)?.[1];
  const words = line?.trim().split(/\s+/).filter(Boolean) ?? [];
  const [interpreter] = words;
  if (interpreter === undefined) return null;
  if (!/(^|\/)env$/.test(interpreter)) return [interpreter];
  const program = afterEnvOptions(words.slice(1));
  return program === null ? [interpreter] : [interpreter, program];
}

const ENV_OPTIONS_WITH_VALUE = new Set(['-u', '--unset', '-C', '--chdir']);

function afterEnvOptions(words: readonly string[]): string | null {
  for (let index = 0; index < words.length; index += 1) {
    const word = (words[index] ?? '')
      .replace(/^(?:-S|--split-string=)(?=.)/, '')
      .replace(/["']/g, '');
    if (ENV_OPTIONS_WITH_VALUE.has(word)) index += 1;
    else if (word !== '' && !word.startsWith('-') && !word.includes('=')) return word;
  }
  return null;
}
