import fc from 'fast-check';

export interface SampleRequest {
  readonly bytes: Buffer;
  readonly rawBody: Buffer;
}

const METHOD = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH');
const TARGET = fc.constantFrom(
  '/',
  '/a/b?c=d',
  '//x',
  '/%20%zz',
  'http://b.example:81/y',
  '/"<>^{|}',
);
const HEADER = fc.tuple(
  fc.constantFrom('X-A', 'accept', 'Cookie', 'x_y', "!#$%&'*+-.^_`|~", 'Connection'),
  fc.constantFrom('', '1', ' \t 2 \t', 'keep-alive', 'x-a', 'foo, bar', 'foo,,bar'),
);
const CHUNK_EXTENSION = fc.constantFrom('', ';a', ';a=b', ';a="b;\\"c"');
const TRAILERS = fc.constantFrom('', 'X-Sum: 1\r\n', 'X-Sum: 1\r\nX-Other:\r\n');

const LENGTH_BODY = fc.uint8Array({ maxLength: 40 }).map((body) => ({
  header: `Content-Length: ${body.length}\r\n`,
  rawBody: Buffer.from(body),
}));

const CHUNKED_BODY = fc
  .tuple(
    fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), CHUNK_EXTENSION), {
      maxLength: 4,
    }),
    TRAILERS,
  )
  .map(([chunks, trailers]) => ({
    header: 'Transfer-Encoding: chunked\r\n',
    rawBody: Buffer.concat([
      ...chunks.flatMap(([data, extension]) => [
        Buffer.from(`${data.length.toString(16)}${extension}\r\n`),
        data,
        Buffer.from('\r\n'),
      ]),
      Buffer.from(`0\r\n${trailers}\r\n`),
    ]),
  }));

const BODY = fc.oneof(
  fc.constant({ header: '', rawBody: Buffer.alloc(0) }),
  LENGTH_BODY,
  CHUNKED_BODY,
);

const REQUEST = fc
  .tuple(METHOD, TARGET, fc.array(HEADER, { maxLength: 4 }), BODY, fc.boolean())
  .map(([method, target, headers, body, hasEmptyLine]): SampleRequest => {
    const lines = headers.map(([name, value]) => `${name}:${value}\r\n`).join('');
    const head = `${hasEmptyLine ? '\r\n' : ''}${method} ${target} HTTP/1.1\r\nHost: a.example\r\n${lines}${body.header}\r\n`;
    return { bytes: Buffer.concat([Buffer.from(head), body.rawBody]), rawBody: body.rawBody };
  });

/** Valid pipelined requests. */
export function requestSequence(): fc.Arbitrary<SampleRequest[]> {
  return fc.array(REQUEST, { minLength: 1, maxLength: 4 });
}
