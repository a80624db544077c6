/** As many names as the row with many has; the one that it is compared with has ten. */
export const MANY_NAMES = 100_000;

const SERVICES = 10;

/** Name N, which is for service N modulo the number of services. */
export const hostOf = (index) => `site${index}.bench.example`;

export const makeHosts = (count) => Array.from({ length: count }, (_, index) => hostOf(index));

/** A row with as many names for ten services. */
export const withNames = (row, names) => ({
  ...row,
  hosts: makeHosts(names),
  services: SERVICES,
  load: { ...row.load, names },
});
