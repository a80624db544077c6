import { describe } from 'vitest';
import { createNodeEngine } from '../../../src/gateway/node-engine/node-engine.js';
import { httpAnswerCases } from '../../cases/http-answer-cases.js';
import { httpCases } from '../../cases/http-cases.js';
import { httpClientCases } from '../../cases/http-client-cases.js';

describe('http through the node engine', () => httpCases(createNodeEngine));
describe('answers through the node engine', () => httpAnswerCases(createNodeEngine));
describe('http clients of the node engine', () => httpClientCases(createNodeEngine));
