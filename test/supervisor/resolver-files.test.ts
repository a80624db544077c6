import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ResolverFiles } from '../../src/supervisor/resolver-files.js';
import { makeTemporaryDirectory } from '../support/temporary-directory.js';
import { waitFor } from '../support/wait-for.js';

test('name servers that change are those that services are resolved with', async () => {
  using directory = makeTemporaryDirectory();
  const at = (name: string) => join(directory.path, name);
  const files = [at('resolv.conf'), at('hosts')];
  writeFileSync(at('resolv.conf'), 'nameserver 192.0.2.1\n');
  const resolver = new ResolverFiles({ directory: at('copies'), files, checkMs: 10 });
  resolver.open();
  const copy = (name: string) => {
    const path = join(resolver.directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : null;
  };
  expect(copy('resolv.conf')).toBe('nameserver 192.0.2.1\n');
  expect(copy('hosts')).toBeNull();

  // As DHCP clients do it.
  writeFileSync(at('new'), 'nameserver 192.0.2.22\n');
  renameSync(at('new'), at('resolv.conf'));
  writeFileSync(at('hosts'), '192.0.2.3 db.test\n');
  await waitFor(() => copy('resolv.conf') === 'nameserver 192.0.2.22\n');
  await waitFor(() => copy('hosts') === '192.0.2.3 db.test\n');
  rmSync(at('hosts'));
  await waitFor(() => copy('hosts') === null);

  resolver.close();
  expect(existsSync(resolver.directory)).toBe(false);
});
