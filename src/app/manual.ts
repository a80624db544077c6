/** The words of a command's help; its options stand where they are defined. */
export interface Manual {
  /** One line, as after the dash of a man page's NAME. */
  readonly summary: string;
  /** What follows the command's name, one line for each form. */
  readonly synopsis: readonly string[];
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly exitStatus?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  /** A command line and what it does. */
  readonly examples: readonly (readonly [string, string])[];
}

const CONFIG_FILE = { '/etc/rouse/rouse.yaml': 'The configuration, where -c names no other.' };
const RUNTIME_FILES = {
  '/run/rouse':
    'The runtime directory of root, with the admin socket admin.sock. For other users it is ' +
    '$XDG_RUNTIME_DIR/rouse. RUNTIME_DIRECTORY and --runtime-dir win over both.',
};
const STATE_FILES = {
  '/var/lib/rouse':
    'The state directory of root, with what services printed. For other users it is ' +
    '$XDG_STATE_HOME/rouse. STATE_DIRECTORY and --state-dir win over both.',
};

export const PROGRAM_MANUAL: Manual = {
  summary: 'start servers when somebody connects, stop them when nobody does',
  synopsis: ['COMMAND [OPTIONS]'],
  description: [
    'rouse owns the listening sockets of a host. It works out which service a connection is for ' +
      '(by destination address, by HTTP Host, by TLS server name), starts that service in ' +
      'namespaces of its own, relays the connection, and freezes or stops the service when ' +
      'nobody has used it for a while.',
    'Each command has a page of its own: rouse COMMAND --help.',
  ],
  files: { ...CONFIG_FILE, ...RUNTIME_FILES, ...STATE_FILES },
  examples: [
    [
      'rouse run -l 127.0.0.1:8080 --upstream tcp:3000 -- node server.js',
      'Starts the server at the first request to port 8080.',
    ],
    ['rouse check && rouse serve', 'Looks for errors in the configuration, then runs it.'],
    ['rouse status', 'Shows what runs and what sleeps.'],
  ],
};

export const MANUALS = {
  serve: {
    summary: 'run the services of a configuration in the foreground',
    synopsis: ['[-c FILE] [OPTIONS]'],
    description: [
      'Takes the listening sockets and starts each service when somebody asks for it. Tells the ' +
        'service manager on NOTIFY_SOCKET when every listener takes connections, what is awake, ' +
        'that it reloads or stops, and, where WATCHDOG_USEC is set, that all is well.',
      'SIGHUP reloads the configuration; one that is wrong changes nothing. SIGTERM lets open ' +
        'connections finish, for drain_timeout at most, and stops services, those that reach ' +
        'others first; a second one stops at once. On a terminal, so do Ctrl-C and closing the ' +
        'terminal.',
      'The log goes to standard error: JSON lines, or readable ones on a terminal. Under systemd it ' +
        'goes to the journal, with the fields SERVICE, LISTENER, SOURCE, GATEWAY, EVENT and others; ' +
        'so does what services print, each line with its SERVICE.',
    ],
    exitStatus: { 1: 'The configuration is wrong, or an address or an isolation cannot be had.' },
    files: { ...CONFIG_FILE, ...RUNTIME_FILES, ...STATE_FILES },
    examples: [
      ['rouse serve', 'Runs /etc/rouse/rouse.yaml.'],
      ['rouse serve -c demo.yaml --runtime-dir /tmp/demo', 'Runs another beside it.'],
    ],
  },
  run: {
    summary: 'run one service without a configuration',
    synopsis: ['-l ADDRESS [-l ADDRESS...] [OPTIONS] -- COMMAND [ARGUMENT...]'],
    description: [
      'Listens on ADDRESS and starts COMMAND when somebody connects. Everything after -- belongs ' +
        'to the command. It runs in namespaces of its own as far as they can be had here, in the ' +
        'current directory, with the PATH of the caller and nothing else of its environment.',
      'Say with --upstream where the server takes connections. Without it the server inherits a ' +
        'listening socket as descriptor 3, with LISTEN_FDS=1, as from systemd. A program that ' +
        'speaks on standard input and output (inetd nowait) needs --upstream stdio.',
      'Runtime and state directories are temporary, and gone at the end, unless given.',
    ],
    files: {},
    examples: [
      [
        'rouse run -l 127.0.0.1:8080 --upstream tcp:3000 -- node server.js',
        'Relays to port 3000 of the server, which it starts at the first connection and stops ' +
          'five minutes after the last.',
      ],
      [
        'rouse run -l 127.0.0.1:8080 --protocol http --upstream tcp:3000 --idle 10s -- node server.js',
        'The same request by request: an open connection without one keeps nothing awake.',
      ],
      ['rouse run -l 127.0.0.1:7 --upstream stdio -- cat', 'An echo server.'],
    ],
  },
  check: {
    summary: 'find every error in a configuration',
    synopsis: ['[-c FILE]'],
    description: [
      'Prints every error with file, line and column, also files, users and commands that are ' +
        'not there; then what this machine can isolate and limit, and by what, found by trying. ' +
        'Starts no service.',
    ],
    exitStatus: { 1: 'There are errors, or something required cannot be enforced here.' },
    files: CONFIG_FILE,
    examples: [['rouse check -c demo.yaml', 'Says demo.yaml: ok, or what is wrong with it.']],
  },
  status: {
    summary: 'show what runs and what sleeps',
    synopsis: ['[SERVICE] [--json]'],
    description: [
      'Shows services, listeners and gateways, or one service in detail. OPEN counts relayed ' +
        'connections, HELD those that wait for the service; COLD START is the median from ' +
        'demand to readiness.',
    ],
    exitStatus: { 1: 'Nothing answers, or there is no such service.' },
    files: RUNTIME_FILES,
    examples: [
      ['rouse status blog', 'Shows the service blog.'],
      ["rouse status --json | jq '.services[].state'", 'For scripts: times are ISO 8601 in UTC.'],
    ],
  },
  wake: {
    summary: 'start or thaw a service',
    synopsis: ['SERVICE [--no-wait]'],
    description: [
      'Returns when the service is ready, or has failed. After failures it starts the service ' +
        'at once, without the pause that clients have to wait for.',
    ],
    exitStatus: { 1: 'The service did not start.' },
    files: RUNTIME_FILES,
    examples: [['rouse wake blog', 'Starts blog before the first visitor comes.']],
  },
  sleep: {
    summary: 'stop a service until somebody asks for it again',
    synopsis: ['SERVICE [--force]'],
    description: ['Refuses while connections are open, and says how many there are.'],
    exitStatus: { 1: 'Connections are open.' },
    files: RUNTIME_FILES,
    examples: [['rouse sleep blog --force', 'Closes its connections and stops it.']],
  },
  freeze: {
    summary: 'freeze a service until somebody asks for it again',
    synopsis: ['SERVICE'],
    description: [
      'Its processes keep their memory and get no processor time. Refuses while connections are ' +
        'open, and where the service does not run.',
    ],
    exitStatus: { 1: 'Connections are open, or the service does not run.' },
    files: RUNTIME_FILES,
    examples: [['rouse freeze blog', 'Freezes blog; the next request thaws it.']],
  },
  restart: {
    summary: 'stop a service and start it',
    synopsis: ['SERVICE'],
    description: ['Closes its connections. Returns when the service is ready, or has failed.'],
    exitStatus: { 1: 'The service did not start.' },
    files: RUNTIME_FILES,
    examples: [['rouse restart blog', 'Starts blog with its present settings.']],
  },
  hold: {
    summary: 'keep a service awake',
    synopsis: ['SERVICE [--for DURATION]', 'SERVICE --release'],
    description: [
      'Starts or thaws the service and keeps it from going idle, for the time given or until ' +
        'released. It ends when the service stops, however that comes about. A service with ' +
        'idle.hold does the same for itself with a datagram ROUSE_HOLD=1, and ends it with ' +
        'ROUSE_HOLD=0, on the socket that NOTIFY_SOCKET names.',
    ],
    exitStatus: { 1: 'The service did not start.' },
    files: RUNTIME_FILES,
    examples: [['rouse hold blog --for 1h', 'For a migration that nobody connects for.']],
  },
  set: {
    summary: 'change the limits of a service without a restart',
    synopsis: ['SERVICE KEY=VALUE [KEY=VALUE...]'],
    description: [
      'KEY is memory, cpu, tasks or io, as in the resources of the configuration; the value none ' +
        'takes a limit away. It holds at once and for later starts, until the configuration is ' +
        'read again.',
    ],
    exitStatus: { 1: 'Such a limit cannot be had on this machine.' },
    files: RUNTIME_FILES,
    examples: [['rouse set blog memory=512M cpu=50%', 'Gives blog half a CPU and 512 MiB.']],
  },
  explain: {
    summary: 'say why a service is awake or asleep',
    synopsis: ['SERVICE [--isolation]'],
    description: [
      'Shows who holds it awake, with how many connections and requests, who woke it last, when ' +
        'it freezes or stops, what isolates it, what was refused, how it ended last and what it ' +
        'said.',
    ],
    files: RUNTIME_FILES,
    examples: [
      ['rouse explain blog', 'Answers: why does blog not go to sleep?'],
      ['rouse explain blog --isolation', 'What is enforced for it on this machine, and by what.'],
    ],
  },
  logs: {
    summary: 'show what a service printed',
    synopsis: ['SERVICE [-f] [-n LINES]'],
    description: ['Also of services that have stopped: the last of it is kept in files.'],
    files: { ...RUNTIME_FILES, ...STATE_FILES },
    examples: [['rouse logs blog -f -n 20', 'Shows 20 lines, then what comes.']],
  },
  reload: {
    summary: 'read the configuration again',
    synopsis: [''],
    description: [
      'As SIGHUP. The configuration is read whole, then put in place in one step; a wrong one ' +
        'changes nothing. A changed service that is awake takes its new settings at its next ' +
        'start. Prints what changed. Where another version of rouse was installed since it was ' +
        'started, it becomes that one: see rouse upgrade.',
    ],
    exitStatus: { 1: 'The configuration is wrong; the old one stays.' },
    files: RUNTIME_FILES,
    examples: [['rouse check && rouse reload', 'Puts an edited configuration in place.']],
  },
  upgrade: {
    summary: 'become the installed version, in place',
    synopsis: [''],
    description: [
      'After another version of rouse was installed: the running one becomes that, without an end ' +
        'of anything. Its process id, services, listening sockets and counters stay, no connection ' +
        'is refused or broken, and clients who wait for a service go on waiting. New gateways take ' +
        'the new connections; those that were open go on in the old gateways, for as long as ' +
        'upgrade_timeout says. A reload does the same where it finds another version installed.',
      'The new version is asked first: it must start, accept the configuration and be able to take ' +
        'over. Where it does not, or rouse does not come to rest within 5 s, nothing changes. Services ' +
        'that run without isolation would not survive: then the upgrade is refused. Streams of ' +
        'rouse logs -f end.',
      'Returns when the new version serves; prints what has changed in the configuration, which is ' +
        'read again.',
    ],
    exitStatus: {
      1: 'The old version goes on, or only part of the new one serves; it says which.',
    },
    files: RUNTIME_FILES,
    examples: [
      [
        'npm install -g rouse && rouse upgrade',
        'Installs the latest version and puts it in place.',
      ],
    ],
  },
  'install-units': {
    summary: 'install units for systemd',
    synopsis: ['[--write | --remove] [--directory DIR]'],
    description: [
      'Shows the units rouse.service, rouse@.service and rouse.socket as they would be written for ' +
        'this installation, and where; writes nothing without --write. The Debian package brings ' +
        'its own: this is for npm install -g.',
      'rouse@NAME.service runs /etc/rouse/NAME.yaml beside others. Files that this command did not ' +
        'write are never replaced; your own settings belong into drop-ins (systemctl edit).',
    ],
    exitStatus: { 1: 'A unit could not be written, or a foreign file stands in its place.' },
    files: { '/etc/systemd/system': 'Where the units go, unless --directory says otherwise.' },
    examples: [
      ['rouse install-units | less', 'Shows what would be written.'],
      ['rouse install-units --write && systemctl enable --now rouse', 'Installs and starts it.'],
    ],
  },
  schema: {
    summary: 'print the JSON Schema of the configuration',
    synopsis: [''],
    description: ['Editors complete and check keys with it.'],
    files: {},
    examples: [['rouse schema > rouse.schema.json', 'For the YAML plug-in of an editor.']],
  },
  version: {
    summary: 'print the version',
    synopsis: [''],
    description: ['As rouse --version.'],
    files: {},
    examples: [],
  },
} as const satisfies Record<string, Manual>;

export type CommandName = keyof typeof MANUALS;
