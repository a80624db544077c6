/** Prints a line about what a script does or found out. */
export function say(text = '') {
  process.stdout.write(`${text}\n`);
}

/** Prints why a script can't go on and what to do, and ends it. */
export function giveUp(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
