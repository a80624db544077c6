import { describe } from 'vitest';
import { createNodeEngine } from '../../../src/gateway/node-engine/node-engine.js';
import { tcpCases } from '../../cases/tcp-cases.js';
import { tcpLifecycleCases } from '../../cases/tcp-lifecycle-cases.js';

describe('tcp through the node engine', () => tcpCases(createNodeEngine));
describe('tcp and its services through the node engine', () => tcpLifecycleCases(createNodeEngine));
