import { readFileSync } from 'node:fs';
import { ROOT } from '../prepare/root.mjs';

const MANIFEST = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
/** Debian's words for what Node calls `x64` and `arm64`. */
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

export const ARCHITECTURE = ARCHITECTURES[process.arch] ?? process.arch;
export const VERSION = `${MANIFEST.version}-1`;

/** Who answers for the package, from DEBFULLNAME and DEBEMAIL as debchange(1) does. */
export function maintainer({ DEBFULLNAME, DEBEMAIL } = process.env) {
  return `${DEBFULLNAME || 'the authors of rouse'} <${DEBEMAIL || 'rouse@example.org'}>`;
}

/** DEBIAN/control, deb-control(5). */
export function renderControl(installedKiB) {
  return `Package: rouse
Version: ${VERSION}
Architecture: ${ARCHITECTURE}
Maintainer: ${maintainer()}
Installed-Size: ${installedKiB}
Depends: nodejs (>= 20), bubblewrap, libc6 (>= 2.31), libgcc-s1, libstdc++6
Recommends: systemd
Section: net
Priority: optional
Description: on-demand socket activator: starts servers when somebody connects
 rouse owns the listening sockets of a host. It works out which service a
 connection is for (by destination address, by HTTP Host, by TLS server name),
 starts that service in namespaces of its own, relays the connection, and
 freezes or stops the service when nobody has used it for a while.
 .
 It does the work of inetd, of systemd sockets with systemd-socket-proxyd and
 of sniproxy, with isolation and with nobody seeing "connection refused".
`;
}

/** The package's own changelog, deb-changelog(5). */
export function renderChangelog(date) {
  return `rouse (${VERSION}) unstable; urgency=medium

  * Version ${MANIFEST.version}; what changed is told by the project's history.

 -- ${maintainer()}  ${date}
`;
}
