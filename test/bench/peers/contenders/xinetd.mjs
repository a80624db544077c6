import { startOnPort } from './program-on-port.mjs';

const makeFile = ({ service: [program, ...args] }, { port }) => ({
  name: 'xinetd.conf',
  text: `service bench
{
  type = UNLISTED
  socket_type = stream
  protocol = tcp
  wait = no
  user = nobody
  bind = 127.0.0.1
  port = ${port}
  server = ${program}
  server_args = ${args.join(' ')}
  instances = UNLIMITED
  per_source = UNLIMITED
  cps = 1000000 1
  log_type = FILE /dev/null
}
`,
});

export const xinetd = {
  name: 'xinetd',
  packages: ['xinetd'],
  program: 'xinetd',
  versionFlag: '-version',
  start: startOnPort(makeFile, (file, { path }) => {
    return ['xinetd', '-dontfork', '-f', file, '-pidfile', `${path}/xinetd.pid`];
  }),
};
