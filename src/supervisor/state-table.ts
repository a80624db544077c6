import type { ServiceState } from '../ipc/admin-api.js';

/** What happens to a service, as its driver sees it; it tells nothing of an earlier incarnation. */
export const LIFECYCLE_EVENTS = [
  /** A gateway acquires the service, or somebody else waits for a grant. */
  'demand',
  /** `rouse wake`: as a demand, but overrides a backoff and holds no lease. */
  'wake-now',
  'ready',
  /** Spawn error, exit before ready, or `start_timeout`. */
  'start-failed',
  /** The VPS has no processes of the service any more. */
  'gone',
  'freeze-due',
  'stop-due',
  /** `stop_timeout` after the stop signal. */
  'stop-timeout',
  /** `rouse sleep`, shutdown, or the service was removed from the config. */
  'stop-now',
  'freeze-now',
  /** `rouse restart`; its caller waits for a grant, so that `gone` starts the service again. */
  'restart-now',
  'backoff-over',
] as const;

export type LifecycleEvent = (typeof LIFECYCLE_EVENTS)[number];

/** What the driver does on the way into the next state, in the order given. */
export type LifecycleEffect =
  | 'start'
  /** Answers all waiting demands with the running instance. */
  | 'grant'
  /** Answers all waiting demands with the failure, the backoff, or that the service is being stopped. */
  | 'refuse'
  | 'freeze'
  | 'thaw'
  /** Sends `stop_signal` to all processes of the service and starts the clock of `stop_timeout`. */
  | 'signal-stop'
  /** SIGKILL to all processes of the service; `gone` follows, also where there was none to kill. */
  | 'kill'
  /** Sets the timer for what the idle clock says is due next. */
  | 'arm-idle'
  | 'cancel-idle'
  /** Counts a failure; `backoff-over` follows. */
  | 'arm-backoff'
  /** Logs and remembers how the instance ended, with the last lines that it printed. */
  | 'report-exit'
  /** Gateways close what they have of the instance: quiet, pooled and open connections. */
  | 'close-connections'
  /** The instance needs its VPS no more. */
  | 'release-vps';

/** What the table may know besides state and event. */
export interface LifecycleContext {
  readonly leases: number;
  /** Somebody waits for a grant, the demand that is being told included. */
  readonly demanded: boolean;
  readonly backoffOver: boolean;
  /** `gone`: the instance's first process ended with exit code 0. */
  readonly cleanExit: boolean;
  /** There is an instance, or one is being made, whose `gone` was not told yet. */
  readonly alive: boolean;
}

export interface Transition {
  readonly state: ServiceState;
  readonly effects: readonly LifecycleEffect[];
}

type Cell = (context: LifecycleContext, state: ServiceState) => Transition;
type Test = (context: LifecycleContext) => boolean;

const to =
  (state: ServiceState, ...effects: LifecycleEffect[]): Cell =>
  () => ({ state, effects });

const stay =
  (...effects: LifecycleEffect[]): Cell =>
  (_context, state) => ({ state, effects });

const when =
  (test: Test, yes: Cell, no: Cell): Cell =>
  (context, state) =>
    (test(context) ? yes : no)(context, state);

const unused: Test = ({ leases, demanded }) => leases === 0 && !demanded;
const demanded: Test = (context) => context.demanded;
const backoffOver: Test = (context) => context.backoffOver;
const alive: Test = (context) => context.alive;

const ignore = stay();

const startUnlessAlive = when(alive, to('stopping', 'kill'), to('starting', 'start'));

const freezeUnused = when(unused, to('frozen', 'freeze', 'arm-idle'), ignore);

const stopRunning = to('stopping', 'cancel-idle', 'close-connections', 'signal-stop');

// The signal is queued before the thaw: the other way round a connection that comes in between is
// accepted by a server that is about to end.
const stopFrozen = to('stopping', 'cancel-idle', 'close-connections', 'signal-stop', 'thaw');

// The backoff is counted first: who is refused is told when to come again.
const crashed = to(
  'failed',
  'cancel-idle',
  'close-connections',
  'report-exit',
  'arm-backoff',
  'refuse',
  'release-vps',
);

const exited = when(
  demanded,
  to('starting', 'cancel-idle', 'close-connections', 'report-exit', 'release-vps', 'start'),
  to('stopped', 'cancel-idle', 'close-connections', 'report-exit', 'release-vps'),
);

const ended = when((context) => context.cleanExit, exited, crashed);

const failedAndGone = to('failed', 'report-exit', 'arm-backoff', 'refuse', 'release-vps');

// With `start_timeout` processes are left: they are killed, and `gone` reports their end.
const startFailed = when(alive, to('failed', 'arm-backoff', 'refuse', 'kill'), failedAndGone);

const stopped = when(
  demanded,
  to('starting', 'report-exit', 'release-vps', 'start'),
  to('stopped', 'report-exit', 'release-vps'),
);

/** The lifecycle. An event that means nothing in a state (late, or double) is ignored there. */
const TABLE: Readonly<Record<ServiceState, Readonly<Record<LifecycleEvent, Cell>>>> = {
  stopped: {
    demand: to('starting', 'start'),
    'wake-now': to('starting', 'start'),
    ready: ignore,
    'start-failed': ignore,
    gone: ignore,
    'freeze-due': ignore,
    'stop-due': ignore,
    'stop-timeout': ignore,
    'stop-now': ignore,
    'freeze-now': ignore,
    'restart-now': to('starting', 'start'),
    'backoff-over': ignore,
  },
  starting: {
    demand: ignore,
    'wake-now': ignore,
    ready: to('running', 'grant', 'arm-idle'),
    'start-failed': startFailed,
    gone: failedAndGone,
    'freeze-due': ignore,
    'stop-due': ignore,
    'stop-timeout': ignore,
    'stop-now': to('stopping', 'refuse', 'kill'),
    'freeze-now': ignore,
    'restart-now': to('stopping', 'kill'),
    'backoff-over': ignore,
  },
  running: {
    demand: stay('cancel-idle', 'grant'),
    'wake-now': stay('grant', 'arm-idle'),
    ready: ignore,
    'start-failed': ignore,
    gone: ended,
    'freeze-due': freezeUnused,
    'stop-due': when(unused, stopRunning, ignore),
    'stop-timeout': ignore,
    'stop-now': stopRunning,
    'freeze-now': freezeUnused,
    'restart-now': stopRunning,
    'backoff-over': ignore,
  },
  frozen: {
    demand: to('running', 'cancel-idle', 'thaw', 'grant'),
    'wake-now': to('running', 'thaw', 'grant', 'arm-idle'),
    ready: ignore,
    'start-failed': ignore,
    gone: ended,
    'freeze-due': ignore,
    'stop-due': when(unused, stopFrozen, ignore),
    'stop-timeout': ignore,
    'stop-now': stopFrozen,
    'freeze-now': ignore,
    'restart-now': stopFrozen,
    'backoff-over': ignore,
  },
  stopping: {
    // Nothing takes a signal back: who comes now waits, and `gone` starts the service again at once.
    demand: ignore,
    'wake-now': ignore,
    ready: ignore,
    // A start that was under way when it was told to stop, and never got a process.
    'start-failed': when(alive, ignore, stopped),
    gone: stopped,
    'freeze-due': ignore,
    'stop-due': ignore,
    'stop-timeout': stay('kill'),
    'stop-now': stay('refuse'),
    'freeze-now': ignore,
    'restart-now': ignore,
    'backoff-over': ignore,
  },
  failed: {
    demand: when(backoffOver, startUnlessAlive, stay('refuse')),
    'wake-now': startUnlessAlive,
    ready: ignore,
    'start-failed': ignore,
    gone: stay('report-exit', 'release-vps'),
    'freeze-due': ignore,
    'stop-due': ignore,
    'stop-timeout': ignore,
    'stop-now': when(alive, to('stopping', 'kill'), to('stopped')),
    'freeze-now': ignore,
    'restart-now': startUnlessAlive,
    // It stays visible as failed; the next demand starts it.
    'backoff-over': ignore,
  },
};

/** The next state of a service and what to do on the way there; defined for every state and event. */
export function nextTransition(
  state: ServiceState,
  event: LifecycleEvent,
  context: LifecycleContext,
): Transition {
  return TABLE[state][event](context, state);
}
