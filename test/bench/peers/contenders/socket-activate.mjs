import { startProgram } from '../processes.mjs';
import { findFreePort, listTree } from './place.mjs';

const PROGRAM = 'systemd-socket-activate';
const LISTENING = /Listening on/;

async function start(row) {
  const port = await findFreePort();
  const listen = ['-l', `127.0.0.1:${port}`];
  // With --accept a process a connection; without, the server is started by the first one.
  const accept = row.protocol === 'stdio' ? ['--accept', '--inetd'] : [];
  const command = [PROGRAM, ...listen, ...accept, ...row.service];
  let program = null;
  const begin = async () => {
    program = startProgram(command);
    await program.waitForOutput(LISTENING);
  };
  await begin();
  return {
    port,
    listPids: () => listTree(program.pid),
    /** Back to where nothing of the service runs. */
    rest: () => program.stop().then(begin),
    stop: () => program.stop(),
  };
}

export const socketActivate = {
  name: 'socket-activate',
  packages: ['systemd'],
  program: PROGRAM,
  versionFlag: '--version',
  start,
};
