import { MANY_NAMES, withNames } from '../names.mjs';
import { haproxy } from './haproxy.mjs';
import { nginx } from './nginx.mjs';
import { makeRouse } from './rouse.mjs';
import { sniproxy } from './sniproxy.mjs';
import { socketActivate } from './socket-activate.mjs';
import { socketProxyd } from './socket-proxyd.mjs';
import { xinetd } from './xinetd.mjs';

/** In every row the first one that takes part is what the others are compared with. */
export const CONTENDERS = [
  makeRouse(`rouse native, ${MANY_NAMES} names`, 'native', (row) => withNames(row, MANY_NAMES)),
  makeRouse('rouse native', 'native'),
  makeRouse('rouse node', 'node'),
  haproxy,
  nginx,
  socketProxyd,
  sniproxy,
  xinetd,
  socketActivate,
];
