import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A node process that takes and gives one JSON value a line. */
export class LineChild {
  readonly process: ChildProcess
  readonly exited: Promise<Exit>
  /** It has ended, and all that it wrote has been read. */
  readonly closed: Promise<void>
  /** Everything on stderr, and lines of stdout that are not JSON. */
  log = ''
  readonly #lines: unknown[] = []
  readonly #answers = new Map<unknown, { found: (line: unknown) => void; lost: (error: Error) => void }>()
  readonly #waiters: { matches: (line: unknown) => boolean; found: (line: unknown) => void }[] = []

  constructor(script: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.process = spawn(process.execPath, [script, ...args], {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.exited = new Promise(resolve => this.process.once('exit', (code, signal) => resolve({ code, signal })))
    this.closed = new Promise(resolve => this.process.once('close', () => resolve()))
    void this.closed.then(() => {
      for (const { lost } of this.#answers.values()) lost(new Error('the child ended before it answered'))
      this.#answers.clear()
    })
    this.process.stderr?.on('data', (chunk: Buffer) => (this.log += chunk.toString()))
    this.process.stdin?.on('error', () => undefined)
    createInterface({ input: this.process.stdout as NodeJS.ReadableStream }).on('line', text => this.#take(text))
  }

  send(value: unknown): void {
    this.process.stdin?.write(`${JSON.stringify(value)}\n`)
  }

  /** The first line, past or future, that matches and was not returned before. */
  async line<T>(matches: (line: Record<string, unknown>) => boolean, timeoutMs = 20_000): Promise<T> {
    const test = (line: unknown) =>
      typeof line === 'object' && line !== null && matches(line as Record<string, unknown>)
    const index = this.#lines.findIndex(test)
    if (index >= 0) return this.#lines.splice(index, 1)[0] as T
    return new Promise<T>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${why}; its log:\n${this.log.slice(-4000)}`))
      const timer = setTimeout(() => fail(`the child did not answer in ${timeoutMs} ms`), timeoutMs)
      void this.closed.then(() => {
        clearTimeout(timer)
        fail(`the child ended (${this.process.signalCode ?? this.process.exitCode}) before it answered`)
      })
      this.#waiters.push({
        matches: test,
        found: line => {
          clearTimeout(timer)
          resolve(line as T)
        },
      })
    })
  }

  /** The line whose `id` this is; rejects when the process ends without it. Any number may be waited for. */
  answer<T>(id: number): Promise<T> {
    return new Promise<T>((found, lost) => {
      this.#answers.set(id, { found: line => found(line as T), lost })
    })
  }

  /** Waits until the process has ended by itself. */
  async ended(timeoutMs = 30_000): Promise<Exit> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`the child did not end in ${timeoutMs} ms; its log:\n${this.log.slice(-4000)}`)),
        timeoutMs,
      )
      void this.exited.then(exit => {
        clearTimeout(timer)
        resolve(exit)
      })
    })
  }

  async kill(): Promise<Exit> {
    this.process.kill('SIGKILL')
    return this.exited
  }

  #take(text: string): void {
    let line: unknown
    try {
      line = JSON.parse(text)
    } catch {
      // Not an answer but a message for people.
      this.log += `${text}\n`
      return
    }
    const id = typeof line === 'object' && line !== null && 'id' in line ? line.id : undefined
    const asked = this.#answers.get(id)
    if (asked) {
      this.#answers.delete(id)
      asked.found(line)
      return
    }
    const index = this.#waiters.findIndex(waiter => waiter.matches(line))
    if (index >= 0) this.#waiters.splice(index, 1)[0]?.found(line)
    else this.#lines.push(line)
  }
}
