const TRUST = '--cacert .rouse-demo/tls/trust.pem';
const HEAD = String.raw`printf 'GET / HTTP/1.0\r\n\r\n'`;

/** What the demonstration offers to try: a command for the project's directory, and what comes of it. */
export const TRIES = [
  {
    title: 'two web applications on one port, by Host (a browser will do)',
    commands: [
      { command: 'curl http://blog.localhost:18080/', expect: 'hello from blog' },
      { command: 'curl http://wiki.localhost:18080/', expect: 'hello from wiki' },
    ],
  },
  {
    title: 'two TLS servers on one port, by SNI, passed through unopened',
    commands: [
      { command: `curl ${TRUST} https://alpha.localhost:18443/`, expect: 'hello from alpha' },
      {
        command: `${HEAD} | openssl s_client -quiet -connect 127.0.0.1:18443 -servername beta.localhost`,
        expect: 'hello from beta',
      },
    ],
  },
  {
    title: 'TLS terminated by rouse, then by Host',
    commands: [
      { command: `curl ${TRUST} https://shop.localhost:18444/`, expect: 'hello from shop' },
      { command: `curl ${TRUST} https://cart.localhost:18444/`, expect: 'hello from cart' },
    ],
  },
  {
    title: 'two services on one port, by the address that you connect to',
    commands: [
      { command: 'curl http://127.0.0.2:18081/', expect: 'hello from second' },
      { command: 'curl http://127.0.0.3:18081/', expect: 'hello from third' },
    ],
  },
  {
    title: 'a process for each connection, with the connection as standard input and output',
    commands: [
      {
        command: String.raw`printf 'good morning\nquit\n' | nc 127.0.0.1 18082`,
        expect: 'GOOD MORNING',
      },
    ],
  },
  {
    title: 'a server that inherits its listening socket (LISTEN_FDS)',
    commands: [
      { command: 'curl http://127.0.0.1:18083/', expect: 'on the socket that I inherited' },
    ],
  },
];

/** The tries as text for a terminal. */
export function renderTries() {
  return TRIES.flatMap(({ title, commands }) => [
    '',
    `  ${title}`,
    ...commands.flatMap(({ command, expect }) => [`    ${command}`, `      → ${expect} …`]),
  ]).join('\n');
}
