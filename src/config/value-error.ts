/** A value of the configuration can't be used; `message` says why and what to write instead. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}
