import { describe } from 'vitest';
import { createNodeEngine } from '../../../src/gateway/node-engine/node-engine.js';
import { smugglingCases } from '../../cases/smuggling-cases.js';

describe('smuggling through the node engine', () => smugglingCases(createNodeEngine));
