import { describe } from 'vitest';
import { tlsCases } from '../../cases/tls-cases.js';
import { nativeEngineHere } from './native-engine-here.js';

describe('tls through the native engine', () => tlsCases(nativeEngineHere()));
