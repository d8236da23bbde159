import type { Key } from '../key.js'
import type { WindowStore } from '../stores/window-store.js'

/** Wake-ups by time and key, kept with the state. Several at one time for a key are one. */
export class Timers {
  readonly #store: WindowStore<1>
  /** Time of the one being fired: its window takes no new entries. */
  #firing = Number.NEGATIVE_INFINITY

  constructor(store: WindowStore<1>) {
    this.#store = store
  }

  /** Times that have been fired already become the next millisecond after them. */
  set(time: number, key: Key): void {
    const entry = this.#store.entry(Math.max(time, this.#firing + 1), key)
    if (entry.state !== undefined) return
    entry.state = 1
    this.#store.touch(entry)
  }

  clear(time: number, key: Key): void {
    this.#store.delete(time, key)
  }

  /** The next timer at or before `until`, taken out. */
  take(until: number): { readonly start: number; readonly key: Key } | undefined {
    for (;;) {
      const first = this.#store.firstStart
      if (first === undefined || first > until) return undefined
      const taken = this.#store.takeFirst()
      if (taken === undefined) continue
      this.#firing = taken.start
      return taken
    }
  }
}
