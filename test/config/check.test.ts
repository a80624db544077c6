import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAccounts } from '../../src/config/accounts.js';
import { checkSystem } from '../../src/config/check.js';
import { findCommand } from '../../src/config/find-command.js';
import { loadLocatedConfig } from '../../src/config/load.js';
import { formatProblem } from '../../src/config/problem.js';
import { withFiles } from './support.js';

function check(directory: string): string[] {
  const result = loadLocatedConfig(join(directory, 'main.yaml'));
  if (!result.ok) throw new Error('it did not load');
  const problems = checkSystem(result.config, result.locate);
  return problems.map((problem) => formatProblem(problem).replaceAll(`${directory}/`, ''));
}

test('what the machine has not is found before the first request, each at its key', () => {
  const yaml = `services:
  a:
    run:
      command: [no-such-program-here]
      directory: gone
      environment_file: env
      user: rooot
      group: no-such-group
      groups: [root, "12345", nope]
    upstream: tcp:1
    isolation: { readable: [gone] }
  b:
    run: { command: [./server], directory: ., user: daemon }
    upstream: tcp:1
  c: { run: { command: [cat] }, upstream: tcp:1 }
`;
  withFiles({ 'main.yaml': yaml, env: 'A=1\nB', server: '#!/bin/sh' }, (directory) => {
    expect(check(directory)).toEqual([
      expect.stringMatching(/^main\.yaml:5:18: services\.a\.run\.directory: ENOENT/),
      'main.yaml:4:16: services.a.run.command: there is no executable "no-such-program-here" in ' +
        (process.env.PATH ?? ''),
      'main.yaml:6:25: services.a.run.environment_file: line 2: expected NAME=VALUE',
      'main.yaml:7:13: services.a.run.user: there is no user "rooot"; did you mean "root"?',
      'main.yaml:8:14: services.a.run.group: there is no group "no-such-group"',
      'main.yaml:9:31: services.a.run.groups[2]: there is no group "nope"',
      expect.stringMatching(/^main\.yaml:11:29: services\.a\.isolation\.readable\[0\]: ENOENT/),
      expect.stringMatching(/^main\.yaml:13:21: services\.b\.run\.command: .*"\.\/server" from /),
    ]);
  });
});

test('certificates that are missing, broken or not of their key', () => {
  const yaml = `listeners:
  s:
    address: "127.0.0.1:0"
    protocol: https
    certificates:
      - { cert: a.pem, key: a.key }
      - { cert: a.pem, key: b.key }
      - { cert: a.key, key: a.key }
      - { cert: a.pem, key: gone.key }
`;
  withFiles({ 'main.yaml': yaml }, (directory) => {
    for (const name of ['a', 'b']) makeCertificate(directory, name);
    expect(check(directory)).toEqual([
      'main.yaml:7:29: listeners.s.certificates[1].key: b.key is not the key of a.pem',
      expect.stringMatching(
        /^main\.yaml:8:17: .*\[2\]\.cert: cannot use a\.key as a certificate: /,
      ),
      expect.stringMatching(
        /^main\.yaml:9:29: .*\[3\]\.key: cannot use gone\.key as a private key: ENOENT/,
      ),
    ]);
  });
});

function makeCertificate(directory: string, name: string): void {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  const options = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  execFileSync('openssl', [...options, '-nodes', '-subj', `/CN=${name}`, ...files], {
    cwd: directory,
    stdio: 'ignore',
  });
}

test('a user of another name with the id 0 is root too', () => {
  const ids = parseAccounts('root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n\nbroken\nplus:x::\n');
  expect([...ids]).toEqual([
    ['root', 0],
    ['toor', 0],
  ]);
});

test('a command is found as a shell would find it', () => {
  withFiles(
    { 'bin/tool': '#!/bin/sh', 'bin/plain': '', 'sub/bin/tool': '#!/bin/sh' },
    (directory) => {
      for (const file of ['bin/tool', 'sub/bin/tool']) chmodSync(join(directory, file), 0o755);
      mkdirSync(join(directory, 'sub/folder'));
      const bin = join(directory, 'bin');
      const sub = join(directory, 'sub');
      expect(findCommand('tool', `/nowhere:${bin}`, null)).toBe(join(bin, 'tool'));
      expect(findCommand('tool', 'bin', sub)).toBe(join(sub, 'bin/tool'));
      expect(findCommand('./bin/tool', '', sub)).toBe(join(sub, 'bin/tool'));
      expect(findCommand('../bin/tool', '', sub)).toBe(join(bin, 'tool'));
      expect(findCommand(join(bin, 'tool'), '', null)).toBe(join(bin, 'tool'));
      expect(findCommand('plain', bin, null)).toBeNull();
      expect(findCommand('./folder', bin, sub)).toBeNull();
      expect(findCommand('', bin, null)).toBeNull();
    },
  );
});
