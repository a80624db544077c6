#!/usr/bin/env node
import { processIo } from './command-io.js';
import { runCommandLine } from './command-line.js';

process.exit(await runCommandLine(processIo()));
