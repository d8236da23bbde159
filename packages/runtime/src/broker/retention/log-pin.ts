/**
 * Part of the log that somebody still needs, between retention and them: retention says how far it would like to
 * delete, the other side moves what is pending there and says how far the log is free.
 */
export class LogPin {
  /** Log position that retention wants to delete up to. */
  wanted = 0
  /** Log position before which nothing is needed any more. */
  freeTo = 0

  /** @param isEmpty  nothing at all is pending. */
  constructor(private readonly isEmpty: () => boolean) {}

  /** Takes note of what retention wants; returns the first position that must stay. */
  keepFrom(wanted: number): number {
    this.wanted = wanted
    return this.isEmpty() ? Number.MAX_SAFE_INTEGER : this.freeTo
  }
}
