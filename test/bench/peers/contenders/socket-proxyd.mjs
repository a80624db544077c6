import { closeFd } from '../../../../dist/sys/descriptors.js';
import { listenOn, localAddress } from '../../../../dist/sys/sockets.js';
import { startProgram } from '../processes.mjs';
import { listTree } from './place.mjs';

const PROGRAM = '/usr/lib/systemd/systemd-socket-proxyd';
// LISTEN_PID is the reader's own pid, which only a shell that becomes it can know.
const HAND_OVER = 'LISTEN_PID=$$ exec "$@"';

export const socketProxyd = {
  name: 'socket-proxyd',
  packages: ['systemd'],
  program: PROGRAM,
  versionFlag: '--version',
  async start(row, backend) {
    const [backendPort] = await backend.listenForPeers(row);
    const fd = listenOn({ kind: 'inet', host: '127.0.0.1', port: 0 }, 4096);
    const { port } = localAddress(fd);
    const command = [PROGRAM, '--connections-max=9000', `127.0.0.1:${backendPort}`];
    const program = startProgram(['sh', '-c', HAND_OVER, 'sh', ...command], {
      environment: { LISTEN_FDS: '1' },
      inherited: [fd],
    });
    closeFd(fd);
    return { port, listPids: () => listTree(program.pid), stop: program.stop };
  },
};
