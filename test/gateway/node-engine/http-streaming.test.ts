import { describe } from 'vitest';
import { createNodeEngine } from '../../../src/gateway/node-engine/node-engine.js';
import { httpBodyCases } from '../../cases/http-body-cases.js';
import { httpStreamingCases } from '../../cases/http-streaming-cases.js';
import { upgradeCases } from '../../cases/upgrade-cases.js';

describe('streams through the node engine', () => httpStreamingCases(createNodeEngine));
describe('bodies through the node engine', () => httpBodyCases(createNodeEngine));
describe('upgrades through the node engine', () => upgradeCases(createNodeEngine));
