import { describe } from 'vitest';
import { createNodeEngine } from '../../../src/gateway/node-engine/node-engine.js';
import { httpCases } from '../../cases/http-cases.js';

describe('http through the node engine', () => httpCases(createNodeEngine));
