const MESSAGE = `${'x'.repeat(63)}\n`;

const makeRequest = (connection) =>
  `GET / HTTP/1.1\r\nhost: bench.example\r\nconnection: ${connection}\r\n\r\n`;

/** Servers behind the tcp and the http listener; each takes a port as its last argument. */
export const ECHO = {
  listener: 'tcp',
  command: ['node', 'echo-server.js'],
  isComplete: (answer) => answer.length === MESSAGE.length,
};
export const HELLO = {
  listener: 'http',
  command: ['node', 'http-hello.js'],
  isComplete: (answer) => answer.includes('path /\n'),
};

export const THROUGHPUT_CASES = [
  { name: 'tcp-requests', ...ECHO, request: MESSAGE, keepAlive: true },
  { name: 'tcp-connections', ...ECHO, request: MESSAGE, keepAlive: false },
  { name: 'http-requests', ...HELLO, request: makeRequest('keep-alive'), keepAlive: true },
  { name: 'http-connections', ...HELLO, request: makeRequest('close'), keepAlive: false },
];

export const COLD_START_CASES = [
  { name: 'cold-start-perl', command: ['perl', 'fast-server.pl'] },
  { name: 'cold-start-node', command: ['node', 'http-hello.js'] },
];
