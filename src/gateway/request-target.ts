import type { RequestHead } from './request-head.js';

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const ASTERISK = 0x2a;
const ABSOLUTE_FORM = /^https?:\/\//i;

/**
 * Finds the path of a head's target and, in absolute form, its authority (RFC 9112 3.2). False: the
 * target has none of the forms that a request to a server may have.
 */
export function findTargetParts(head: RequestHead): boolean {
  const { bytes, targetStart, targetEnd } = head;
  head.pathStart = targetStart;
  if (bytes[targetStart] === SLASH) return true;
  if (bytes[targetStart] === ASTERISK) {
    return targetEnd - targetStart === 1 && head.method === 'OPTIONS';
  }
  return findAbsoluteParts(head);
}

function findAbsoluteParts(head: RequestHead): boolean {
  const { bytes, targetEnd } = head;
  const scheme = ABSOLUTE_FORM.exec(head.target)?.[0];
  if (scheme === undefined) return false;
  const start = head.targetStart + scheme.length;
  let end = start;
  while (end < targetEnd && bytes[end] !== SLASH && bytes[end] !== QUESTION_MARK) end += 1;
  head.authorityStart = start;
  head.authorityEnd = end;
  head.pathStart = end;
  const isRootless = bytes[end] !== SLASH || end === targetEnd;
  if (isRootless) head.pathPrefix = end === targetEnd && head.method === 'OPTIONS' ? '*' : '/';
  return true;
}
