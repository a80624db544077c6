import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd } from './run-process.js';

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Makes a self-signed EC certificate for `names` in `directory`; a service may read the key. */
export async function makeCertificate(
  directory: string,
  names: readonly [string, ...string[]],
): Promise<CertificateFiles> {
  const base = names[0].replace('*', '_');
  const files = { cert: join(directory, `${base}.pem`), key: join(directory, `${base}.key`) };
  const alternatives = names.map((name) => `DNS:${name}`).join(',');
  const { code, stderr } = await runToEnd([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${names[0]}`,
    '-addext',
    `subjectAltName=${alternatives}`,
    '-keyout',
    files.key,
    '-out',
    files.cert,
  ]);
  if (code !== 0) throw new Error(`openssl made no certificate for ${names.join(', ')}: ${stderr}`);
  chmodSync(files.key, 0o644);
  return files;
}
