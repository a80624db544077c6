import type { Paint } from '../base/paint.js';
import { printable } from '../base/printable.js';
import type {
  GatewayStatus,
  ListenerStatus,
  ServiceState,
  ServiceStatus,
  Status,
} from '../ipc/admin-api.js';
import type { RenderStyle } from './render-style.js';
import { renderAge, renderDeadline, renderMs, renderTime } from './render-time.js';
import { type Cell, type Column, renderTable } from './table.js';

const PAINT_OF_STATE: Readonly<Record<ServiceState, Paint>> = {
  stopped: 'dim',
  starting: 'yellow',
  running: 'green',
  frozen: 'blue',
  stopping: 'yellow',
  failed: 'red',
};

/** What `rouse status` prints: tables of services, listeners and gateways, and what failed. */
export function renderStatus(status: Status, style: RenderStyle): string {
  const { paint } = style;
  const { pid, version, uptimeMs } = status.supervisor;
  const sections = [
    renderTable(serviceColumns(style), status.services, paint),
    ...status.services
      .filter((service) => service.failure)
      .map((service) => renderFailure(service, style)),
    renderTable(LISTENER_COLUMNS, status.listeners, paint),
    renderTable(GATEWAY_COLUMNS, status.gateways, paint),
    (status.unenforced ?? []).map((what) => paint('red', printable(`NOT ENFORCED: ${what}`))),
    [`rouse ${version}, pid ${pid}, up ${renderAge(uptimeMs)}`],
  ];
  const shown = sections.filter((lines) => lines.length > 0);
  return `${shown.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** What `rouse status SERVICE` prints. */
export function renderService(service: ServiceStatus, style: RenderStyle): string {
  const { paint } = style;
  const rows: [string, Cell | string | null][] = [
    ['service', service.name],
    ['state', stateCell(service)],
    ['since', renderSince(service, style)],
    ['pid', textOf(service.pid)],
    ['connections', `${service.connections} open, ${service.held} held`],
    ['requests', `${service.requests.inFlight} in flight, ${service.requests.total} in all`],
    ['starts', `${service.starts}, ${service.failures} failed`],
    ['cold start', renderColdStart(service)],
    ['last wake', renderLastWake(service, style)],
    ['last exit', renderLastExit(service, style)],
  ];
  const lines = rows.map(([title, cell]) => {
    const { text, paint: how }: Cell =
      typeof cell === 'object' && cell ? cell : { text: cell ?? '-' };
    return `${paint('bold', title.padEnd(11))}  ${how ? paint(how, printable(text)) : printable(text)}`;
  });
  const failure = service.failure ? ['', ...renderFailure(service, style)] : [];
  return `${[...lines, ...failure].join('\n')}\n`;
}

/** Why a service failed, when it may be tried again, and what it said last. */
export function renderFailure({ name, failure }: ServiceStatus, style: RenderStyle): string[] {
  if (!failure) return [];
  const { paint, now, relativeTimes } = style;
  const retry = failure.retryAt
    ? `next try, if somebody asks, ${renderDeadline(failure.retryAt, now, relativeTimes)}`
    : `rouse wake ${name} tries again`;
  const headline = printable(`${name} failed: ${failure.reason}`);
  return [`${paint('red', headline)}; ${retry}`, ...renderOutput(failure.output, style)];
}

/** Lines that a service printed, set apart from rouse's own. */
export function renderOutput(lines: readonly string[], { paint }: RenderStyle): string[] {
  return lines.map((line) => `${paint('dim', '  |')} ${printable(line)}`);
}

export function renderLastExit(
  { lastExit }: ServiceStatus,
  { now, relativeTimes }: RenderStyle,
): string | null {
  if (!lastExit) return null;
  const how = lastExit.signal
    ? `killed by ${lastExit.signal}`
    : `exit code ${lastExit.code ?? '-'}`;
  return `${how}, ${agoOrAt(lastExit.at, now, relativeTimes)}`;
}

export function renderLastWake(
  { lastWake }: ServiceStatus,
  { now, relativeTimes }: RenderStyle,
): string | null {
  if (!lastWake) return null;
  const who = lastWake.source ? `${lastWake.cause} from ${lastWake.source}` : lastWake.cause;
  return `${who}, ${agoOrAt(lastWake.at, now, relativeTimes)}`;
}

function agoOrAt(iso: string, now: Date, relative: boolean): string {
  const time = renderTime(iso, now, relative);
  return relative ? `${time} ago` : `at ${time}`;
}

function renderSince({ since }: ServiceStatus, { now, relativeTimes }: RenderStyle): string {
  const time = renderTime(since, now, relativeTimes);
  return relativeTimes ? `${time} ago` : time;
}

function renderColdStart({ coldStart: { lastMs, p50Ms, p99Ms } }: ServiceStatus): string | null {
  if (lastMs === null) return null;
  const percentiles = [
    p50Ms === null ? null : `median ${renderMs(p50Ms)}`,
    p99Ms === null ? null : `99 % in ${renderMs(p99Ms)}`,
  ];
  return [`last ${renderMs(lastMs)}`, ...percentiles.filter((text) => text !== null)].join(', ');
}

function textOf(value: number | null): string | null {
  return value === null ? null : String(value);
}

function stateCell({ state }: ServiceStatus): Cell {
  return { text: state, paint: PAINT_OF_STATE[state] };
}

function serviceColumns({ now, relativeTimes }: RenderStyle): readonly Column<ServiceStatus>[] {
  return [
    { title: 'SERVICE', cell: ({ name }) => name },
    { title: 'STATE', cell: stateCell },
    { title: 'SINCE', cell: ({ since }) => renderTime(since, now, relativeTimes) },
    { title: 'PID', alignRight: true, cell: ({ pid }) => pid },
    { title: 'OPEN', alignRight: true, cell: ({ connections }) => connections },
    { title: 'HELD', alignRight: true, cell: ({ held }) => held },
    { title: 'REQUESTS', alignRight: true, cell: ({ requests }) => requests.total },
    { title: 'STARTS', alignRight: true, cell: ({ starts }) => starts },
    {
      title: 'COLD START',
      alignRight: true,
      cell: ({ coldStart: { p50Ms } }) => (p50Ms === null ? null : renderMs(p50Ms)),
    },
    { title: 'WOKEN BY', cell: ({ lastWake }) => lastWake && (lastWake.source ?? lastWake.cause) },
  ];
}

const LISTENER_COLUMNS: readonly Column<ListenerStatus>[] = [
  { title: 'LISTENER', cell: ({ name }) => name },
  { title: 'PROTOCOL', cell: ({ protocol }) => protocol },
  { title: 'GATEWAY', cell: ({ gateway }) => gateway },
  { title: 'ACCEPTED', alignRight: true, cell: ({ accepted }) => accepted },
  { title: 'REFUSED', alignRight: true, cell: ({ refused }) => refused },
  { title: 'ADDRESSES', cell: ({ addresses }) => shortenList(addresses) },
];

const GATEWAY_COLUMNS: readonly Column<GatewayStatus>[] = [
  { title: 'GATEWAY', cell: ({ name }) => name },
  { title: 'PID', alignRight: true, cell: ({ pid }) => pid },
  { title: 'ENGINE', cell: ({ engine }) => engine },
  { title: 'RESTARTS', alignRight: true, cell: ({ restarts }) => restarts },
  { title: 'ISOLATION', cell: ({ isolation }) => isolation },
];

const SHOWN_ADDRESSES = 4;

function shortenList(addresses: readonly string[]): string {
  const more = addresses.length - SHOWN_ADDRESSES;
  const shown = addresses.slice(0, SHOWN_ADDRESSES).join(' ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}
