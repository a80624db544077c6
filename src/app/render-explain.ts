import { printable } from '../base/printable.js';
import type { Explanation } from '../ipc/admin-api.js';
import { renderFailure, renderLastExit, renderLastWake, renderOutput } from './render-status.js';
import type { RenderStyle } from './render-style.js';
import { renderDeadline, renderTime } from './render-time.js';
import { renderTable } from './table.js';

/** What `rouse explain` prints: a service's state and everything that holds it there. */
export function renderExplanation(explanation: Explanation, style: RenderStyle): string {
  const { status } = explanation;
  const sections: [string, string[]][] = [
    ['why', indent(explanation.why.map(printable))],
    ['leases', renderLeases(explanation, style)],
    ['idle', indent([renderIdle(explanation, style)])],
    ['last wake', indent([renderLastWake(status, style) ?? 'never'])],
    ['last exit', indent([renderLastExit(status, style) ?? 'never'])],
    ['failure', indent(renderFailure(status, style))],
    ['isolation', indent(renderIsolation(explanation, style))],
    ['refused', indent(renderRefusals(explanation))],
    ['last output', renderOutput(explanation.lastOutput, style)],
  ];
  const shown = sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [style.paint('bold', title), ...lines].join('\n'));
  return `${[renderHeadline(explanation, style), ...shown].join('\n')}\n`;
}

/** What is enforced for a service, and by what. */
export function renderIsolation({ isolation }: Explanation, { paint }: RenderStyle): string[] {
  return renderTable(
    [
      { title: 'KIND', cell: ({ kind }) => kind },
      { title: 'WHAT', cell: ({ what }) => what },
      { title: 'BY', cell: ({ by }) => by },
    ],
    isolation,
    paint,
  );
}

function renderHeadline({ service, status }: Explanation, style: RenderStyle): string {
  const { now, relativeTimes } = style;
  const since = renderTime(status.since, now, relativeTimes);
  const pid = status.pid === null ? '' : `, pid ${status.pid}`;
  const age = relativeTimes ? `for ${since}` : `since ${since}`;
  return `${style.paint('bold', printable(service))} is ${status.state} ${age}${pid}`;
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function renderLeases({ leases }: Explanation, style: RenderStyle): string[] {
  if (leases.length === 0) return [];
  const { now, relativeTimes, paint } = style;
  const table = renderTable(
    [
      { title: 'HOLDER', cell: (lease) => lease.holder },
      { title: 'SINCE', cell: (lease) => renderTime(lease.since, now, relativeTimes) },
      { title: 'CONNECTIONS', alignRight: true, cell: (lease) => lease.connections },
      { title: 'REQUESTS', alignRight: true, cell: (lease) => lease.requests },
    ],
    leases,
    paint,
  );
  return indent(table);
}

function renderIdle({ idle }: Explanation, { now, relativeTimes }: RenderStyle): string {
  const stages = [
    idle.freezeAt && `freezes ${renderDeadline(idle.freezeAt, now, relativeTimes)}`,
    idle.stopAt && `stops ${renderDeadline(idle.stopAt, now, relativeTimes)}`,
  ].filter(Boolean);
  return stages.length === 0
    ? 'nothing is due'
    : `${stages.join(', ')}, unless somebody asks for it`;
}

function renderRefusals({ refusals }: Explanation): string[] {
  return Object.entries(refusals).map(([code, count]) => `${count} × ${code}`);
}
