import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

/** What a child printed, for the message of a failed test: the last lines only. */
const OUTPUT_LINES_MAX = 40

const running = new Set<ChildProcess>()
const servers = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A program under test or the client that tests it: its lines, its end, and what to say when it goes wrong. */
export class Child {
  readonly #process: ChildProcess
  readonly #command: string
  readonly #output: string[] = []
  readonly #lines: string[] = []
  readonly #ended: Promise<number | string>
  #wake: () => void = () => {}

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#command = [command, ...args].join(' ')
    this.#process = spawn(command, args, { stdio: 'pipe', env: { ...process.env, ...env } })
    running.add(this.#process)
    const keep = (line: string) => {
      this.#output.push(line)
      if (this.#output.length > OUTPUT_LINES_MAX) this.#output.shift()
    }
    createInterface({ input: this.#process.stdout! }).on('line', line => {
      keep(line)
      this.#lines.push(line)
      this.#wake()
    })
    createInterface({ input: this.#process.stderr! }).on('line', keep)
    this.#process.stdin!.on('error', () => {}) // a child that ended early is reported by its exit, not by the pipe
    this.#ended = new Promise(resolve => {
      this.#process.once('error', error => resolve(error.message))
      this.#process.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    })
    void this.#ended.then(() => {
      running.delete(this.#process)
      this.#wake()
    })
  }

  /** Writes one line to the child's standard input. */
  tell(line: string): void {
    this.#process.stdin!.write(`${line}\n`)
  }

  /** The next line the child prints that `matches`; lines before it are dropped. */
  async line(matches: (line: string) => boolean, deadlineMs: number): Promise<string> {
    const deadline = Date.now() + deadlineMs
    for (;;) {
      for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
        if (matches(line)) return line
      }
      const left = deadline - Date.now()
      if (left <= 0) throw this.failure(`printed no such line in ${deadlineMs} ms`)
      if (!running.has(this.#process)) throw this.failure('ended before it printed the line')
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Waits for the end; anything but exit code 0 in time is an error with the child's last lines. */
  async end(deadlineMs: number): Promise<void> {
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), deadlineMs)
    const code = await this.#ended
    clearTimeout(timer)
    if (code !== 0) throw this.failure(`ended with ${code}`)
  }

  /** Closes standard input, which asks a consumer to leave in good order, and waits for its end. */
  leave(deadlineMs: number): Promise<void> {
    this.#process.stdin!.end()
    return this.end(deadlineMs)
  }

  /** Keeps it from being killed with the clients that a failed test left behind. */
  asServer(): this {
    servers.add(this.#process)
    return this
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    this.#process.kill(name)
  }

  failure(what: string): Error {
    return new Error(`${this.#command}\n${what}; its last lines:\n${this.#output.join('\n')}`)
  }
}

/** Kills the clients that a failed test left behind. */
export async function killChildren(): Promise<void> {
  const left = [...running].filter(child => !servers.has(child))
  await Promise.all(left.map(child => new Promise(resolve => child.once('close', resolve).kill('SIGKILL'))))
}

/** Runs a program to its end; its standard output. */
export async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>>; timeoutMs: number },
): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [...args], {
    ...(options.cwd ? { cwd: options.cwd } : {}),
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs,
    maxBuffer: 16 * 1024 * 1024,
  })
  return stdout
}

/** Waits until `holds`, asking every 50 ms; `what` names what was missing when the time is up. */
export async function until(holds: () => boolean | Promise<boolean>, deadlineMs: number, what: () => string) {
  const deadline = Date.now() + deadlineMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`after ${deadlineMs} ms: ${what()}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
