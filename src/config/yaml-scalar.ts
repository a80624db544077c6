/**
 * The value of a plain scalar by YAML 1.2's core schema (10.3.2). What a number can't give back as
 * it was written stays text: `022`, `+5`, `0o17`, `0x1f` and integers beyond 2^53.
 */
export function resolvePlainScalar(text: string): unknown {
  return /^[a-zA-Z/]/.test(text) && !/^[tTfFnN]/.test(text) ? text : resolveSpecial(text);
}

function resolveSpecial(text: string): unknown {
  if (/^(?:null|Null|NULL|~|)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  if (/^[-+]?\d+$/.test(text)) return resolveInteger(text);
  if (/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(text)) return Number(text);
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^\.(?:nan|NaN|NAN)$/.test(text)) return Number.NaN;
  return text;
}

function resolveInteger(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) && String(value) === text ? value : text;
}
