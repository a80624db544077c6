import { describe } from 'vitest';
import { httpBodyCases } from '../../cases/http-body-cases.js';
import { httpStreamingCases } from '../../cases/http-streaming-cases.js';
import { upgradeCases } from '../../cases/upgrade-cases.js';
import { nativeEngineHere } from './native-engine-here.js';

describe('streams through the native engine', () => httpStreamingCases(nativeEngineHere()));
describe('bodies through the native engine', () => httpBodyCases(nativeEngineHere()));
describe('upgrades through the native engine', () => upgradeCases(nativeEngineHere()));
