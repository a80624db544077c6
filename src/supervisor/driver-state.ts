import type { ServiceState } from '../ipc/admin-api.js';
import type { LeaseHolder, Waiter, WaiterState } from './lease-book.js';
import type { ServiceDriver } from './service-driver.js';
import type { RecordState } from './service-record.js';
import type { RunState } from './service-run.js';
import type { UseState } from './service-use.js';

/** One service's life, as an upgraded supervisor goes on with it. Times are by the wall clock. */
export interface DriverState {
  readonly state: ServiceState;
  readonly sinceMs: number;
  /** Of its last change. */
  readonly reason: string;
  readonly record: RecordState;
  readonly run: RunState;
  readonly use: UseState;
}

/** How an upgraded supervisor finds those again who have leases, or wait. */
export interface HolderFinder {
  /** null: there is none any more. */
  findHolder(key: string): LeaseHolder | null;
  restoreWaiter(driver: ServiceDriver, state: WaiterState): Waiter | null;
}
