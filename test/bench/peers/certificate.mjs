import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from './contenders/place.mjs';

/** A self-signed EC certificate for names, as PEM: `{ cert, key }`. */
export function makeCertificate(names) {
  const directory = makeDirectory();
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(directory.path, name));
  const alternatives = names.map((name) => `DNS:${name}`).join(',');
  const algorithm = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=bench', '-addext', `subjectAltName=${alternatives}`];
  const files = ['-days', '2', '-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', '-x509', ...algorithm, ...subject, ...files], {
    stdio: 'ignore',
  });
  const pair = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  directory.remove();
  return pair;
}
