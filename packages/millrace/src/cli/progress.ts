import type { CommandIo } from './io.js'

/** A line on stderr that is redrawn while something takes long; nothing when stderr is no terminal. */
export class ProgressLine {
  readonly #io: CommandIo
  readonly #timer: NodeJS.Timeout | undefined

  /** @param describe  called twice a second, not before half a second has passed */
  constructor(io: CommandIo, describe: () => string) {
    this.#io = io
    if (!io.isTalkTerminal) return
    this.#timer = setInterval(() => io.talk(`\r\u001b[K${describe()}`), 500)
    this.#timer.unref()
  }

  /** Removes the line. */
  end(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#io.talk('\r\u001b[K')
  }
}
