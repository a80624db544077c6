import { describe } from 'vitest';
import { createNodeEngine } from '../../../src/gateway/node-engine/node-engine.js';
import { httpsCases } from '../../cases/https-cases.js';
import { tlsCases } from '../../cases/tls-cases.js';

describe('tls through the node engine', () => tlsCases(createNodeEngine));
describe('https through the node engine', () => httpsCases(createNodeEngine));
