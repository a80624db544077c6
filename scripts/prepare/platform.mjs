import { giveUp } from './say.mjs';

const OLDEST_NODE = 20;

/** Ends the script where rouse can't run at all. */
export function requirePlatform() {
  if (process.platform !== 'linux') {
    giveUp(`rouse needs Linux (namespaces, epoll), this is ${process.platform}`);
  }
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    giveUp(`rouse needs Node ${OLDEST_NODE} or later, this is ${process.versions.node}`);
  }
}
