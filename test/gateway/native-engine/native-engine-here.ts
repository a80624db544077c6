import { afterAll } from 'vitest';
import { NativeEngine } from '../../../src/gateway/native-engine/native-engine.js';
import { NativeLoop } from '../../../src/sys/native-loop.js';
import type { EngineFactory } from '../../cases/engine-rig.js';

/** Native engines in the thread of the test, whose loop is turned whenever Node's has a turn. */
export function nativeEngineHere(): EngineFactory {
  const loop = new NativeLoop();
  let isOver = false;
  const turn = () => {
    if (isOver) return;
    loop.turn(0);
    setImmediate(turn);
  };
  setImmediate(turn);
  afterAll(() => {
    isOver = true;
    loop.close();
  });
  return (host, options) => new NativeEngine(host, loop, options);
}
