import { expect, test } from 'vitest';
import { renderDemoLines } from '../../src/app/demo-lines.js';
import { configFromObject } from '../../src/config/load.js';
import type { Status } from '../../src/ipc/admin-api.js';

function linesOf(value: unknown, addresses: Record<string, string[]>): string[] {
  const result = configFromObject(value, '/');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const listeners = Object.entries(addresses).map(([name, list]) => ({ name, addresses: list }));
  return renderDemoLines(result.config, { listeners } as unknown as Status);
}

const run = { command: ['/bin/cat'] };

test('for each service a command that wakes it is shown', () => {
  const value = {
    listeners: {
      web: { address: '0.0.0.0:0', protocol: 'http' },
      secure: { address: '[::1]:0', protocol: 'tls' },
      plain: { address: ['127.0.0.2:0', '127.0.0.3:0'], protocol: 'tcp' },
      local: { address: 'unix:/run/app.sock', protocol: 'tcp' },
    },
    services: {
      blog: { routes: [{ host: 'blog.localhost' }], run, upstream: 'tcp:3000' },
      api: { routes: [{ host: '*.localhost' }], run, upstream: 'tcp:3000' },
      mail: { routes: [{ sni: 'mail.localhost' }], run, upstream: 'tcp:3000' },
      three: { routes: [{ listener: 'plain', destination: '127.0.0.3' }], run, upstream: 'stdio' },
      local: { routes: [{ listener: 'local' }], run, upstream: 'stdio' },
    },
  };
  const lines = linesOf(value, {
    web: ['0.0.0.0:8080'],
    secure: ['[::1]:8443'],
    plain: ['127.0.0.2:9000', '127.0.0.3:9001'],
    local: ['/run/app.sock'],
  });
  expect(lines.filter((line) => line.startsWith('  '))).toEqual([
    "  blog   curl -H 'Host: blog.localhost' http://127.0.0.1:8080/",
    "  api    curl -H 'Host: any.localhost' http://127.0.0.1:8080/",
    '  mail   openssl s_client -connect [::1]:8443 -servername mail.localhost',
    '  three  nc 127.0.0.3 9001',
    '  local  nc -U /run/app.sock',
  ]);
});

test('two hundred services fill no terminal', () => {
  const names = Array.from({ length: 200 }, (_, index) => `s${index}`);
  const services = names.map((name) => [
    name,
    { routes: [{ host: `${name}.localhost` }], run, upstream: 'tcp:80' },
  ]);
  const value = {
    listeners: { web: { address: '127.0.0.1:0', protocol: 'http' } },
    services: Object.fromEntries(services),
  };
  const lines = linesOf(value, { web: ['127.0.0.1:8080'] });
  expect(lines.length).toBeLessThan(24);
  expect(lines).toContain('  … and 184 more');
});
