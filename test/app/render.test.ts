import { expect, test } from 'vitest';
import { renderExplanation } from '../../src/app/render-explain.js';
import { renderService, renderStatus } from '../../src/app/render-status.js';
import type { RenderStyle } from '../../src/app/render-style.js';
import { createPainter } from '../../src/base/paint.js';
import type { ServiceStatus } from '../../src/ipc/admin-api.js';
import { sampleExplanation, sampleStatus } from '../admin/sample-status.js';

const now = new Date('2026-01-02T03:04:17.000Z');
const plain: RenderStyle = { paint: createPainter(false), now, relativeTimes: false };
const terminal: RenderStyle = { paint: createPainter(true), now, relativeTimes: true };
const person: RenderStyle = { paint: createPainter(false), now, relativeTimes: true };

test('status is a table with what failed and why', () => {
  expect(renderStatus(sampleStatus(), person)).toBe(
    `SERVICE  STATE    SINCE   PID  OPEN  HELD  REQUESTS  STARTS  COLD START  WOKEN BY
blog     running  12s    4711     2     1        42       3       40 ms  127.0.0.1:53122
mail     failed   12s       -     0     0         0       2           -  -
shop     stopped  12s       -     0     0         0       0           -  -

mail failed: exit code 1 before it was ready; next try, if somebody asks, in 3s
  | loading
  | cannot open \\x1b[2Jspool

LISTENER  PROTOCOL  GATEWAY  ACCEPTED  REFUSED  ADDRESSES
web       http      main           45        3  127.0.0.1:8080 [::1]:8080

GATEWAY   PID  ENGINE  RESTARTS  ISOLATION
main     4700  node           1  mount, pid, net, ipc, uts

rouse 0.1.0, pid 4690, up 1h
`,
  );
});

test('status for a script has times that do not depend on when it is asked', () => {
  const text = renderStatus(sampleStatus(), plain);
  expect(text).toContain('blog     running  2026-01-02T03:04:05.000Z  4711');
  expect(text).toContain('next try, if somebody asks, at 2026-01-02T03:04:20.000Z');
});

test('colours come on a terminal only, and nothing that a service printed is one', () => {
  const ESC = String.fromCharCode(27);
  expect(renderStatus(sampleStatus(), plain)).not.toContain(ESC);
  const coloured = renderStatus(sampleStatus(), terminal);
  expect(coloured).toContain(`${ESC}[32mrunning${ESC}[0m`);
  expect(coloured).not.toContain(`${ESC}[2J`);
});

test('the columns stay aligned with colours', () => {
  const ESC = String.fromCharCode(27);
  const colours = new RegExp(`${ESC}\\[\\d+m`, 'g');
  const uncoloured = renderStatus(sampleStatus(), terminal).replace(colours, '');
  expect(uncoloured).toBe(renderStatus(sampleStatus(), person));
});

test('one service in detail', () => {
  const [blog, mail] = sampleStatus().services as [ServiceStatus, ServiceStatus];
  expect(renderService(blog, person)).toBe(
    `service      blog
state        running
since        12s ago
pid          4711
connections  2 open, 1 held
requests     1 in flight, 42 in all
starts       3, 0 failed
cold start   last 41 ms, median 40 ms, 99 % in 55 ms
last wake    connection on web from 127.0.0.1:53122, 12s ago
last exit    -
`,
  );
  expect(renderService(mail, person)).toContain(
    `last exit    exit code 1, 12s ago

mail failed: exit code 1 before it was ready; next try, if somebody asks, in 3s
  | loading
`,
  );
});

test('explain tells why a service is awake', () => {
  expect(renderExplanation(sampleExplanation(), person)).toBe(
    `blog is running for 12s, pid 4711
why
  It is awake: gateway main holds a lease.
leases
  HOLDER        SINCE  CONNECTIONS  REQUESTS
  gateway main  12s              2         1
idle
  stops in 9m, unless somebody asks for it
last wake
  connection on web from 127.0.0.1:53122, 12s ago
last exit
  never
isolation
  KIND      WHAT                 BY
  address   loopback of its own  net namespace
  identity  user 61184           no_new_privs
refused
  3 × backoff
last output
  | listening on 3000
`,
  );
});
