const LINES_BETWEEN_MS = 2000
const REDRAW_MS = 250

/** Shows text that changes: redrawn in place on a terminal; elsewhere its status line from time to time, and all of it at the end. */
export class Screen {
  readonly #isTerminal = process.stdout.isTTY === true
  readonly #status: () => string
  readonly #table: () => readonly string[]
  readonly #timer: NodeJS.Timeout
  #drawnLines = 0
  #lastStatus = ''

  constructor(status: () => string, table: () => readonly string[]) {
    this.#status = status
    this.#table = table
    this.#timer = setInterval(() => this.#show(), this.#isTerminal ? REDRAW_MS : LINES_BETWEEN_MS)
  }

  /** Shows everything once more and for good. */
  end(): void {
    clearInterval(this.#timer)
    if (this.#isTerminal) this.#show()
    else process.stdout.write(`${[this.#status(), ...this.#table()].join('\n')}\n`)
  }

  #show(): void {
    const status = this.#status()
    if (!this.#isTerminal) {
      if (status !== this.#lastStatus) process.stdout.write(`${status}\n`)
      this.#lastStatus = status
      return
    }
    const width = process.stdout.columns || 80
    const lines = [status, ...this.#table()].map(line => line.slice(0, width - 1))
    const back = this.#drawnLines > 0 ? `\u001b[${this.#drawnLines}F` : ''
    process.stdout.write(`${back}${lines.map(line => `\u001b[K${line}\n`).join('')}\u001b[J`)
    this.#drawnLines = lines.length
  }
}
