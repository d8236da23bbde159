import { fileURLToPath } from 'node:url'
import { type Exit, LineChild } from './line-child.js'
import { Lost, Refused, type Scan, type Target } from './target.js'

const CHILD = fileURLToPath(new URL('log-store-child.mjs', import.meta.url))

export interface LogStoreTargetOptions {
  readonly directory: string
  readonly flush: 'sync' | 'async'
  readonly fileBytes?: number
  readonly environment?: Readonly<Record<string, string>>
}

interface Answer {
  readonly ok: boolean
  readonly value?: unknown
  readonly code?: string
  readonly message?: string
}

/** A bare message store. */
export class LogStoreTarget implements Target {
  readonly child: LineChild
  #isGone = false
  #nextId = 1

  private constructor(child: LineChild) {
    this.child = child
    void child.exited.then(() => {
      this.#isGone = true
    })
  }

  /** @throws Refused when the store refuses to open */
  static async start(options: LogStoreTargetOptions): Promise<LogStoreTarget> {
    const { directory, flush, fileBytes = 4 * 1024 * 1024, environment = {} } = options
    const child = new LineChild(CHILD, [directory, flush, String(fileBytes)], environment)
    const first = await child.line<{ openFailed?: true; code: string; message: string }>(
      line => line['ready'] === true || line['openFailed'] === true,
      60_000,
    )
    if (first.openFailed) throw new Refused(first.code, first.message)
    return new LogStoreTarget(child)
  }

  get log(): string {
    return this.child.log
  }

  async append(queueId: number, body: string): Promise<number> {
    return (await this.#ask({ do: 'append', queueId, body })) as number
  }

  async scan(queueId: number, from: number): Promise<Scan> {
    return (await this.#ask({ do: 'scan', queueId, from })) as Scan
  }

  async kill(): Promise<void> {
    await this.child.kill()
  }

  async stop(): Promise<Exit> {
    this.child.send({ id: 0, do: 'stop' })
    return this.child.ended()
  }

  async #ask(request: object): Promise<unknown> {
    if (this.#isGone) throw new Lost('the process is gone')
    const id = this.#nextId++
    this.child.send({ ...request, id })
    const answer = await this.child.answer<Answer>(id).catch((error: Error) => {
      throw new Lost(error.message)
    })
    if (!answer.ok) throw new Refused(answer.code ?? 'UNKNOWN', answer.message ?? '')
    return answer.value
  }
}
