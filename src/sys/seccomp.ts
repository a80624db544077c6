import { checked, NativeMemory, syscall } from './libc.js';

/**
 * The system-call filter of everything that the launcher starts: it takes away what servers never
 * need, most of all ways into parts of the kernel that have had holes. Classic BPF, as seccomp(2)
 * takes it; calls that are allowed whatever their arguments cost nothing from Linux 5.11 on, which
 * remembers them in a bitmap. A filter is inherited and can't be taken off.
 */

type Arch = 'x64' | 'arm64';

/** Refuses depending on the low 32 bits of an argument: the kernel looks at no more of these. */
type When =
  | { readonly argument: number; readonly hasAnyOf: number }
  | { readonly argument: number; readonly isOneOf: readonly number[] }
  | { readonly argument: number; readonly isNoneOf: readonly number[] };

interface Rule {
  readonly call: string;
  /** Numbers of the call; null: this architecture has none such. */
  readonly x64: number | null;
  readonly arm64: number | null;
  /** Default EPERM. */
  readonly errno?: number;
  readonly when?: When;
}

const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** CLONE_NEW* of clone(2): cgroup, uts, ipc, user, pid, net and mount namespaces. */
const CLONE_NAMESPACES = 0x7e020000;
/** unshare(2) has time namespaces too; in clone(2) the bit belongs to the exit signal. */
const CLONE_NEWTIME = 0x80;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
/** Unix, IPv4, IPv6, netlink. Others lead past network namespaces (vsock: to the hypervisor) or into rare code. */
const FAMILIES = [0, 1, 2, 10, 16];
/** Linux itself, and the question what is set. */
const PERSONALITIES = [0, 0xffffffff];

/** From 424 on numbers are the same everywhere. */
const common = (call: string, number: number): Rule => ({ call, x64: number, arm64: number });

const RULES: readonly Rule[] = [
  { call: 'init_module', x64: 175, arm64: 105 },
  { call: 'finit_module', x64: 313, arm64: 273 },
  { call: 'delete_module', x64: 176, arm64: 106 },
  { call: 'kexec_load', x64: 246, arm64: 104 },
  { call: 'kexec_file_load', x64: 320, arm64: 294 },
  { call: 'mount', x64: 165, arm64: 40 },
  { call: 'umount2', x64: 166, arm64: 39 },
  { call: 'pivot_root', x64: 155, arm64: 41 },
  common('open_tree', 428),
  common('move_mount', 429),
  common('fsopen', 430),
  common('fsconfig', 431),
  common('fsmount', 432),
  common('fspick', 433),
  common('mount_setattr', 442),
  common('open_tree_attr', 467),
  { call: 'ptrace', x64: 101, arm64: 117 },
  { call: 'process_vm_readv', x64: 310, arm64: 270 },
  { call: 'process_vm_writev', x64: 311, arm64: 271 },
  { call: 'kcmp', x64: 312, arm64: 272 },
  common('pidfd_getfd', 438),
  { call: 'bpf', x64: 321, arm64: 280 },
  { call: 'perf_event_open', x64: 298, arm64: 241 },
  { call: 'userfaultfd', x64: 323, arm64: 282 },
  { call: 'add_key', x64: 248, arm64: 217 },
  { call: 'request_key', x64: 249, arm64: 218 },
  { call: 'keyctl', x64: 250, arm64: 219 },
  { call: 'clock_settime', x64: 227, arm64: 112 },
  { call: 'clock_adjtime', x64: 305, arm64: 266 },
  { call: 'settimeofday', x64: 164, arm64: 170 },
  { call: 'adjtimex', x64: 159, arm64: 171 },
  { call: 'swapon', x64: 167, arm64: 224 },
  { call: 'swapoff', x64: 168, arm64: 225 },
  { call: 'reboot', x64: 169, arm64: 142 },
  { call: 'acct', x64: 163, arm64: 89 },
  { call: 'quotactl', x64: 179, arm64: 60 },
  common('quotactl_fd', 443),
  { call: 'open_by_handle_at', x64: 304, arm64: 265 },
  { call: 'fanotify_init', x64: 300, arm64: 262 },
  { call: 'lookup_dcookie', x64: 212, arm64: 18 },
  { call: 'vhangup', x64: 153, arm64: 58 },
  { call: 'syslog', x64: 103, arm64: 116 },
  { call: 'iopl', x64: 172, arm64: null },
  { call: 'ioperm', x64: 173, arm64: null },
  {
    call: 'unshare',
    x64: 272,
    arm64: 97,
    when: { argument: 0, hasAnyOf: CLONE_NAMESPACES | CLONE_NEWTIME },
  },
  { call: 'clone', x64: 56, arm64: 220, when: { argument: 0, hasAnyOf: CLONE_NAMESPACES } },
  // Its flags are behind a pointer, where no filter sees them; C libraries and runtimes then use clone.
  { ...common('clone3', 435), errno: ENOSYS },
  { call: 'personality', x64: 135, arm64: 92, when: { argument: 0, isNoneOf: PERSONALITIES } },
  { call: 'ioctl', x64: 16, arm64: 29, when: { argument: 1, isOneOf: [TIOCSTI, TIOCLINUX] } },
  {
    call: 'socket',
    x64: 41,
    arm64: 198,
    errno: EAFNOSUPPORT,
    when: { argument: 0, isNoneOf: FAMILIES },
  },
];

/** For processes that have CPUs of their own where no cpuset holds them there. */
const PINNED_RULES: readonly Rule[] = [{ call: 'sched_setaffinity', x64: 203, arm64: 122 }];

export type FilterKind =
  | 'standard'
  /** Moreover nothing may choose other CPUs for itself. */
  | 'pinned';

const AUDIT_ARCH: Readonly<Record<Arch, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };
/** Numbers from here on are calls of the x32 ABI (syscall(2)). */
const X32_BIT = 0x40000000;
const OFFSET_NUMBER = 0;
const OFFSET_ARCH = 4;
const OFFSET_ARGUMENTS = 16;

const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const FAIL = 0x00050000;

/** One instruction: operation, value, and how many to skip if true and if false. */
type Instruction = readonly [code: number, k: number, ifTrue: number, ifFalse: number];

const give = (value: number): Instruction => [RETURN, value, 0, 0];
const load = (offset: number): Instruction => [LOAD, offset, 0, 0];

function instructionsFor(rule: Rule, number: number): Instruction[] {
  const refuse = give(FAIL | (rule.errno ?? EPERM));
  const body = rule.when ? conditional(rule.when, refuse) : [refuse];
  return [[JUMP_EQUAL, number, 0, body.length], ...body];
}

function conditional(when: When, refuse: Instruction): Instruction[] {
  const argument = load(OFFSET_ARGUMENTS + 8 * when.argument);
  const allow = give(ALLOW);
  if ('hasAnyOf' in when) return [argument, [JUMP_ANY_BIT, when.hasAnyOf, 0, 1], refuse, allow];
  const [values, found, else_] =
    'isOneOf' in when ? [when.isOneOf, refuse, allow] : [when.isNoneOf, allow, refuse];
  const tests = values.flatMap((value): Instruction[] => [[JUMP_EQUAL, value, 0, 1], found]);
  return [argument, ...tests, else_];
}

function isKnown(arch: string): arch is Arch {
  return Object.hasOwn(AUDIT_ARCH, arch);
}

/** The filter as `struct sock_filter`s; null where nobody wrote down this architecture's calls. */
export function assembleFilter(kind: FilterKind, arch: string): Buffer | null {
  if (!isKnown(arch)) return null;
  const rules = kind === 'pinned' ? [...RULES, ...PINNED_RULES] : RULES;
  const program: Instruction[] = [
    load(OFFSET_ARCH),
    [JUMP_EQUAL, AUDIT_ARCH[arch], 1, 0],
    give(KILL_PROCESS),
    load(OFFSET_NUMBER),
    ...(arch === 'x64'
      ? ([[JUMP_AT_LEAST, X32_BIT, 0, 1], give(FAIL | ENOSYS)] as Instruction[])
      : []),
    ...rules.flatMap((rule) => {
      const number = rule[arch];
      return number === null ? [] : instructionsFor(rule, number);
    }),
    give(ALLOW),
  ];
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, k, ifTrue, ifFalse]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  }
  return bytes;
}

const SYS_SECCOMP = process.arch === 'arm64' ? 277 : 317;
const SECCOMP_SET_MODE_FILTER = 1;

/**
 * Puts the calling thread under the filter, for good, with all that it will start. It must have
 * no_new_privs. Throws a `SystemError` where the kernel has no filters.
 */
export function installFilter(filter: Buffer): void {
  const program = new NativeMemory(filter.length);
  const header = new NativeMemory(16);
  filter.copy(program.bytes);
  header.bytes.writeUInt16LE(filter.length / 8, 0);
  header.bytes.writeBigUInt64LE(program.address, 8);
  try {
    const result = syscall(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, 0, header.address, 0);
    checked(Number(result), 'install a system-call filter');
  } finally {
    program.release();
    header.release();
  }
}
