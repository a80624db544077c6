import { describe } from 'vitest';
import { httpAnswerCases } from '../../cases/http-answer-cases.js';
import { httpCases } from '../../cases/http-cases.js';
import { httpClientCases } from '../../cases/http-client-cases.js';
import { nativeEngineHere } from './native-engine-here.js';

describe('http through the native engine', () => httpCases(nativeEngineHere()));
describe('answers through the native engine', () => httpAnswerCases(nativeEngineHere()));
describe('http clients of the native engine', () => httpClientCases(nativeEngineHere()));
