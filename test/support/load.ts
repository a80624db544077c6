import { startFixture } from './fixture.js';
import type { TestProcess } from './run-process.js';
import { waitFor } from './wait-for.js';

/** What the load client has seen so far. */
export interface LoadReport {
  readonly counts: Readonly<Record<string, number>>;
  readonly faults: { refused: number; broken: number; wrong: number; late: number };
  readonly examples: readonly string[];
}

/** Clients that use services without a pause: test/fixtures/load-client.js says which kinds there are. */
export class Load implements AsyncDisposable {
  private constructor(private readonly process: TestProcess) {}

  /** `KIND:PORT[:CLIENTS]`, each. */
  static start(kinds: readonly string[], host = '127.0.0.1'): Load {
    return new Load(startFixture('load-client.js', [host, ...kinds]));
  }

  get report(): LoadReport {
    return lastReport(this.process.output);
  }

  /** Resolves when every kind was answered so many times more. */
  async more(times: number): Promise<void> {
    const before = await waitFor(() => this.report.counts, { what: 'the first report' });
    const isMore = () => {
      const now = this.report.counts;
      return Object.keys(now).every((kind) => (now[kind] ?? 0) >= (before[kind] ?? 0) + times);
    };
    await waitFor(isMore, { what: `${times} more of each than ${JSON.stringify(before)}` });
  }

  /** Lets all end what they have begun. */
  async stop(): Promise<LoadReport> {
    this.process.signal('SIGTERM');
    return lastReport((await this.process.ended).stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

/** The last whole line that the load client printed. */
function lastReport(output: string): LoadReport {
  return JSON.parse(output.slice(0, output.lastIndexOf('\n')).split('\n').at(-1) ?? '');
}
