import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { RouseError } from '../base/errors.js';
import type { RouseOptions } from './library.js';

/** The files of a rouse that runs as a child. */
export interface LibraryPlace {
  readonly runtimeDir: string;
  readonly stateDir: string;
  /** Holds whatever of it is temporary. */
  readonly scratchDir: string;
  readonly configArguments: readonly string[];
  /** @throws RouseError `usage` where the configuration is a file of the caller's */
  writeConfig(config: object): Promise<void>;
  remove(): Promise<void>;
}

/** Makes the temporary directory, and the file of a configuration that came as an object. */
export async function makePlace(
  config: string | object,
  options: RouseOptions,
): Promise<LibraryPlace> {
  const scratchDir = await mkdtemp(join(tmpdir(), 'rouse-'));
  if (process.geteuid?.() === 0) await chmod(scratchDir, 0o755);
  const configFile = join(scratchDir, 'config.json');
  const isObject = typeof config === 'object';
  const place: LibraryPlace = {
    runtimeDir: resolve(options.runtimeDir ?? join(scratchDir, 'run')),
    stateDir: resolve(options.stateDir ?? join(scratchDir, 'state')),
    scratchDir,
    configArguments: isObject
      ? ['--config', configFile, '--config-base', process.cwd()]
      : ['--config', resolve(config)],
    async writeConfig(changed) {
      if (!isObject)
        throw new RouseError('usage', `the configuration is the file ${config}: edit it`);
      await writeFile(configFile, JSON.stringify(changed), { mode: 0o600 });
    },
    remove: () => rm(scratchDir, { recursive: true, force: true }),
  };
  if (isObject) await place.writeConfig(config);
  return place;
}
