// The process that loads: one run a message, and connections that it holds open between messages.
import { answerMessages } from '../answer-messages.mjs';
import { drive } from './drive.mjs';
import { driveTls } from './drive-tls.mjs';
import { makeExchanges } from './exchanges.mjs';
import { closeIdle, openIdle } from './idle.mjs';

answerMessages((options) => {
  if (options.kind === 'tls') return driveTls(options);
  if (options.kind === 'close-idle') return closeIdle();
  if (options.idle !== undefined) return openIdle(options);
  return drive(options, makeExchanges(options));
});
