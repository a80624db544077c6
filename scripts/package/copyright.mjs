import { describeDependency } from './dependencies.mjs';

const MIT_TEXT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

/** usr/share/doc/rouse/copyright, in Debian's machine-readable format 1.0. */
export function renderCopyright(dependencies) {
  const parts = dependencies.map((directory) => {
    const { license, holder, text, version } = describeDependency(directory);
    return [
      `Files: usr/lib/rouse/${directory}/*`,
      `Copyright: ${holder}`,
      `License: ${license}-of-${nameOf(directory)}`,
      `Comment: version ${version}`,
      '',
      `License: ${license}-of-${nameOf(directory)}`,
      indented(conditions(license, text)),
    ].join('\n');
  });
  return `${[
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: rouse',
    `Files: *\nCopyright: the authors of rouse\nLicense: Expat\n${indented(MIT_TEXT)}`,
    ...parts,
  ].join('\n\n')}\n`;
}

/** Texts that Debian keeps once for all are referred to, as its policy (12.5) wants. */
function conditions(license, text) {
  if (license === 'Apache-2.0') return 'See /usr/share/common-licenses/Apache-2.0.';
  return text || `${license}, as its package.json says.`;
}

function nameOf(directory) {
  return directory.replaceAll('node_modules/', '').replaceAll(/[^a-z0-9.]+/gi, '-');
}

/** Continuation lines begin with a space, empty ones are a dot. */
function indented(text) {
  return text
    .trim()
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
    .join('\n');
}
