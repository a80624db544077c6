/** What the HTTP backend answers, and what the load expects: every part went through the proxy. */
export const describeRequest = ({ service, path, host, forwardedFor, proto, forwardedHost, by }) =>
  `service ${service} path ${path} host ${host} for ${forwardedFor} ${proto} ${forwardedHost} ${by}\n`;

/** The value of a header, '' where there is none. `name` in small letters, with the colon. */
export function readHeader(head, small, name) {
  const at = small.indexOf(`\r\n${name}`);
  if (at < 0) return '';
  const start = at + 2 + name.length;
  return head.slice(start, small.indexOf('\r\n', start)).trim();
}
