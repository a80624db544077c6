// npm run package: builds the Debian package rouse_VERSION_ARCH.deb for this machine's architecture,
// with all that rouse runs with but Node itself. Nothing is installed.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { renderCopyright } from './package/copyright.mjs';
import {
  ARCHITECTURE,
  maintainer,
  renderChangelog,
  renderControl,
  VERSION,
} from './package/debian-control.mjs';
import { filesOfDependency, listDependencies } from './package/dependencies.mjs';
import { run } from './package/run.mjs';
import { PackageTree } from './package/tree.mjs';
import { build, isBuilt } from './prepare/build.mjs';
import { ensureNodeModules } from './prepare/node-modules.mjs';
import { requirePlatform } from './prepare/platform.mjs';
import { ROOT } from './prepare/root.mjs';
import { giveUp, say } from './prepare/say.mjs';

const HELP = `Usage: npm run package [-- --out DIRECTORY]

Builds rouse_${VERSION}_${ARCHITECTURE}.deb. Needs dpkg-deb. DEBFULLNAME and DEBEMAIL say who
maintains it, SOURCE_DATE_EPOCH when it was made.`;
const SHEBANG = '#!/usr/bin/env node';
const UNITS = /\.(?:service|socket|target)$/;

const { values } = parseArgs({
  options: { out: { type: 'string', default: '.' }, help: { type: 'boolean', short: 'h' } },
});
if (values.help) {
  say(HELP);
  process.exit(0);
}
requirePlatform();
ensureNodeModules();
const faults = isBuilt() ? '' : build();
if (faults !== '') giveUp(faults);

const workplace = mkdtempSync(join(tmpdir(), 'rouse-package-'));
try {
  const tree = new PackageTree(join(workplace, 'tree'));
  const dependencies = listDependencies();
  putProgram(tree, dependencies);
  putDocumentation(tree, dependencies);
  putSystemFiles(tree);
  putControl(tree);
  const file = join(resolve(values.out), `rouse_${VERSION}_${ARCHITECTURE}.deb`);
  run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree.root, file]);
  say(`maintainer: ${maintainer()}; DEBFULLNAME and DEBEMAIL change that`);
  say(`${file}: ${dependencies.length} npm packages, ${tree.sizeKiB()} KiB installed`);
} finally {
  rmSync(workplace, { recursive: true });
}

function read(path) {
  return readFileSync(join(ROOT, path));
}

function putProgram(tree, dependencies) {
  const compiled = readdirSync(join(ROOT, 'dist'), { recursive: true })
    .filter((path) => path.endsWith('.js'))
    .map((path) => `dist/${path}`);
  for (const path of [...compiled, ...dependencies.flatMap(filesOfDependency)]) {
    const content = read(path);
    const isProgram = path === 'dist/app/main.js';
    const text = isProgram ? String(content).replace(SHEBANG, '#!/usr/bin/node') : content;
    tree.put(`usr/lib/rouse/${path}`, text, isProgram ? 0o755 : 0o644);
  }
  tree.put('usr/lib/rouse/package.json', read('package.json'));
  for (const name of readdirSync(join(ROOT, 'systemd')).filter((name) => UNITS.test(name))) {
    tree.put(`usr/lib/rouse/systemd/${name}`, read(`systemd/${name}`));
  }
  tree.link('usr/bin/rouse', '../lib/rouse/dist/app/main.js');
}

function putDocumentation(tree, dependencies) {
  const compressed = (content) => gzipSync(content, { level: 9 });
  for (const page of ['rouse.1', 'rouse.yaml.5']) {
    const text = run(process.execPath, ['dist/app/main.js', 'manual', page]);
    tree.put(`usr/share/man/man${page.at(-1)}/${page}.gz`, compressed(text));
  }
  const documents = 'usr/share/doc/rouse';
  for (const name of ['README.md', 'config/REFERENCE.md', 'config/THREAT-MODEL.md']) {
    tree.put(`${documents}/${basename(name)}`, read(name));
  }
  for (const name of readdirSync(join(ROOT, 'config/examples')).filter((one) =>
    one.endsWith('.yaml'),
  )) {
    tree.put(`${documents}/examples/${name}`, read(`config/examples/${name}`));
  }
  tree.put(`${documents}/copyright`, renderCopyright(dependencies));
  tree.put(`${documents}/changelog.Debian.gz`, compressed(renderChangelog(dateOfRelease())));
}

/** RFC 5322, as deb-changelog(5) wants it. */
function dateOfRelease() {
  const seconds = process.env.SOURCE_DATE_EPOCH ?? run('git', ['log', '-1', '--format=%ct']).trim();
  return new Date(Number(seconds) * 1000).toUTCString().replace('GMT', '+0000');
}

function putSystemFiles(tree) {
  for (const name of readdirSync(join(ROOT, 'systemd')).filter((name) => UNITS.test(name))) {
    tree.put(`lib/systemd/system/${name}`, read(`systemd/${name}`));
  }
  tree.put('etc/rouse/rouse.yaml', read('scripts/package/debian/rouse.yaml'));
  tree.directory('etc/rouse/services.d');
}

function putControl(tree) {
  tree.put('DEBIAN/control', renderControl(tree.sizeKiB()));
  tree.put('DEBIAN/conffiles', '/etc/rouse/rouse.yaml\n');
  tree.put('DEBIAN/md5sums', tree.checksums());
  for (const script of ['postinst', 'prerm', 'postrm']) {
    tree.put(`DEBIAN/${script}`, read(`scripts/package/debian/${script}`), 0o755);
  }
}
