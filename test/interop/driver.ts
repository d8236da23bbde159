import type { Child } from './children.js'
import { java } from './clients.js'
import { ClientStartError } from './report.js'
import type { Target } from './targets.js'

/** Cases take longer than this only when something hangs; the case then says what it waited for. */
const CASE_MS = 170_000

/** One JVM that runs cases of java/ (`Driver`), many at a time, since each JVM costs seconds of processor time. */
export class Driver {
  readonly #child: Child
  readonly #waiting = new Map<string, (answer: string) => void>()
  #ids = 0

  /** @param flags system properties that are the same for all its cases: binary headers, for one. */
  constructor(home: string, flags: readonly string[] = []) {
    const waits = ['-Drocketmq.client.rebalance.waitInterval=1000', '-Drocketmq.client.rebalance.minInterval=300']
    this.#child = java('Driver', [], home, ['-Xmx400m', ...waits, ...flags]).asServer()
    void this.#listen()
  }

  /** Runs one case against one broker: what it has to say; throws what it found. */
  async run(name: string, target: Target, ...words: string[]): Promise<string> {
    const id = String(++this.#ids)
    const answer = await new Promise<string>(resolve => {
      const timer = setTimeout(
        () => resolve(`failed ${JSON.stringify(`${name}: no answer in ${CASE_MS} ms`)}`),
        CASE_MS,
      )
      this.#waiting.set(id, text => {
        clearTimeout(timer)
        resolve(text)
      })
      this.#child.tell([id, name, target.nameServer, target.broker, ...words].join('\t'))
    })
    this.#waiting.delete(id)
    if (answer === 'ended') throw new ClientStartError(this.#child.failure('ended').message)
    const said = JSON.parse(answer.slice(answer.indexOf(' ') + 1)) as string
    if (answer.startsWith('ok ')) return said
    // The client's first connection failed: it is not yet the broker's doing.
    throw /RemotingConnectException|RemotingSendRequestException: send request to/.test(said)
      ? new ClientStartError(said)
      : new Error(said)
  }

  /** Runs a verb of mqadmin: what it printed. */
  mqadmin(target: Target, verb: readonly string[], user: readonly [string, string] = ['-', '-']): Promise<string> {
    return this.run('mqadmin', target, ...user, ...verb)
  }

  close(): Promise<void> {
    return this.#child.leave(30_000)
  }

  async #listen(): Promise<void> {
    try {
      for (;;) {
        const line = await this.#child.line(text => /^\d+ (ok|failed) ?/.test(text), 2 ** 31 - 1)
        const space = line.indexOf(' ')
        this.#waiting.get(line.slice(0, space))?.(line.slice(space + 1))
      }
    } catch {
      for (const answer of this.#waiting.values()) answer('ended')
    }
  }
}
