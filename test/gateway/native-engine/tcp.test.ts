import { describe } from 'vitest';
import { tcpCases } from '../../cases/tcp-cases.js';
import { tcpLifecycleCases } from '../../cases/tcp-lifecycle-cases.js';
import { nativeEngineHere } from './native-engine-here.js';

describe('tcp through the native engine', () => tcpCases(nativeEngineHere()));
describe('tcp and its services through the native engine', () =>
  tcpLifecycleCases(nativeEngineHere()));
