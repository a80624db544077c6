/**
 * Requests that two servers could read differently, and their harmless neighbours. Each engine
 * answers them alike: with the status and a close, or by serving `requests` requests.
 */
export interface SmugglingCase {
  readonly name: string;
  readonly bytes: Buffer;
  readonly expected: number | { readonly accept: true; readonly requests: number };
}

const GET = 'GET / HTTP/1.1\r\nHost: a.example\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: a.example\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;

function refused(name: string, text: string, status = 400): SmugglingCase {
  return { name, bytes: Buffer.from(text, 'latin1'), expected: status };
}

function accepted(name: string, text: string, requests = 1): SmugglingCase {
  return { name, bytes: Buffer.from(text, 'latin1'), expected: { accept: true, requests } };
}

function refusedHeader(name: string, lines: string, status = 400): SmugglingCase {
  return refused(name, `${POST}${lines}\r\n\r\n`, status);
}

function refusedBody(name: string, body: string, status = 400): SmugglingCase {
  return refused(name, `${CHUNKED}${body}`, status);
}

const FRAMING: readonly SmugglingCase[] = [
  refusedHeader(
    'Content-Length before Transfer-Encoding',
    'Content-Length: 4\r\nTransfer-Encoding: chunked',
  ),
  refusedHeader(
    'Transfer-Encoding before Content-Length',
    'Transfer-Encoding: chunked\r\nContent-Length: 4',
  ),
  refusedHeader(
    'Content-Length: 0 with Transfer-Encoding',
    'Content-Length: 0\r\nTransfer-Encoding: chunked',
  ),
  refusedHeader(
    'two Transfer-Encodings',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  ),
  refusedHeader(
    'a second Transfer-Encoding that hides',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  ),
  refusedHeader(
    'a first Transfer-Encoding that hides',
    'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  ),
  refusedHeader('Transfer-Encoding: xchunked', 'Transfer-Encoding: xchunked'),
  refusedHeader('Transfer-Encoding: chunked, chunked', 'Transfer-Encoding: chunked, chunked'),
  refusedHeader('Transfer-Encoding: chunked, identity', 'Transfer-Encoding: chunked, identity'),
  refusedHeader('Transfer-Encoding: chunked, gzip', 'Transfer-Encoding: chunked, gzip'),
  refusedHeader('Transfer-Encoding: identity', 'Transfer-Encoding: identity'),
  refusedHeader('Transfer-Encoding in quotes', 'Transfer-Encoding: "chunked"'),
  refusedHeader('Transfer-Encoding with a parameter', 'Transfer-Encoding: chunked;q=1'),
  refusedHeader('Transfer-Encoding with a comma before', 'Transfer-Encoding: ,chunked'),
  refusedHeader('Transfer-Encoding with a comma after', 'Transfer-Encoding: chunked,'),
  refusedHeader('Transfer-Encoding that is empty', 'Transfer-Encoding:'),
  refusedHeader('Transfer-Encoding with a vertical tab', 'Transfer-Encoding: \x0bchunked'),
  refusedHeader('Transfer-Encoding with a no-break space', 'Transfer-Encoding: \xa0chunked'),
  refusedHeader('Transfer-Encoding: gzip', 'Transfer-Encoding: gzip', 501),
  refusedHeader('Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: gzip, chunked', 501),
  refusedHeader('Transfer-Encoding: cow', 'Transfer-Encoding: cow', 501),
  refusedHeader('Transfer_Encoding', 'Transfer_Encoding: chunked'),
  refusedHeader('Transfer.Encoding', 'Transfer.Encoding: chunked'),
  refusedHeader('Content_Length', 'Content_Length: 5'),
  refusedHeader('space before the colon of Transfer-Encoding', 'Transfer-Encoding : chunked'),
  refusedHeader('tab before the colon of Content-Length', 'Content-Length\t: 5'),
  refused(
    'Transfer-Encoding in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ),
  refusedHeader('Content-Length twice, equal', 'Content-Length: 5\r\nContent-Length: 5'),
  refusedHeader('Content-Length twice, different', 'Content-Length: 5\r\nContent-Length: 6'),
  refusedHeader('Content-Length twice, without case', 'Content-Length: 5\r\ncontent-length: 5'),
  refusedHeader('Content-Length as a list', 'Content-Length: 5, 5'),
  refusedHeader('Content-Length that is negative', 'Content-Length: -5'),
  refusedHeader('Content-Length with a plus sign', 'Content-Length: +5'),
  refusedHeader('Content-Length in hex', 'Content-Length: 0x5'),
  refusedHeader('Content-Length with hex digits', 'Content-Length: 1a'),
  refusedHeader('Content-Length with a fraction', 'Content-Length: 5.0'),
  refusedHeader('Content-Length with an exponent', 'Content-Length: 1e3'),
  refusedHeader('Content-Length with a space inside', 'Content-Length: 5 5'),
  refusedHeader('Content-Length with a tab before', 'Content-Length:\t5'),
  refusedHeader('Content-Length with a tab after', 'Content-Length: 5\t'),
  refusedHeader('Transfer-Encoding with a tab after', 'Transfer-Encoding: chunked \t'),
  refusedHeader('Content-Length that is empty', 'Content-Length:'),
  refusedHeader('Content-Length in quotes', 'Content-Length: "5"'),
  refusedHeader('Content-Length with a superscript digit', 'Content-Length: 5\xb2'),
  refusedHeader('Content-Length of 2^53', 'Content-Length: 9007199254740992'),
  refusedHeader('Content-Length of 2^64', 'Content-Length: 18446744073709551616'),
  refusedHeader('Content-Length of 2^64 + 5', 'Content-Length: 18446744073709551621'),
  refusedHeader(
    'Connection that names Content-Length',
    'Connection: close, Content-Length\r\nContent-Length: 5',
  ),
  refusedHeader('Connection that names Transfer-Encoding', 'Connection: transfer-encoding'),
  refusedHeader('Connection that names Host', 'Connection: Host'),
  refusedHeader('Connection with something else than a token', 'Connection: keep-alive upgrade'),
];

const LINES: readonly SmugglingCase[] = [
  refused('a folded header', `${GET}X-A: 1\r\n 2\r\n\r\n`),
  refused('a header folded with a tab', `${GET}X-A: 1\r\n\tTransfer-Encoding: chunked\r\n\r\n`),
  refused('space before the first header', 'GET / HTTP/1.1\r\n Host: a.example\r\n\r\n'),
  refused('bare LF after the request line', 'GET / HTTP/1.1\nHost: a.example\r\n\r\n'),
  refused('bare LF after a header', 'GET / HTTP/1.1\r\nHost: a.example\n\r\n'),
  refused('bare LF as the empty line', `${GET}\n`),
  refused('bare LFs everywhere', 'GET / HTTP/1.1\nHost: a.example\n\n'),
  refused('bare CR in a value', `${GET}X-A: 1\rTransfer-Encoding: chunked\r\n\r\n`),
  refused('bare CR after the request line', 'GET / HTTP/1.1\rHost: a.example\r\n\r\n'),
  refused('two CRs', 'GET / HTTP/1.1\r\r\nHost: a.example\r\n\r\n'),
  refused('NUL in a value', `${GET}X-A: 1\x002\r\n\r\n`),
  refused('NUL in a name', `${GET}X\0A: 1\r\n\r\n`),
  refused('a control character in a value', `${GET}X-A: \x1b[2J\r\n\r\n`),
  refused('DEL in a value', `${GET}X-A: \x7f\r\n\r\n`),
  refused('space before a colon', `${GET}X-A : 1\r\n\r\n`),
  refused('a header without a name', `${GET}: 1\r\n\r\n`),
  refused('a header without a colon', `${GET}X-A\r\n\r\n`),
  refused('parentheses in a name', `${GET}X(A): 1\r\n\r\n`),
  refused('a non-ASCII name', `${GET}X-\xe4: 1\r\n\r\n`),
  refused('two empty lines first', `\r\n\r\n${GET}\r\n`),
  refused('LF first', `\n${GET}\r\n`),
  refused('space first', ` ${GET}\r\n`),
  refused('two spaces after the method', 'GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused('two spaces after the target', 'GET /  HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused('a tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused('space after the version', 'GET / HTTP/1.1 \r\nHost: a.example\r\n\r\n'),
  refused(
    'a second request in the request line',
    'GET / HTTP/1.1 GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n',
  ),
  refused('HTTP/0.9', 'GET /\r\n'),
  refused('HTTP/0.9 by name', 'GET / HTTP/0.9\r\nHost: a.example\r\n\r\n', 505),
  refused('HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a.example\r\n\r\n', 505),
  refused('HTTP/2.0', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505),
  refused('HTTP/1.10', 'GET / HTTP/1.10\r\nHost: a.example\r\n\r\n'),
  refused('http in lower case', 'GET / http/1.1\r\nHost: a.example\r\n\r\n'),
  refused('a version without digits', 'GET / HTTP/x.y\r\nHost: a.example\r\n\r\n'),
  refused('a TLS hello', '\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03'),
  refused('a method in lower case', 'get / HTTP/1.1\r\nHost: a.example\r\n\r\n', 501),
  refused('an unknown method', 'FETCH / HTTP/1.1\r\nHost: a.example\r\n\r\n', 501),
  refused('CONNECT', 'CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n', 501),
];

const TARGETS: readonly SmugglingCase[] = [
  refused('no Host', 'GET / HTTP/1.1\r\n\r\n'),
  refused('two Hosts', `${GET}Host: b.example\r\n\r\n`),
  refused('two equal Hosts', `${GET}Host: a.example\r\n\r\n`),
  refused('an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n'),
  refused('a list as Host', 'GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n'),
  refused('userinfo in Host', 'GET / HTTP/1.1\r\nHost: a@b.example\r\n\r\n'),
  refused('a path in Host', 'GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n'),
  refused('a bad port in Host', 'GET / HTTP/1.1\r\nHost: a.example:8o\r\n\r\n'),
  refused('two ports in Host', 'GET / HTTP/1.1\r\nHost: a.example:80:81\r\n\r\n'),
  refused('an unclosed bracket in Host', 'GET / HTTP/1.1\r\nHost: [::1\r\n\r\n'),
  refused('a malformed Host in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a b\r\n\r\n'),
  refused('no Host with an absolute target', 'GET http://a.example/ HTTP/1.1\r\n\r\n'),
  refused(
    'a malformed host in an absolute target',
    'GET http://a@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n',
  ),
  refused('an absolute target without a host', 'GET http:///x HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused(
    'an absolute target of another scheme',
    'GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n',
  ),
  refused(
    'an authority as the target of GET',
    'GET a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n',
  ),
  refused('a relative target', 'GET x HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused('* as the target of GET', 'GET * HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused('a fragment in the target', 'GET /#x HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused('a non-ASCII target', 'GET /\xe4 HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused('a control character in the target', 'GET /\x01 HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused('an empty target', 'GET  HTTP/1.1\r\nHost: a.example\r\n\r\n'),
  refused(
    'a target of 20,000 bytes',
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a.example\r\n\r\n`,
    414,
  ),
  refused('a head of 40,000 bytes', `${GET}${`X-A: ${'x'.repeat(4_000)}\r\n`.repeat(10)}\r\n`, 431),
  refused('101 header lines', `${GET}${'X-A: 1\r\n'.repeat(100)}\r\n`, 431),
  refused(
    'an upgrade in HTTP/1.0',
    'GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  ),
  refusedHeader('an unknown expectation', 'Expect: miracles', 417),
];

const CHUNKS: readonly SmugglingCase[] = [
  refusedBody('a chunk size of 17 digits', '00000000000000005\r\nhello\r\n0\r\n\r\n'),
  refusedBody('a chunk size of 2^64 + 5', '10000000000000005\r\nhello\r\n0\r\n\r\n'),
  refusedBody('a chunk size of 2^53', '20000000000000\r\n'),
  refusedBody('a chunk size of 2^64 - 1', 'ffffffffffffffff\r\n'),
  refusedBody('a chunk size that is negative', '-5\r\nhello\r\n0\r\n\r\n'),
  refusedBody('a chunk size with a plus sign', '+5\r\nhello\r\n0\r\n\r\n'),
  refusedBody('a chunk size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'),
  refusedBody('space before a chunk size', ' 5\r\nhello\r\n0\r\n\r\n'),
  refusedBody('space after a chunk size', '5 \r\nhello\r\n0\r\n\r\n'),
  refusedBody('space before a chunk extension', '5 ;a=b\r\nhello\r\n0\r\n\r\n'),
  refusedBody('an empty chunk size', '\r\nhello\r\n0\r\n\r\n'),
  refusedBody('an underscore in a chunk size', '1_0\r\n'),
  refusedBody('bare LF after a chunk size', '5\nhello\r\n0\r\n\r\n'),
  refusedBody('bare CR after a chunk size', '5\rhello\r\n0\r\n\r\n'),
  refusedBody('bare LF after chunk data', '5\r\nhello\n0\r\n\r\n'),
  refusedBody('nothing after chunk data', '5\r\nhello0\r\n\r\n'),
  refusedBody('chunk data longer than its size', '5\r\nhello!\r\n0\r\n\r\n'),
  refusedBody('bare LF after the last chunk', '0\n\r\n'),
  refusedBody('bare LF as the end of the trailers', '0\r\n\n'),
  refusedBody('bare LF in a chunk extension', '5;a=b\nhello\r\n0\r\n\r\n'),
  refusedBody('a control character in a chunk extension', '5;a=\x01\r\nhello\r\n0\r\n\r\n'),
  refusedBody('CRLF in a quoted chunk extension', '5;a="\r\n"\r\nhello\r\n0\r\n\r\n'),
  refusedBody('a chunk extension without a name', '5;\r\nhello\r\n0\r\n\r\n'),
  refusedBody('a chunk extension of 300 bytes', `5;a=${'x'.repeat(300)}\r\nhello\r\n0\r\n\r\n`),
  refusedBody('endless chunk extensions', `1;a=${'x'.repeat(200)}\r\nx\r\n`.repeat(60)),
  refusedBody('Content-Length as a trailer', '0\r\nContent-Length: 5\r\n\r\n'),
  refusedBody('Transfer-Encoding as a trailer', '0\r\nTransfer-Encoding: chunked\r\n\r\n'),
  refusedBody('Host as a trailer', '0\r\nHost: b.example\r\n\r\n'),
  refusedBody('X-Forwarded-For as a trailer', '0\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n'),
  refusedBody('Content_Length as a trailer', '0\r\nContent_Length: 5\r\n\r\n'),
  refusedBody('a folded trailer', '0\r\nX-A: 1\r\n 2\r\n\r\n'),
  refusedBody('space before the colon of a trailer', '0\r\nX-A : 1\r\n\r\n'),
  refusedBody('a trailer without a colon', '0\r\nX-A\r\n\r\n'),
  refusedBody('NUL in a trailer', '0\r\nX-A: \0\r\n\r\n'),
  refusedBody('trailers of 10,000 bytes', `0\r\nX-A: ${'x'.repeat(10_000)}\r\n\r\n`, 431),
  refusedBody('40 trailers', `0\r\n${'X-A: 1\r\n'.repeat(40)}\r\n`, 431),
];

const HARMLESS: readonly SmugglingCase[] = [
  accepted('a plain request', `${GET}\r\n`),
  accepted('one empty line first', `\r\n${GET}\r\n`),
  accepted('HTTP/1.0 with Host', 'GET / HTTP/1.0\r\nHost: a.example\r\n\r\n'),
  accepted('three pipelined requests', `${GET}\r\n`.repeat(3), 3),
  accepted(
    'a body with a request in it',
    `${POST}Content-Length: ${GET.length + 2}\r\n\r\n${GET}\r\n`,
  ),
  accepted('a request after a body', `${POST}Content-Length: 5\r\n\r\nhello${GET}\r\n`, 2),
  accepted('a request after a chunked body', `${CHUNKED}5\r\nhello\r\n0\r\n\r\n${GET}\r\n`, 2),
  accepted('Transfer-Encoding: CHUNKED', `${POST}Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n`),
  accepted('a chunk size with zeros', `${CHUNKED}0000000000000005\r\nhello\r\n000\r\n\r\n`),
  accepted('chunk extensions', `${CHUNKED}5;a;b=c;d="e;\\"f"\r\nhello\r\n0\r\n\r\n`),
  accepted('a trailer', `${CHUNKED}5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n`),
  accepted(
    'a chunked DELETE',
    `DELETE / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${GET}\r\n`,
    2,
  ),
  accepted(
    'a chunked OPTIONS',
    `OPTIONS / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${GET}\r\n`,
    2,
  ),
  accepted(
    'an absolute target that differs from Host',
    'GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n',
  ),
  accepted('space around a value', `${GET}X-A: \t 1 \t \r\n\r\n`),
  accepted('an empty value', `${GET}X-A:\r\n\r\n`),
  accepted('latin1 in a value', `${GET}X-A: \xe4\r\n\r\n`),
  accepted(
    'what follows Connection: close is dropped',
    `${GET}Connection: close\r\n\r\n${GET}\r\n`,
  ),
];

export const SMUGGLING_CASES: readonly SmugglingCase[] = [
  ...FRAMING,
  ...LINES,
  ...TARGETS,
  ...CHUNKS,
  ...HARMLESS,
];
