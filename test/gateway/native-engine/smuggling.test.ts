import { describe } from 'vitest';
import { smugglingCases } from '../../cases/smuggling-cases.js';
import { nativeEngineHere } from './native-engine-here.js';

describe('smuggling through the native engine', () => smugglingCases(nativeEngineHere()));
