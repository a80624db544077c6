import { describe } from 'vitest';
import { createNodeEngine } from '../../../src/gateway/node-engine/node-engine.js';
import { tcpCases } from '../../cases/tcp-cases.js';

describe('tcp through the node engine', () => tcpCases(createNodeEngine));
