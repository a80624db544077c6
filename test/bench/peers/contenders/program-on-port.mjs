import { startProgram } from '../processes.mjs';
import { findFreePort, listTree, makeDirectory, waitForPort } from './place.mjs';

/**
 * A contender that is one program with one configuration file and one port.
 * @param makeFile `(row, { port, backendPorts, directory }) → { name, text }`
 * @param makeCommand `(file, directory) → list`
 */
export const startOnPort = (makeFile, makeCommand) => async (row, backend) => {
  const directory = makeDirectory();
  const port = await findFreePort();
  const backendPorts = await backend.listenForPeers(row);
  const { name, text } = makeFile(row, { port, backendPorts, directory });
  const program = startProgram(makeCommand(directory.write(name, text), directory));
  await waitForPort(port, program);
  return {
    port,
    listPids: () => listTree(program.pid),
    stop: () => program.stop().then(directory.remove),
  };
};
