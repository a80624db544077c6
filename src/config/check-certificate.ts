import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf } from '../base/errors.js';

export interface CertificateFault {
  /** Which of the two files is wrong. */
  readonly key: 'cert' | 'key';
  readonly message: string;
}

/** Why a certificate and its key can't be used together, or null. */
export function findCertificateFault(certFile: string, keyFile: string): CertificateFault | null {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFileSync(certFile));
  } catch (error) {
    return { key: 'cert', message: `cannot use ${certFile} as a certificate: ${messageOf(error)}` };
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(readFileSync(keyFile));
  } catch (error) {
    return { key: 'key', message: `cannot use ${keyFile} as a private key: ${messageOf(error)}` };
  }
  return certificate.checkPrivateKey(privateKey)
    ? null
    : { key: 'key', message: `${keyFile} is not the key of ${certFile}` };
}
