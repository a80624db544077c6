import { once } from 'node:events';
import http from 'node:http';

export interface RequestOptions {
  readonly method?: string;
  /** The `Host` to ask for; the connection goes to `address`. */
  readonly host?: string;
  /** 127.0.0.1 by default. */
  readonly address?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
  readonly agent?: http.Agent;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly body: string;
}

/** One request, by default on a connection of its own. Rejects when the connection breaks. */
export async function get(
  port: number,
  path: string,
  options: RequestOptions = {},
): Promise<HttpAnswer> {
  const { method = 'GET', host, address = '127.0.0.1', headers, body, agent } = options;
  const request = http.request({
    host: address,
    port,
    path,
    method,
    agent: agent ?? false,
    headers: { ...headers, ...(host === undefined ? {} : { host }) },
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const bytes = Buffer.concat(await response.toArray());
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    bytes,
    body: bytes.toString(),
  };
}
