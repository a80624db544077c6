// The process that loads: one run a message.
import { answerMessages } from '../answer-messages.mjs';
import { drive } from './drive.mjs';
import { makeExchanges } from './exchanges.mjs';

answerMessages((options) => drive(options, makeExchanges(options)));
