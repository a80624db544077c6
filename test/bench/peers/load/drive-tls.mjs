import { connect } from 'node:tls';
import { hostOf } from '../names.mjs';
import { Latencies } from './latencies.mjs';

const PATIENCE_MS = 20_000;

/** One handshake, one line and its answer; rejects on a wrong certificate or answer. */
function exchange({ port, ca, names }, client, sequence) {
  return new Promise((resolve, reject) => {
    const service = client % names;
    const line = `client ${client} message ${sequence}`;
    const socket = connect({ port, host: '127.0.0.1', servername: hostOf(service), ca });
    let answer = '';
    socket.setEncoding('latin1').setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.once('secureConnect', () => socket.write(line));
    socket.on('data', (text) => {
      answer += text;
    });
    socket.once('error', reject);
    socket.once('close', () => {
      if (answer === `service ${service}: ${line}`) resolve();
      else reject(new Error(`wrong answer: ${answer}`));
    });
  });
}

/** As `drive`, with TLS to the servers behind; every connection is a full handshake. */
export async function driveTls(options) {
  const startedMs = performance.now();
  const untilMs = startedMs + options.seconds * 1000;
  const latencies = new Latencies();
  const failures = [];
  const runClient = async (client) => {
    for (let sequence = 1; performance.now() < untilMs; sequence += 1) {
      const beganMs = performance.now();
      await exchange(options, client, sequence).then(
        () => latencies.add(performance.now() - beganMs),
        (error) => failures.push(error.message),
      );
    }
  };
  await Promise.all(Array.from({ length: options.connections }, (_, client) => runClient(client)));
  const seconds = (performance.now() - startedMs) / 1000;
  return { ...latencies.summarize(), seconds, failures: failures.length, reason: failures[0] };
}
