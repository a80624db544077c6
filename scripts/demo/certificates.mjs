import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { giveUp } from '../prepare/say.mjs';

/** File name → names in the certificate. */
const CERTIFICATES = {
  alpha: ['alpha.localhost'],
  beta: ['beta.localhost'],
  secure: ['shop.localhost', 'cart.localhost'],
};
const DAYS = '30';

function makeCertificate(base, names) {
  const alternatives = names.map((name) => `DNS:${name}`).join(',');
  const { status, stderr, error } = spawnSync(
    'openssl',
    [
      'req',
      '-x509',
      '-nodes',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-days',
      DAYS,
      '-subj',
      `/CN=${names[0]}`,
      '-addext',
      `subjectAltName=${alternatives}`,
      '-keyout',
      `${base}.key`,
      '-out',
      `${base}.pem`,
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0)
    giveUp(`openssl made no certificate for ${names[0]}: ${error?.message ?? stderr}`);
  // The TLS servers run as users of their own and must be able to read it.
  chmodSync(`${base}.key`, 0o644);
}

/** Makes the demonstration's self-signed EC certificates in `directory`, and trust.pem with all of them. */
export function makeCertificates(directory) {
  mkdirSync(directory, { recursive: true });
  for (const [name, names] of Object.entries(CERTIFICATES))
    makeCertificate(`${directory}/${name}`, names);
  const all = Object.keys(CERTIFICATES).map((name) =>
    readFileSync(`${directory}/${name}.pem`, 'utf8'),
  );
  writeFileSync(`${directory}/trust.pem`, all.join(''));
}
