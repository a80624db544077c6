import type { Service } from '../config/model.js';

/** A service, and those that have to be stopped before it. */
export interface StopStep {
  readonly name: string;
  readonly after: readonly string[];
}

type Reaching = Pick<Service, 'name' | 'reach'>;

/**
 * The order in which services are stopped: one that reaches another stops before that one, so that
 * it can use it to its end. Each step comes behind those that it waits for; a circle is cut where it
 * would close.
 */
export function stopOrder(services: Iterable<Reaching>): StopStep[] {
  const users = usersOf(services);
  const steps: StopStep[] = [];
  const seen = new Set<string>();
  for (const root of users.keys()) if (!seen.has(root)) visit(root);
  return steps;

  /** Depth first, with a stack of its own: chains may be long. */
  function visit(root: string): void {
    const path = new Map<string, { readonly after: string[]; readonly rest: string[] }>();
    const enter = (name: string) => {
      seen.add(name);
      path.set(name, { after: [], rest: [...(users.get(name) ?? [])] });
    };
    enter(root);
    const stack = [root];
    for (let name = stack.at(-1); name !== undefined; name = stack.at(-1)) {
      const visited = path.get(name);
      const user = visited?.rest.pop();
      if (user === undefined) {
        steps.push({ name, after: visited?.after ?? [] });
        path.delete(name);
        stack.pop();
      } else if (!path.has(user)) {
        visited?.after.push(user);
        if (seen.has(user)) continue;
        enter(user);
        stack.push(user);
      }
    }
  }
}

/** Who reaches each service. */
function usersOf(services: Iterable<Reaching>): Map<string, string[]> {
  const all = [...services];
  const users = new Map(all.map(({ name }) => [name, [] as string[]]));
  for (const { name, reach } of all)
    for (const target of Object.keys(reach)) users.get(target)?.push(name);
  return users;
}

/** How long it takes at most, in milliseconds, when each step takes what `stepMs` says. */
export function longestStopMs(
  steps: readonly StopStep[],
  stepMs: (name: string) => number,
): number {
  const endMs = new Map<string, number>();
  for (const { name, after } of steps) {
    const beginMs = Math.max(0, ...after.map((user) => endMs.get(user) ?? 0));
    endMs.set(name, beginMs + stepMs(name));
  }
  return Math.max(0, ...endMs.values());
}
