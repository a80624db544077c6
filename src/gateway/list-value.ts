/** The text without SP and HTAB around it (OWS, RFC 9110 5.6.3); `trim` would take more. */
export function trimSpace(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

/** The elements of a comma-separated value in lower case; empty ones are left out (RFC 9110 5.6.1.2). */
export function splitList(value: string): string[] {
  return value.toLowerCase().split(',').map(trimSpace).filter(Boolean);
}
